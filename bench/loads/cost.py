"""Cost: texts that are dear to read, and what they take of the server's CPU."""

from __future__ import annotations

import asyncio

from ..connection import connected
from ..errors import MeasureError
from ..sample import Sample, Target, Watch
from ..wires import payload_of

__all__ = ["cost", "dear_texts"]

_SIZE = 1 << 16
_TIMEOUT = 60.0


def dear_texts() -> list[bytes]:
    """Return events of 64 KiB that JSON allows, of the kinds that are dear to read.

    Three of them are no events to this library: it finds out why, and closes nothing.
    """
    twice = '{"a":1,"a":1}'
    return [
        _event(kind, last)
        for kind, last in (
            ("1e290", "1"),
            ("5e-324", "1"),
            ("1", twice),
            ("{}", '{"a":{"b":1}}'),
            ('"é"', '"\\ud800"'),
            ('"a:[{"', "[" * 200 + "]" * 200),
            ("null", twice),
        )
    ]


def _event(value: str, last: str) -> bytes:
    values = ",".join([value] * (_SIZE // (len(value) + 1)))
    return f'{{"eventName":"other","payload":[{values},{last}],"headers":{{}}}}'.encode()


async def cost(target: Target) -> Sample:
    """Return the nanoseconds of the server's CPU for a byte of dear texts.

    There are 20 rounds of them for each second of the target's, however long they take. No
    handler is there for them; an event behind each round is echoed when they have been read.

    Raises:
        MeasureError: the server ends the connection, or does not answer.
    """
    rounds = max(1, round(20 * target.seconds))
    port, wire, deflated = target.program.port, target.wire, target.deflated
    watch = Watch(lambda: float(target.program.ask("cpu")))
    texts = dear_texts()
    async with connected(1, port, wire, deflated=deflated) as opened:
        (connection,) = opened
        await connection.check(payload_of(0))
        data = b"".join(map(connection.encode, [*texts, wire.event("echo", payload_of(0))]))
        watch.start()
        for _ in range(rounds):
            answered = asyncio.get_running_loop().create_future()
            connection.on_messages = answered.set_result
            connection.count()
            connection.transport.write(data)
            await asyncio.wait(
                [connection.lost, answered], timeout=_TIMEOUT, return_when=asyncio.FIRST_COMPLETED
            )
            if connection.lost.done():
                raise MeasureError(connection.lost.result())
            if not answered.done():
                raise MeasureError(f"no echo in {_TIMEOUT:.0f} s")
        watch.stop()
    return watch.sample(watch.measured * 1e9 / (rounds * sum(map(len, texts))))
