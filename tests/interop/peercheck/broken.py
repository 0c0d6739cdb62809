"""A small peer of this library, whole but for the one fault that its first argument names.

``none`` is none. It has a server with the event ``echo``, and a client; what it has not it answers
with "unsupported", as it says it may: no ``peer.toml`` says otherwise.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from interop.control.contract import Notification, encode
from interop.peers import _control
from interop.peers._control import Failure, PeerSession, Unsupported, main
from zaptools import EventContext, EventData, WebSocketConnection, ZapConsumer, ZapServer

FAULT = sys.argv.pop(1)
LIMITS = ("message_bytes", "ping_interval_s", "ping_timeout_s", "close_timeout_s")
SESSIONS: list[Session] = []


class Session(PeerSession):
    """One control connection."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        SESSIONS.append(self)
        self.server: ZapServer | None = None
        self.client: ZapConsumer | None = None
        self.connections: list[WebSocketConnection] = []

    def notify(self, on: str, **data: Any) -> None:
        for each in SESSIONS if FAULT == "mixes sessions" else [self]:
            PeerSession.notify(each, on, **data)

    async def op_describe(self) -> dict[str, Any]:
        limits = LIMITS[:-1] if FAULT == "describes no close timeout" else LIMITS
        return {
            "contract": 1, "peer": "broken", "language": "Python", "runtime": "3",
            "libraries": {"zaptools": "1"}, "apis": {"server": ["S"], "client": ["C"]},
            "limits": {role: dict.fromkeys(limits) for role in ("server", "client")},
        }  # fmt: skip

    # --- The server -----------------------------------------------------------------------

    async def op_serve(self, api: str, path: str = "/ws", program: str = "", **more: Any) -> Any:
        if more or api != "S":
            raise Unsupported(f"no {api!r} with {', '.join(more)}")
        if self.server is not None:
            raise Failure("there is a server")
        self.server = ZapServer(self.host, 0, path=path)
        self.server.on_connected(self.connected)
        self.server.on_disconnected(self.disconnected)
        self.server.on_event("echo")(self.echo)
        await self.server.start()
        return {"port": self.server.port + (FAULT == "tells another port")}

    async def connected(self, ctx: EventContext) -> None:
        self.connections.append(ctx.connection)
        self.notify("connected", conn=str(len(self.connections)))

    async def disconnected(self, ctx: EventContext) -> None:
        self.notify("disconnected", conn=self.name(ctx))

    def name(self, ctx: EventContext) -> str:
        return str(self.connections.index(ctx.connection) + 1)

    async def echo(self, ctx: EventContext) -> None:
        told: dict[str, Any] = {"name": "echo", "payload": ctx.payload, "via": "named"}
        if FAULT != "reports no headers":
            told["headers"] = ctx.headers
        self.notify("event", conn=self.name(ctx), **told)
        await ctx.connection.send("echo", ctx.payload, ctx.headers)

    # --- The client -----------------------------------------------------------------------

    async def op_open(
        self,
        api: str,
        url: str,
        events: Sequence[str] = (),
        program: str = "",
        **more: Any,
    ) -> None:
        if more or api != "C":
            raise Unsupported(f"no {api!r} with {', '.join(more)}")
        if self.client is not None:
            raise Failure("there is a client")
        if FAULT == "dies":
            print("out of luck", file=sys.stderr, flush=True)  # noqa: T201  # a peer's log
            os._exit(3)
        if FAULT == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if FAULT == "blocks":
            time.sleep(60)  # noqa: ASYNC251  # the fault itself
        self.client = client = ZapConsumer(url)
        client.on_connection_state_changed(
            lambda state: self.notify("state", state=state.name.lower())
        )
        for name in events:
            client.on_event(name)(self.got)
        if FAULT == "answers open early":
            self.begin(client.connect())
        else:
            await client.connect()

    def got(self, event: EventData) -> None:
        self.notify(
            "event",
            name=event.event_name,
            payload=event.payload,
            headers=event.headers,
            via="named",
        )

    async def op_send(self, event: str, **more: Any) -> None:
        if self.client is None:
            raise Failure("there is no client")
        if FAULT == "is out of order":
            await asyncio.sleep(0 if more.get("payload") else 0.02)
        await self.client.send_event(event, **more)

    async def op_close(self, **how: Any) -> None:
        if FAULT == "does not close":
            await asyncio.Event().wait()
        if FAULT == "lacks what it does not say":
            raise Unsupported("it cannot close")
        if self.client is None:
            raise Failure("there is no client")
        await self.client.disconnect(**how)

    async def op_subscribe(self, events: Sequence[str] = (), all: bool = False) -> None:
        if self.client is None:
            raise Failure("there is no client")
        for name in events:
            self.client.on_event(name)(self.got)

    async def teardown(self) -> None:
        SESSIONS.remove(self)
        if self.server is not None and FAULT != "leaks its port":
            await self.server.close()
        if self.client is not None and FAULT != "leaks its connection":
            await self.client.disconnect()
        await super().teardown()


def break_control() -> None:
    """Break what is no operation."""

    def other(message: Any) -> bytes:
        if FAULT == "replies with another id" and not isinstance(message, Notification):
            return encode(type(message)(message.id + 1, message.ok))
        if FAULT == "says no kind" and isinstance(getattr(message, "error", None), Mapping):
            return encode(message).replace(b'"kind"', b'"type"')
        return encode(message)

    vars(_control)["encode"] = other


if __name__ == "__main__":
    if FAULT == "says hello":
        print("HELLO 127.0.0.1 1", flush=True)  # noqa: T201  # in the place of READY
    if FAULT == "ends at once":
        sys.exit("no such option: --listen")
    if FAULT == "says nothing":
        time.sleep(60)
    if FAULT == "outlives its stdin":
        sys.argv.remove("--exit-with-stdin")
    break_control()
    main(Session)
