"""The two roles as a scenario uses them: the server and the client under test."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..control.contract import Notification
from ..control.operations import OPERATIONS, asked_of
from ..control.patience import Patience
from ..control.session import Session
from ..errors import PeerFailure, Violation
from ..wire.tap import Tap

__all__ = ["SET_UP", "Client", "Server", "Session"]

SET_UP = 5.0
"""Seconds for what a scenario only needs, and does not judge: where a failure is expected, the
patience is short."""

_QUIET = 3
"""Round trips in which nothing may be reported until a peer counts as settled."""

_MOST = 200
"""Round trips at most."""

_PAUSE = 0.005
"""Seconds between those."""

_NO_REFUSAL = frozenset(
    {"Slow", "Failure", "BadRequest", "AssertionError", "ArgumentError", "AttributeError"}
    | {"KeyError", "NameError", "NoSuchMethodError", "RangeError", "TypeError", "_TypeError"}
)
"""Kinds of failure that say that something broke, not that a connection was refused."""


class _Role:
    """What both roles share: the session, and how long to wait for what must come.

    Attributes:
        sessions: those of the whole cell, the server's first.
    """

    def __init__(self, session: Session, patience: float, sessions: list[Session]) -> None:
        self.api = session.api
        self.session = session
        self.sessions = sessions
        self.patience = Patience(patience, sessions)

    async def wait(
        self, on: str, where: Callable[[Notification], bool] = lambda _: True, *, what: str = ""
    ) -> Notification:
        """Wait for a notification; see `Session.wait`."""
        return await self.session.wait(on, where, within=self.patience, what=what)

    def count_out(self, side: str) -> None:
        """Wait for no answers of this side's peer any more, if this is that side."""
        if self.api.role == side:
            self.sessions[:] = [each for each in self.sessions if each is not self.session]

    async def settle(self) -> None:
        """Give what should not come the time to come.

        Returns after several round trips with each peer of the cell, in the last of which none
        reported anything; or after many, if there is no end of it.
        """
        quiet, reported = 0, -1
        for _ in range(_MOST):
            if quiet == _QUIET:
                break
            await asyncio.gather(*(session.check_alive() for session in self.sessions))
            await asyncio.sleep(_PAUSE)
            self.session.waited += _PAUSE
            now = sum(len(session.notifications) for session in self.sessions)
            quiet, reported = (quiet + 1 if now == reported else 0), now

    def count(self, on: str, **equal: Any) -> int:
        """Return how many notifications `on` had these values."""
        return self.session.count(on, lambda n: all(n.data.get(k) == v for k, v in equal.items()))


class Server(_Role):
    """The server under test. `conn` arguments are those of its ``connected`` notifications."""

    port: int
    path: str

    def __init__(self, session: Session, patience: float) -> None:
        super().__init__(session, patience, [session])

    async def serve(self, **options: Any) -> None:
        """Start the interop app, on a path of its own; `options` are more of ``serve``'s arguments.

        A port that a cell gave back may be another cell's a moment later; a client that still
        tries it shall not be taken for one of that cell's.
        """
        self.path = path = f"/ws-{secrets.token_hex(4)}"
        reply = await self.session.call("serve", api=self.api.name, path=path, **options)
        self.port = reply["port"]

    async def connected(self) -> str:
        """Wait for the next connected callback and return its `conn`."""
        within = self.patience.at_least(SET_UP)
        return str((await self.session.wait("connected", within=within)).data["conn"])

    async def disconnected(self, conn: str) -> Notification:
        return await self.wait("disconnected", lambda n: n.data["conn"] == conn)

    async def event(self, name: str, conn: str | None = None) -> Notification:
        """Wait for the next event `name`, of that connection if one is given."""
        return await self.wait(
            "event",
            lambda n: n.data["name"] == name and conn in (None, n.data["conn"]),
            what=f"event {name!r}",
        )

    async def push(
        self, conn: str, event: str, payload: Any, headers: dict[str, Any] | None = None
    ) -> None:
        """Send an event from outside a handler, with these headers; see `Client.send`."""
        await self.session.call(
            "push", conn=conn, event=event, payload=payload, headers=headers or {}
        )

    async def push_plain(self, conn: str, event: str, payload: Any) -> None:
        """Send an event from outside a handler and give the library no headers at all."""
        await self.session.call("push", conn=conn, event=event, payload=payload)

    async def request(
        self, conn: str, event: str, payload: Any, *, seconds: float
    ) -> Mapping[str, Any]:
        """Send a request to a client; see `Client.request`."""
        return await self.session.call(
            "ask", conn=conn, event=event, payload=payload, timeout=seconds
        )

    async def drop(self, conn: str, **how: Any) -> None:
        await self.session.call("drop", conn=conn, **how)

    async def stop(self) -> None:
        await self.session.call("stop")


