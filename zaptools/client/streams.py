"""Streams of what happens, with a bounded memory: what `ZapSubscriber` hands out."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, Literal, Self, TypeAlias, TypeVar
from weakref import WeakSet

from .._arguments import check_count
from ..exceptions import BufferOverflowError

__all__ = ["Overflow", "Stream", "Streams", "check_buffer"]

T = TypeVar("T")

Overflow: TypeAlias = Literal["raise", "drop-oldest", "drop-newest"]
"""What a stream does with an item that finds its buffer full."""

_POLICIES = ("raise", "drop-oldest", "drop-newest")


def check_buffer(size: object, overflow: object) -> None:
    """Raise TypeError or ValueError unless a stream can have these."""
    check_count(size, "buffer_size")
    if overflow not in _POLICIES:
        raise ValueError(f"overflow must be one of {', '.join(_POLICIES)}, not {overflow!r}")


class Stream(Generic[T]):
    """An async iterator over what happens from now on, until it is closed.

    Attributes:
        dropped: how many items were lost because the buffer was full.

    Args:
        names: the event names that belong to it; None for all.
        size: how many items it holds for its reader.
        overflow: ``"raise"`` ends the stream with `BufferOverflowError` once the reader has had
            all that was held; ``"drop-oldest"`` and ``"drop-newest"`` lose an item.
    """

    def __init__(self, names: frozenset[str] | None, size: int, overflow: Overflow) -> None:
        check_buffer(size, overflow)
        self.names = names
        self.dropped = 0
        self._items: deque[T] = deque()
        self._size = size
        self._overflow = overflow
        self._error: BufferOverflowError | None = None
        self._closed = False
        self._waiters: deque[asyncio.Future[None]] = deque()

    def push(self, item: T) -> None:
        """Add an item for the reader."""
        if self._closed:
            return
        if len(self._items) >= self._size:
            if self._overflow == "raise":
                self._error = BufferOverflowError(self._size)
                self.close()
                return
            self.dropped += 1
            if self._overflow == "drop-newest":
                return
            self._items.popleft()
        self._items.append(item)
        self._wake()

    def close(self) -> None:
        """End the stream: its reader gets what is held, and then the end."""
        self._closed = True
        while self._waiters:
            self._wake()

    async def aclose(self) -> None:
        """End the stream, and drop what is held."""
        self._items.clear()
        self._error = None
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._closed:
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                raise StopAsyncIteration
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # what woke this reader is for another now
                raise
        return self._items.popleft()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class Streams(Generic[T]):
    """The streams that somebody still holds; one that is let go of needs no closing."""

    def __init__(self) -> None:
        self._streams: WeakSet[Stream[T]] = WeakSet()

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, stream: Stream[T]) -> Stream[T]:
        """Add a stream, and return it."""
        self._streams.add(stream)
        return stream

    def push(self, item: T, name: str | None = None) -> None:
        """Give `item` to each stream that has `name` among its names, or takes all."""
        for stream in list(self._streams):
            if stream.names is None or name in stream.names:
                stream.push(item)

    def close(self) -> None:
        """End every stream."""
        for stream in list(self._streams):
            stream.close()
        self._streams.clear()
