from __future__ import annotations

import asyncio
import socket

from interop.wire.passage import Passage, reset_on_close


class Receiver:
    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.passage = Passage(self.take, lambda: self.take(b"END"))
        self._news = asyncio.Event()

    def take(self, data: bytes) -> None:
        self.got.append(data)
        self._news.set()

    async def all(self, count: int) -> list[bytes]:
        while len(self.got) < count:
            self._news.clear()
            await self._news.wait()
        return self.got


async def test_bytes_pass_at_once() -> None:
    to = Receiver()
    to.passage.feed(b"one")
    to.passage.finish()
    assert to.got == [b"one", b"END"]


async def test_what_stalls_goes_on_in_order_with_the_end_behind_it() -> None:
    to = Receiver()
    to.passage.set("stalled")
    to.passage.feed(b"one")
    to.passage.feed(b"two")
    to.passage.finish()
    await asyncio.sleep(0)
    assert to.got == []
    to.passage.set("at-once")
    to.passage.feed(b"late")
    assert await to.all(4) == [b"one", b"two", b"END", b"late"]


async def test_bytes_one_by_one() -> None:
    to = Receiver()
    to.passage.set("byte-by-byte")
    to.passage.feed(b"abc")
    to.passage.finish()
    assert await to.all(4) == [b"a", b"b", b"c", b"END"]


async def test_bytes_are_delayed_each_by_the_same_time() -> None:
    to = Receiver()
    to.passage.delay = 0.005
    to.passage.set("delayed")
    to.passage.feed(b"one")
    to.passage.feed(b"two")
    assert to.got == []
    assert await to.all(2) == [b"one", b"two"]


async def test_bytes_are_doubled_once() -> None:
    to = Receiver()
    to.passage.double = 2
    to.passage.feed(b"abc")
    to.passage.feed(b"abc")
    assert to.got == [b"ababc", b"abc"]


async def test_bytes_are_dropped_after_those_that_are_kept() -> None:
    to = Receiver()
    to.passage.keep(4)
    for _ in range(3):
        to.passage.feed(b"abc")
    assert b"".join(to.got) == b"abca"
    assert to.passage.taken.is_set()


async def test_a_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        other, _ = listener.accept()
        with other:
            other.setblocking(True)
            reset_on_close(writer.get_extra_info("socket"))
            writer.transport.abort()
            await asyncio.sleep(0)
            try:
                assert other.recv(1) == b"never", "the end was no reset"
            except ConnectionResetError:
                pass
        assert reader.at_eof()


async def test_a_transport_with_no_socket_is_left_alone() -> None:
    reset_on_close(asyncio.BaseTransport().get_extra_info("socket"))
