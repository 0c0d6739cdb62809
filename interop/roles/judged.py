"""One side under test, with the judge itself on the other side.

For scenarios that concern one side alone: they run once for each server or client, not for each
pair. `Judged` is what both sides have in common; `open` connects it to the judge and returns the
judge's end of the connection.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, ClassVar

from ..control.contract import Notification, Reply
from ..control.patience import Patience
from ..errors import PeerFailure, TestbedError, Violation
from ..records import Role
from ..wire.frames import Inflater
from ..wire.http import Head, accept_key, answer, request
from ..wire.log import Log
from ..wire.raw import MAX_HEAD, RawConnection, RawServer, Streams, take_small_segments
from ..wire.rules import event_text
from .client import Client
from .role import SETUP_PATIENCE
from .server import Server

__all__ = [
    "STILL_THERE",
    "Judged",
    "JudgedClient",
    "JudgedServer",
    "in_bytes",
    "request_id_of",
]

STILL_THERE = "still there?"
"""The payload of the probe of `Judged.works`."""


class Judged(ABC):
    """The side under test, and the judge's connections to it.

    Attributes:
        side: which side it is.
        role: the side under test, under control.
        host: the address of the server under test, or the one to listen on for the client.
        log: records what passes.
        echo: the event that the application answers with the same payload; None where a server
            that is not under control has none.
        subprotocols: those that every handshake offers.
        pongs: whether connections that are opened from now on answer pings by themselves.
    """

    side: ClassVar[Role]
    echo: str | None = "echo"
    subprotocols: Sequence[str] = ()

    def __init__(self, role: Server | Client, host: str, log: Log) -> None:
        self.role = role
        self.host = host
        self.log = log
        self.pongs = False
        self._small_segments = False

    @property
    def setup_patience(self) -> Patience:
        """The patience for steps that are not judged."""
        return self.role.patience.unless_failing(SETUP_PATIENCE)

    def extend_timeouts(self) -> None:
        """Wait five times as long from now on: the scenario is about large amounts."""
        self.role.patience = self.role.patience.times(5)

    def keep_buffers_small(self) -> None:
        """Let the system buffer less of what the judge does not read, from the next connection on.

        A scenario that then sends 1.5 MB in one event keeps the buffers full.
        """
        self._small_segments = True

    async def pace(self) -> float:
        """Return the median time, in seconds, that the peer takes to answer."""
        took = []
        for _ in range(5):
            began = time.monotonic()
            await self.role.session.check_alive()
            took.append(time.monotonic() - began)
        return median(took)

    async def declared(self, limit: str) -> Any:
        """Return a limit as the peer declares it; None when there is none."""
        about = await self.role.session.call("describe")
        limits = about.get("limits", {}).get(self.side)
        if not isinstance(limits, dict) or limit not in limits:
            raise TestbedError(f"{self.role.api} declares no {limit}")
        return limits[limit]

    async def first(self, *tasks: asyncio.Future[Any]) -> None:
        """Wait until one of these is done."""
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    # --- Connections --------------------------------------------------------------------------

    @abstractmethod
    async def open(
        self, inflater: Inflater | None = None, *, events: Sequence[str] = (), **change: Any
    ) -> RawConnection:
        """Connect, and return the judge's end.

        Args:
            inflater: for messages that the side under test compresses.
            events: names that a client under test registers, beside ``echo``; a server's
                application has its own.
            change: changes of the judge's part of the handshake, as
                `interop.wire.http` takes it. ``more`` holds further arguments of the operation
                that starts the side under test.

        Raises:
            Violation: the side under test did not do its part of the handshake.
        """

    @abstractmethod
    def start_close(self, **how: Any) -> asyncio.Future[Reply]:
        """Make the side under test close the connection; `how` are its code and reason."""

    @abstractmethod
    def start_request(self, name: str, payload: Any, *, seconds: float) -> asyncio.Future[Reply]:
        """Make the application under test send a request; `seconds` is how long it waits."""

    async def take_request(
        self, connection: RawConnection, name: str, payload: Any, *, seconds: float
    ) -> tuple[str, asyncio.Future[Reply]]:
        """Make the application under test send a request, and take it from the wire.

        Returns:
            Its id, and the pending call.

        Raises:
            Unsupported: the library has no requests.
            Violation: the call ended with none written.
        """
        asking = self.start_request(name, payload, seconds=seconds)
        asked = asyncio.ensure_future(connection.next_event(name))
        await self.first(asking, asked)
        if asked.done():
            return request_id_of(await asked, self.side), asking
        asked.cancel()
        await self.role.session.reply("request", asking)
        raise Violation("a request got a reply that was not sent", api=self.role.api)

    @abstractmethod
    async def ended(self) -> None:
        """Wait until the application under test was told of the connection's end."""

    @abstractmethod
    async def close(self) -> None:
        """Close the judge's connections and sockets."""

    # --- Events -------------------------------------------------------------------------------

    def event(self, payload: object) -> bytes:
        """Return the bytes of an event that is echoed."""
        return event_text(eventName=self.echo or "echo", payload=payload, headers={}).encode()

    def named(self, text: str) -> str:
        """Return `text` with the echoed event's name in place of ``"echo"``."""
        return text.replace('"echo"', json.dumps(self.echo or "echo"))

    @abstractmethod
    async def send(self, name: str, payload: Any, headers: dict[str, Any] | None = None) -> None:
        """Make the application under test send an event, outside any handler."""

    @abstractmethod
    def start_send(self, name: str, payload: Any) -> asyncio.Future[Reply]:
        """Begin such a send, and return what becomes of it."""

    @abstractmethod
    def ask_back(self, connection: RawConnection, payload: Any, headers: dict[str, Any]) -> str:
        """Make a handler under test send an event with this payload and these headers.

        Returns:
            The event's name.
        """

    async def told(self, name: str) -> Mapping[str, Any]:
        """Wait for the next event of this name at the application; return what it was told."""
        return (await self.role.event(name)).data

    async def received(self, name: str, payload: Any) -> Notification:
        """Wait until the application under test received this event, and check its payload."""
        got = await self.role.wait(
            "event", lambda n: n.data["name"] == name, what=f"event {name!r}"
        )
        if got.data["payload"] != payload:
            shown = repr(got.data["payload"])[:120]
            raise Violation(f"got {name!r} with the payload {shown}", api=self.role.api)
        return got

    async def works(self, connection: RawConnection, probe: str = STILL_THERE) -> None:
        """Check that events still pass in both directions, past those sent before."""
        connection.send_event("echo", probe)
        await self.role.wait(
            "event", lambda n: n.data["payload"] == probe, what=f"event with the payload {probe!r}"
        )
        await self._answer_probe(probe)
        while (await connection.next_event("echo"))["payload"] != probe:
            pass

    @abstractmethod
    async def _answer_probe(self, probe: str) -> None:
        """Make the application send the probe back, where its ``echo`` handler does not."""

    async def usable_or_closed(self, connection: RawConnection, *, clean: bool = True) -> None:
        """Check that events still pass, or that the other side ends the connection.

        Args:
            clean: whether it has to write a close frame then.

        Raises:
            Violation: neither; `what` is the same for every such case.
        """
        works = asyncio.ensure_future(self.works(connection))
        closed = asyncio.ensure_future(connection.closing() if clean else connection.failed())
        try:
            await self.first(works, closed)
            if works.done() and works.exception() is None:
                return
            await closed
        except Violation:
            missing = "wrote no close frame" if clean else "does not end it"
            raise Violation(
                f"the connection is not usable and the {self.side} {missing}",
                seen="it ended TCP" if connection.ended.is_set() else "TCP stays open",
            ) from None
        finally:
            for task in (works, closed):
                task.cancel()
            await asyncio.gather(works, closed, return_exceptions=True)

    async def past(self, connection: RawConnection, probe: str) -> None:
        """Wait until the probe's event was received, or the other side ended the connection.

        A side that does neither has gone deaf, which the scenarios about malformed messages judge.
        """
        got = asyncio.ensure_future(
            self.role.wait("event", lambda n: n.data["payload"] == probe, what=repr(probe))
        )
        closed = asyncio.ensure_future(connection.closing())
        await self.first(got, closed)
        for task in (got, closed):
            task.cancel()
        await asyncio.gather(got, closed, return_exceptions=True)
        await self.role.settle()

    async def nothing_received(self) -> None:
        """Check that the application got no event but the probe of `works`."""
        await self.role.settle()
        if count := self.role.session.count(
            "event", lambda n: n.data.get("payload") != STILL_THERE
        ):
            raise Violation(f"delivered {count} events, not none", api=self.role.api)

    async def undelivered(self, connection: RawConnection) -> None:
        """Wait until the other side fails the connection, or delivers an event.

        Raises:
            Violation: it delivered one.
        """
        before = self.role.session.count("event")
        heard = asyncio.ensure_future(self.role.wait("event"))
        failed = asyncio.ensure_future(connection.failed())
        await self.first(heard, failed)
        for task in (heard, failed):
            task.cancel()
        await asyncio.gather(heard, failed, return_exceptions=True)
        await self.role.settle()
        if self.role.session.count("event") > before:
            raise Violation("delivered what has to fail the connection", api=self.role.api)


