"""The queue for a peer that does not read: in order, bounded, and empty in the end."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support import MS, within
from zaptools import CloseInfo, ConnectionClosedError, SendTimeoutError
from zaptools.transport.line import Line


def waiting(line: Line, text: bytes, seconds: float | None = None) -> asyncio.Task[None]:
    return asyncio.create_task(line.wait(text, seconds))


async def due(seconds: float) -> None:
    """Return in a turn of the loop in which timers of `seconds` are due, and run after the caller.

    A sleep would let them run first.
    """
    time.sleep(2 * seconds)  # noqa: ASYNC251  # the loop must not run meanwhile
    await asyncio.sleep(0)


def advance(line: Line) -> bytes | None:
    """Remove the first text; if it is a send's, the send continues."""
    entry = line.pop()
    if entry is None:
        return None
    if entry[0] is not None:
        entry[0].set_result(None)
    return entry[1]


async def test_order_and_size() -> None:
    line = Line()
    assert not line and advance(line) is None
    line.keep(b"aa")
    send = waiting(line, b"bbb")
    await asyncio.sleep(0)
    line.keep(b"c")
    assert line and line.size == 6
    assert [advance(line) for _ in range(4)] == [b"aa", b"bbb", b"c", None]
    await within(send)
    assert not line and line.size == 0


@pytest.mark.parametrize("seconds", [0, 5 * MS])
async def test_a_bound(seconds: float) -> None:
    line = Line()
    with pytest.raises(SendTimeoutError) as caught:
        await within(line.wait(b"a", seconds))
    assert caught.value.seconds == seconds
    assert not line and line.size == 0


async def test_the_moment_decides_once() -> None:
    """A send whose turn has come is never reported as given up."""
    line = Line()
    send = waiting(line, b"a", 5 * MS)
    await asyncio.sleep(0)
    await due(5 * MS)
    entry = line.pop()
    assert entry is not None and entry[0] is not None
    entry[0].set_result(None)
    await within(send)


async def test_the_end() -> None:
    line = Line()
    sends = [waiting(line, text) for text in (b"a", b"b")]
    await asyncio.sleep(0)
    line.keep(b"c")
    line.fail(CloseInfo(4000, "", "local"))
    for send in sends:
        with pytest.raises(ConnectionClosedError, match="4000"):
            await within(send)
    assert line.size == 1 and advance(line) == b"c"
    line.keep(b"d")
    line.clear()
    assert not line and line.size == 0


@pytest.mark.parametrize("ended", [False, True])
async def test_a_send_that_is_cancelled(ended: bool) -> None:
    """It is passed over, though its task has not seen it yet."""
    line = Line()
    cancelled, other = waiting(line, b"a"), waiting(line, b"b")
    await asyncio.sleep(0)
    cancelled.cancel()
    if ended:
        line.fail(CloseInfo(1006))
        with pytest.raises(ConnectionClosedError):
            await within(other)
    else:
        assert advance(line) == b"b"
        await within(other)
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert not line and line.size == 0


@pytest.mark.parametrize("how", ["turn", "end", "late"])
async def test_a_send_that_is_cancelled_in_the_moment_of_its_turn(how: str) -> None:
    """The turn is handed back, and the loop reports no error that is never seen."""
    missed: list[int] = []
    line = Line(lambda: missed.append(1))
    send = waiting(line, b"a", 5 * MS if how == "late" else None)
    await asyncio.sleep(0)
    if how == "turn":
        advance(line)
    elif how == "end":
        line.fail(CloseInfo(1006))
    else:
        await due(5 * MS)
        await asyncio.sleep(0)
    send.cancel()
    with pytest.raises(asyncio.CancelledError):
        await send
    assert missed == ([1] if how == "turn" else [])
