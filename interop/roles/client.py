"""The client under test, as a scenario uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..control.contract import Notification
from ..control.operations import OPERATIONS, asked_of
from ..control.patience import Patience
from ..control.session import Session
from ..errors import PeerFailure, Violation
from ..wire.tap import Tap
from .role import BaseRole
from .server import Server

__all__ = ["Client", "check_refusal"]

_BROKEN_KINDS = frozenset(
    {"Failure", "BadRequest", "AssertionError", "ArgumentError", "AttributeError"}
    | {"KeyError", "NameError", "NoSuchMethodError", "RangeError", "TypeError", "_TypeError"}
)
"""Kinds of failure that are a defect of the library or its peer, not a refused connection."""


class Client(BaseRole):
    """A client under test.

    Args:
        tap: what it connects through; None where the judge is the server.
        server: the server under test that it connects to; None likewise.

    Attributes:
        conn: its connection's name at that server; set by `open` and `reconnect`.
    """

    def __init__(
        self, session: Session, patience: Patience, tap: Tap | None, server: Server | None
    ) -> None:
        sessions = server.sessions if server is not None else []
        sessions.append(session)
        super().__init__(session, patience, sessions)
        self._tap = tap
        self._server = server
        self.conn = ""

    @property
    def server(self) -> Server:
        """The server under test that it connects to; there is none where the judge serves."""
        assert self._server is not None
        return self._server

    def _url(self) -> str:
        """Return the address at which it reaches that server."""
        assert self._tap is not None
        return self._tap.url(self.server.path)

    async def open(
        self, *events: str, all: bool = False, url: str | None = None, **more: Any
    ) -> None:
        """Register `events` (``echo`` always), connect, and wait until both sides report it."""
        await self.dial(url or self._url(), *events, all=all, **more)
        self.conn = await self.server.connected()

    async def dial(self, url: str, *events: str, **more: Any) -> None:
        """Register `events` (``echo`` always) and connect; `more` are arguments of ``open``."""
        await self.session.call(
            "open", api=self.api.name, url=url, events=["echo", *events], **more
        )

    async def refused(self, url: str | None = None) -> PeerFailure:
        """Check that connecting fails because it is refused, and return the failure.

        Raises:
            Violation: a connection was made, or the failure is a defect and no refusal.
        """
        connections = self._tap.connections if self._tap is not None else []
        before = len(connections)
        try:
            await self.dial(url or self._url())
        except PeerFailure as failure:
            check_refusal(failure)
            if any(connection.handshaken for connection in connections[before:]):
                raise Violation(
                    f"{failure.what}, but the handshake was done", api=self.api
                ) from failure
            return failure
        raise Violation("connected where it should have been refused", api=self.api)

    async def refused_by_server(self) -> None:
        """Check that the server under test accepts no connection any more.

        Its port may be another process's by now, which is free to accept one.

        Raises:
            Violation: its connected callback fired, or the client's failure is a defect.
        """
        try:
            await self.dial(self._url())
        except PeerFailure as failure:
            check_refusal(failure)
            return
        try:
            conn = (await self.server.wait("connected")).data["conn"]
        except Violation:
            return  # the client connected to another process
        raise Violation(f"took another connection, {conn}", api=self.server.api)

    async def send(self, event: str, payload: Any, headers: dict[str, Any] | None = None) -> None:
        """Send an event with these headers; None stands for empty ones.

        Headers are always given: what a library writes without them differs, and is a scenario
        of its own (`send_plain`), which must not decide the others.
        """
        if event in OPERATIONS and OPERATIONS[event].of_app:
            self.server.session.features |= asked_of(event, payload or {})
        await self.session.call("send", event=event, payload=payload, headers=headers or {})

    async def send_plain(self, event: str, payload: Any) -> None:
        """Send an event and give the library no headers at all."""
        await self.session.call("send", event=event, payload=payload)

    async def request(self, event: str, payload: Any, *, seconds: float) -> Mapping[str, Any]:
        """Send a request by the library's own call; return its reply's name, payload and headers.

        Raises:
            PeerFailure: no reply came in time, or it is an error.
            Unsupported: the library has no such call.
        """
        return await self.session.call("request", event=event, payload=payload, timeout=seconds)

    async def send_many(self, events: Sequence[tuple[str, Any]]) -> None:
        """Send events without waiting for each reply in turn."""
        started = [
            self.session.start("send", {"event": event, "payload": payload, "headers": {}})
            for event, payload in events
        ]
        for future in started:
            await self.session.reply("send", future)

    async def event(self, name: str) -> Notification:
        """Wait for the next event `name`."""
        return await self.wait("event", lambda n: n.data["name"] == name, what=f"event {name!r}")

    async def echo(self, payload: Any, headers: dict[str, Any] | None = None) -> Notification:
        """Send ``echo`` and return the answer, unchecked."""
        await self.send("echo", payload, headers)
        return await self.event("echo")

    async def check_usable(self, probe: str = "still there?") -> None:
        """Check that an echo comes back, past any events that came before it."""
        await self.send("echo", probe)
        await self.wait(
            "event",
            lambda n: n.data["name"] == "echo" and n.data["payload"] == probe,
            what=f"echo of {probe!r} (is the connection usable?)",
        )

    async def state(self, state: str) -> None:
        """Wait until the library reports a connection state."""
        await self.wait("state", lambda n: n.data["state"] == state, what=f"state {state!r}")

    @property
    def states(self) -> list[str]:
        """All states reported so far, in order."""
        return [n.data["state"] for n in self.session.notifications if n.on == "state"]

    async def close(self, **how: Any) -> None:
        """Close the connection; `how` are the arguments of ``close``."""
        await self.session.call("close", **how)

    async def reconnect(self) -> None:
        """Connect again with the same client, and wait until the server reports it."""
        await self.session.call("reconnect")
        self.conn = await self.server.connected()

    async def subscribe(self, *events: str, all: bool = False) -> None:
        """Open one more stream, of these events or of all."""
        await self.session.call("subscribe", events=list(events), all=all)

    async def clean(self) -> None:
        """Call the library's own ``clean()``."""
        await self.session.call("clean")


def check_refusal(failure: PeerFailure) -> None:
    """Check that a failure to connect is a refused connection, and no defect.

    Raises:
        Violation: it is a defect of the library or its peer.
    """
    if failure.kind in _BROKEN_KINDS:
        raise Violation(
            f"expected a refused connection, got: {failure.what}", api=failure.api
        ) from failure