class JudgedServer(Judged):
    """A server under test; the judge is its client.

    Attributes:
        conn: the newest connection's name in the server's notifications; set by `open`.
        tls: the context with which connections are opened from now on; None for plain ones.
        connections: the judge's ends, until `close` closes them.
    """

    side = "server"

    def __init__(self, server: Server, host: str, log: Log) -> None:
        super().__init__(server, host, log)
        self.server = server
        self.conn = ""
        self.tls: ssl.SSLContext | None = None
        self._serving = False  # set by the first `serve`
        self.connections: list[RawConnection] = []

    async def serve(self, **options: Any) -> None:
        """Start the server with these arguments of ``serve``, unless it runs."""
        if not self._serving:
            await self.server.serve(**options)
            self._serving = True

    async def dial(self) -> RawConnection:
        """Connect, with nothing written yet.

        Raises:
            Violation: the server does not do TLS where it has to.
        """
        await self.serve()
        connecting = self._connect()
        if self.tls is None:
            streams = await connecting
        else:
            try:
                async with self.setup_patience.limit():
                    streams = await connecting
            except (OSError, TimeoutError) as exc:
                raise Violation(f"the server made no TLS connection: {exc}") from None
        connection = RawConnection(self.log, "client", streams, self.setup_patience)
        self.connections.append(connection)
        return connection

    async def _connect(self) -> Streams:
        if not self._small_segments:
            address = self.host, self.server.port
            return await asyncio.open_connection(*address, limit=MAX_HEAD, ssl=self.tls)
        own = socket.socket()
        own.setblocking(False)
        take_small_segments(own)
        await asyncio.get_running_loop().sock_connect(own, (self.host, self.server.port))
        return await asyncio.open_connection(sock=own, limit=MAX_HEAD)

    def request(self, **change: Any) -> bytes:
        """Return an opening handshake, changed as `interop.wire.http.request` takes it."""
        change.setdefault("path", self.server.path)
        return request(host=f"{self.host}:{self.server.port}", **change)

    def with_query(self, query: str) -> str:
        """Return the served path with this query, which begins with ``?``."""
        return self.server.path + query

    async def ask(self, data: bytes | None = None, **change: Any) -> RawConnection:
        """Send these bytes, or a changed handshake, and return what came, unjudged."""
        connection = await self._asked(data, **change)
        await self.reports_settled()
        return connection

    async def _asked(self, data: bytes | None = None, **change: Any) -> RawConnection:
        connection = await self.dial()
        connection.write(data if data is not None else self.request(**change))
        await connection.read_head()
        connection.patience = self.role.patience
        return connection

    async def reports_settled(self) -> None:
        """Wait until exceptions that escaped the library meanwhile are reported."""
        await self.role.session.call("describe")

    async def refuses(self, data: bytes | None = None, **change: Any) -> Head:
        """Check that the server answers such a request with another status than 101.

        Raises:
            Violation: it upgraded, or did not answer.
        """
        connection = await self.ask(data, **change)
        if connection.head.status == 101:
            raise Violation("the server upgraded where it has to refuse")
        return connection.head

    async def open(
        self, inflater: Inflater | None = None, *, events: Sequence[str] = (), **change: Any
    ) -> RawConnection:
        await self.serve(**change.pop("more", {}))
        key = base64.b64encode(os.urandom(16)).decode()
        change["headers"] = {"Sec-WebSocket-Key": key, **change.get("headers", {})}
        connection = await self._asked(**change)
        if connection.head.status != 101:
            await self.reports_settled()
            raise Violation(f"the server answered {connection.head.line!r}, not 101")
        if connection.head.one("Sec-WebSocket-Accept") != accept_key(key):
            raise Violation("the server's Sec-WebSocket-Accept does not belong to the key")
        connection.start(inflater, pongs=self.pongs)
        await self.connected()
        return connection

    async def connected(self) -> None:
        """Wait until the server's application was told of the newest connection."""
        told = await self.server.session.wait("connected", within=self.setup_patience)
        self.conn = str(told.data["conn"])

    def start_close(self, **how: Any) -> asyncio.Future[Reply]:
        return self.server.session.start("drop", {"conn": self.conn, **how})

    def start_request(self, name: str, payload: Any, *, seconds: float) -> asyncio.Future[Reply]:
        asked = {"conn": self.conn, "event": name, "payload": payload, "timeout": seconds}
        return self.server.session.start("ask", asked)

    async def ended(self) -> None:
        await self.server.disconnected(self.conn)

    async def send(self, name: str, payload: Any, headers: dict[str, Any] | None = None) -> None:
        await self.server.push(self.conn, name, payload, headers)

    def start_send(self, name: str, payload: Any) -> asyncio.Future[Reply]:
        asked = {"conn": self.conn, "event": name, "payload": payload, "headers": {}}
        return self.server.session.start("push", asked)

    def ask_back(self, connection: RawConnection, payload: Any, headers: dict[str, Any]) -> str:
        connection.send_event("echo", payload, headers)
        return "echo"

    async def _answer_probe(self, probe: str) -> None:
        pass

    async def close(self) -> None:
        for connection in self.connections:
            await connection.close()


