"""The address of a running server that is not under control, and the user's access to it.

Credentials that the user gave (header values, the URL's query) appear in no output:
`Endpoint.redacted` removes them from everything that is shown or written.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from ..errors import TestbedError
from ..wire.raw import MAX_HEAD, Streams
from .access import (
    TOKEN,
    VARIABLE,
    AccessError,
    Secrets,
    filled,
    parse_headers,
    read_headers,
    shown,
)

__all__ = ["Endpoint", "EndpointError", "parse_endpoint"]


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
        words: how a command names it and the headers; ``…`` stands for secrets.
        secrets: what is taken out of everything that is shown or written.
        headers: further headers of every handshake.
        subprotocols: those that every handshake offers.
        context: for ``wss``; None for ``ws``.
    """

    shown: str
    host: str
    port: int
    authority: str
    target: str
    words: Sequence[str]
    secrets: Secrets
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
            words = os.strerror(exc.errno) if exc.errno else str(exc) or type(exc).__name__
            why = f"no connection to {self.host} port {self.port}: {words}"
            if self.context and isinstance(exc, ConnectionResetError | ConnectionAbortedError):
                why = "no TLS there: it ended the connection in the handshake (should it be ws://?)"
        raise EndpointError(why, self.shown)

    def redacted(self, value: Any) -> Any:
        """Return text or JSON data with every secret in it replaced."""
        return self.secrets.redacted(value)


def parse_endpoint(
    url: str,
    *,
    headers: Sequence[str] = (),
    header_files: Sequence[Path] = (),
    subprotocols: Sequence[str] = (),
    ca: Path | None = None,
    insecure: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Endpoint:
    """Return the endpoint that a command line names.

    Args:
        url: ``ws://`` or ``wss://``; path and query are kept.
        headers: each ``Name: value``.
        header_files: files of such lines.
        ca: a PEM file of the only authorities to trust; by default the system's are trusted.
        insecure: whether to accept any certificate.
        environ: the variables that URL and headers may name, as ``${NAME}``.

    Raises:
        EndpointError: one of them is invalid; says which and why.
    """
    parts = _split(url)
    path, query = _requested(parts, environ)
    try:
        of_line = [*parse_headers(headers, environ)]
        of_files = [each for file in header_files for each in read_headers(file)]
    except AccessError as exc:
        raise EndpointError(str(exc)) from None
    secure = parts.scheme == "wss"
    if not secure and (ca is not None or insecure):
        raise EndpointError(f"{'--ca' if ca else '--insecure'} is for wss://, and this is ws://")
    host = parts.hostname or ""
    usual = 443 if secure else 80
    port = parts.port or usual
    named = f"[{host}]" if ":" in host else host
    authority = named if port == usual else f"{named}:{port}"
    shown_url = f"{parts.scheme}://{authority}{parts.path or '/'}"
    words = [shown_url + (f"?{_shown_query(parts.query)}" if parts.query else "")]
    for header in of_line:
        words += ["--header", f"{header.name}: {shown(header.given)}"]
    for file in header_files:
        words += ["--header-file", str(file)]
    for name in subprotocols:
        if not TOKEN.fullmatch(name):
            raise EndpointError(f"--subprotocol {name!r} is not a valid subprotocol name")
    of_path = [value for name in VARIABLE.findall(parts.path) if (value := environ.get(name))]
    given = [*of_line, *of_files]
    return Endpoint(
        shown=shown_url,
        host=host,
        port=port,
        authority=authority,
        target=f"{path}?{query}" if query else path,
        words=words,
        secrets=Secrets(given, query, [*of_path, *(quote(each, safe="") for each in of_path)]),
        headers=tuple((header.name, header.value) for header in given),
        subprotocols=tuple(subprotocols),
        context=_context(ca, insecure) if secure else None,
    )


def _requested(parts: SplitResult, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return path and query with the values of the variables that they name."""
    try:
        path = filled(parts.path or "/", environ, "the URL's path", encoded=True)
        return path, filled(parts.query, environ, "the URL's query", encoded=True)
    except AccessError as exc:
        raise EndpointError(str(exc)) from None


def _shown_query(query: str) -> str:
    """Return a query as a command shows it; ``…`` stands for what is secret."""
    found = []
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        found.append(f"{name}={value}" if equals and shown(value) == value else "…")
    return "&".join(found) if set(found) != {"…"} else "…"


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
        bare = "" if "://" in url else f"; did you mean ws://{safe}?"
        raise EndpointError(
            f"{safe!r} is not a WebSocket URL: it must begin with ws:// or wss://"
            + hints.get(parts.scheme, bare)
        )
    if VARIABLE.search(parts.netloc):
        raise EndpointError(f"{safe!r}: only path and query of the URL may name a variable")
    if not parts.hostname or parts.port == 0:
        host = safe.partition(":")[2].lstrip("/")
        close = f"; did you mean {parts.scheme}://{host}?" if host and not parts.netloc else ""
        raise EndpointError(f"{safe!r} has no {'port' if parts.hostname else 'host'}{close}")
    if parts.username is not None:
        raise EndpointError(
            f"{safe!r}: a WebSocket URL takes no password; use --header 'Authorization: Basic …'"
        )
    if parts.fragment:
        raise EndpointError(f"{safe!r}: a WebSocket URL takes no fragment (#…)")
    return parts


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