class Client(_Role):
    """A client under test.

    Args:
        tap: what it connects through, where the judge is not the server itself.
        server: the server under test that it connects to, likewise.
    """

    def __init__(
        self, session: Session, patience: float, tap: Tap | None, server: Server | None
    ) -> None:
        sessions = server.sessions if server is not None else []
        sessions.append(session)
        super().__init__(session, patience, sessions)
        self._tap = tap
        self._server = server
        self.conn = ""

    @property
    def server(self) -> Server:
        """The server that it connects to, where that is not the judge."""
        assert self._server is not None
        return self._server

    def _url(self) -> str:
        """Return the address at which it reaches that server."""
        assert self._tap is not None
        return self._tap.url(self.server.path)

    async def open(
        self, *events: str, all: bool = False, url: str | None = None, **more: Any
    ) -> None:
        """Register `events` (``echo`` always), connect, and wait for both sides to say so."""
        await self.dial(url or self._url(), *events, all=all, **more)
        self.conn = await self.server.connected()

    async def dial(self, url: str, *events: str, **more: Any) -> None:
        """Register `events` (``echo`` always) and connect; `more` are of ``open``'s arguments."""
        await self.session.call(
            "open", api=self.api.name, url=url, events=["echo", *events], **more
        )

    async def refused(self, url: str | None = None) -> PeerFailure:
        """Check that connecting fails, as a refusal and no other way, and return how.

        Raises:
            Violation: a connection was made, or the library broke where it should have been
                refused one.
        """
        connections = self._tap.connections if self._tap is not None else []
        before = len(connections)
        try:
            await self.dial(url or self._url())
        except PeerFailure as failure:
            _check_refusal(failure)
            if any(connection.handshaken for connection in connections[before:]):
                raise Violation(
                    f"{failure.what}, but the handshake was done", api=self.api
                ) from failure
            return failure
        raise Violation("connected where it should have been refused", api=self.api)

    async def refused_by_server(self) -> None:
        """Check that the server under test takes no connection, whoever has its port by now.

        Raises:
            Violation: its connected callback fired, or the client's library broke.
        """
        try:
            await self.dial(self._url())
            conn = (await self.server.wait("connected")).data["conn"]
        except PeerFailure as failure:
            _check_refusal(failure)
            return
        except Violation:
            return  # it connected to whoever has that port by now
        raise Violation(f"took another connection, {conn}", api=self.server.api)

    async def send(self, event: str, payload: Any, headers: dict[str, Any] | None = None) -> None:
        """Send an event with these headers, none meaning empty ones.

        Headers are always given, because what a library writes when none are given differs
        and is a scenario of its own (`send_plain`); it shall not colour every other one.
        """
        if event in OPERATIONS and OPERATIONS[event].of_app:
            self.server.session.asked |= asked_of(event, payload or {})
        await self.session.call("send", event=event, payload=payload, headers=headers or {})

    async def send_plain(self, event: str, payload: Any) -> None:
        """Send an event and give the library no headers at all."""
        await self.session.call("send", event=event, payload=payload)

    async def request(self, event: str, payload: Any, *, seconds: float) -> Mapping[str, Any]:
        """Send a request by the library's own call; return its reply's name, payload and headers.

        Raises:
            PeerFailure: there was none in time.
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
        """Send ``echo`` and return the answer, whatever is in it."""
        await self.send("echo", payload, headers)
        return await self.event("echo")

    async def check_usable(self, probe: str = "still there?") -> None:
        """Check that an echo comes back, past anything else that did before."""
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
        await self.session.call("close", **how)

    async def reconnect(self) -> None:
        await self.session.call("reconnect")
        self.conn = await self.server.connected()

    async def subscribe(self, *events: str, all: bool = False) -> None:
        await self.session.call("subscribe", events=list(events), all=all)

    async def clean(self) -> None:
        await self.session.call("clean")


def _check_refusal(failure: PeerFailure) -> None:
    if failure.kind in _NO_REFUSAL:
        raise Violation(
            f"expected a refused connection, got: {failure.what}", api=failure.api
        ) from failure
