"""Broadcast: one event to many connections, again and again."""

from __future__ import annotations

import asyncio

from ..connection import connected
from ..errors import MeasureError
from ..sample import Sample, Target, Watch

__all__ = ["broadcast"]

_WARM_UP = 5
_PAUSE = 0.01
"""Seconds between two broadcasts, so that they do not share writes."""

_TIMEOUT = 120.0


async def broadcast(target: Target, *, receivers: int) -> Sample:
    """Return the microseconds of the server's CPU for one receiver of one broadcast.

    There are 30 broadcasts for each second of the target's, however long they take.

    Raises:
        MeasureError: the server ends a connection, or an event does not arrive.
    """
    count = max(_WARM_UP, round(30 * target.seconds))
    port, wire, deflated = target.program.port, target.wire, target.deflated
    arrived = _Arrived()
    watch = Watch(lambda: float(target.program.ask("cpu")))
    async with connected(receivers, port, wire, deflated=deflated) as opened:
        for connection in opened:
            connection.on_messages = arrived
            connection.count()
        await arrived.wait(_WARM_UP * receivers, target, _WARM_UP)
        watch.start()
        await arrived.wait(count * receivers, target, count)
        watch.stop()
    return watch.sample(watch.measured * 1e6 / (count * receivers))


class _Arrived:
    """Counts the events of all connections."""

    def __init__(self) -> None:
        self._missing = 0
        self._all: asyncio.Future[None] | None = None

    def __call__(self, count: int) -> None:
        self._missing -= count
        if not self._missing and self._all is not None and not self._all.done():
            self._all.set_result(None)

    async def wait(self, events: int, target: Target, broadcasts: int) -> None:
        """Have the server send, and wait until all has arrived."""
        self._missing = events
        self._all = asyncio.get_running_loop().create_future()
        target.program.ask("broadcast", broadcasts, _PAUSE)
        try:
            await asyncio.wait_for(self._all, _TIMEOUT)
        except TimeoutError:
            raise MeasureError(
                f"{self._missing} of {events} events did not arrive in {_TIMEOUT:.0f} s"
            ) from None
