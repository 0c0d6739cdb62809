"""The address of `zaptools.handlers`; the names are in `zaptools` too."""

from __future__ import annotations

from .handlers.book import CallNext, Handler, HandlerBook, Middleware
from .handlers.register import EventRegister

__all__ = ["CallNext", "EventRegister", "Handler", "HandlerBook", "Middleware"]
