from __future__ import annotations

import zlib

import pytest

from interop.records import Role
from interop.wire.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DEFLATE,
    PING,
    PONG,
    TEXT,
    Deflater,
    FrameReader,
    Inflater,
    close_payload,
    deflate_parameters,
    deflated,
    frame,
    legal_code,
    new_mask,
)

KEY = b"\x01\x02\x03\x04"


def errors_of(
    *frames: bytes, author: Role = "server", inflater: Inflater | None = None
) -> list[str]:
    reader = FrameReader(author, inflater)
    for _ in reader.feed(b"".join(frames)):
        pass
    return reader.errors


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("mask", [None, KEY])
def test_what_is_written_is_read_however_it_is_cut(length: int, mask: bytes | None) -> None:
    payload = b"x" * length
    data = frame(BINARY, payload, mask=mask)
    reader = FrameReader("server" if mask is None else "client")
    got = [found for at in range(len(data)) for found in reader.feed(data[at : at + 1])]
    assert [(f.opcode, f.payload, f.mask) for f in got] == [(BINARY, payload, mask)]
    assert reader.errors == []
    assert reader.masks == ([] if mask is None else [mask])


@pytest.mark.parametrize("length", [999, 1000, 1001, 1002, 1003, 1004])
def test_every_byte_is_masked_with_its_own(length: int) -> None:
    payload = bytes(at * 7 % 256 for at in range(length))
    masked = bytes(byte ^ KEY[at % 4] for at, byte in enumerate(payload))
    assert frame(BINARY, payload, mask=KEY)[-length:] == masked


def test_the_bytes_of_a_frame() -> None:
    """The examples of RFC 6455, section 5.7."""
    assert frame(TEXT, b"Hello") == b"\x81\x05Hello"
    masked = frame(TEXT, b"Hello", mask=b"\x37\xfa\x21\x3d")
    assert masked == b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
    assert frame(TEXT, b"Hel", fin=False) == b"\x01\x03Hel"
    assert frame(PING, b"Hello") == b"\x89\x05Hello"
    assert frame(BINARY, b"x" * 256)[:4] == b"\x82\x7e\x01\x00"
    assert frame(BINARY, b"", announce=65_536) == b"\x82\x7f" + (65_536).to_bytes(8, "big")
    assert frame(TEXT, b"x", form=16, rsv=DEFLATE) == b"\xc1\x7e\x00\x01x"


def test_fragments_are_one_message_with_a_control_frame_between_them() -> None:
    reader = FrameReader("server")
    data = frame(TEXT, b"Hel", fin=False) + frame(PING, b"!") + frame(CONTINUATION, b"lo")
    assert [(f.opcode, f.payload) for f in reader.feed(data)] == [(PING, b"!"), (TEXT, b"Hello")]
    assert reader.errors == []


@pytest.mark.parametrize(
    ("frames", "error"),
    [
        ([frame(TEXT, b"x", mask=KEY)], "a masked frame of a server"),
        ([frame(3)], "the reserved opcode 3"),
        ([frame(TEXT, b"x", rsv=DEFLATE)], "reserved bits 100"),
        ([frame(TEXT, b"x", form=64)], "the length 1 in 64 bits"),
        ([b"\x82\x7f\x80" + bytes(7)], "a length whose highest bit is set"),
        ([frame(PING, b"x" * 126)], "a control frame longer than 125 bytes"),
        ([frame(PING, fin=False)], "or in fragments"),
        ([frame(CONTINUATION, b"x")], "a continuation of nothing"),
        ([frame(TEXT, fin=False), frame(TEXT)], "a new message within another one's fragments"),
        ([frame(TEXT, b"\xff")], "a text message that is not UTF-8"),
        ([frame(CLOSE, b"\x03")], "a close frame with half a code"),
        ([frame(CLOSE, close_payload(1005))], "a close frame with the code 1005"),
        ([frame(CLOSE, close_payload(1000, b"\xff"))], "a close reason that is not UTF-8"),
        ([frame(CLOSE), frame(TEXT)], "a data frame after a close frame"),
        ([frame(CLOSE), frame(PONG), frame(BINARY)], "a data frame after a close frame"),
        (
            [frame(TEXT, fin=False), frame(CLOSE), frame(CONTINUATION)],
            "a data frame after a close frame",
        ),
        ([frame(CLOSE), frame(CLOSE)], "a second close frame"),
    ],
)
def test_what_is_illegal_is_an_error(frames: list[bytes], error: str) -> None:
    (found,) = errors_of(*frames)
    assert error in found


def test_pings_are_answered_and_sent_behind_the_close_frame() -> None:
    """RFC 6455, sections 5.5.1 and 5.5.2: until the other side's close frame has come."""
    assert errors_of(frame(CLOSE), frame(PONG, b"1"), frame(PING), frame(PONG, b"2")) == []


