"""What is written, in which pieces and in which order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.protocol import SEND_EOF
from websockets.server import ServerProtocol

from tests.support import MS, within
from zaptools import Limits
from zaptools._outbox import Outbox
from zaptools.exceptions import SendTimeoutError


class FakeTcp(asyncio.Transport):
    """Records each write."""

    def __init__(self, eof: bool = True) -> None:
        super().__init__()
        self.writes: list[bytes | str] = []
        self.closing = False
        self._eof = eof

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def write(self, data: Any) -> None:
        self.writes.append(data)

    def can_write_eof(self) -> bool:
        return self._eof

    def write_eof(self) -> None:
        self.writes.append("eof")

    def close(self) -> None:
        self.writes.append("close")
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing


def outbox(tcp: FakeTcp, **limits: Any) -> Outbox:
    made = Outbox(tcp, ServerProtocol(), Limits(**limits))
    made._plain = True
    return made


async def test_one_write_a_turn() -> None:
    tcp = FakeTcp()
    box = outbox(tcp)
    for text in (b"a", b"b", b"c"):
        assert box.send(text) is None
    assert tcp.writes == []
    await asyncio.sleep(0)
    assert tcp.writes == [b"\x81\x01a\x81\x01b\x81\x01c"]
    box.send(b"d")
    await asyncio.sleep(0)
    assert tcp.writes[1:] == [b"\x81\x01d"]
    assert tcp.high == Limits().write_bytes


async def test_much_is_written_at_once() -> None:
    tcp = FakeTcp()
    box = outbox(tcp, write_bytes=10)
    assert box.send(b"x" * 10) is None
    turn = box.send(b"x")
    assert len(tcp.writes) == 1
    assert turn is not None  # others have a turn
    await turn


async def test_the_protocol_writes_behind_what_was_sent() -> None:
    tcp = FakeTcp()
    box = outbox(tcp)
    box.send(b"a")
    box.write([])
    assert tcp.writes == []
    box.write([b"pong", b"close", SEND_EOF])
    assert tcp.writes == [b"\x81\x01a", b"pong", b"close", "eof"]


async def test_tls_has_no_half_closed_connection() -> None:
    tcp = FakeTcp(eof=False)
    box = outbox(tcp)
    box.write([b"close", SEND_EOF, b"never"])
    box.send(b"never")
    box.flush()
    assert tcp.writes == [b"close", "close"]


async def test_drop() -> None:
    tcp = FakeTcp()
    box = outbox(tcp)
    box.send(b"a")
    box.drop()
    await asyncio.sleep(0)
    assert tcp.writes == []


async def test_waiting() -> None:
    tcp = FakeTcp()
    box = outbox(tcp)
    box.pause()
    waiting = [box.send(text) for text in (b"a", b"b")]
    tasks = [asyncio.ensure_future(each) for each in waiting if each is not None]
    assert len(tasks) == 2
    await asyncio.sleep(0)
    box.resume()
    box.resume()
    await within(asyncio.gather(*tasks))
    box.flush()
    assert b"".join(tcp.writes) == b"\x81\x01a\x81\x01b"  # type: ignore[arg-type]  # all bytes


@pytest.mark.parametrize("patience", [0, 5 * MS])
async def test_giving_up(patience: float) -> None:
    box = outbox(FakeTcp(), send_timeout=patience)
    box.pause()
    waiting = box.send(b"a")
    assert waiting is not None
    with pytest.raises(SendTimeoutError):
        await within(waiting)
    box.resume()
    assert box.send(b"b") is None
