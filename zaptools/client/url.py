"""The URL of a WebSocket: parsed, and refused with the reason and the remedy."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote, urlsplit

from websockets.exceptions import InvalidURI
from websockets.uri import WebSocketURI, parse_uri

from ..exceptions import InvalidUrlError

__all__ = ["parse_url"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"[^\s/?#@<>\[\]\\^`{|}\"]+")  # RFC 3986, section 3.2.2, read loosely
_UNSAFE = re.compile(r"[^\x21-\x7e]+")

_AFTER_BRACKET = re.compile(r"(?::\d*)?\Z")  # urllib accepts anything there (Python 3.11)
_ZONE = re.compile(r"%25")
"""The mark of a zone in a URL (RFC 6874, section 2); the resolver takes a bare ``%``."""

_REWORDED = {
    "hostname isn't provided": "it has no host: write ws://host:port/path",
    "username provided without password": "it has a user without a password: write user:password@",
    "fragment identifier is meaningless": "a WebSocket's URL has no fragment: write %23 for '#'",
}
"""The messages of `websockets.uri`, and those in their place, which say what to write."""


def parse_url(url: str) -> WebSocketURI:
    """Return the parts of a WebSocket URL (RFC 6455, section 3).

    Raises:
        InvalidUrlError: it is not a WebSocket URL.
    """
    if not isinstance(url, str):
        cure = "pass str(url)" if hasattr(url, "scheme") else "write it as 'ws://host:port/path'"
        raise InvalidUrlError(str(url), f"it must be a str, not {type(url).__name__}: {cure}")
    try:
        _check_scheme(url)
        uri, raw = parse_uri(url), urlsplit(url)
        _check_uri(url, uri, raw.netloc)
        port = 0 if raw.port == 0 else uri.port  # the parser takes 0 for "absent", and says 80
        host = _ZONE.sub("%", uri.host) if ":" in uri.host else uri.host
        path, query = _encode(raw.path), _encode(raw.query)
        return replace(uri, host=host, port=port, path=path, query=query)
    except InvalidURI as exc:
        detail = _REWORDED.get(exc.msg, exc.msg)
    except (ValueError, TypeError, AttributeError) as exc:
        # The message quotes the unreadable part: of a password, if that has a slash in it.
        detail = str(exc) if "@" not in str(url) else "its host, port or user cannot be read"
    raise InvalidUrlError(str(url), detail)  # outside: a context would quote the whole URL


def _check_scheme(url: str) -> None:
    """Raise InvalidURI, with what to write instead, unless the scheme is ws or wss."""
    scheme, mark, _ = url.strip().partition("://")
    if scheme.lower() in ("ws", "wss"):
        return
    if scheme.lower() in ("http", "https"):
        secure = "s" if scheme.lower() == "https" else ""
        raise InvalidURI(url, f"a WebSocket's scheme is ws or wss: write ws{secure}://")
    cure = "" if mark else ", before the host"
    raise InvalidURI(url, f"its scheme must be ws, or wss for TLS: write ws://{cure}")


def _check_uri(url: str, uri: WebSocketURI, netloc: str) -> None:
    """Raise InvalidURI where the parser that made `uri` of `url` is too lenient."""
    if _CONTROL.search(url):  # urllib drops some of them, and would send the others
        raise InvalidURI(url, "it has a control character")
    if "]" in netloc and not _AFTER_BRACKET.match(netloc.rpartition("]")[2]):
        raise InvalidURI(url, "there is text between its host and its port")
    if not _HOST.fullmatch(uri.host):
        raise InvalidURI(url, "its host has a character that is not allowed in a host")
    try:
        uri.host.encode("idna")
    except UnicodeError:
        detail = "its host is no valid name: a label is empty, or longer than 63 characters"
        raise InvalidURI(url, detail) from None


def _encode(part: str) -> str:
    """Percent-encode the characters of a path or query that no request line may have.

    These are spaces and non-ASCII ones. What is percent-encoded already stays as it is.
    """
    return _UNSAFE.sub(lambda found: quote(found[0]), part)
