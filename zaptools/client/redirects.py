"""Redirects of the opening handshake (RFC 6455, section 4.1; RFC 9110, section 15.4)."""

from __future__ import annotations

from urllib.parse import urljoin

from ..exceptions import HandshakeError, InvalidUrlError
from .route import Route
from .url import parse_url

__all__ = ["is_same_origin", "redirect"]

_REDIRECTS = (301, 302, 303, 307, 308)
_SCHEMES = {"http": "ws", "https": "wss"}


def redirect(url: str, refusal: HandshakeError, left: int, route: Route) -> str | None:
    """Return the URL that a server redirects to; None if its answer is no redirect to follow.

    Args:
        url: the URL of the request.
        refusal: the server's answer.
        left: how many more redirects may be followed.
        route: the way to the server.

    Raises:
        HandshakeError: the redirect may not be followed; says why.
    """
    location = refusal.headers.get("location")
    if refusal.status not in _REDIRECTS or not location or not route.max_redirects:
        return None
    try:
        target = urljoin(url, location)
    except ValueError:  # in the brackets of its host, for one
        target, problem = "", "to a URL that is none: its host cannot be read"
    else:
        scheme, mark, rest = target.partition("://")
        target = _SCHEMES.get(scheme.lower(), scheme) + mark + rest.partition("#")[0]
        problem = _problem(url, target, left, route)
    if problem:
        raise HandshakeError(
            url,
            f"the server redirects, with {refusal.status}, {problem}",
            status=refusal.status,
            headers=refusal.headers,
            body=refusal.body,
        )
    return target


def _problem(url: str, target: str, left: int, route: Route) -> str:
    """Return why a redirect may not be followed; empty if it may."""
    if not left:
        return f"more than {route.max_redirects} times"
    try:
        secure = parse_url(target).secure
    except InvalidUrlError as exc:
        return f"to a URL that is none: {exc.detail}"
    if parse_url(url).secure and not secure:
        return "from wss to ws, which has no TLS"
    if route.sock is not None:
        return "but the socket that was passed has been used"
    if route.unix is not None and not is_same_origin(url, target):
        return "from a Unix socket to another host"
    return ""


def is_same_origin(one: str, other: str) -> bool:
    """Whether two URLs have the same scheme, host and port (RFC 6454, section 5)."""
    a, b = parse_url(one), parse_url(other)
    return (a.secure, a.host, a.port) == (b.secure, b.host, b.port)
