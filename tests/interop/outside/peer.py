"""A client peer on the library websocket-client, which uses nothing of this repository.

`test_added_peers` copies it into another folder, where it is a peer of another repository.
"""

from __future__ import annotations

import contextlib
import json
import platform
import queue
import socketserver
import ssl
import sys
import threading
from typing import Any

import websocket

OPTIONS = {"id", "op", "api", "url", "events", "all", "headers", "protocols", "ca", "program"}


class Session(socketserver.StreamRequestHandler):
    """One control connection: at most one client."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        self.writing = threading.Lock()
        self.client: websocket.WebSocket | None = None
        requests: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self.work, args=(requests,), daemon=True).start()
        for line in self.rfile:
            request = json.loads(line)
            if request["op"] == "describe":  # at any time
                self.write({"id": request["id"], "ok": describe()})
            else:
                requests.put(request)
        requests.put(None)
        if self.client is not None:
            self.client.abort()  # which also ends `recv` in the other thread
            self.client.shutdown()

    def write(self, message: dict[str, Any]) -> None:
        with self.writing, contextlib.suppress(OSError, ValueError):
            try:
                line = json.dumps(message, allow_nan=False)
            except ValueError:  # what JSON has no form for, as the contract wants it
                told = {"payload": {"$unencodable": str(message["payload"])}}
                line = json.dumps({**message, **told})
            self.wfile.write(line.encode() + b"\n")

    def work(self, requests: queue.Queue[dict[str, Any] | None]) -> None:
        while (request := requests.get()) is not None:
            try:
                answer = self.answer(request)
            except Exception as exc:
                answer = {"error": {"kind": type(exc).__name__, "message": str(exc)}}
            self.write({"id": request["id"], **answer})

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["op"]:
            case "open":
                return self.open(request)
            case "send" | "close":
                if self.client is None:
                    return {"error": {"kind": "Peer", "message": "there is no client"}}
                return self.use(self.client, request)
        return {"unsupported": f"no operation {request['op']!r}"}

    def use(self, client: websocket.WebSocket, request: dict[str, Any]) -> dict[str, Any]:
        if request["op"] == "close":
            client.close(request.get("code", 1000), request.get("reason", "").encode())
            return {"ok": {}}
        if "event" not in request:
            raise TypeError("send needs an event")
        event = {"headers": {}} | {key: request[key] for key in request.keys() - {"id", "op"}}
        event["eventName"] = event.pop("event")
        client.send(json.dumps(event))
        return {"ok": {}}

    def open(self, request: dict[str, Any]) -> dict[str, Any]:
        if more := request.keys() - OPTIONS:
            return {"unsupported": f"open takes no {', '.join(sorted(more))}"}
        if self.client is not None:
            return {"error": {"kind": "Peer", "message": "there is a client"}}
        self.write({"on": "state", "state": "connecting"})
        self.client = websocket.create_connection(
            request["url"],
            header=request.get("headers"),
            subprotocols=request.get("protocols"),
            sslopt={"context": ssl.create_default_context(cadata=request.get("ca"))},
        )
        self.write({"on": "state", "state": "online"})
        reading = threading.Thread(target=self.read, args=(self.client, request), daemon=True)
        reading.start()
        return {"ok": {}}

    def read(self, client: websocket.WebSocket, request: dict[str, Any]) -> None:
        with contextlib.suppress(websocket.WebSocketException, OSError):
            while text := client.recv():
                event = json.loads(text)
                name, data = event["eventName"], event.get("payload")
                note = {"name": name, "payload": data, "headers": event.get("headers", {})}
                if name in request.get("events", []):
                    self.write({"on": "event", "via": "named", **note})
                    self.react(client, **note)
                if request.get("all"):
                    self.write({"on": "event", "via": "all", **note})
        self.write({"on": "state", "state": "offline"})

    def react(
        self, client: websocket.WebSocket, name: str, payload: Any, headers: dict[str, Any]
    ) -> None:
        """Do what the handler of an event does."""
        reply = {"replyTo": headers.get("requestId")}
        match name:
            case "slow":
                answer = ("slow", payload, headers)
                threading.Timer(payload["ms"] / 1000, send, (client, *answer)).start()
            case "mirror":
                send(client, "mirrored", payload, headers)
            case "answer" if "requestId" in headers:
                send(client, "answer", payload, reply)
            case "fail" if "requestId" in headers:
                send(client, "fail", {}, {**reply, "replyError": "the handler failed"})
            case "close-me":
                client.close()
            case "ask-back":
                why = {"event": "ask-back", "why": "it has no requests"}
                send(client, "unsupported", why, headers)


def send(client: websocket.WebSocket, name: str, payload: Any, headers: dict[str, Any]) -> None:
    client.send(json.dumps({"eventName": name, "payload": payload, "headers": headers}))


def describe() -> dict[str, Any]:
    limits = ("message_bytes", "ping_interval_s", "ping_timeout_s", "close_timeout_s")
    return {
        "contract": 1,
        "peer": "websocket-client",
        "language": "Python",
        "runtime": platform.python_version(),
        "libraries": {"websocket-client": websocket.__version__},
        "apis": {"server": [], "client": ["WebSocket"]},
        "limits": {"client": dict.fromkeys(limits)},
    }


class Peer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


if __name__ == "__main__":
    host, _, port = sys.argv[sys.argv.index("--listen") + 1].rpartition(":")
    with Peer((host, int(port)), Session) as peer:
        print("READY", *peer.server_address[:2], flush=True)  # noqa: T201  # the contract
        threading.Thread(target=peer.serve_forever, daemon=True).start()
        if "--exit-with-stdin" in sys.argv:
            sys.stdin.read()
        else:
            threading.Event().wait()
