"""Streams: bounds, policies, and ends."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any, cast

import pytest

from tests.support import within
from zaptools import BufferOverflowError, ZapSubscriber
from zaptools.client.streams import Overflow, Stream, Streams


def stream(size: int = 3, overflow: Overflow = "raise") -> Stream[int]:
    return Stream(None, size, overflow)


async def test_a_held_item_then_an_awaited_one() -> None:
    numbers = stream()
    numbers.push(1)
    assert await anext(numbers) == 1
    waiting = asyncio.ensure_future(anext(numbers))
    await asyncio.sleep(0)
    numbers.push(2)
    assert await within(waiting) == 2


async def test_the_end_comes_after_the_held_items() -> None:
    numbers = stream()
    numbers.push(1)
    numbers.close()
    numbers.push(2)
    assert [number async for number in numbers] == [1]
    with pytest.raises(StopAsyncIteration):
        await anext(numbers)


async def test_the_end_wakes_every_reader() -> None:
    numbers = stream()
    readers = [asyncio.ensure_future(anext(numbers, None)) for _ in range(3)]
    await asyncio.sleep(0)
    numbers.close()
    assert await within(asyncio.gather(*readers)) == [None] * 3


async def test_aclose_drops_the_held_items() -> None:
    numbers = stream(1)
    numbers.push(1)
    numbers.push(2)
    await numbers.aclose()
    assert [number async for number in numbers] == []


@pytest.mark.parametrize(
    ("overflow", "kept"), [("drop-oldest", [3, 4, 5]), ("drop-newest", [1, 2, 3])]
)
async def test_dropping(overflow: Overflow, kept: list[int]) -> None:
    numbers = stream(overflow=overflow)
    for number in range(1, 6):
        numbers.push(number)
    numbers.close()
    assert [number async for number in numbers] == kept
    assert numbers.dropped == 2


async def test_raising() -> None:
    numbers = stream()
    for number in range(1, 6):
        numbers.push(number)
    assert [await anext(numbers) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(BufferOverflowError) as info:
        await anext(numbers)
    assert info.value.size == 3
    with pytest.raises(StopAsyncIteration):
        await anext(numbers)


async def test_several_readers_share_a_stream() -> None:
    numbers = stream()
    readers = [asyncio.ensure_future(anext(numbers)) for _ in range(2)]
    await asyncio.sleep(0)
    numbers.push(1)
    numbers.push(2)
    assert sorted(await within(asyncio.gather(*readers))) == [1, 2]


async def test_a_cancelled_reader_takes_nothing_with_it() -> None:
    numbers = stream()
    first, second = (asyncio.ensure_future(anext(numbers)) for _ in range(2))
    await asyncio.sleep(0)
    numbers.push(1)  # wakes the first, which is then cancelled before it runs
    first.cancel()
    assert await within(second) == 1
    third = asyncio.ensure_future(anext(numbers))
    await asyncio.sleep(0)
    third.cancel()
    await asyncio.wait([third])
    numbers.push(2)
    assert await within(anext(numbers)) == 2


def test_arguments() -> None:
    with pytest.raises(ValueError, match="overflow"):
        stream(overflow="block")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ValueError, match="buffer_size must be at least 1"):
        stream(0)


async def test_streams() -> None:
    streams: Streams[int] = Streams()
    every = streams.add(stream())
    some: Stream[int] = streams.add(Stream(frozenset({"a"}), 3, "raise"))
    streams.push(1, "a")
    streams.push(2, "b")
    streams.close()
    assert [number async for number in every] == [1, 2]
    assert [number async for number in some] == [1]


async def test_a_stream_without_a_reference_is_forgotten() -> None:
    streams: Streams[int] = Streams()
    kept = streams.add(stream())
    forgotten = weakref.ref(streams.add(stream()))
    gc.collect()
    assert forgotten() is None
    streams.push(1)
    assert await anext(kept) == 1


class TestWait:
    def full(self) -> Stream[int]:
        numbers: Stream[int] = Stream(None, 2, "wait")
        numbers.push(1)
        numbers.push(2)
        assert numbers.is_full
        return numbers

    async def test_put_waits_for_room(self) -> None:
        numbers = self.full()
        putting = asyncio.ensure_future(numbers.put(3))
        await asyncio.sleep(0)
        assert not putting.done()
        assert await anext(numbers) == 1
        await within(putting)
        assert numbers.is_full and numbers.dropped == 0
        numbers.close()
        assert [number async for number in numbers] == [2, 3]

    async def test_put_does_not_wait_when_there_is_room(self) -> None:
        numbers: Stream[int] = Stream(None, 1, "wait")
        await numbers.put(1)
        assert await anext(numbers) == 1

    async def test_unbound(self) -> None:
        numbers = self.full()
        putting = asyncio.ensure_future(numbers.put(3))
        await asyncio.sleep(0)
        numbers.unbound()
        await within(putting)
        await within(numbers.put(4))
        numbers.close()
        assert [number async for number in numbers] == [1, 2, 3, 4]

    async def test_the_end_wakes_put(self) -> None:
        numbers = self.full()
        putting = asyncio.ensure_future(numbers.put(3))
        await asyncio.sleep(0)
        numbers.close()
        await within(putting)
        assert [number async for number in numbers] == [1, 2]

    def test_it_is_not_for_subscribers(self) -> None:
        with pytest.raises(ValueError, match="overflow must be '"):
            ZapSubscriber("ws://127.0.0.1/", overflow=cast(Any, "wait"))
