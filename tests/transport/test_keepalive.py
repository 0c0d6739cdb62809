"""Pings in scaled time; the rest is in test_transport, over sockets."""

from __future__ import annotations

import asyncio

from tests.support import MS, within
from zaptools import Limits
from zaptools.transport.keepalive import Keepalive


class Probe:
    """Counts pings, and notes that the peer was given up."""

    def __init__(self, interval: float | None, timeout: float | None) -> None:
        self.pings = 0
        self.pinged = asyncio.Event()
        self.gone = asyncio.Event()
        limits = Limits(ping_interval=interval, ping_timeout=timeout)
        self.keepalive = Keepalive(limits, self._ping, self.gone.set)
        self.keepalive.start()

    def _ping(self) -> None:
        self.pings += 1
        self.pinged.set()


async def test_silence() -> None:
    probe = Probe(5 * MS, 15 * MS)
    await within(probe.gone.wait())
    assert probe.pings >= 2  # pings go on while the first waits for its answer
    probe.keepalive.stop()


async def test_an_answer() -> None:
    probe = Probe(10 * MS, 15 * MS)
    for _ in range(5):
        await within(probe.pinged.wait())
        probe.pinged.clear()
        probe.keepalive.heard = True
    probe.keepalive.stop()
    assert not probe.gone.is_set()


async def test_while_reading_is_paused() -> None:
    probe = Probe(2 * MS, 2 * MS)
    probe.keepalive.reading_paused = True
    await asyncio.sleep(20 * MS)  # ten timeouts
    assert not probe.gone.is_set()
    probe.keepalive.stop()


async def test_no_timeout() -> None:
    probe = Probe(2 * MS, None)
    await within(probe.pinged.wait())
    await asyncio.sleep(20 * MS)  # ten intervals
    assert not probe.gone.is_set()
    probe.keepalive.stop()
    probe.keepalive.stop()


async def test_no_interval() -> None:
    probe = Probe(None, 2 * MS)
    await asyncio.sleep(20 * MS)  # ten timeouts
    assert probe.pings == 0 and not probe.gone.is_set()
