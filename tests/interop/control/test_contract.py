from __future__ import annotations

import pytest

from interop.control.contract import (
    ContractError,
    LineDecoder,
    Notification,
    Reply,
    Request,
    encode,
    parse_message,
    parse_ready,
    parse_request,
)


def line(message: Request | Reply | Notification) -> bytes:
    return encode(message).rstrip(b"\n")


def test_a_request_survives_the_line() -> None:
    request = Request(7, "send", {"event": "é\n", "payload": {"n": 2**70, "f": 1.0}})
    assert encode(request).count(b"\n") == 1
    assert parse_request(line(request)) == request


@pytest.mark.parametrize(
    "message",
    [
        Reply(1, ok={"port": 80}),
        Reply(2, error={"kind": "x", "message": "y"}),
        Reply(3, unsupported="no rooms"),
        Notification("event", {"name": "a", "payload": None, "headers": {}}),
    ],
)
def test_a_peers_messages_survive_the_line(message: Reply | Notification) -> None:
    assert parse_message(line(message)) == message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"op":"serve"}', "integer 'id'"),
        (b'{"id":true,"op":"serve"}', "integer 'id'"),
        (b'{"id":1}', "string 'op'"),
        (b'{"id":1,"op":5}', "string 'op'"),
    ],
)
def test_a_bad_request_is_named(text: bytes, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        parse_request(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"nonsense", "not JSON"),
        (b'{"on":"connected"} x', r"not JSON \(extra data at character 18\)"),
        (b'{"on":"connected"}\xc2\xa0', "not JSON"),
        (b'\x0c{"on":"connected"}', "not JSON"),
        (b"{}", "neither"),
        (b'{"on":"weather"}', "unknown notification 'weather'"),
        (b'{"id":1}', "exactly one"),
        (b'{"id":1,"ok":{},"unsupported":"x"}', "exactly one"),
        (b'{"id":1,"ok":[]}', "'ok' must be of type dict"),
        (b'{"id":1,"unsupported":true}', "'unsupported' must be of type str"),
    ],
)
def test_a_bad_message_of_a_peer_is_named_and_shown(text: bytes, says: str) -> None:
    with pytest.raises(ContractError, match=says) as caught:
        parse_message(text)
    assert repr(text[:120]) in str(caught.value)


def test_nan_is_not_sent() -> None:
    with pytest.raises(ContractError, match="not encodable"):
        encode(Request(1, "send", {"payload": float("nan")}))


def test_lines_are_split_wherever_the_bytes_are() -> None:
    data = b'{"a":1}\n\n{"b":2}\n{"c":'
    decoder = LineDecoder()
    lines = [found for byte in data for found in decoder.feed(bytes([byte]))]
    assert lines == [b'{"a":1}', b'{"b":2}']
    assert list(decoder.feed(b"3}\n")) == [b'{"c":3}']


def test_a_line_without_end_is_refused() -> None:
    decoder = LineDecoder(max_line=10)
    with pytest.raises(ContractError, match="longer than 10 bytes"):
        list(decoder.feed(b"x" * 11))


def test_ready() -> None:
    assert parse_ready("READY 127.0.0.1 4000\n") == ("127.0.0.1", 4000)


@pytest.mark.parametrize("text", ["", "READY", "READY host port", "ready h 1", "READY h 1 2"])
def test_anything_but_ready_is_shown(text: str) -> None:
    with pytest.raises(ContractError, match="READY HOST PORT"):
        parse_ready(text)
