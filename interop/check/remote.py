"""A server under test that is not under control: only its output can be judged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from ..catalog import Api
from ..control.contract import Notification, Reply
from ..control.patience import Patience
from ..control.session import Session
from ..errors import TestbedError, Violation
from ..roles.judged import JudgedServer
from ..roles.server import Server
from ..wire.frames import CLOSE, PING, PONG, TEXT, close_payload
from ..wire.http import request
from ..wire.log import Log
from ..wire.raw import Bounds, RawConnection
from ..wire.rules import event_text
from .endpoint import Endpoint, EndpointError

__all__ = ["Pace", "Remote"]

FAREWELL_TIMEOUT = 1.0
"""Seconds for a server to answer the judge's own close frame."""

_BOUNDS = Bounds(frames=10_000, bytes=16 << 20)
"""Limits per connection, far above what any scenario without load makes a server write."""

_SHOWN = 200
"""Characters shown of a text that the server chose."""


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


class Remote(JudgedServer):
    """The judge's view of a server that is not under control, over one connection at a time.

    Where scenarios look at the application's notifications, this looks at the event that the
    application echoes. Without such an event, a ping shows whether the connection works, and what
    the application was told cannot be seen.

    Args:
        echo: the event that the application answers with its payload, or None.
        pace: when connections may be made.

    Attributes:
        answer_name: the name of the events that its echoes come in; set by `check_reachable`.
        software: the ``Server`` header of its answer; likewise.
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
        server = Server(_NoControl(api), Patience(patience))
        server.path, server.port = endpoint.target, endpoint.port
        super().__init__(server, endpoint.host, Log())
        self.endpoint = endpoint
        self.echo = echo
        self.subprotocols = endpoint.subprotocols
        self.answer_name = ""
        self.software = ""
        self.flood = ""
        self._pace = pace or Pace()
        self._probes = 0  # how many were sent, so that each has its own payload
        # For each connection, the index of the first frame that no echo was looked for in.
        self._heard: defaultdict[RawConnection, int] = defaultdict(int)

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
            raise EndpointError(f"{shown}: no WebSocket server there: {exc}{hint}") from None
        line, status = connection.head.line[:_SHOWN], connection.head.status
        self.software = (connection.head.one("Server") or "")[:_SHOWN]
        hints = {
            401: " (credentials go into --header)",
            403: " (credentials, or an Origin, go into --header)",
            404: " (is the path right?)",
        }
        if status != 101:
            raise EndpointError(
                f"{shown}: no WebSocket server there: it answered {line!r}{hints.get(status, '')}"
            )
        try:
            connection = await self.open()
        except Violation as exc:
            raise EndpointError(f"{shown}: {exc}") from None
        try:
            if self.echo is not None:
                connection.send_event(self.echo, _PROBE)
                self.answer_name = await self._echoed(connection, _PROBE)
            else:
                await self.works(connection, _PROBE)
        except Violation as exc:
            what = (
                f"--echo {self.echo!r} is not echoed"
                if self.echo is not None
                else "cannot tell whether it works: it answers no ping, and no event that it "
                "echoes is named (--echo)"
            )
            raise EndpointError(f"{shown}: {connection.flood or f'{what}: {exc}'}") from None

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
        connection = RawConnection(self.log, "client", streams, self.setup_patience, _BOUNDS)
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
            if connection.reader is not None and not _closed(connection):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FAREWELL_TIMEOUT):
                        await connection.ended.wait()
            await connection.close(reset=False)
            self.flood = self.flood or connection.flood
        self.connections.clear()

    # --- The application --------------------------------------------------------------------

    async def received(self, name: str, payload: Any) -> Notification:
        """Wait until the application has echoed this payload."""
        name = await self._echoed(self.connections[-1], payload)
        return Notification("event", {"name": name, "payload": payload})

    async def works(self, connection: RawConnection, probe: str = "") -> None:
        """Check that an echo comes back, or, where nothing echoes, the answer to a ping."""
        self._probes += 1
        probe = probe or f"{_PROBE} {self._probes}"
        if self.echo is not None:
            connection.send_event(self.echo, probe)
            await self._echoed(connection, probe)
            return
        connection.send(PING, probe)
        while (await connection.next(PONG)).payload != probe.encode():
            pass

    async def nothing_received(self) -> None:
        """Check that only the judge's own probes were echoed; without an echo, check nothing."""
        if self.echo is None:
            return
        connection = self.connections[-1]
        if not _closed(connection):
            try:
                await self.works(connection)
            except Violation:
                if not _closed(connection):
                    raise
        texts = [found.payload for found in connection.frames if found.opcode == TEXT]
        echoed = [message for message in map(_parsed, texts) if self._is_echo(message)]
        if count := sum(not str(message["payload"]).startswith(_PROBE) for message in echoed):
            raise Violation(f"the server echoed {count} events, not none")

    async def ended(self) -> None:
        """Do nothing: what the application was told cannot be seen."""

    async def reports_settled(self) -> None:
        """Do nothing: what escaped the library cannot be seen."""

    async def connected(self) -> None:
        """Do nothing: what the application was told cannot be seen."""

    def _is_echo(self, message: dict[str, Any]) -> bool:
        return message.get("eventName") == self.answer_name and "payload" in message

    async def _echoed(self, connection: RawConnection, payload: Any) -> str:
        """Wait until a payload comes back, and return the name of its event."""
        try:
            while True:
                at = await connection.find(self._heard[connection], TEXT)
                self._heard[connection] = at + 1
                message = _parsed(connection.frames[at].payload)
                if "payload" in message and message["payload"] == payload:
                    return str(message.get("eventName"))
        except Violation as exc:
            raise Violation(
                f"no echo of {event_text(payload=payload)[:80]}", seen=str(exc)
            ) from None


_PROBE = "still there?"


def _closed(connection: RawConnection) -> bool:
    """Whether the other side has written its close frame, or ended the connection."""
    return connection.ended.is_set() or any(f.opcode == CLOSE for f in connection.frames)


def _parsed(data: bytes) -> dict[str, Any]:
    """Return a message's members; none if it is no object, which `check_evidence` judges."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


class _NoControl(Session):
    """Takes the place of a control connection where there is none."""

    def start(self, op: str, args: Any) -> asyncio.Future[Reply]:
        raise TestbedError(f"a scenario declared to need no control asked for {op!r}")

    async def wait(self, on: str, *args: Any, **more: Any) -> Notification:
        raise TestbedError(f"a scenario declared to need no control waited for {on!r}")

    async def check_alive(self) -> None:
        """Do nothing: without control there is no way to know."""
