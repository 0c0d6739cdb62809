"""A running server that is not under control: where it is, and how to say so in its own words.

Pure but for `Endpoint.connect`. What a user gave to get in (header values, the URL's query) is
told to nobody else: `Endpoint.redacted` takes it out of whatever is shown or written.
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
"""Headers that the handshake itself has, or that would make another request of it."""

_LEAST = 4
"""Characters that a secret has at least: without the 1 of ``X-Debug: 1`` no report is readable."""


class EndpointError(TestbedError):
    """A server cannot be checked: the address is no use, or nobody answers there as it must."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server to check.

    Attributes:
        shown: the URL without its query, as reports have it.
        authority: host and port as the Host header has them.
        target: path and query.
        headers: more headers of every handshake.
        subprotocols: what every handshake offers.
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
            EndpointError: there is none; says why in one line.
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
            why = f"no TLS there: {exc.reason} (does it want ws://?)"
        except socket.gaierror as exc:
            why = f"no such host {self.host!r}: {exc.strerror}"
        except ValueError as exc:  # a label that is empty or too long, say
            why = f"{self.host!r} is no host name: {exc}"
        except OSError as exc:
            # asyncio's own text names the address once more, and of several addresses all.
            words = os.strerror(exc.errno) if exc.errno else str(exc)
            why = f"no connection to {self.host} port {self.port}: {words}"
        raise EndpointError(f"{self.shown}: {why}")

    @property
    def secrets(self) -> list[str]:
        """What must not be shown, the longest first."""
        _, _, query = self.target.partition("?")
        found = {query, *(value.partition("=")[2] for value in query.split("&"))}
        for _, value in self.headers:
            found |= {value, value.partition(" ")[2]}  # the credentials behind ``Bearer``, too
        found |= {json.dumps(secret)[1:-1] for secret in found}
        return sorted((s for s in found if len(s) >= _LEAST), key=len, reverse=True)

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
        ca: a PEM file of the only authorities to trust; by default the system's.
        insecure: whether any certificate will do.

    Raises:
        EndpointError: one of them cannot be used; says which and why.
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
            raise EndpointError(f"--subprotocol {name!r} is not the name of a subprotocol")
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
    """Return the parts of a URL; its errors never show what may be a password in it."""
    # All before the last @, wherever the parts begin: a password may have any character in it.
    safe = re.sub(r"^(\w+:/*(?=.*@))?.*@", r"\1…@", url, flags=re.DOTALL)
    safe = re.split("[?#]", safe)[0]
    if not url.isascii() or not url.isprintable() or " " in url:
        raise EndpointError(f"{safe!r}: what is no plain ASCII in a URL must be percent-encoded")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as exc:
        # The error's own words may have a part of the password.
        why = "its host or its port is none" if "@" in url else exc
        raise EndpointError(f"{safe!r} is no URL: {why}") from None
    if parts.scheme not in ("ws", "wss"):
        hints = {"http": "; did you mean ws://?", "https": "; did you mean wss://?"}
        raise EndpointError(
            f"{safe!r} is no WebSocket URL: it has to begin with ws:// or wss://"
            + hints.get(parts.scheme, "")
        )
    if not parts.hostname or parts.port == 0:
        raise EndpointError(f"{safe!r} names no {'port' if parts.hostname else 'host'}")
    if parts.username is not None:
        raise EndpointError(
            f"{safe!r}: a WebSocket URL has no password; use --header 'Authorization: Basic …'"
        )
    if parts.fragment:
        raise EndpointError(f"{safe!r}: a WebSocket URL has no fragment (#…)")
    return parts


def _header(number: int, text: str) -> tuple[str, str]:
    """Return name and value; no error shows the value."""
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _TOKEN.fullmatch(name):
        raise EndpointError(f"--header number {number} is not of the form 'Name: value'")
    if name.lower() in _OWN or name.lower().startswith("sec-websocket-"):
        more = "; see --subprotocol" if name.lower().endswith("protocol") else ""
        raise EndpointError(f"--header {name!r} is the handshake's own{more}")
    if not (value.isprintable() and all(ord(char) < 256 for char in value)):
        raise EndpointError(f"--header {name!r}: its value is not printable Latin-1")
    return name, value


def _context(ca: Path | None, insecure: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    except ssl.SSLError:
        raise EndpointError(f"--ca {ca}: no certificate in PEM form is in it") from None
    except OSError as exc:
        raise EndpointError(f"--ca {ca}: {exc.strerror}") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
