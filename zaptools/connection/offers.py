"""What the application gives a server or a client, checked before anything is done with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._arguments import shown

__all__ = ["check_address", "check_headers", "check_origins", "check_subprotocols"]

_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_OWNED = {
    "connection": "",
    "upgrade": "",
    "content-length": "",
    "transfer-encoding": "",
    "sec-websocket-key": "",
    "sec-websocket-version": "",
    "sec-websocket-accept": "",
    "sec-websocket-protocol": ": pass the subprotocols as such",
    "sec-websocket-extensions": ": pass compression='deflate'",
}
"""What the opening handshake itself says (RFC 6455, section 4.1), and how to say it then."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def check_subprotocols(names: Sequence[str] | None) -> list[str]:
    """Return the names of subprotocols (RFC 6455, section 4.1).

    Raises:
        TypeError: they are no sequence of strings.
        ValueError: one is no token, or there twice.
    """
    found = _strings(() if names is None else names, "subprotocols")
    for name in found:
        if _TOKEN.fullmatch(name) is None:
            raise ValueError(f"a subprotocol is a token, unlike {name!r}")
    if len(set(found)) < len(found):
        raise ValueError(f"a subprotocol is named twice: {found!r}")
    return found


def check_origins(origins: Sequence[str | None] | None) -> list[str | None] | None:
    """Return the origins; None is any.

    Raises:
        TypeError: they are no sequence of strings and None.
    """
    if origins is None:
        return None
    return _strings(origins, "origins", none=True)


def check_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return the headers of a request.

    Raises:
        TypeError: a name or a value is no string.
        ValueError: a name is no token, or there twice (names have no case), or one of the
            handshake's own, or a value has a control
            character or one beyond Latin-1, which is what a field may have (RFC 9110, section
            5.5).
    """
    # None of these errors quotes a value: it may be a secret.
    if headers is not None and not isinstance(headers, Mapping):
        given = type(headers).__name__ if isinstance(headers, Iterable) else shown(headers)
        cure = "write {'Name': 'value'}"
        raise TypeError(f"headers must be a Mapping or None, not {given}: {cure}")
    pairs = [] if headers is None else list(headers.items())  # a multidict's may be alike
    found: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in pairs:
        if not isinstance(name, str):
            raise TypeError(f"a header's name must be a str, not {type(name).__name__}")
        if not isinstance(value, str):
            kind = type(value).__name__
            raise TypeError(f"the value of the header {shown(name)} must be a str, not {kind}")
        if _TOKEN.fullmatch(name) is None:
            raise ValueError(f"a header's name is a token, unlike {name!r}")
        if _CONTROL.search(value):
            raise ValueError(f"the header {name} has a control character")
        if name.lower() in _OWNED:
            hint = _OWNED[name.lower()]
            raise ValueError(f"the header {name} is the opening handshake's own{hint}")
        try:
            value.encode("latin-1")
        except UnicodeEncodeError as exc:
            raise ValueError(
                f"the header {name} has a character at {exc.start} that no header may have: "
                "encode it, as with urllib.parse.quote"
            ) from None  # whose words would quote the value, which may be a secret
        if name.lower() in seen:
            raise ValueError(f"the header {name} is there twice, and one would be lost: join them")
        seen.add(name.lower())
        found[name] = value
    return found


def _strings(values: Iterable[Any], what: str, *, none: bool = False) -> list[Any]:
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        cure = ""
        if isinstance(values, Mapping):  # its keys would be taken, and its values lost
            cure = "; headers go into headers="
        elif isinstance(values, str):
            cure = f"; for one, write [{values!r}]"
            if re.match(r"(?i)wss?:", values):
                raise TypeError(f"{what} are a sequence of strings: the URL is the client's own")
        raise TypeError(f"{what} are a sequence of strings, unlike {shown(values)}{cure}")
    found = list(values)
    for value in found:
        if not isinstance(value, str) and not (none and value is None):
            cure = "; headers go into headers=" if isinstance(value, tuple) else ""
            raise TypeError(f"{what} are strings, unlike {type(value).__name__}{cure}")
    return found


def check_address(host: object, port: object, path: object) -> None:
    """Raise TypeError or ValueError unless a server can have these."""
    if not isinstance(host, str):
        raise TypeError(f"a host is a string, unlike {host!r}")
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"a port is an integer, unlike {port!r}")
    if not 0 <= port <= 65535:
        raise ValueError(f"a port is one of 0 to 65535, unlike {port}")
    if not isinstance(path, str):
        raise TypeError(f"a path is a string, unlike {path!r}")
    if not path.startswith("/"):
        raise ValueError(f"a path begins with '/', unlike {path!r}")
    for wrong, name in (("?", "query"), ("#", "fragment")):
        if wrong in path:
            raise ValueError(f"a path has no {name}, unlike {path!r}")
    if not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError(f"a path is as a request has it, percent-encoded, unlike {path!r}")
