"""Rules of RFC 9110 and RFC 9112 for requests that `websockets` does not check."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["is_host", "offers_websocket", "split_target"]

_HOST = re.compile(  # RFC 9110, section 7.2; RFC 3986, section 3.2.2; a zone as in RFC 6874
    r"(?:\[(?:[0-9A-Fa-f:.]+(?:%25[-A-Za-z0-9._~%]+)?|[vV][0-9A-Fa-f]+\.[-A-Za-z0-9._~!$&'()*+,;=:]+)\]"
    r"|(?:[-A-Za-z0-9._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?"
)
_ABSOLUTE = re.compile(r"(?:http|ws)s?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


def is_host(value: str) -> bool:
    """Whether a ``Host`` header may have this value; it may be empty (RFC 9110, section 7.2)."""
    return _HOST.fullmatch(value) is not None


def split_target(target: str) -> tuple[str, str | None]:
    """Return the origin-form of a request's target, and the host if it is in absolute-form.

    A server accepts ``http://host/path?query`` for ``/path?query``, and that host replaces the one
    of the ``Host`` header (RFC 9112, section 3.2.2).
    """
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return target, None
    host, rest = absolute.groups()
    return rest if rest.startswith("/") else f"/{rest}", host


def offers_websocket(values: Iterable[str]) -> bool:
    """Whether ``Upgrade`` headers offer WebSocket, maybe among others (RFC 9110, section 7.8)."""
    return any(
        offer.strip().lower() == "websocket" for value in values for offer in value.split(",")
    )
