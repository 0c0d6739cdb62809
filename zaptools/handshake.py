"""The address of `zaptools.connection.handshake`; the names are in `zaptools` too."""

from __future__ import annotations

from .connection.handshake import (
    NO_HANDSHAKE,
    Handshake,
    Headers,
    are_lists_too_long,
    choose_subprotocol,
    header_block,
)

__all__ = [
    "NO_HANDSHAKE",
    "Handshake",
    "Headers",
    "are_lists_too_long",
    "choose_subprotocol",
    "header_block",
]
