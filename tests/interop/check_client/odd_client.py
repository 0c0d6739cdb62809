"""A client program on a bare socket: ``python -m tests.interop.check_client.odd_client MODE``.

MODE is ``good``, or what it does wrong, as the conditions below say.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

from interop.wire.frames import CLOSE, PING, PONG, TEXT, FrameReader, RawFrame, close_payload, frame
from interop.wire.http import accept_key, parse_head, request

FIXED_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Client:
    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.url = urlsplit(os.environ["ZAPTOOLS_URL"])
        self.socket = socket.create_connection((self.url.hostname, self.url.port or 80))
        self.reader = FrameReader("server")

    def open(self) -> bytes:
        """Do the handshake; return what came behind the answer."""
        key = FIXED_KEY if self.mode == "same-key" else base64.b64encode(os.urandom(16)).decode()
        headers = {"Sec-WebSocket-Key": key}
        if self.mode == "old-version":
            headers["Sec-WebSocket-Version"] = "8"
        host = "elsewhere" if self.mode == "other-host" else self.url.netloc
        path = self.url.path + (f"?{self.url.query}" if self.url.query else "")
        self.socket.sendall(request(host=host, path=path, headers=headers))
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.socket.recv(65536)
            if not more:
                sys.exit("the server ended the connection")
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        answer = parse_head(head)
        fits = answer.one("Sec-WebSocket-Accept") == accept_key(key)
        if self.mode != "ignores-accept" and not (answer.status == 101 and fits):
            sys.exit(f"refused: {answer.line}")
        return rest

    def send(self, opcode: int, payload: bytes = b"") -> None:
        mask = None if self.mode == "unmasked" else os.urandom(4)
        if self.mode == "same-mask":
            mask = b"abcd"
        self.socket.sendall(frame(opcode, payload, mask=mask))

    def run(self) -> None:
        data = self.open()
        say("connected")
        if self.mode == "greets-wrongly":
            self.send(TEXT, b'{"event":"hello"}')
        while self.mode == "floods":
            self.send(PING, b"x")
        while True:
            for found in self.reader.feed(data):
                self.got(found)
            for error in self.reader.errors:
                if self.mode != "lenient":
                    self.send(CLOSE, close_payload(1007 if "UTF-8" in error else 1002))
                    return
            data = self.socket.recv(65536)
            if not data:
                return

    def got(self, found: RawFrame) -> None:
        if found.opcode == PING:
            if self.mode == "crashes":
                os.kill(os.getpid(), signal.SIGSEGV)
            if self.mode != "no-pong":
                self.send(PONG, b"" if self.mode == "empty-pong" else found.payload)
        elif found.opcode == CLOSE and self.mode != "no-close":
            self.send(CLOSE, found.payload[:2])
        elif found.opcode == TEXT and not self.reader.errors:
            self.event(found.payload)

    def event(self, data: bytes) -> None:
        try:
            event = json.loads(data)
            name, payload = event["eventName"], event.get("payload")
            headers = {} if self.mode == "no-headers" else event.get("headers") or {}
        except (ValueError, TypeError, KeyError):
            if self.mode == "closes-then-dies":  # as libraries do in the end of a `with`
                self.send(CLOSE, close_payload(1000))
                self.socket.recv(65536)
                raise
            if self.mode == "dies-of-malformed":
                raise
            return
        if name != "echo":
            if self.mode == "dies-of-unknown":
                sys.exit(f"unknown event {name}")
            return
        if self.mode == "loses-null" and payload is None:
            return
        if self.mode == "writes-no-event":
            self.send(TEXT, json.dumps(payload).encode())
            return
        if self.mode == "rounds" and isinstance(payload, list):
            payload = [float(each) if isinstance(each, int) else each for each in payload]
        answer = {"eventName": "echo", "payload": payload, "headers": headers}
        self.send(TEXT, json.dumps(answer).encode())


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    mode = sys.argv[1]
    if mode == "ends":
        sys.exit("I am broken")
    if mode == "family":  # a child that outlives it, unless the group is ended
        subprocess.Popen([sys.executable, "-c", f"import time; time.sleep(60)  # {sys.argv[2]}"])
    client = Client(mode)
    if mode == "mute":
        time.sleep(60)
    client.run()


if __name__ == "__main__":
    main()
