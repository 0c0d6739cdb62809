"""Streams of events and of states, with a bounded buffer."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, Literal, Self, TypeAlias, TypeVar
from weakref import WeakSet

from .._arguments import check_choice, check_count
from ..exceptions import BufferOverflowError

__all__ = ["BUFFER_SIZE", "Overflow", "Stream", "Streams", "check_buffer"]

BUFFER_SIZE = 4096
"""The number of events that a stream holds by default."""

T = TypeVar("T")

Overflow: TypeAlias = Literal["raise", "drop-oldest", "drop-newest"]
"""What a subscriber's stream does with an item when its buffer is full."""

_POLICIES = ("raise", "drop-oldest", "drop-newest")


def check_buffer(size: object, overflow: object) -> None:
    """Raise TypeError or ValueError unless these are options of a subscriber's streams."""
    check_count(size, "buffer_size")
    check_choice(overflow, "overflow", _POLICIES)


class Stream(Generic[T]):
    """An async iterator over the events, or the states, from now on, until it is closed.

    Attributes:
        dropped: the number of items that were lost because the buffer was full.

    Args:
        names: the event names that belong to it; None for all.
        size: the number of items that it holds for its reader.
        overflow: ``"raise"`` ends the stream with `BufferOverflowError` once the reader has read
            the held items; ``"drop-oldest"`` and ``"drop-newest"`` lose an item; ``"wait"``
            makes `put` wait for room, and is not for `push`.
    """

    def __init__(
        self, names: frozenset[str] | None, size: int, overflow: Overflow | Literal["wait"]
    ) -> None:
        check_buffer(size, "raise" if overflow == "wait" else overflow)
        self.names = names
        self.dropped = 0
        self._items: deque[T] = deque()
        self._size: int | None = size  # None once `unbound` was called
        self._overflow = overflow
        # Raised once to the reader, after all items; set by the policy "raise".
        self._error: BufferOverflowError | None = None
        # No item is added any more; set by `close`.
        self._closed = False
        # The readers that wait for an item, longest first.
        self._waiters: deque[asyncio.Future[None]] = deque()
        # Done when a `put` that waits may look for room again.
        self._room: asyncio.Future[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether it holds as many items as it may."""
        return self._size is not None and len(self._items) >= self._size

    def push(self, item: T) -> None:
        """Add an item for the reader. No-op when the stream is closed."""
        if self._closed:
            return
        if self._size is not None and len(self._items) >= self._size:
            assert self._overflow != "wait"  # `put` waits for room
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

    async def put(self, item: T) -> None:
        """Add an item when there is room. One caller at a time."""
        while self.is_full and not self._closed:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        self.push(item)

    def unbound(self) -> None:
        """Let `put` wait no more: the number of items to come is bounded elsewhere."""
        self._size = None
        self._wake_put()

    def close(self) -> None:
        """End the stream: its reader gets the held items, and then the end."""
        self._closed = True
        self._wake_put()
        while self._waiters:
            self._wake()

    async def aclose(self) -> None:
        """End the stream, and drop the items that it holds."""
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
                    self._wake()  # the item that woke this reader is for another one now
                raise
        item = self._items.popleft()
        if self._room is not None:
            self._wake_put()
        return item

    def _wake_put(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class Streams(Generic[T]):
    """The streams that the application still holds: a stream without a reference ends unclosed."""

    def __init__(self) -> None:
        self._streams: WeakSet[Stream[T]] = WeakSet()

    def add(self, stream: Stream[T]) -> Stream[T]:
        """Add a stream, and return it."""
        self._streams.add(stream)
        return stream

    def push(self, item: T, name: str | None = None) -> None:
        """Give `item` to each stream that takes the event `name`."""
        for stream in list(self._streams):
            if stream.names is None or name in stream.names:
                stream.push(item)

    def close(self) -> None:
        """End every stream."""
        for stream in list(self._streams):
            stream.close()
        self._streams.clear()
