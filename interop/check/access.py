"""What a server behind authentication asks for: headers, tokens in the URL, and their secrecy.

A value can come from the environment (``${NAME}``) or from a file, so that no list of processes
shows it. `Secrets` takes every value out of what is shown or written, whole or cut off.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

__all__ = [
    "TOKEN",
    "VARIABLE",
    "AccessError",
    "Header",
    "Secrets",
    "filled",
    "parse_headers",
    "read_headers",
    "shown",
    "unbraced",
]

VARIABLE = re.compile(r"\$\{(\w+)\}", re.ASCII)
_UNBRACED = re.compile(r"\$([A-Za-z_]\w*)", re.ASCII)
_NAMED_ALONE = re.compile(r"([A-Za-z]+ |[\w.~-]+=)?\$\{\w+\}", re.ASCII)
"""A value that is nothing but a variable, behind a scheme such as ``Bearer`` or a name."""

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header or a subprotocol (RFC 9110, section 5.6.2)."""

_OWN = ("host", "upgrade", "connection", "content-length", "transfer-encoding")
"""Headers that the handshake sets itself, or that would change the kind of request."""

_SHORTEST_SECRET = 4
"""Characters from which on a value counts as a secret: with the 1 of ``X-Debug: 1`` removed, no
report would be readable."""

_REDACTED = "<redacted>"

_CUT = 12
"""Characters of a longer secret by which it is known where a text quotes only its beginning."""


class AccessError(Exception):
    """A header or a variable is of no use; says which and why, and no value."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header of every handshake.

    Attributes:
        given: its value as it was given, with variables by their names.
    """

    name: str
    value: str
    given: str


def filled(text: str, environ: Mapping[str, str], what: str, *, encoded: bool = False) -> str:
    """Return a text with the values of the variables that it names as ``${NAME}``.

    Args:
        what: what the text is of, for an error.
        encoded: whether to percent-encode the values, for a URL.

    Raises:
        AccessError: a variable is not set, or empty.
    """

    def value(match: re.Match[str]) -> str:
        found = environ.get(match[1])
        if not found:
            state = "not set" if found is None else "empty"
            raise AccessError(f"{what}: the environment variable {match[1]} is {state}")
        return quote(found, safe="") if encoded else found

    return VARIABLE.sub(value, text)


def shown(text: str) -> str:
    """Return a value as a command shows it: variables by their names, and ``…`` for others."""
    return text if _NAMED_ALONE.fullmatch(text) else "…"


def unbraced(text: str, environ: Mapping[str, str]) -> list[str]:
    """Return the variables of the environment that a text names as ``$NAME``, which means nothing.

    What is no variable is part of a value, and secret.
    """
    return [name for name in _UNBRACED.findall(text) if name in environ]


def parse_headers(texts: Iterable[str], environ: Mapping[str, str]) -> Iterator[Header]:
    """Yield the headers that a command line names, each as ``Name: value``.

    Raises:
        AccessError: one is invalid, or names a variable that is not set.
    """
    for number, text in enumerate(texts, 1):
        name, given = _split(text, f"--header number {number}")
        value = filled(given, environ, f"--header {name!r}")
        yield Header(name, _checked(name, value), given)


def read_headers(path: Path) -> Iterator[Header]:
    """Yield the headers in a file, one a line; empty lines are skipped.

    Raises:
        AccessError: it cannot be read, or a line is invalid.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as exc:
        raise AccessError(f"--header-file {path}: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise AccessError(f"--header-file {path}: not UTF-8") from None
    found = 0
    for number, line in enumerate(lines, 1):
        if line.strip():
            name, value = _split(line, f"--header-file {path}, line {number}")
            yield Header(name, _checked(name, value), value)
            found += 1
    if not found:
        raise AccessError(f"--header-file {path}: there is no header in it")


def _split(text: str, what: str) -> tuple[str, str]:
    """Return name and value; no error shows the value."""
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not TOKEN.fullmatch(name):
        raise AccessError(f"{what} is not of the form 'Name: value'")
    if name.lower() in _OWN or name.lower().startswith("sec-websocket-"):
        more = "; see --subprotocol" if name.lower().endswith("protocol") else ""
        raise AccessError(f"--header {name!r} is set by the handshake itself{more}")
    return name, value


def _checked(name: str, value: str) -> str:
    if not (value.isprintable() and all(ord(char) < 256 for char in value)):
        raise AccessError(f"--header {name!r}: its value is not printable Latin-1")
    return value


class Secrets:
    """Texts that must not be shown, in every form in which a server may give them back.

    Args:
        headers: whose values are secret, and what they are made of: the credentials behind
            ``Bearer``, each cookie, user and password of ``Basic``.
        query: of the URL: it as a whole, and its values, encoded or not.
        others: texts that are secret too.
    """

    def __init__(
        self, headers: Iterable[Header] = (), query: str = "", others: Iterable[str] = ()
    ) -> None:
        found = {query, *(part.partition("=")[2] for part in query.split("&")), *others}
        for header in headers:
            found |= {*_of_header(header)}
        found |= {form for text in found for form in (unquote(text), unquote_plus(text))}
        found |= {json.dumps(text)[1:-1] for text in found}
        long = (text for text in found if len(text) >= _SHORTEST_SECRET)
        self.texts: Sequence[str] = sorted(long, key=len, reverse=True)

    def redacted(self, value: Any) -> Any:
        """Return text or JSON data with every secret in it replaced."""
        if isinstance(value, str):
            for secret in self.texts:
                value = value.replace(secret, _REDACTED)
            for secret in self.texts:
                value = _without_beginning(value, secret)
        elif isinstance(value, dict):
            return {self.redacted(key): self.redacted(item) for key, item in value.items()}
        elif isinstance(value, list):
            return [self.redacted(item) for item in value]
        return value


def _without_beginning(text: str, secret: str) -> str:
    """Return a text without what it quotes of a long secret, which it cuts off somewhere."""
    at = text.find(secret[:_CUT]) if len(secret) > _CUT else -1
    while at >= 0:
        end = at + _CUT
        while text[end : end + 1] == secret[end - at : end - at + 1] != "":
            end += 1
        text = f"{text[:at]}{_REDACTED}{text[end:]}"
        at = text.find(secret[:_CUT], at + len(_REDACTED))
    return text


def _of_header(header: Header) -> Iterator[str]:
    value = header.value
    scheme, _, credentials = value.partition(" ")
    yield from (value, credentials)
    if header.name.lower() == "cookie":
        for cookie in value.split(";"):
            yield from (cookie.strip(), cookie.partition("=")[2].strip())
    if scheme.lower() == "basic":
        try:
            told = base64.b64decode(credentials, validate=True).decode("utf-8", "replace")
        except binascii.Error:
            return
        yield from (told, told.partition(":")[2])
