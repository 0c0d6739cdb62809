"""A server's answer to the opening request, byte by byte and at once."""

from __future__ import annotations

import tracemalloc

import pytest

from zaptools.client.answer import Answer

ONE_BY_ONE = pytest.mark.parametrize("step", [1, 1 << 20])


def fed(text: bytes, step: int) -> Answer:
    answer = Answer(1 << 16)
    for start in range(0, len(text), step):
        answer.feed(text[start : start + step])
    return answer


@ONE_BY_ONE
@pytest.mark.parametrize(
    ("text", "status", "reason", "body", "complete"),
    [
        (b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno", 401, "No", b"no", True),
        (b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nn", 401, "No", b"n", False),
        (b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno more", 401, "No", b"no", True),
        (b"HTTP/1.0 403 \r\ncontent-length:0\r\n\r\n", 403, "", b"", True),
        (b"HTTP/1.1 404\r\n\r\nto the end", 404, "", b"to the end", False),
        (b"HTTP/1.1 404 Not Found\nX: y\n\nbare", 404, "Not Found", b"bare", False),
        (b"HTTP/1.1 204 None\r\n\r\n", 204, "None", b"", True),
        (b"HTTP/1.1 401 No\r\nContent-Length: many\r\n\r\nno", 401, "No", b"no", False),
        (b"HTTP/1.1 401 No\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nno", 401, "No",
         b"no", False),
        (b"HTTP/1.1 999 Odd\r\n\r\n", 999, "Odd", b"", False),
        (b"HTTP/1.1 401 No\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 401, "No", b"", False),
        (b"HTTP/1.1 401 No\r\n\r\n" + b"x" * 9000, 401, "No", b"x" * 1024, True),
        (b"HTTP/1.1 401 No\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2000, 401, "No",
         b"x" * 1024, True),
    ],
)  # fmt: skip
def test_refusals(
    text: bytes, status: int, reason: str, body: bytes, complete: bool, step: int
) -> None:
    answer = fed(text, step)
    assert (answer.status, answer.reason) == (status, reason)
    assert (answer.body, answer.is_complete) == (body, complete)


@ONE_BY_ONE
@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"gzip, CHUNKED"])
@pytest.mark.parametrize(
    ("raw", "body", "complete"),
    [
        (b"2\r\nno\r\n0\r\n\r\n", b"no", True),
        (b"2;x=y\r\nno\r\n3\r\n, n", b"no, n", False),
        (b"", b"", False),
        (b"2\r\nno\r\n", b"no", False),
        (b"no chunk\r\n", b"", True),
        (b"FFFFFFFF\r\n" + b"x" * 2000, b"x" * 1024, True),
        (b"1\r\nx\r\n" * 2000, b"x" * 1024, True),
        (b"1;" + b"y" * 100 + b"\r\nx\r\n", b"x", False),
    ],
)
def test_chunks(coding: bytes, raw: bytes, body: bytes, complete: bool, step: int) -> None:
    answer = fed(b"HTTP/1.1 403 No\r\nTransfer-Encoding: " + coding + b"\r\n\r\n" + raw, step)
    assert (answer.status, answer.body, answer.is_complete) == (403, body, complete)


def test_a_body_that_is_mostly_chunk_extensions() -> None:
    """The memory for it is bounded, whatever the chunks are like."""
    answer = fed(b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n", 1 << 20)
    while not answer.is_complete:
        answer.feed(b"1;" + b"y" * 1000 + b"\r\nx\r\n")
    tracemalloc.start()
    try:
        for _ in range(4):
            answer.feed(b"z" * (1 << 20))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.body == b"x" * 8 and kept < 16 * 1024


def test_headers() -> None:
    answer = fed(
        b"HTTP/1.1 401 No\r\nX-Why:  \xe9 : a \r\nno field\r\nSet: 1\r\nset: 2\r\n\r\n", 99
    )
    assert answer.headers == {"x-why": "é : a", "set": "2"}


def test_headers_that_are_utf_8() -> None:
    """Only LF ends a line: of the lines of a str, U+0085 is one end, and a byte of an Å."""
    answer = fed("HTTP/1.1 302 Å\r\nLocation: /Å\r\nX: a\x85y: b\x1cz: c\r\n\r\n".encode(), 1)
    assert answer.headers["location"].encode("latin-1").decode() == "/Å"
    assert answer.headers.keys() == {"location", "x"}


@ONE_BY_ONE
@pytest.mark.parametrize("status", [b"100 Continue", b"103 Early Hints", b"199 What"])
def test_interim_answers(status: bytes, step: int) -> None:
    """RFC 9110, section 15.2: a client skips them, however many there are."""
    before = b"HTTP/1.1 " + status + b"\r\nLink: </x>\r\n\r\n"
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    answer = Answer(1 << 16)
    for start in range(0, len(before * 3 + head), step):
        assert answer.status is None
        answer.feed((before * 3 + head)[start : start + step])
    assert (answer.status, answer.head, answer.rest) == (101, head, b"")
    assert fed(before + b"HTTP/1.1 403 No\r\n\r\n", step).status == 403


def test_bytes_after_a_101() -> None:
    answer = fed(b"HTTP/1.1 101 S\r\n\r\n\x81\x00" + b"\x00" * 20_000, 1 << 20)
    assert answer.rest == b"\x81\x00" + b"\x00" * 20_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "no HTTP/1.1: SSH-2.0-OpenSSH"),
        (b"x" * 20_000, "no HTTP/1.1: xxx"),
        (b"HTTP/2 200\r\n", "no HTTP/1.1: HTTP/2 200"),
        (b"HTTP/1.1 2000 OK\r\n", "no HTTP/1.1: HTTP/1.1 2000 OK"),
        (b"HTTP/1.1 OK\r\n", "no HTTP/1.1: HTTP/1.1 OK"),
        (b"HTTP/1.1 \x1b[31m\r\n", r"no HTTP/1.1: HTTP/1.1 \x1b[31m"),
        (b"HTTP/1.1 401 No\r\nX: " + b"y" * 70_000, "longer than 65536 bytes"),
        (b"HTTP/1.1 401 No\r\n" + b"X: y\r\n" * 20_000, "longer than 65536 bytes"),
        (b"HTTP/1.1 100 Go on\r\n\r\n" * 5_000, "longer than 65536 bytes"),
        (b"HTTP/1.1 101 S\r\n" + (b"Upgrade: " + b"a," * 900 + b"\r\n") * 5 + b"\r\n", "too long"),
    ],
)
def test_bytes_that_are_no_answer(text: bytes, words: str) -> None:
    for step in (1, 7, 1 << 20):
        with pytest.raises(ValueError) as info:
            fed(text, step)
        assert words in str(info.value) or step < 10  # it is said as soon as it is known
