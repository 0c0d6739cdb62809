"""A server under test that is not under control: only its output can be judged."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from ..catalog import Api
from ..control.patience import Patience
from ..errors import TestbedError, Violation
from ..reports.answer import joined
from ..roles.judged import JudgedServer
from ..roles.server import Server
from ..wire.frames import CLOSE, close_payload
from ..wire.http import request
from ..wire.log import Log
from ..wire.raw import RawConnection
from .endpoint import Endpoint, EndpointError
from .uncontrolled import BOUNDS, NoControl, Uncontrolled, is_closed

__all__ = ["Pace", "RefusedError", "Remote"]

FAREWELL_TIMEOUT = 1.0
"""Seconds for a server to answer the judge's own close frame."""

_HINTS = {
    404: " (is the path right?)",
    429: " (--rate N makes fewer connections a second)",
    503: " (--rate N makes fewer connections a second)",
}

_WRONG = (400, 426)
"""Statuses by which servers refuse a handshake that lacks something, such as a subprotocol."""

_REFUSALS = (1008, 3000, 3003, 4001, 4003, 4401, 4403)
"""Close codes by which servers refuse a client that they have let in: 1008 is RFC 6455's for a
policy, 3000 and 3003 are IANA's for unauthorized and forbidden, the others a common habit."""

_SHOWN = 200
"""Characters shown of a text that the server chose."""


class RefusedError(EndpointError):
    """A server refuses a handshake, or ends each connection at once, and not for credentials.

    Attributes:
        words: what it does, as a sentence without its subject.
    """

    def __init__(self, why: str, server: str, words: str) -> None:
        super().__init__(why, server)
        self.words = words


