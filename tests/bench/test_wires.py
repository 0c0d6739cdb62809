"""What travels to each kind of server."""

from __future__ import annotations

import json

import pytest

from bench.wires import EVENTS, SOCKET_IO, payload_of
from zaptools import decode_event


def test_an_event_is_one_of_zaptools() -> None:
    text = EVENTS.event("echo", {"n": 1})
    assert decode_event(text).to_dict() == {"eventName": "echo", "payload": {"n": 1}, "headers": {}}
    assert EVENTS.payload(text) == {"n": 1}


@pytest.mark.parametrize("text", [b"[]", b"{}", b'{"eventName":"other"}', b"no JSON"])
def test_what_is_no_echo_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        EVENTS.payload(text)


def test_socket_io_opens_in_two_steps() -> None:
    assert SOCKET_IO.opening(None) == (None, False)
    assert SOCKET_IO.opening(b'0{"sid":"a"}') == (b"40", False)
    assert SOCKET_IO.opening(b'40{"sid":"b"}') == (None, True)
    with pytest.raises(ValueError, match=r"no opening of Socket.IO: b'44"):
        SOCKET_IO.opening(b"44{}")


def test_socket_io_has_its_own_events() -> None:
    assert SOCKET_IO.event("echo", {"n": 1}) == b'42["echo",{"n":1}]'
    assert SOCKET_IO.payload(b'42["echo",{"n":1}]') == {"n": 1}
    for text in (b'42["other",1]', b"2"):
        with pytest.raises(ValueError, match="no event 'echo'"):
            SOCKET_IO.payload(text)


def test_a_small_event_has_about_110_bytes() -> None:
    assert 100 < len(EVENTS.event("echo", payload_of(0))) < 125


@pytest.mark.parametrize("size", [1000, 1 << 16, 1 << 20])
def test_a_great_event_has_the_size_to_the_byte(size: int) -> None:
    payload = payload_of(size)
    assert len(EVENTS.event("echo", payload)) == size
    assert len(payload["rows"]) > size // 100
    assert json.loads(EVENTS.event("echo", payload))["payload"] == payload
