"""Idle connections: what each of them takes of the server's memory."""

from __future__ import annotations

import asyncio

from ..connection import connected
from ..errors import MeasureError
from ..sample import Sample, Target, Watch

__all__ = ["idle"]

_WARM_UP = 50
_SETTLE = 0.3
"""Seconds until what belongs to opening is gone."""


async def idle(target: Target, *, connections: int) -> Sample:
    """Return the KiB of the server's own memory (USS) that each connection adds.

    Some connections are there before the first look, so that what the server loads or makes with
    its first ones is not counted. The kernel's buffers are in no process's memory.

    Raises:
        MeasureError: a connection does not open, or does not stay open.
    """
    port, wire, deflated = target.program.port, target.wire, target.deflated
    watch = Watch(lambda: float(target.program.ask("cpu")))
    async with connected(_WARM_UP, port, wire, deflated=deflated):
        await asyncio.sleep(_SETTLE)
        before = target.program.ask("memory")
        watch.start()
        async with connected(connections, port, wire, deflated=deflated) as opened:
            await asyncio.sleep(_SETTLE)
            watch.stop()
            after = target.program.ask("memory")
            for connection in opened:
                if connection.lost.done():
                    raise MeasureError(connection.lost.result())
    return watch.sample((after - before) / connections / 1024)
