"""What the application adds to an opening handshake, checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["check_headers", "check_origins", "check_subprotocols"]

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
