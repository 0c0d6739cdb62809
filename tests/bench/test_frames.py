"""Frames are built as `websockets` builds them, and counted whatever way they are cut."""

from __future__ import annotations

import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from bench.frames import CLOSE, PING, TEXT, Counter, deflate, frame


def parse(data: bytes, *, mask: bool, **options: object) -> Frame:
    reader = StreamReader()
    reader.feed_data(data)
    parsing = Frame.parse(reader.read_exact, mask=mask, **options)  # type: ignore[arg-type]  # as given
    with pytest.raises(StopIteration) as stopped:
        next(parsing)
    found: Frame = stopped.value.value
    return found


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("size", [0, 1, 3, 125, 126, 65535, 65536])
def test_a_frame_is_read_by_websockets(size: int, mask: bool) -> None:
    data = bytes(n % 251 for n in range(size))
    assert parse(frame(TEXT, data, mask=mask), mask=mask) == Frame(Opcode.TEXT, data)


def test_a_compressed_frame_is_read_by_websockets_with_any_context() -> None:
    extension = PerMessageDeflate(False, False, 15, 15)
    for data in (b"x" * 200, b"y" * 200):
        sent = frame(TEXT, deflate(data), mask=True, compressed=True)
        assert parse(sent, mask=True, extensions=[extension]).data == data


def test_deflate_leaves_the_tail_out() -> None:
    inflater = zlib.decompressobj(wbits=-15)
    assert inflater.decompress(deflate(b"text") + b"\0\0\xff\xff") == b"text"


STREAM = (
    frame(TEXT, b"a" * 5, mask=False)
    + frame(PING, b"are you there", mask=False)
    + frame(TEXT, b"b" * 300, mask=False)
    + frame(TEXT, b"2", mask=False)
    + b"\x01\x02ab"  # a fragment, which is no message yet
    + b"\x80\x7e\x01\x00"
    + b"c" * 256
    + frame(TEXT, b"d" * 70000, mask=False)
    + frame(TEXT, b"", mask=False)
    + frame(CLOSE, b"", mask=False)
)
CONTROLS = [(PING, b"are you there"), (TEXT, b"2"), (CLOSE, b"")]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12).map(sorted))
def test_messages_are_counted_wherever_reads_end(cuts: list[int]) -> None:
    controls: list[tuple[int, bytes]] = []
    counter = Counter(lambda opcode, data: controls.append((opcode, data)))
    edges = [0, *cuts, len(STREAM)]
    parts = [STREAM[a:b] for a, b in itertools.pairwise(edges)]
    assert sum(counter.feed(part) for part in parts) == 5
    assert controls == CONTROLS


def test_messages_are_counted_byte_by_byte() -> None:
    controls: list[tuple[int, bytes]] = []
    counter = Counter(lambda opcode, data: controls.append((opcode, data)))
    counts = [counter.feed(STREAM[n : n + 1]) for n in range(len(STREAM))]
    assert sum(counts) == 5
    assert counts[6] == 1  # the last byte of the first
    assert controls == CONTROLS
