"""One side under test that is not under control: only its output can be judged."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ..control.contract import Notification, Reply
from ..control.session import Session
from ..errors import TestbedError, Unsupported, Violation
from ..places import page
from ..reports.causes import counted
from ..roles.client import Client
from ..roles.judged import Judged
from ..roles.server import Server
from ..wire.frames import CLOSE, PING, PONG, TEXT
from ..wire.log import Log
from ..wire.raw import Bounds, RawConnection
from ..wire.rules import event_text

__all__ = ["BOUNDS", "NO_HEADERS", "PROBE", "NoControl", "Uncontrolled", "is_closed", "parsed"]

PROBE = "still there?"
"""What every probe's payload begins with."""


NO_HEADERS = (
    f"its echo returns no headers ({page('checking-a-server.md')} has a handler that returns them)"
)
"""Why the headers of what a handler sends cannot be judged."""

BOUNDS = Bounds(frames=10_000, bytes=16 << 20)
"""Limits per connection, far above what any scenario without load makes a side write."""


class Uncontrolled(Judged):
    """The judge's view of a side that is not under control.

    Where scenarios look at the application's notifications, this looks at the event that the
    application echoes. Without such an event, a ping shows whether the connection works, and what
    the application was told cannot be seen.

    Args:
        echo: the event that the application answers with its payload, or None.

    Attributes:
        connections: the judge's ends, the newest last.
        answer_name: the name of the events that its echoes come in; known after `probed`.
        keeps_headers: whether its echoes have the headers too; known after `probed`.
    """

    connections: list[RawConnection]

    def __init__(self, role: Server | Client, host: str, log: Log, echo: str | None) -> None:
        super().__init__(role, host, log)
        self.echo = echo
        self.answer_name = ""
        self.keeps_headers = True
        self._probes = 0  # how many were sent, so that each has its own payload
        # For each connection, the index of the first frame that no echo was looked for in.
        self._heard: defaultdict[RawConnection, int] = defaultdict(int)

    def ask_back(self, connection: RawConnection, payload: Any, headers: dict[str, Any]) -> str:
        assert self.echo is not None, "the scenario is not declared to need an echo"
        if headers and not self.keeps_headers:
            raise Unsupported(NO_HEADERS)
        connection.send_event(self.echo, payload, headers)
        return self.answer_name

    async def told(self, name: str) -> Mapping[str, Any]:
        """Return what the application answers to the next echoed event: its headers are unseen."""
        connection = self.connections[-1]
        while True:
            message = await self._next_text(connection, "an event")
            if message.get("eventName") == self.answer_name:
                return {"name": name, "payload": message.get("payload"), "headers": {}}

    async def received(self, name: str, payload: Any) -> Notification:
        """Wait until the application has echoed this payload."""
        name = await self.echoed(self.connections[-1], payload)
        return Notification("event", {"name": name, "payload": payload})

    async def works(self, connection: RawConnection, probe: str = "") -> None:
        """Check that an echo comes back, or, where nothing echoes, the answer to a ping."""
        self._probes += 1
        probe = probe or f"{PROBE} {self._probes}"
        if self.echo is not None:
            connection.send_event(self.echo, probe)
            await self.echoed(connection, probe)
            return
        connection.send(PING, probe)
        while (await connection.next(PONG)).payload != probe.encode():
            pass

    async def nothing_received(self) -> None:
        """Check that only the judge's own probes were echoed; without an echo, check nothing."""
        if self.echo is None:
            return
        connection = self.connections[-1]
        if not is_closed(connection):
            try:
                await self.works(connection)
            except Violation:
                if not is_closed(connection):
                    raise
        texts = [found.payload for found in connection.frames if found.opcode == TEXT]
        echoed = [message for message in map(parsed, texts) if self._is_echo(message)]
        if count := sum(not str(message["payload"]).startswith(PROBE) for message in echoed):
            raise Violation(f"the {self.side} echoed {counted(count, 'event')}, not none")

    async def ended(self) -> None:
        """Do nothing: what the application was told cannot be seen."""

    def _is_echo(self, message: dict[str, Any]) -> bool:
        return message.get("eventName") == self.answer_name and "payload" in message

    async def echoed(self, connection: RawConnection, payload: Any) -> str:
        """Wait until a payload comes back, and return the name of its event."""
        return str((await self._echo(connection, payload)).get("eventName"))

    async def _echo(self, connection: RawConnection, payload: Any) -> dict[str, Any]:
        what = event_text(payload=payload)[:80]
        while True:
            message = await self._next_text(connection, what)
            if "payload" in message and message["payload"] == payload:
                return message

    async def probed(self, connection: RawConnection) -> None:
        """Check that it works, and learn what its echoes are like.

        Raises:
            Violation: the echo, or else the answer to a ping, does not come.
        """
        if self.echo is not None:
            connection.send_event(self.echo, PROBE)
            self.answer_name = await self.echoed(connection, PROBE)
            await self._learn_headers(connection)
        else:
            await self.works(connection, PROBE)

    async def _learn_headers(self, connection: RawConnection) -> None:
        """Note whether an echo has the headers: one that does not come shows nothing."""
        assert self.echo is not None
        probe = f"{PROBE} {{}}"
        connection.send_event(self.echo, probe, {"probe": PROBE})
        with contextlib.suppress(Violation):
            headers = (await self._echo(connection, probe)).get("headers")
            names = headers if isinstance(headers, dict) else {}
            self.keeps_headers = "probe" in (name.lower() for name in names)

    async def _next_text(self, connection: RawConnection, what: str) -> dict[str, Any]:
        """Return the members of the next text message, which may be the echo of `what`."""
        try:
            at = await connection.find(self._heard[connection], TEXT)
        except Violation as exc:
            raise Violation(f"no echo of {what}", seen=str(exc)) from None
        self._heard[connection] = at + 1
        return parsed(connection.frames[at].payload)


def is_closed(connection: RawConnection) -> bool:
    """Whether the other side has written its close frame, or ended the connection."""
    return connection.ended.is_set() or any(f.opcode == CLOSE for f in connection.frames)


def parsed(data: bytes) -> dict[str, Any]:
    """Return a message's members; none if it is no object, which `check_evidence` judges."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


class NoControl(Session):
    """Takes the place of a control connection where there is none."""

    def start(self, op: str, args: Any) -> asyncio.Future[Reply]:
        raise TestbedError(f"a scenario declared to need no control asked for {op!r}")

    async def wait(self, on: str, *args: Any, **more: Any) -> Notification:
        raise TestbedError(f"a scenario declared to need no control waited for {on!r}")

    async def check_alive(self) -> None:
        """Do nothing: without control there is no way to know."""