class Pace:
    """Spaces out new connections, for a server that limits their rate.

    Args:
        rate: connections a second at most; None for no limit.
        clock: tells the time in seconds.

    Attributes:
        waited: seconds spent waiting in total.
    """

    def __init__(
        self, rate: float | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gap = 1 / rate if rate else 0.0
        self._clock = clock
        self._next = 0.0  # the earliest time for another connection, as the clock tells it
        self.waited = 0.0

    async def turn(self) -> None:
        """Wait until another connection may be made."""
        now = self._clock()
        pause = max(self._next - now, 0.0)
        self._next = now + pause + self._gap
        if pause:
            self.waited += pause
            await asyncio.sleep(pause)


class Remote(Uncontrolled, JudgedServer):
    """The judge's view of a server that is not under control, over one connection at a time.

    Args:
        echo: the event that the application answers with its payload, or None.
        pace: when connections may be made.

    Attributes:
        software: the ``Server`` header of its answer; known after `check_reachable`.
        flood: how it exceeded the bounds, in words, on a connection closed since.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        patience: float,
        echo: str | None = None,
        pace: Pace | None = None,
    ) -> None:
        api = Api("endpoint", "server", "Any")
        server = Server(NoControl(api), Patience(patience))
        server.path, server.port = endpoint.target, endpoint.port
        super().__init__(server, endpoint.host, Log(), echo)
        self.endpoint = endpoint
        self.subprotocols = endpoint.subprotocols
        self.software = ""
        self.flood = ""
        self._pace = pace or Pace()

    async def check_reachable(self) -> None:
        """Check that a WebSocket server answers, and that its echo, or else its pong, arrives.

        Raises:
            EndpointError: one of them does not; says why in one line.
        """
        shown = self.endpoint.shown
        try:
            connection = await self.ask()
        except Violation as exc:
            hint = "" if self.endpoint.context else " (should it be wss://?)"
            raise EndpointError(f"no WebSocket server there: {exc}{hint}", shown) from None
        line, status = connection.head.line[:_SHOWN], connection.head.status
        self.software = (connection.head.one("Server") or "")[:_SHOWN]
        if status in (401, 403):
            raise EndpointError(f"it refuses the handshake with {line!r}: {self._access()}", shown)
        if status != 101:
            hint = _HINTS.get(status, "")
            if 300 <= status < 400 and (target := connection.head.one("Location")):
                hint = f" (it redirects to {target[:_SHOWN].partition('?')[0]!r})"
            why = f"no WebSocket server there: it answered {line!r}{hint}"
            if status in _WRONG:
                raise RefusedError(why, shown, f"answers the handshake with {line!r}")
            raise EndpointError(why, shown)
        try:
            connection = await self.open()
        except Violation as exc:
            raise EndpointError(str(exc), shown) from None
        try:
            await self.probed(connection)
        except Violation as exc:
            if (close := _refusal(connection)) is not None:
                why = f"it closes every connection with {close[:_SHOWN]}: {self._access()}"
                if close.startswith("1008"):
                    words = f"closes every connection with {close[:_SHOWN]}"
                    raise RefusedError(why, shown, words) from None
                raise EndpointError(why, shown) from None
            what = (
                f"--echo {self.echo!r} is not echoed"
                if self.echo is not None
                else "cannot tell whether it works: it answers no ping, and no event that it "
                "echoes is named (--echo)"
            )
            raise EndpointError(connection.flood or f"{what}: {exc}", shown) from None

    def _access(self) -> str:
        """Return what to do where a server refuses for want of the right credentials."""
        names = dict.fromkeys(name for name, _ in self.endpoint.headers)
        given = [*names, *(["the query"] if "?" in self.endpoint.target else [])]
        if not given:
            return (
                "it wants credentials: --header 'Authorization: Bearer ${TOKEN}' takes them from "
                "the environment, --header-file FILE from a file; or it wants an Origin"
            )
        return f"it does not accept what was given in {joined(given)}, or wants something else too"

    # --- The connection ---------------------------------------------------------------------

    async def serve(self, **options: Any) -> None:
        """Do nothing: it runs already.

        Raises:
            TestbedError: the scenario needs other options than it runs with.
        """
        if options:
            raise TestbedError(f"a scenario declared to need no control set {list(options)}")

    async def dial(self) -> RawConnection:
        """Close the last connection and make a new one, with nothing written yet."""
        await self.close()
        await self._pace.turn()
        streams = await self.endpoint.connect(self.setup_patience.seconds)
        connection = RawConnection(self.log, "client", streams, self.setup_patience, BOUNDS)
        self.connections.append(connection)
        return connection

    def request(self, **change: Any) -> bytes:
        """Return an opening handshake; headers that the user gave are never overridden."""
        change.setdefault("path", self.endpoint.target)
        own = [*self.endpoint.headers]
        if self.subprotocols:
            own.append(("Sec-WebSocket-Protocol", ", ".join(self.subprotocols)))
        names = {name.lower() for name, _ in own}
        asked = change.get("headers") or {}
        change["headers"] = {k: v for k, v in asked.items() if k.lower() not in names}
        change["extra"] = [*own, *change.get("extra", ())]
        return request(host=self.endpoint.authority, **change)

    def with_query(self, query: str) -> str:
        """Return the target with this query appended to its own."""
        target = self.endpoint.target
        return f"{target}&{query[1:]}" if "?" in target else target + query

    async def close(self) -> None:
        """Close as a well-behaved client does: with a close frame, and after its answer."""
        for connection in self.connections:
            if connection.head.status == 101:
                connection.write(connection.frame(CLOSE, close_payload(1000)))
            if connection.reader is not None and not is_closed(connection):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FAREWELL_TIMEOUT):
                        await connection.ended.wait()
            await connection.close(reset=False)
            self.flood = self.flood or connection.flood
        self.connections.clear()

    # --- The application --------------------------------------------------------------------

    async def reports_settled(self) -> None:
        """Do nothing: what escaped the library cannot be seen."""

    async def connected(self) -> None:
        """Do nothing: what the application was told cannot be seen."""


def _refusal(connection: RawConnection) -> str | None:
    """Return code and reason of a close frame that refuses the client; None if there is none."""
    for found in connection.frames:
        if found.opcode == CLOSE and len(found.payload) >= 2:
            code = int.from_bytes(found.payload[:2])
            reason = found.payload[2:].decode("utf-8", "replace")
            return (f"{code} {reason!r}" if reason else f"{code}") if code in _REFUSALS else None
    return None