class JudgedClient(Judged):
    """A client under test; the judge is its server."""

    side = "client"

    def __init__(self, client: Client, host: str, log: Log) -> None:
        super().__init__(client, host, log)
        self.client = client
        self._listener: RawServer | None = None  # made by the first `listener`

    async def listener(self, tls: ssl.SSLContext | None = None) -> RawServer:
        """Return where the judge listens, listening from the first call on, which decides `tls`."""
        if self._listener is None:
            small = self._small_segments
            listener = RawServer(
                self.host, self.log, self.setup_patience, tls, small_segments=small
            )
            self._listener = await listener.start()
        return self._listener

    async def url(self, path: str) -> str:
        """Return the judge's URL with this path."""
        return (await self.listener()).url(path)

    async def asked_for(self, connection: RawConnection) -> tuple[str, str]:
        """Return the target and the host of the URL that the client was given."""
        return "/ws", f"{self.host}:{(await self.listener()).port}"

    async def dialled(
        self, *events: str, path: str = "/ws", **more: Any
    ) -> tuple[RawConnection, asyncio.Task[Any]]:
        """Let the client connect; return its connection, unanswered, and its pending call."""
        listener = await self.listener()
        return await self._accepted(
            asyncio.create_task(self.client.dial(listener.url(path), *events, **more))
        )

    async def redialled(self) -> tuple[RawConnection, asyncio.Task[Any]]:
        """Let the same client connect again; see `dialled`."""
        return await self._accepted(asyncio.create_task(self.client.session.call("reconnect")))

    @property
    def accepted(self) -> int:
        """How many connections the client has made."""
        return self._listener.accepted if self._listener is not None else 0

    async def asked(self) -> RawConnection:
        """Wait for a connection that the client makes by itself, and return it, unanswered."""
        connection = await (await self.listener()).accept(self.role.patience)
        connection.patience = self.role.patience
        return connection

    async def accept(self, **change: Any) -> RawConnection:
        """Wait for a connection that the client makes by itself, and accept it; see `answer`."""
        return self.answer(await self.asked(), **change)

    def answer(
        self, connection: RawConnection, inflater: Inflater | None = None, **change: Any
    ) -> RawConnection:
        """Accept a connection, and return it; the arguments are those of `open`."""
        connection.write(self.answering(connection, **change))
        connection.start(inflater, pongs=self.pongs)
        return connection

    def answering(self, connection: RawConnection, **change: Any) -> bytes:
        """Return the answer that accepts a connection, changed as `answer` takes it."""
        return answer(connection.head, **change)

    def refuse(self, connection: RawConnection, status: str = "503 Service Unavailable") -> None:
        """Refuse a connection with this status."""
        headers = {"Upgrade": None, "Sec-WebSocket-Accept": None, "Content-Length": "0"}
        headers["Connection"] = "close"
        connection.write(answer(connection.head, status=status, headers=headers))
        connection.end_tcp()

    def accepting(self) -> asyncio.Task[RawConnection]:
        """Return the task of accepting one more connection from the client."""
        assert self._listener is not None
        return asyncio.create_task(self._listener.accept())

    async def _accepted(
        self, opening: asyncio.Task[Any]
    ) -> tuple[RawConnection, asyncio.Task[Any]]:
        opening.add_done_callback(lambda task: task.cancelled() or task.exception())
        accepting = self.accepting()
        await self.first(opening, accepting)
        if opening.done() and not accepting.done():
            accepting.cancel()
            await opening
            raise Violation("the client says that it connected, and did not")
        connection = await accepting
        connection.patience = self.role.patience
        return connection, opening

    async def fails(self, connection: RawConnection, opening: asyncio.Task[Any]) -> PeerFailure:
        """Check that the client's connecting fails, and return how.

        Raises:
            Violation: it connected.
        """
        try:
            await opening
        except PeerFailure as failure:
            return failure
        raise Violation("the client connected where it has to fail the connection")

    async def redirected(self, opening: asyncio.Task[Any]) -> RawConnection | None:
        """Wait until a client that is redirected follows; return None where connecting fails."""
        await self.first(opening, accepting := self.accepting())
        if not opening.done():
            return await accepting
        accepting.cancel()
        return None

    async def in_error(self) -> None:
        """Wait until the client reports that connecting failed."""
        await self.client.state("error")

    async def online_before_events(self) -> None:
        """Check that the client reported that it is online before it delivered an event."""
        await self.client.state("online")
        kinds = [n.data.get("state", n.on) for n in self.role.session.notifications]
        assert kinds.index("online") < kinds.index("event"), (
            "an event was delivered before the state online"
        )

    async def check_states(self, *expected: str) -> None:
        """Check that the client has reported these states, and no others."""
        await self.role.settle()
        states = self.client.states
        assert states == [*expected], f"expected the states {[*expected]}, got {states}"

    async def open(
        self, inflater: Inflater | None = None, *, events: Sequence[str] = (), **change: Any
    ) -> RawConnection:
        connection, opening = await self.dialled(*events, **change.pop("more", {}))
        self.answer(connection, inflater, **change)
        await opening
        return connection

    def start_close(self, **how: Any) -> asyncio.Future[Reply]:
        return self.client.session.start("close", how)

    def start_request(self, name: str, payload: Any, *, seconds: float) -> asyncio.Future[Reply]:
        asked = {"event": name, "payload": payload, "timeout": seconds}
        return self.client.session.start("request", asked)

    async def ended(self) -> None:
        ends = ("offline", "error")
        await self.role.wait(
            "state", lambda n: n.data["state"] in ends, what="end of the connection"
        )

    async def send(self, name: str, payload: Any, headers: dict[str, Any] | None = None) -> None:
        await self.client.send(name, payload, headers)

    def start_send(self, name: str, payload: Any) -> asyncio.Future[Reply]:
        asked = {"event": name, "payload": payload, "headers": {}}
        return self.client.session.start("send", asked)

    def ask_back(self, connection: RawConnection, payload: Any, headers: dict[str, Any]) -> str:
        connection.send_event("mirror", payload, headers)
        return "mirrored"

    async def _answer_probe(self, probe: str) -> None:
        await self.client.send("echo", probe)

    async def close(self) -> None:
        if self._listener is not None:
            await self._listener.close()


def request_id_of(message: Mapping[str, Any], author: Role) -> str:
    """Return the id that a request has in its headers.

    Args:
        message: the request, as `interop.wire.rules.read_event` returns it.

    Raises:
        Violation: it has none.
    """
    headers = message.get("headers") or {}
    if not isinstance(found := headers.get("requestId"), str):
        raise Violation(f"the {author} wrote a request with the headers {headers}")
    return found


async def in_bytes(connection: RawConnection, head: bytes) -> None:
    """Write an HTTP head one byte at a time, so that the other side reads at least twice.

    A connection that the other side ends meanwhile is noticed when it is read from.
    """
    with contextlib.suppress(ConnectionError):
        for number, byte in enumerate(head):
            connection.write(bytes([byte]))
            await connection.streams[1].drain()
            if number == len(head) // 2:
                await asyncio.sleep(0.05)  # until it has read these; `check` has no control to ask