def test_what_a_header_breaks_is_known_before_the_payload_comes() -> None:
    reader = FrameReader("client")
    assert list(reader.feed(frame(11, announce=100, mask=KEY)[:5])) == []
    assert reader.errors == []
    assert list(reader.feed(KEY[-1:])) == []
    assert reader.errors == ["the reserved opcode 11"]
    assert list(reader.feed(b"x" * 50)) == []
    assert reader.errors == ["the reserved opcode 11"]


def test_a_message_is_under_way_from_its_first_byte_to_its_last() -> None:
    reader = FrameReader("server")
    data = frame(TEXT, b"Hel", fin=False) + frame(CONTINUATION, b"lo")
    for at in range(len(data)):
        assert reader.inside_message is (at > 0)
        list(reader.feed(data[at : at + 1]))
    assert not reader.inside_message


def test_a_client_has_to_mask() -> None:
    assert errors_of(frame(TEXT), author="client") == ["an unmasked frame of a client"]
    assert errors_of(frame(TEXT, mask=new_mask()), author="client") == []


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_legal_codes(code: int) -> None:
    assert legal_code(code)
    assert errors_of(frame(CLOSE, close_payload(code, "é"))) == []


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
def test_illegal_codes(code: int) -> None:
    assert not legal_code(code)


def test_a_close_frame_has_a_code_or_none() -> None:
    reader = FrameReader("server")
    assert [f.code for f in reader.feed(frame(CLOSE, close_payload(4000)))] == [4000]
    assert [f.code for f in FrameReader("server").feed(frame(CLOSE))] == [None]


def test_compressed_messages_are_inflated() -> None:
    reader = FrameReader("server", Inflater())
    data = frame(TEXT, deflated(b"Hello"), rsv=DEFLATE) + frame(TEXT, b"plain")
    assert [f.payload for f in reader.feed(data)] == [b"Hello", b"plain"]
    assert (reader.errors, reader.compressed) == ([], 1)


def test_a_window_larger_than_agreed_is_an_error() -> None:
    block = b"".join(number.to_bytes(2, "big") for number in range(2000))
    big = frame(BINARY, deflated(block * 2), rsv=DEFLATE)
    (found,) = errors_of(big, inflater=Inflater(9))
    assert "cannot be inflated" in found


@pytest.mark.parametrize("bits", [9, 10, 14, 15])
def test_a_large_message_is_inflated_with_the_window_agreed_on(bits: int) -> None:
    payload = bytes(at * at % 251 for at in range(70_000)) + b"x" * 70_000
    inflater = Inflater(bits)
    for _ in range(2):
        assert inflater.message(deflated(payload, bits)) == payload


@pytest.mark.parametrize("bits", [9, 15])
def test_what_a_message_inflates_to_may_be_bounded(bits: int) -> None:
    payload = b"x" * 200_000
    data = deflated(payload, bits)
    assert Inflater(bits, longest=200_000).message(data) == payload
    bounded = Inflater.agreed("server", {"server_max_window_bits": str(bits)}, longest=199_999)
    with pytest.raises(ValueError, match="a compressed message of more than 199999 bytes"):
        bounded.message(data)


def test_what_was_agreed_on_is_each_sides_own() -> None:
    agreed = deflate_parameters(
        "permessage-deflate; server_max_window_bits=9; client_no_context_takeover"
    )
    block = b"".join(number.to_bytes(2, "big") for number in range(2000))
    with pytest.raises(ValueError, match="cannot be inflated"):
        Inflater.agreed("server", agreed).message(deflated(block * 2))
    client = Inflater.agreed("client", agreed)
    assert client.message(deflated(block * 2)) == block * 2
    refers_to_block = zlib.compressobj(wbits=-15, zdict=block)
    data = refers_to_block.compress(block) + refers_to_block.flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(ValueError, match="cannot be inflated"):
        client.message(data[:-4])


def test_without_takeover_each_message_stands_alone() -> None:
    inflater = Inflater(takeover=False)
    assert inflater.message(deflated(b"one")) == b"one"
    assert inflater.message(deflated(b"two")) == b"two"


def test_the_parameters_of_an_extension() -> None:
    found = deflate_parameters('permessage-deflate; a; server_max_window_bits="10"')
    assert found == {"a": None, "server_max_window_bits": "10"}
    with pytest.raises(ValueError, match="not permessage-deflate: 'x'"):
        deflate_parameters("x")
    with pytest.raises(ValueError, match="a is there twice"):
        deflate_parameters("permessage-deflate; a; a")


def test_a_compressed_message_may_have_any_blocks() -> None:
    block = b"a text, again a text" * 20
    deflater, inflater = Deflater(9), Inflater(9)
    forms = [
        deflater.message(block),
        deflater.alone(block, level=0),
        deflater.in_blocks(block, 7),
    ]
    assert len(set(forms)) == len(forms)
    assert [inflater.message(form) for form in forms] == [block] * len(forms)
    assert Inflater().message(deflater.final(block)) == block
    assert len(deflater.message(block)) < len(forms[0])
    alone = Deflater.agreed("client", {"client_no_context_takeover": None})
    assert alone.message(block) == alone.message(block) == deflated(block)
