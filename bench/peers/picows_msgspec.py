"""picows with events written by hand, with msgspec: close to what is possible in Python."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from _serve import PAYLOAD, Server, options, run
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

chosen = options()


class Event(msgspec.Struct, rename="camel"):
    event_name: str
    payload: Any = None
    headers: dict[str, Any] | None = None


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Event).decode
transports: set[WSTransport] = set()


class Listener(WSListener):
    def on_ws_connected(self, transport: WSTransport) -> None:
        transports.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        transports.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            event = decode(frame.get_payload_as_memoryview())
            if event.event_name == "echo":
                answer = encode(Event("echo", event.payload, event.headers))
                transport.send(WSMsgType.TEXT, answer)
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


def broadcast() -> None:
    data = encode(Event("tick", PAYLOAD, {}))
    for transport in transports:
        transport.send(WSMsgType.TEXT, data)


async def main() -> None:
    server = await ws_create_server(lambda request: Listener(), "127.0.0.1", 0, backlog=2048)
    packages = ("picows", "aiofastnet", "msgspec", "uvloop")
    Server(*packages, broadcast=broadcast).ready(server.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


run(main, chosen.loop)
