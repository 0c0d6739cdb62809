"""Echo: some connections, each with some events in flight."""

from __future__ import annotations

import asyncio
import time

from ..connection import Connection, connected
from ..errors import MeasureError
from ..sample import Sample, Target, Watch
from ..wires import payload_of

__all__ = ["echo"]

_WARM_UP = 0.25
"""The part of the measured time that goes before it, and is not measured."""


_PATIENCE = 15.0
"""Seconds that the first echo to be counted may take, however short the measured time is."""


class _Driver:
    """Keeps one connection's events in flight.

    Attributes:
        answers: how many came.
    """

    __slots__ = ("_event", "_writes", "answers")

    def __init__(self, connection: Connection, event: bytes, in_flight: int) -> None:
        self.answers = 0
        self._event = event
        write = connection.transport.write

        def answered(count: int) -> None:
            self.answers += count
            write(event if count == 1 else event * count)

        connection.on_messages = answered
        write(event * in_flight)


async def echo(target: Target, *, connections: int, in_flight: int, size: int = 0) -> Sample:
    """Return the echoes a second.

    Args:
        target: the server.
        connections: how many there are.
        in_flight: how many events of each wait for their answers.
        size: of an event, in bytes. Default: about 110.

    Raises:
        MeasureError: the server ends a connection, or answers wrongly or not at all.
    """
    port, wire, deflated = target.program.port, target.wire, target.deflated
    payload = payload_of(size)
    watch = Watch(lambda: float(target.program.ask("cpu")))
    async with connected(connections, port, wire, deflated=deflated) as opened:
        await asyncio.gather(*(connection.check(payload) for connection in opened))
        watch.start()
        event = opened[0].encode(wire.event("echo", payload))
        drivers = [_Driver(connection, event, in_flight) for connection in opened]
        await _sleep(target.seconds * _WARM_UP, opened)
        before, began = sum(driver.answers for driver in drivers), time.perf_counter()
        count, took = 0, 0.0
        while not count and took < _PATIENCE:
            await _sleep(target.seconds, opened)
            count = sum(driver.answers for driver in drivers) - before
            took = time.perf_counter() - began
        watch.stop()
    if not count:
        raise MeasureError(f"not one echo in {took:.1f} s")
    return watch.sample(count / took)


async def _sleep(seconds: float, connections: list[Connection]) -> None:
    """Wait, but not when a connection ends."""
    losses = [connection.lost for connection in connections]
    done, _ = await asyncio.wait(losses, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for loss in done:
        raise MeasureError(loss.result())
