"""What is refused before an opening handshake, and who refuses it."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import MultiDict

from tests.support import within
from tests.support.app import App
from zaptools import ZapClientState, ZapConsumer, ZapServer
from zaptools.connection.offers import check_headers, check_origins, check_subprotocols

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
    with pytest.raises(ValueError, match="Protocol is the opening handshake's own: pass"):
        check_headers({"Sec-WebSocket-Protocol": "chat"})
    with pytest.raises(ValueError, match="the header X-Name has a character at 6") as info:
        check_headers({"X-Name": "secret\u20ac"})
    assert "secret" not in str(info.value) and info.value.__suppress_context__


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Authorization": b"secret"}, "the value of the header 'Authorization' must be a str"),
        ({"Authorization": ["secret"]}, "must be a str, not list"),
        ({b"Cookie": "secret"}, "a header's name must be a str, not bytes"),
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
    with pytest.raises(TypeError, match="the URL is the client's own"):
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
        with pytest.raises(ValueError, match="is there twice, and one would be lost"):
            check_headers(headers)
    assert check_headers(MultiDict(a="1", b="2")) == {"a": "1", "b": "2"}
