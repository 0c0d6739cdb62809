"""The side under test, where the judge itself is the other one.

For scenarios that concern one side alone: they run once for each server, or client, and not for
each pair. `Judged.open` connects the judge to it and gives the judge's end.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from ..control.contract import Notification
from ..control.patience import Patience
from ..errors import PeerFailure, TestbedError, Violation
from ..wire.frames import Inflater
from ..wire.http import Head, accept_key, answer, request
from ..wire.log import Log
from ..wire.raw import MAX_HEAD, RawConnection, RawServer
from ..wire.rules import Side, event_text
from .client import SET_UP, Client, Server

__all__ = ["Judged", "in_bytes"]

STILL_THERE = "still there?"
"""The payload by which `Judged.works` sees that events pass."""


class Judged:
    """The side under test, and the judge's connections to it.

    Attributes:
        role: the side under test.
        side: which side it is.
        host: the address of the server under test, or the one to listen on for the client.
        log: records what passes.
        echo: the event that the application answers with the same payload.
        subprotocols: those that every handshake offers.
        pongs: whether connections to come answer pings by themselves.
    """

    echo: str | None = "echo"
    subprotocols: Sequence[str] = ()

    def __init__(self, role: Server | Client, host: str, log: Log) -> None:
        self.role = role
        self.side: Side = "server" if isinstance(role, Server) else "client"
        self.host = host
        self.log = log
        self.conn = ""
        self.pongs = False
        self._serving = False
        self._listener: RawServer | None = None
        self._connections: list[RawConnection] = []

    @property
    def server(self) -> Server:
        """The server under test."""
        assert isinstance(self.role, Server)
        return self.role

    @property
    def client(self) -> Client:
        """The client under test."""
        assert isinstance(self.role, Client)
        return self.role

    @property
    def _set_up(self) -> Patience:
        return self.role.patience.at_least(SET_UP)

    async def pace(self) -> float:
        """Return how long, in seconds, the peer takes to answer: the median of some times."""
        took = []
        for _ in range(5):
            began = time.monotonic()
            await self.role.session.check_alive()
            took.append(time.monotonic() - began)
        return median(took)

    def patient(self) -> None:
        """Wait longer from now on: what comes next is much."""
        self.role.patience = self.role.patience.times(5)

    # --- The judge as a client --------------------------------------------------------------

    async def serve(self, **options: Any) -> None:
        """Start the server under test with these arguments of ``serve``, unless it runs."""
        if not self._serving:
            await self.server.serve(**options)
            self._serving = True

    async def dial(self) -> RawConnection:
        """Connect to the server under test, with nothing written yet."""
        await self.serve()
        streams = await asyncio.open_connection(self.host, self.server.port, limit=MAX_HEAD)
        connection = RawConnection(self.log, "client", streams, self._set_up)
        self._connections.append(connection)
        return connection

    def request(self, **change: Any) -> bytes:
        """Return an opening handshake for the server under test; see `rawhttp.request`."""
        change.setdefault("path", self.server.path)
        return request(host=f"{self.host}:{self.server.port}", **change)

    async def ask(self, data: bytes | None = None, **change: Any) -> RawConnection:
        """Send a request, these bytes or a handshake so changed, and return what came, unjudged."""
        connection = await self._asked(data, **change)
        await self._settled()
        return connection

    async def _asked(self, data: bytes | None = None, **change: Any) -> RawConnection:
        connection = await self.dial()
        connection.write(data if data is not None else self.request(**change))
        await connection.read_head()
        connection.patience = self.role.patience
        return connection

    async def _settled(self) -> None:
        """Let what escaped the library meanwhile be reported."""
        await self.role.session.call("describe")

    def with_query(self, query: str) -> str:
        """Return the path of the server under test with this query, which begins with ``?``."""
        return self.server.path + query

    async def refuses(self, data: bytes | None = None, **change: Any) -> Head:
        """Check that the server answers such a request, and not with 101.

        Raises:
            Violation: it upgraded, or did not answer.
        """
        connection = await self.ask(data, **change)
        if connection.head.status == 101:
            raise Violation("the server upgraded where it has to refuse")
        return connection.head

    # --- The judge as a server --------------------------------------------------------------

    async def listener(self) -> RawServer:
        """Return where the judge listens for the client under test."""
        if self._listener is None:
            self._listener = await RawServer(self.host, self.log, self._set_up).start()
        return self._listener

    async def dialled(
        self, *events: str, path: str = "/ws", **more: Any
    ) -> tuple[RawConnection, asyncio.Task[Any]]:
        """Let the client connect; return its connection, unanswered, and its call."""
        listener = await self.listener()
        return await self._accepted(
            asyncio.create_task(self.client.dial(listener.url(path), *events, **more))
        )

    async def redialled(self) -> tuple[RawConnection, asyncio.Task[Any]]:
        """Let the same client connect again; see `dialled`."""
        return await self._accepted(asyncio.create_task(self.client.session.call("reconnect")))

    def accepting(self) -> asyncio.Task[RawConnection]:
        """Wait for one more connection of the client's."""
        assert self._listener is not None
        return asyncio.create_task(self._listener.accept())

    async def first(self, *tasks: asyncio.Future[Any]) -> None:
        """Wait until one of these is done."""
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

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

    # --- Both -------------------------------------------------------------------------------

    async def open(self, inflater: Inflater | None = None, **change: Any) -> RawConnection:
        """Connect, with the handshake so changed, and return the judge's end.

        Raises:
            Violation: the side under test did not do its part of the handshake.
        """
        if self.side == "client":
            connection, opening = await self.dialled(**change.pop("more", {}))
            connection.write(answer(connection.head, **change))
            connection.start(inflater, pongs=self.pongs)
            await opening
            return connection
        await self.serve(**change.pop("more", {}))
        key = base64.b64encode(os.urandom(16)).decode()
        change["headers"] = {"Sec-WebSocket-Key": key, **change.get("headers", {})}
        connection = await self._asked(**change)
        if connection.head.status != 101:
            await self._settled()
            raise Violation(f"the server answered {connection.head.line!r}, not 101")
        if connection.head.one("Sec-WebSocket-Accept") != accept_key(key):
            raise Violation("the server's Sec-WebSocket-Accept does not belong to the key")
        connection.start(inflater, pongs=self.pongs)
        await self._connected()
        return connection

    async def _connected(self) -> None:
        """Wait until the server's application was told of the newest connection."""
        told = await self.server.session.wait("connected", within=self._set_up)
        self.conn = str(told.data["conn"])

    async def ended(self) -> None:
        """Wait until the application under test was told of the end."""
        if self.side == "server":
            await self.server.disconnected(self.conn)
        else:
            ends = ("offline", "error")
            await self.role.wait("state", lambda n: n.data["state"] in ends, what="the end")

    def event(self, payload: object) -> bytes:
        """Return the bytes of an event that is echoed."""
        return event_text(eventName=self.echo or "echo", payload=payload, headers={}).encode()

    def named(self, text: str) -> str:
        """Return a text in which the event ``echo`` has the name of the one that is echoed."""
        return text.replace('"echo"', json.dumps(self.echo or "echo"))

    async def declared(self, limit: str) -> Any:
        """Return a limit as the peer declares it; None when there is none."""
        about = await self.role.session.call("describe")
        limits = about.get("limits", {}).get(self.side)
        if not isinstance(limits, dict) or limit not in limits:
            raise TestbedError(f"{self.role.api} declares no {limit}")
        return limits[limit]

    async def received(self, name: str, payload: Any) -> Notification:
        """Wait until the application under test got this event, after those before it."""
        got = await self.role.wait(
            "event", lambda n: n.data["name"] == name, what=f"event {name!r}"
        )
        if got.data["payload"] != payload:
            shown = repr(got.data["payload"])[:120]
            raise Violation(f"got {name!r} with the payload {shown}", api=self.role.api)
        return got

    async def delivers(self, connection: RawConnection, payload: Any) -> None:
        """Check that an event still reaches the application under test."""
        connection.send_event("echo", payload)
        await self.received("echo", payload)

    async def works(self, connection: RawConnection, probe: str = STILL_THERE) -> None:
        """Check that events still pass, in both directions, past what was sent before."""
        connection.send_event("echo", probe)
        await self.role.wait(
            "event", lambda n: n.data["payload"] == probe, what=f"event with the payload {probe!r}"
        )
        if self.side == "client":
            await self.client.send("echo", probe)
        while (await connection.next_event("echo"))["payload"] != probe:
            pass

    async def usable_or_closed(self, connection: RawConnection) -> None:
        """Check that events still pass, or that the other side closes the connection in order.

        Raises:
            Violation: neither; one text for every way in which that can be.
        """
        works = asyncio.ensure_future(self.works(connection))
        closed = asyncio.ensure_future(connection.closing())
        try:
            await self.first(works, closed)
            if works.done() and works.exception() is None:
                return
            await closed
        except Violation:
            raise Violation(
                f"the connection is not usable and the {self.side} wrote no close frame"
            ) from None
        finally:
            for task in (works, closed):
                task.cancel()
            await asyncio.gather(works, closed, return_exceptions=True)

    async def nothing_received(self) -> None:
        """Check that the application got no event, past the probe of `works`."""
        await self.role.settle()
        if count := self.role.session.count(
            "event", lambda n: n.data.get("payload") != STILL_THERE
        ):
            raise Violation(f"delivered {count} events, not none", api=self.role.api)

    async def close(self) -> None:
        """Give back what the judge holds."""
        for connection in self._connections:
            await connection.close()
        if self._listener is not None:
            await self._listener.close()


async def in_bytes(connection: RawConnection, head: bytes) -> None:
    """Write an HTTP head one byte at a time, in two reads of the other side's at least.

    Who ends the connection meanwhile shows it when it is read from.
    """
    with contextlib.suppress(ConnectionError):
        for number, byte in enumerate(head):
            connection.write(bytes([byte]))
            await connection.streams[1].drain()
            if number == len(head) // 2:
                await asyncio.sleep(0.05)  # it has read these; `check` has no control to ask by
