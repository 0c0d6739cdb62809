"""The address of `zaptools.handlers.register`; the names are in `zaptools` too."""

from __future__ import annotations

from .handlers.register import CallNext, EventRegister, Handler, HandlerBook, Middleware

__all__ = ["CallNext", "EventRegister", "Handler", "HandlerBook", "Middleware"]
