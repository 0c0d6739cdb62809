"""How connections end (RFC 6455, section 7)."""

from __future__ import annotations

from typing import NamedTuple

from .._arguments import check_kind
from ..exceptions import CloseSide

__all__ = ["LOST", "CloseInfo", "check_close", "may_be_sent"]


class CloseInfo(NamedTuple):
    """How a connection ended; the fields are those of `ConnectionClosedError`."""

    code: int
    reason: str = ""
    by: CloseSide = None


LOST = CloseInfo(1006)
"""A connection that was lost without a close frame (RFC 6455, section 7.1.5)."""


def may_be_sent(code: int) -> bool:
    """Whether a close frame may carry `code` (RFC 6455, section 7.4, and IANA's registry)."""
    return code in (1000, 1001, 1002, 1003) or 1007 <= code <= 1014 or 3000 <= code <= 4999


def check_close(code: int, reason: str) -> None:
    """Raise unless a close frame may carry these (RFC 6455, sections 5.5.1 and 7.4).

    Raises:
        TypeError: the code is no int, or the reason no str.
        ValueError: no close frame may carry them.
    """
    check_kind(code, int, "code")
    check_kind(reason, str, "reason")
    if not may_be_sent(code):
        raise ValueError(f"a close frame cannot carry the code {code}; use 1000, or 3000 to 4999")
    if len(reason.encode()) > 123:
        raise ValueError("a close reason has at most 123 bytes in UTF-8")
