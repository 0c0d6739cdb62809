"""`Handshake` and `Headers`, and the checks of what an application puts into a handshake."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import MultiDict

from tests.support import until, within
from tests.support.app import App
from tests.support.raw import raw_client
from zaptools import Handshake, Headers, ZapClientState, ZapConsumer, ZapServer
from zaptools.connection.handshake import (
    NO_HANDSHAKE,
    are_lists_too_long,
    check_headers,
    check_origins,
    check_subprotocols,
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
    assert len(headers) == 3 and "Host" in headers and "nope" not in headers
    assert 1 not in headers
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


HEADERS: list[tuple[Any, type[Exception]]] = [
    ({"x": 1}, TypeError),
    ({1: "x"}, TypeError),
    ({"x": b"y"}, TypeError),
    ({"x": "a\r\nY: b"}, ValueError),
    ({"x": "a\0"}, ValueError),
    ({"x y": "1"}, ValueError),
    ({"": "1"}, ValueError),
    ({"x": "\ud800"}, ValueError),
    ({"x": "日本"}, ValueError),
    ({"x": "€"}, ValueError),
    ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}, ValueError),
    ({"sec-websocket-version": "8"}, ValueError),
    ({"Sec-WebSocket-Protocol": "chat"}, ValueError),
    ({"Sec-WebSocket-Extensions": "permessage-deflate"}, ValueError),
    ({"Connection": "close"}, ValueError),
    ({"UPGRADE": "h2c"}, ValueError),
    ({"Content-Length": "5"}, ValueError),
    ({"Transfer-Encoding": "chunked"}, ValueError),
]

SUBPROTOCOLS: list[tuple[Any, type[Exception]]] = [
    ("chat", TypeError),
    (b"chat", TypeError),
    ([1], TypeError),
    ([""], ValueError),
    (["a b"], ValueError),
    (["a\n"], ValueError),
    (["a", "a"], ValueError),
]


def test_what_is_good() -> None:
    assert check_headers(None) == {}
    assert check_headers({"X-a": "é\t 1", "B": ""}) == {"X-a": "é\t 1", "B": ""}
    ours = {"Host": "zap.example", "Origin": "https://zap.example", "Authorization": "Bearer x"}
    assert check_headers(ours) == ours
    assert check_subprotocols(None) == []
    assert check_subprotocols(("v1.chat", "v2")) == ["v1.chat", "v2"]
    assert check_origins(None) is None
    assert check_origins(("http://a", None)) == ["http://a", None]


def test_what_an_error_says() -> None:
    """The header's name, and the cure; never its value."""
    with pytest.raises(ValueError, match="Protocol is set by the opening handshake itself: pass"):
        check_headers({"Sec-WebSocket-Protocol": "chat"})
    with pytest.raises(
        ValueError, match="the header X-Name must be Latin-1, and character 6"
    ) as info:
        check_headers({"X-Name": "secret\u20ac"})
    assert "secret" not in str(info.value) and info.value.__suppress_context__


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Authorization": b"secret"}, "the value of the header 'Authorization' must be a str"),
        ({"Authorization": ["secret"]}, "must be a str, not list"),
        ({b"Cookie": "secret"}, "the name of a header must be a str, not bytes"),
        ("Authorization: secret", "headers must be a Mapping or None, not str: write {'Name'"),
        ([("Authorization", "secret")], "headers must be a Mapping or None, not list"),
    ],
)
def test_no_error_quotes_a_value(headers: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words) as info:
        check_headers(headers)
    assert "secret" not in str(info.value)


def test_what_are_no_subprotocols() -> None:
    with pytest.raises(TypeError, match="headers go into headers=") as info:
        check_subprotocols([("Authorization", "secret")])  # type: ignore[list-item] # on purpose
    assert "secret" not in str(info.value)
    with pytest.raises(TypeError, match="the client has the URL"):
        check_subprotocols("ws://127.0.0.1:8000/ws")


@pytest.mark.parametrize(("headers", "error"), HEADERS)
async def test_a_clients_headers(headers: Any, error: type[Exception]) -> None:
    await refused({"headers": headers}, error)


@pytest.mark.parametrize(("names", "error"), SUBPROTOCOLS)
async def test_a_clients_subprotocols(names: Any, error: type[Exception]) -> None:
    await refused({"protocols": names}, error)


async def refused(options: Any, error: type[Exception]) -> None:
    """`connect` raises at once, and the client is as it was."""
    async with App() as app:
        client = ZapConsumer(app.url())
        with pytest.raises(error):
            await within(client.connect(**options))
        assert client.current_connection_state is ZapClientState.OFFLINE
        await within(client.connect())
        await within(client.disconnect())
        assert len(app.seen) == 1


@pytest.mark.parametrize(("names", "error"), SUBPROTOCOLS)
def test_a_servers_subprotocols(names: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        ZapServer(subprotocols=names)


@pytest.mark.parametrize("origins", ["http://a", b"http://a", [1]])
def test_a_servers_origins(origins: Any) -> None:
    with pytest.raises(TypeError):
        ZapServer(origins=origins)


def test_a_header_there_twice() -> None:
    """Names have no case (RFC 9110, section 5.1), and a multidict may have several."""
    multi = MultiDict([("X-A", "1"), ("X-A", "2")])
    for headers in (multi, {"X-A": "1", "x-a": "2"}):
        with pytest.raises(ValueError, match=r"the header [Xx]-[Aa] is there twice: join"):
            check_headers(headers)
    assert check_headers(MultiDict(a="1", b="2")) == {"a": "1", "b": "2"}
