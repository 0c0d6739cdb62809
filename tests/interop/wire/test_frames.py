from __future__ import annotations

import pytest

from interop.wire.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DEFLATE,
    PING,
    TEXT,
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


def faults_of(*frames: bytes, masked: bool = False, inflater: Inflater | None = None) -> list[str]:
    reader = FrameReader(masked=masked, inflater=inflater)
    for _ in reader.feed(b"".join(frames)):
        pass
    return reader.faults


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("mask", [None, KEY])
def test_what_is_written_is_read_however_it_is_cut(length: int, mask: bytes | None) -> None:
    payload = b"x" * length
    data = frame(BINARY, payload, mask=mask)
    reader = FrameReader(masked=mask is not None)
    got = [found for at in range(len(data)) for found in reader.feed(data[at : at + 1])]
    assert [(f.opcode, f.payload, f.mask) for f in got] == [(BINARY, payload, mask)]
    assert reader.faults == []
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
    reader = FrameReader(masked=False)
    data = frame(TEXT, b"Hel", fin=False) + frame(PING, b"!") + frame(CONTINUATION, b"lo")
    assert [(f.opcode, f.payload) for f in reader.feed(data)] == [(PING, b"!"), (TEXT, b"Hello")]
    assert reader.faults == []


@pytest.mark.parametrize(
    ("frames", "fault"),
    [
        ([frame(TEXT, b"x", mask=KEY)], "a masked frame of a server"),
        ([frame(3)], "the reserved opcode 3"),
        ([frame(TEXT, b"x", rsv=DEFLATE)], "reserved bits 100"),
        ([frame(TEXT, b"x", form=64)], "the length 1 in 64 bits"),
        ([frame(PING, b"x" * 126)], "a control frame longer than 125 bytes"),
        ([frame(PING, fin=False)], "or in fragments"),
        ([frame(CONTINUATION, b"x")], "a continuation of nothing"),
        ([frame(TEXT, fin=False), frame(TEXT)], "a new message within another one's fragments"),
        ([frame(TEXT, b"\xff")], "a text message that is not UTF-8"),
        ([frame(CLOSE, b"\x03")], "a close frame with half a code"),
        ([frame(CLOSE, close_payload(1005))], "a close frame with the code 1005"),
        ([frame(CLOSE, close_payload(1000, b"\xff"))], "a close reason that is not UTF-8"),
        ([frame(CLOSE), frame(PING)], "a frame after the close frame"),
    ],
)
def test_what_is_illegal_is_a_fault(frames: list[bytes], fault: str) -> None:
    (found,) = faults_of(*frames)
    assert fault in found


def test_a_client_has_to_mask() -> None:
    assert faults_of(frame(TEXT), masked=True) == ["an unmasked frame of a client"]
    assert faults_of(frame(TEXT, mask=new_mask()), masked=True) == []


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_legal_codes(code: int) -> None:
    assert legal_code(code)
    assert faults_of(frame(CLOSE, close_payload(code, "é"))) == []


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
def test_illegal_codes(code: int) -> None:
    assert not legal_code(code)


def test_a_close_frame_has_a_code_or_none() -> None:
    reader = FrameReader(masked=False)
    assert [f.code for f in reader.feed(frame(CLOSE, close_payload(4000)))] == [4000]
    assert [f.code for f in FrameReader(masked=False).feed(frame(CLOSE))] == [None]


def test_compressed_messages_are_inflated() -> None:
    reader = FrameReader(masked=False, inflater=Inflater())
    data = frame(TEXT, deflated(b"Hello"), rsv=DEFLATE) + frame(TEXT, b"plain")
    assert [f.payload for f in reader.feed(data)] == [b"Hello", b"plain"]
    assert (reader.faults, reader.compressed) == ([], 1)


def test_a_window_larger_than_agreed_is_a_fault() -> None:
    block = b"".join(number.to_bytes(2, "big") for number in range(2000))
    big = frame(BINARY, deflated(block * 2), rsv=DEFLATE)
    (found,) = faults_of(big, inflater=Inflater(9))
    assert "cannot be inflated" in found


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
