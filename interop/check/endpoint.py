"""The address of a running server that is not under control, and the user's access to it.

Pure except for `Endpoint.connect`. Credentials that the user gave (header values, the URL's query)
appear in no output: `Endpoint.redacted` removes them from everything that is shown or written.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ..errors import TestbedError
from ..wire.raw import MAX_HEAD, Streams

__all__ = ["Endpoint", "EndpointError", "parse_endpoint"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN = ("host", "upgrade", "connection", "content-length", "transfer-encoding")
"""Headers that the handshake sets itself, or that would change the kind of request."""

_SHORTEST_SECRET = 4
"""Characters from which on a value counts as a secret: with the 1 of ``X-Debug: 1`` removed, no
report would be readable."""


class EndpointError(TestbedError):
    """A server cannot be checked: its address is unusable, or no WebSocket server answers there.

    Attributes:
        why: the reason without the server's name.
    """

    def __init__(self, why: str, server: str = "") -> None:
        super().__init__(f"{server}: {why}" if server else why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server to check.

    Attributes:
        shown: the URL without its query, for reports.
        authority: host and port, for the Host header.
        target: path and query.
        headers: further headers of every handshake.
        subprotocols: those that every handshake offers.
        context: for ``wss``; None for ``ws``.
    """

    shown: str
    host: str
    port: int
    authority: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    subprotocols: Sequence[str] = ()
    context: ssl.SSLContext | None = None

    async def connect(self, within: float) -> Streams:
        """Return a new connection, over TLS where the URL says so.

        Raises:
            EndpointError: it cannot be made; says why in one line.
        """
        what = "TLS" if self.context else "TCP"
        name = self.host if self.context else None
        try:
            async with asyncio.timeout(within):
                return await asyncio.open_connection(
                    self.host, self.port, limit=MAX_HEAD, ssl=self.context, server_hostname=name
                )
        except TimeoutError:
            why = f"no {what} connection within {within:g} s"
        except ssl.SSLCertVerificationError as exc:
            why = f"its certificate is not trusted: {exc.verify_message} (--ca FILE trusts another)"
        except ssl.SSLError as exc:
            why = f"no TLS there: {exc.reason} (should it be ws://?)"
        except socket.gaierror as exc:
            why = f"no such host {self.host!r}: {exc.strerror}"
        except ValueError as exc:  # for example a label that is empty or too long
            why = f"{self.host!r} is not a host name: {exc}"
        except OSError as exc:
            # asyncio's own text repeats the address, and lists all of several addresses.
            words = os.strerror(exc.errno) if exc.errno else str(exc)
            why = f"no connection to {self.host} port {self.port}: {words}"
        raise EndpointError(why, self.shown)

    @property
    def secrets(self) -> list[str]:
        """Texts that must not be shown, the longest first."""
        _, _, query = self.target.partition("?")
        found = {query, *(value.partition("=")[2] for value in query.split("&"))}
        for _, value in self.headers:
            found |= {value, value.partition(" ")[2]}  # also the credentials after ``Bearer``
        found |= {json.dumps(secret)[1:-1] for secret in found}
        return sorted((s for s in found if len(s) >= _SHORTEST_SECRET), key=len, reverse=True)

    def redacted(self, value: Any) -> Any:
        """Return text or JSON data with every secret in it replaced."""
        if isinstance(value, str):
            for secret in self.secrets:
                value = value.replace(secret, "<redacted>")
        elif isinstance(value, dict):
            return {self.redacted(key): self.redacted(item) for key, item in value.items()}
        elif isinstance(value, list):
            return [self.redacted(item) for item in value]
        return value


def parse_endpoint(
    url: str,
    *,
    headers: Sequence[str] = (),
    subprotocols: Sequence[str] = (),
    ca: Path | None = None,
    insecure: bool = False,
) -> Endpoint:
    """Return the endpoint that a command line names.

    Args:
        url: ``ws://`` or ``wss://``; path and query are kept.
        headers: each ``Name: value``.
        ca: a PEM file of the only authorities to trust; by default the system's are trusted.
        insecure: whether to accept any certificate.

    Raises:
        EndpointError: one of them is invalid; says which and why.
    """
    parts = _split(url)
    secure = parts.scheme == "wss"
    if not secure and (ca is not None or insecure):
        raise EndpointError(f"{'--ca' if ca else '--insecure'} is for wss://, and this is ws://")
    host = parts.hostname or ""
    usual = 443 if secure else 80
    port = parts.port or usual
    named = f"[{host}]" if ":" in host else host
    authority = named if port == usual else f"{named}:{port}"
    path = parts.path or "/"
    for name in subprotocols:
        if not _TOKEN.fullmatch(name):
            raise EndpointError(f"--subprotocol {name!r} is not a valid subprotocol name")
    return Endpoint(
        shown=f"{parts.scheme}://{authority}{path}",
        host=host,
        port=port,
        authority=authority,
        target=f"{path}?{parts.query}" if parts.query else path,
        headers=tuple(_header(number, text) for number, text in enumerate(headers, 1)),
        subprotocols=tuple(subprotocols),
        context=_context(ca, insecure) if secure else None,
    )


def _split(url: str) -> SplitResult:
    """Return the parts of a URL; no error shows a part that may be a password."""
    # Everything before the last @: a password may contain any character, and confuse the parser.
    safe = re.sub(r"^(\w+:/*(?=.*@))?.*@", r"\1…@", url, flags=re.DOTALL)
    safe = re.split("[?#]", safe)[0]
    if not url.isascii() or not url.isprintable() or " " in url:
        raise EndpointError(f"{safe!r}: characters other than plain ASCII must be percent-encoded")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as exc:
        # The error's own words may contain part of the password.
        why = "its host or port is invalid" if "@" in url else exc
        raise EndpointError(f"{safe!r} is not a URL: {why}") from None
    if parts.scheme not in ("ws", "wss"):
        hints = {"http": "; did you mean ws://?", "https": "; did you mean wss://?"}
        raise EndpointError(
            f"{safe!r} is not a WebSocket URL: it must begin with ws:// or wss://"
            + hints.get(parts.scheme, "")
        )
    if not parts.hostname or parts.port == 0:
        raise EndpointError(f"{safe!r} has no {'port' if parts.hostname else 'host'}")
    if parts.username is not None:
        raise EndpointError(
            f"{safe!r}: a WebSocket URL takes no password; use --header 'Authorization: Basic …'"
        )
    if parts.fragment:
        raise EndpointError(f"{safe!r}: a WebSocket URL takes no fragment (#…)")
    return parts


def _header(number: int, text: str) -> tuple[str, str]:
    """Return name and value; no error shows the value."""
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _TOKEN.fullmatch(name):
        raise EndpointError(f"--header number {number} is not of the form 'Name: value'")
    if name.lower() in _OWN or name.lower().startswith("sec-websocket-"):
        more = "; see --subprotocol" if name.lower().endswith("protocol") else ""
        raise EndpointError(f"--header {name!r} is set by the handshake itself{more}")
    if not (value.isprintable() and all(ord(char) < 256 for char in value)):
        raise EndpointError(f"--header {name!r}: its value is not printable Latin-1")
    return name, value


def _context(ca: Path | None, insecure: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    except ssl.SSLError:
        raise EndpointError(f"--ca {ca}: contains no PEM certificate") from None
    except OSError as exc:
        raise EndpointError(f"--ca {ca}: {exc.strerror}") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
