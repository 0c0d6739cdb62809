from __future__ import annotations

import pytest

from interop.wire.http import KEY, accept_key, answer, parse_head, request


def test_the_example_of_the_rfc() -> None:
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_request_and_its_answer() -> None:
    asked = parse_head(request(host="h:1", path="/p?q"))
    assert (asked.line, asked.target, asked.one("host")) == ("GET /p?q HTTP/1.1", "/p?q", "h:1")
    assert asked.one("Sec-WebSocket-Version") == "13"
    answered = parse_head(answer(asked))
    assert answered.status == 101
    assert answered.one("sec-websocket-accept") == accept_key(KEY)


def test_headers_are_replaced_taken_away_and_added() -> None:
    head = parse_head(
        request(
            host="h", headers={"Upgrade": None, "Host": "other"}, extra=[("A", "b"), ("A", "c")]
        )
    )
    assert head.one("Upgrade") is None
    assert head.one("Host") == "other"
    assert head.all("a") == ["b", "c"]
    assert head.one("A") is None, "two lines are not one value"


def test_lists_are_split() -> None:
    head = parse_head(b"HTTP/1.1 200 OK\r\nConnection: keep-alive , Upgrade\r\n\r\n")
    assert head.all("connection") == ["keep-alive", "Upgrade"]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("HTTP/1.1 404 Not", 404),
        ("hello", 0),
        ("a b", 0),
        ("HTTP/1.1 \xb2\xb2\xb2 superscript", 0),
        ("HTTP/1.1 " + "9" * 5000, 0),
    ],
)
def test_a_status(line: str, status: int) -> None:
    head = parse_head(line.encode("latin-1") + b"\r\n\r\n")
    assert head.status == status


def test_a_line_without_a_target() -> None:
    assert parse_head(b"hello\r\n\r\n").target == ""
