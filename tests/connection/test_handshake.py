"""`Handshake` and `Headers`."""

from __future__ import annotations

import pytest

from tests.support import until
from tests.support.app import App
from tests.support.raw import raw_client
from zaptools import Handshake, Headers
from zaptools.connection.handshake import (
    NO_HANDSHAKE,
    are_lists_too_long,
    choose_subprotocol,
    header_block,
)


def test_headers() -> None:
    headers = Headers(
        [("Host", "x"), ("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1"), ("cookie", "b=2")]
    )
    assert headers["HOST"] == headers["host"] == "x"
    assert headers["x-A"] == "1, 2"
    assert headers["cookie"] == "a=1; b=2"
    assert dict(headers) == {"host": "x", "x-a": "1, 2", "cookie": "a=1; b=2"}
    assert len(headers) == 3 and "Host" in headers and "nope" not in headers and 1 not in headers
    assert headers.get("nope") is None
    assert repr(Headers([("A", "b")])) == "Headers({'a': 'b'})"
    with pytest.raises(KeyError):
        headers["nope"]


def test_the_block() -> None:
    block = header_block([(b"a", b"1: 2"), (b"B", b"\xfc"), (b"c", b"")])
    assert dict(Handshake(header_block=block).headers) == {"a": "1: 2", "b": "ü", "c": ""}


def test_query() -> None:
    request = Handshake(query_string="a=1&a=2&b=%C3%BC+x&c=&d")
    assert request.query == {"a": "2", "b": "ü x", "c": "", "d": ""}


def test_none() -> None:
    assert NO_HANDSHAKE == Handshake()
    assert not NO_HANDSHAKE.headers and not NO_HANDSHAKE.query and NO_HANDSHAKE.client is None
    with pytest.raises(AttributeError):
        NO_HANDSHAKE.path = "/"  # type: ignore[misc]  # that is the point


def test_subprotocols() -> None:
    assert choose_subprotocol(["b", "a"], ["a", "b"]) == "b"
    assert choose_subprotocol([], ["a"]) is None


async def test_of_a_server() -> None:
    async with App(path="/ws", subprotocols=["v1"]) as app:
        async with raw_client(app.port, "/ws?a=%20b", subprotocols=["v1"]) as peer:
            await until(lambda: app.seen)
            request = app.seen[0].handshake
            assert (request.path, request.query_string) == ("/ws", "a=%20b")
            assert request.query == {"a": " b"}
            assert request.client == peer.writer.get_extra_info("sockname")
            assert request.subprotocol == "v1"
            assert request.headers["upgrade"] == "websocket"


def test_lists_are_bounded_together() -> None:
    fields = [
        ("Connection", "a" * 4000),
        ("x", "a" * 100_000),
        ("sec-websocket-protocol", "a" * 4000),
    ]
    assert not are_lists_too_long(fields)
    assert are_lists_too_long([*fields, ("UPGRADE", "a" * 200)])
