"""The testbed's end of a control connection, and the two roles as a scenario uses them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .catalog import Api
from .contract import (
    ContractError,
    LineDecoder,
    Notification,
    Reply,
    Request,
    encode,
    parse_message,
)
from .engines import Address
from .errors import PeerDied, PeerFailure, Unsupported, Violation
from .tap import Tap

__all__ = ["Client", "Server", "Session"]

CALL_TIMEOUT = 15.0
"""Seconds for a reply. A peer that does not answer in this time counts as hung."""

_READ = 1 << 18


class Session:
    """One control connection: requests out; replies and notifications in.

    Attributes:
        notifications: all that the peer reported, in order.
    """

    def __init__(
        self, who: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.who = who
        self.notifications: list[Notification] = []
        self._reader, self._writer = reader, writer
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Reply]] = {}
        self._unread: list[Notification] = []
        self._news = asyncio.Event()
        self._ended: Exception | None = None
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, who: str, address: Address) -> Session:
        try:
            reader, writer = await asyncio.open_connection(address.host, address.port)
        except OSError as exc:
            raise PeerDied(f"{who}: no control connection to {address}: {exc.strerror}") from exc
        return cls(who, reader, writer)

    async def close(self) -> None:
        """Close the connection, with which the peer tears down what the session opened."""
        self._task.cancel()
        self._writer.close()
        with contextlib.suppress(OSError):  # a peer that reset it has torn down too
            await self._writer.wait_closed()

    def start(self, op: str, args: Mapping[str, Any]) -> asyncio.Future[Reply]:
        """Send a request and return the future of its reply."""
        if self._ended is not None:
            raise self._ended
        request = Request(next(self._ids), op, args)
        future = asyncio.get_running_loop().create_future()
        self._pending[request.id] = future
        self._writer.write(encode(request))
        return future

    async def reply(self, op: str, future: asyncio.Future[Reply]) -> Mapping[str, Any]:
        """Await the reply of a request and return what it answered.

        Raises:
            PeerFailure: the library refused or failed.
            Unsupported: the peer said that its library has no such thing.
            PeerDied: no answer in time, or the connection ended.
        """
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                reply = await future
        except TimeoutError:
            raise PeerDied(f"{self.who}: no reply to {op!r} within {CALL_TIMEOUT:.0f} s") from None
        if reply.unsupported is not None:
            raise Unsupported(f"{self.who}: {reply.unsupported}")
        if reply.error is not None:
            error = reply.error
            raise PeerFailure(self.who, op, str(error.get("kind")), str(error.get("message")))
        return reply.ok or {}

    async def call(self, op: str, **args: Any) -> Mapping[str, Any]:
        """Send a request and return its answer; raises what `reply` raises."""
        return await self.reply(op, self.start(op, args))

    async def wait(
        self,
        on: str,
        where: Callable[[Notification], bool] = lambda _: True,
        *,
        within: float,
        what: str = "",
    ) -> Notification:
        """Return the first notification not yet taken that fits, and take it.

        Raises:
            Violation: none came within `within` seconds; says what came instead.
        """
        try:
            async with asyncio.timeout(within):
                while True:
                    for index, notification in enumerate(self._unread):
                        if notification.on == on and where(notification):
                            return self._unread.pop(index)
                    if self._ended is not None:
                        raise self._ended
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            seen = [_brief(n) for n in self.notifications[-6:]]
            raise Violation(
                f"{self.who}: no {what or on} within {within:g} s; last it reported: "
                + ("; ".join(seen) or "nothing")
            ) from None

    def count(self, on: str, where: Callable[[Notification], bool] = lambda _: True) -> int:
        """Return how many notifications of that kind have come, taken or not."""
        return sum(n.on == on and where(n) for n in self.notifications)

    async def _read(self) -> None:
        decoder = LineDecoder()
        try:
            while data := await self._reader.read(_READ):
                for line in decoder.feed(data):
                    self._take(parse_message(line))
            self._end(PeerDied(f"{self.who}: the peer closed its control connection"))
        except (OSError, ContractError) as exc:
            self._end(PeerDied(f"{self.who}: {exc}"))

    def _take(self, message: Reply | Notification) -> None:
        if isinstance(message, Notification):
            self.notifications.append(message)
            self._unread.append(message)
            self._news.set()
            return
        future = self._pending.pop(message.id, None)
        if future is None:
            self._end(PeerDied(f"{self.who}: a reply to request {message.id}, which nobody made"))
        elif not future.done():
            future.set_result(message)

    def _end(self, exc: Exception) -> None:
        self._ended = exc
        for future in self._pending.values():
            if not future.done():
                future.set_exception(exc)
                future.exception()  # nobody may be waiting for it
        self._news.set()


class _Role:
    """What both roles share: the session, and how long to wait for what must come."""

    def __init__(self, api: Api, session: Session, patience: float) -> None:
        self.api = api
        self.session = session
        self.patience = patience

    async def wait(
        self, on: str, where: Callable[[Notification], bool] = lambda _: True, *, what: str = ""
    ) -> Notification:
        """Wait for a notification; see `Session.wait`."""
        return await self.session.wait(on, where, within=self.patience, what=what)

    async def settle(self) -> None:
        """Give what should not come the time to come: two round trips and 20 ms."""
        for _ in range(2):
            await self.session.call("describe")
            await asyncio.sleep(0.01)

    def count(self, on: str, **equal: Any) -> int:
        """Return how many notifications `on` had these values."""
        return self.session.count(on, lambda n: all(n.data.get(k) == v for k, v in equal.items()))


class Server(_Role):
    """The server under test. `conn` arguments are those of its ``connected`` notifications."""

    port: int
    path: str

    async def serve(self) -> None:
        """Start the interop app, on a path of its own.

        A port that a cell gave back may be another cell's a moment later; a client that still
        tries it shall not be taken for one of that cell's.
        """
        self.path = path = f"/ws-{secrets.token_hex(4)}"
        self.port = (await self.session.call("serve", api=self.api.name, path=path))["port"]

    async def connected(self) -> str:
        """Wait for the next connected callback and return its `conn`."""
        return str((await self.wait("connected")).data["conn"])

    async def disconnected(self, conn: str) -> Notification:
        return await self.wait("disconnected", lambda n: n.data["conn"] == conn)

    async def event(self, name: str, conn: str | None = None) -> Notification:
        """Wait for the next event `name`, of that connection if one is given."""
        return await self.wait(
            "event",
            lambda n: n.data["name"] == name and conn in (None, n.data["conn"]),
            what=f"event {name!r}",
        )

    async def push(self, conn: str, event: str, payload: Any) -> None:
        """Send an event from outside a handler, with empty headers; see `Client.send`."""
        await self.session.call("push", conn=conn, event=event, payload=payload, headers={})

    async def push_plain(self, conn: str, event: str, payload: Any) -> None:
        """Send an event from outside a handler and give the library no headers at all."""
        await self.session.call("push", conn=conn, event=event, payload=payload)

    async def drop(self, conn: str, **how: Any) -> None:
        await self.session.call("drop", conn=conn, **how)

    async def stop(self) -> None:
        await self.session.call("stop")


class Client(_Role):
    """A client under test, connecting through the tap."""

    def __init__(
        self, api: Api, session: Session, patience: float, tap: Tap, server: Server
    ) -> None:
        super().__init__(api, session, patience)
        self.tap = tap
        self.server = server
        self.conn = ""

    async def open(
        self, *events: str, all: bool = False, url: str | None = None, **more: Any
    ) -> None:
        """Register `events` (``echo`` always), connect, and wait for both sides to say so."""
        await self._open(events, url, all=all, **more)
        self.conn = await self.server.connected()

    async def _open(self, events: Sequence[str], url: str | None, **more: Any) -> None:
        await self.session.call(
            "open",
            api=self.api.name,
            url=url or self.tap.url(self.server.path),
            events=["echo", *events],
            **more,
        )

    async def refused(self, url: str | None = None) -> PeerFailure:
        """Check that connecting fails, and return how.

        Raises:
            Violation: a connection was made.
        """
        try:
            await self._open((), url)
        except PeerFailure as failure:
            return failure
        raise Violation(f"{self.session.who} connected where it should have been refused")

    async def refused_by_server(self) -> None:
        """Check that the server under test takes no connection, whoever has its port by now.

        Raises:
            Violation: its connected callback fired.
        """
        try:
            await self._open((), None)
            conn = await self.server.connected()
        except Violation:
            return
        raise Violation(f"{self.server.session.who} took another connection, {conn}")

    async def send(self, event: str, payload: Any, headers: dict[str, Any] | None = None) -> None:
        """Send an event with these headers, none meaning empty ones.

        Headers are always given, because what a library writes when none are given differs
        and is a scenario of its own (`send_plain`); it shall not colour every other one.
        """
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


def _brief(notification: Notification) -> str:
    text = f"{notification.on} {dict(notification.data)}"
    return text if len(text) <= 160 else text[:160] + "…"
