"""``make bench``: echo throughput of `ZapServer` as a ratio to a `websockets` echo server.

Each server runs in a process of its own and answers the same load: 16 connections, each with
32 events of about 110 bytes in flight. The two alternate, so that a drift of the machine's
speed meets both; the ratio of each alternation is printed, and their median. The `websockets`
server echoes the bytes and reads no JSON, which is all in its favour.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

HERE = Path(__file__).parent
SERVERS = ("zaptools", "websockets")
CONNECTIONS = 16
IN_FLIGHT = 32
PAYLOAD = {"user": "ada", "text": "x" * 40, "n": 12345}
EVENT = json.dumps({"eventName": "echo", "payload": PAYLOAD, "headers": {}}, separators=(",", ":"))


class Load(asyncio.Protocol):
    """One connection: keeps events in flight and counts the bytes of their answers."""

    def __init__(self, port: int) -> None:
        self._client = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/"))
        self._answer = len(Frame(Opcode.TEXT, EVENT.encode()).serialize(mask=False))
        self._event = Frame(Opcode.TEXT, EVENT.encode()).serialize(mask=True)
        self._rest = 0
        self._open = False
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._client.send_request(self._client.connect())
        for data in self._client.data_to_send():
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        if not self._open:
            if not data.startswith(b"HTTP/1.1 101"):
                raise ConnectionError(data[:80])
            self._open = True
            self._transport.write(self._event * IN_FLIGHT)
            return
        done, self._rest = divmod(self._rest + len(data), self._answer)
        self.answers += done
        self._transport.write(self._event * done)


async def load(port: int, seconds: float) -> float:
    """Return the answers a second."""
    loop = asyncio.get_running_loop()
    pairs = [
        await loop.create_connection(lambda: Load(port), "127.0.0.1", port)
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(seconds / 5)
    before, began = sum(p.answers for _, p in pairs), time.perf_counter()
    await asyncio.sleep(seconds)
    count, took = sum(p.answers for _, p in pairs) - before, time.perf_counter() - began
    for transport, _ in pairs:
        transport.abort()
    return count / took


@contextlib.contextmanager
def serving(name: str) -> Iterator[int]:
    """Run a server in a process of its own and yield its port."""
    command = [sys.executable, "-m", "bench.servers", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HERE.parent, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def main() -> None:
    """Measure, print a table and write ``bench/results.json``."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="alternations (default: 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load (default: 2)")
    arguments = parser.parse_args()
    rates: dict[str, list[float]] = {name: [] for name in SERVERS}
    for number in range(1, arguments.rounds + 1):
        for name in SERVERS:
            with serving(name) as port:
                rates[name].append(asyncio.run(load(port, arguments.seconds)))
        one, other = (rates[name][-1] for name in SERVERS)
        print(f"{number}: zaptools {one:,.0f}/s, websockets {other:,.0f}/s: {one / other:.2f} x")  # noqa: T201  # a program's output
    ratio = statistics.median(a / b for a, b in zip(*rates.values(), strict=True))
    print(f"echo, against websockets with no JSON: {ratio:.2f} x (median)")  # noqa: T201  # a program's output
    text = json.dumps({"echo": {"answers_per_second": rates, "median_ratio": ratio}}, indent=1)
    (HERE / "results.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
