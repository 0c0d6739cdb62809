"""What the application gives a server or a client, checked before anything is done with it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["check_address", "check_headers", "check_origins", "check_subprotocols"]

_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def check_subprotocols(names: Sequence[str] | None) -> list[str]:
    """Return the names of subprotocols (RFC 6455, section 4.1).

    Raises:
        TypeError: they are no sequence of strings.
        ValueError: one is no token, or there twice.
    """
    found = _strings(names or (), "subprotocols")
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
    if isinstance(origins, str):
        raise TypeError(f"origins are a sequence of strings, unlike {origins!r}")
    _strings([origin for origin in origins if origin is not None], "origins")
    return list(origins)


def check_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return the headers of a request.

    Raises:
        TypeError: a name or a value is no string.
        ValueError: a name is no token, or a value has a control character or cannot be encoded.
    """
    found = dict(headers or {})
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"a header is two strings, unlike {name!r}: {value!r}")
        if _TOKEN.fullmatch(name) is None:
            raise ValueError(f"a header's name is a token, unlike {name!r}")
        if _CONTROL.search(value):
            raise ValueError(f"the header {name} has a control character")
        value.encode()
    return found


def _strings(values: Sequence[str], what: str) -> list[str]:
    if isinstance(values, (str, bytes)):
        raise TypeError(f"{what} are a sequence of strings, unlike {values!r}")
    found = list(values)
    for value in found:
        if not isinstance(value, str):
            raise TypeError(f"{what} are strings, unlike {value!r}")
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
