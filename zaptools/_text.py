"""Texts of peers and users, made fit for a line of a log or an error."""

from __future__ import annotations

import re

__all__ = ["clip", "hide_query", "is_secret", "printable", "redact"]

_SIZE = 200
"""Characters that are kept, so that a peer cannot fill the log."""

_USER = re.compile(
    r"(?s)(?<=//)[^/?#]*@"  # RFC 3986, section 3.2
    r"|(?<=//)[^/?#@\[]*:(?!\d*(?:[/?#]|$)).*@"  # not a port: a password with a / ? or #
    r"|^(?!\w*://).*@"  # not a URL, or one whose beginning is missing
)
_VALUE = re.compile(r"(?<==)[^&]+|(?<![^&])[^&=]+(?![^&])")

_SECRET = re.compile(r"auth|cookie|credential|jwt|key|pass|secret|session|signature|token")
"""Parts of the names of headers with a secret: Authorization, X-Api-Key, X-CSRF-Token."""


def clip(text: str, size: int = _SIZE) -> str:
    """Return a text, shortened to `size` characters and an ellipsis if it is longer."""
    return text if len(text) <= size else text[:size] + "…"


def printable(text: str, size: int = _SIZE) -> str:
    """Return a text in a form that is safe in a line of a log and on a terminal.

    It is clipped, and characters that are not printable are escaped as in a Python string: a peer
    could otherwise write lines of its own, or move the cursor.
    """
    text = clip(text, size)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def redact(url: str) -> str:
    """Return a URL without its possible secrets: user and password, the query's values, and the
    fragment.
    """
    return printable(hide_query(_USER.sub("***@", url, count=1)), 1000)


def hide_query(target: str) -> str:
    """Return a URL, or a request's target, without its fragment and the values of its query."""
    target, mark, fragment = target.partition("#")
    end = mark + "***" if fragment else mark
    place, mark, query = target.partition("?")
    return place + mark + _VALUE.sub("***", query) + end


def is_secret(header: str) -> bool:
    """Return whether the value of a header may be a secret, judging by the header's name."""
    name = header.lower()
    return not name.startswith("sec-websocket-") and _SECRET.search(name) is not None
