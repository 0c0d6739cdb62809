from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from interop.check.endpoint import EndpointError, parse_endpoint
from tests.support import tls

from .. import servers


def test_path_and_query_are_kept_and_the_query_is_not_shown() -> None:
    found = parse_endpoint("ws://example.org/a/b%20c?token=abcdef&x=1")
    assert found.target == "/a/b%20c?token=abcdef&x=1"
    assert found.shown == "ws://example.org/a/b%20c"
    assert (found.host, found.port, found.authority) == ("example.org", 80, "example.org")
    assert found.context is None


@pytest.mark.parametrize(
    ("url", "authority", "port", "target"),
    [
        ("ws://h", "h", 80, "/"),
        ("ws://h:80/", "h", 80, "/"),
        ("ws://h:443/", "h:443", 443, "/"),
        ("wss://h", "h", 443, "/"),
        ("wss://H:8443?a", "h:8443", 8443, "/?a"),
        ("WS://[::1]:9/x", "[::1]:9", 9, "/x"),
    ],
)
def test_what_the_host_header_says(url: str, authority: str, port: int, target: str) -> None:
    found = parse_endpoint(url)
    assert (found.authority, found.port, found.target) == (authority, port, target)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "'' is not a WebSocket URL: it must begin with ws:// or wss://"),
        (
            "localhost:8000/ws",
            "must begin with ws:// or wss://; did you mean ws://localhost:8000/ws?",
        ),
        ("h/ws?token=x", "; did you mean ws://h/ws?$"),
        ("ws:h:80/ws", "has no host; did you mean ws://h:80/ws?"),
        ("ws:///h/ws", "did you mean ws://h/ws?"),
        ("http://h/ws", "did you mean ws://?"),
        ("https://h/ws", "did you mean wss://?"),
        ("ws://", "'ws://' has no host"),
        ("ws:///ws", "has no host"),
        ("ws://h:0/", "has no port"),
        ("ws://h:99999/", "is not a URL: Port out of range"),
        ("ws://h:x/", "is not a URL: Port could not be cast"),
        ("ws://[::1/", "is not a URL: Invalid IPv6 URL"),
        ("ws://h/#here", r"takes no fragment \(#…\)"),
        ("ws://h/ü", "must be percent-encoded"),
        ("ws://h/a b", "must be percent-encoded"),
        ("ws://h/\n", "must be percent-encoded"),
    ],
)
def test_a_url_of_no_use_is_named(url: str, words: str) -> None:
    with pytest.raises(EndpointError, match=words.replace("?", r"\?")):
        parse_endpoint(url)


@pytest.mark.parametrize(
    "url",
    [
        "ws://me:geheim@h/?geheim",
        "ws://me:geheim@h:x/",
        "http://me:geheim@h",
        "me:geheim@h",
        "ws:/me:geheim@h",
        "//me:geheim@h",
        "ws://me:geheim/geheim@h/",
        "ws://me:geheim?geheim@h/",
        "ws://me:geheim#geheim@h/",
        "ws://me:geheim@geheim@h/",
        "ws://[me:geheim@h/",
        "ws://me:geheim geheim@h/",
        "ws://me:geheim\ngeheim@h/",
        "ws://h/#access_token=geheim",
    ],
)
def test_an_error_shows_no_password(url: str) -> None:
    with pytest.raises(EndpointError) as caught:
        parse_endpoint(url)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("geheim", "--header number 2 is not of the form 'Name: value'"),
        ("a b: geheim", "--header number 2 is not of the form"),
        (": geheim", "--header number 2 is not of the form"),
        ("Host: geheim", "--header 'Host' is set by the handshake itself"),
        (
            "sec-websocket-key: geheim",
            "--header 'sec-websocket-key' is set by the handshake itself$",
        ),
        ("Sec-WebSocket-Protocol: geheim", "itself; see --subprotocol"),
        ("X: geheim\r\nY: 1", "--header 'X': its value is not printable Latin-1"),
        ("X: geheim\u20ac", "--header 'X': its value is not printable Latin-1"),
    ],
)
def test_a_header_of_no_use_is_named_and_its_value_not_shown(header: str, words: str) -> None:
    with pytest.raises(EndpointError, match=words) as caught:
        parse_endpoint("ws://h", headers=["A: b", header])
    assert "geheim" not in str(caught.value)


def test_a_subprotocol_is_a_name() -> None:
    assert parse_endpoint("ws://h", subprotocols=["a", "b.1"]).subprotocols == ("a", "b.1")
    with pytest.raises(EndpointError, match="--subprotocol 'a, b' is not a valid"):
        parse_endpoint("ws://h", subprotocols=["a, b"])


def test_options_of_tls_are_for_tls(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="--ca is for wss://, and this is ws://"):
        parse_endpoint("ws://h", ca=tmp_path)
    with pytest.raises(EndpointError, match="--insecure is for wss://"):
        parse_endpoint("ws://h", insecure=True)
    with pytest.raises(EndpointError, match=r"--ca .*missing: No such file"):
        parse_endpoint("wss://h", ca=tmp_path / "missing")
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(EndpointError, match=r"--ca .*empty\.pem: contains no PEM certificate"):
        parse_endpoint("wss://h", ca=empty)


def test_secrets_are_taken_out_wherever_they_are() -> None:
    found = parse_endpoint(
        "ws://h/?key=qwertz&a=1",
        headers=["Authorization: Bearer geheim", 'X: say "so"', "Y: 1"],
    )
    data = {
        "geheim": ["Bearer geheim", "(geheim)", 5, None, {"x": "key=qwertz&a=1"}],
        "q": 'say "so" and say \\"so\\": qwertz 1',
    }
    assert found.redacted(data) == {
        "<redacted>": ["<redacted>", "(<redacted>)", 5, None, {"x": "<redacted>"}],
        "q": "<redacted> and <redacted>: <redacted> 1",
    }


async def test_it_connects_with_and_without_tls() -> None:
    for secure in (False, True):
        async with servers.app(secure=secure) as url:
            found = parse_endpoint(url, ca=tls.PEM if secure else None)
            _, writer = await found.connect(5)
            assert (writer.get_extra_info("ssl_object") is not None) is secure
            writer.close()


async def test_any_certificate_is_taken_where_that_is_said() -> None:
    async with servers.app(secure=True) as url:
        _, writer = await parse_endpoint(url, insecure=True).connect(5)
        writer.close()
        with pytest.raises(EndpointError, match=r"certificate is not trusted: self-signed .*--ca"):
            await parse_endpoint(url).connect(5)


async def test_a_port_without_a_listener() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        with pytest.raises(EndpointError, match=f"port {port}: Connection refused$"):
            await parse_endpoint(f"ws://127.0.0.1:{port}/").connect(5)
    with pytest.raises(EndpointError, match=r"no such host 'nowhere\.invalid'"):
        await parse_endpoint("ws://nowhere.invalid/").connect(5)
    for host in ("a..b", "a" * 64):
        with pytest.raises(EndpointError, match=f"'{host}' is not a host name"):
            await parse_endpoint(f"ws://{host}/").connect(5)


async def test_tls_where_there_is_none() -> None:
    async with servers.app() as url:
        with pytest.raises(EndpointError, match=r"no TLS there: .*should it be ws://\?"):
            await parse_endpoint(url.replace("ws:", "wss:")).connect(5)


@pytest.mark.parametrize("cut", [False, True])
async def test_a_connection_that_ends_in_the_handshake_of_tls(cut: bool) -> None:
    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if cut:
            writer.transport.abort()  # with the hello unread: a reset
        else:
            await reader.read(65536)

    async with servers.served(end) as url:
        words = r"no TLS there: it ended the connection in the handshake \(should it be ws://\?\)"
        with pytest.raises(EndpointError, match=words):
            await parse_endpoint(url.replace("ws:", "wss:")).connect(5)


async def test_an_error_without_words_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*args: object, **more: object) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(asyncio, "open_connection", fails)
    with pytest.raises(EndpointError, match="no connection to h port 80: ConnectionResetError"):
        await parse_endpoint("ws://h/").connect(1)


async def test_a_server_that_answers_no_hello_is_given_up() -> None:
    async with servers.scripted() as url:
        with pytest.raises(EndpointError, match=r"no TLS connection within 0\.05 s"):
            await parse_endpoint(url.replace("ws:", "wss:")).connect(0.05)


async def test_several_addresses_that_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*args: object, **more: object) -> None:
        raise OSError("Multiple exceptions: a, b")

    monkeypatch.setattr(asyncio, "open_connection", refused)
    with pytest.raises(EndpointError, match="port 80: Multiple exceptions: a, b"):
        await parse_endpoint("ws://h/").connect(1)


ENVIRON = {"TOKEN": "a/b+c=geheim", "EMPTY": ""}


def test_values_come_from_the_environment_and_no_command_shows_them() -> None:
    found = parse_endpoint(
        "ws://h/${TOKEN}/ws?token=${TOKEN}&x=1",
        headers=["Authorization: Bearer ${TOKEN}", "X: 1 ${TOKEN}", "Y: geheim-too"],
        environ=ENVIRON,
    )
    assert found.target == "/a%2Fb%2Bc%3Dgeheim/ws?token=a%2Fb%2Bc%3Dgeheim&x=1"
    assert found.headers[:2] == (("Authorization", "Bearer a/b+c=geheim"), ("X", "1 a/b+c=geheim"))
    assert found.shown == "ws://h/${TOKEN}/ws"
    assert found.words == [
        "ws://h/${TOKEN}/ws?token=${TOKEN}&…",
        *("--header", "Authorization: Bearer ${TOKEN}", "--header", "X: …", "--header", "Y: …"),
    ]
    assert found.redacted("a%2Fb%2Bc%3Dgeheim a/b+c=geheim") == "<redacted> <redacted>"


def test_a_query_of_no_variable_is_shown_as_there() -> None:
    assert parse_endpoint("ws://h/?a=b&c").words == ["ws://h/?…"]
    assert parse_endpoint("ws://h").words == ["ws://h/"]


@pytest.mark.parametrize(
    ("url", "header", "words"),
    [
        ("ws://h/${NOPE}", "A: b", "the URL's path: the environment variable NOPE is not set"),
        ("ws://h/?a=${EMPTY}", "A: b", "the URL's query: the environment variable EMPTY is empty"),
        ("ws://h", "A: b${NOPE}", "--header 'A': the environment variable NOPE is not set"),
        ("ws://${TOKEN}/", "A: b", "only path and query of the URL may name a variable"),
        ("ws://h", "A: ${LINES}", "--header 'A': its value is not printable Latin-1"),
    ],
)
def test_a_variable_of_no_use_is_named(url: str, header: str, words: str) -> None:
    with pytest.raises(EndpointError, match=words):
        parse_endpoint(url, headers=[header], environ={**ENVIRON, "LINES": "a\r\nB: c"})


def test_headers_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_text("Authorization: Bearer ${geheim}\n\nCookie: a=b; c=d\n")
    found = parse_endpoint("ws://h", headers=["X: y"], header_files=[path], environ={})
    assert found.headers == (
        ("X", "y"),
        ("Authorization", "Bearer ${geheim}"),
        ("Cookie", "a=b; c=d"),
    )
    assert found.words == ["ws://h/", "--header", "X: …", "--header-file", str(path)]
    assert found.redacted("Bearer ${geheim}") == "<redacted>"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"\xff", "not UTF-8"),
        (b"\n", "there is no header in it"),
        (b"A: b\ngeheim", ", line 2 is not of the form 'Name: value'"),
    ],
)
def test_a_file_of_no_use_is_named_and_not_quoted(
    content: bytes | None, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "headers"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EndpointError, match=f"--header-file {path}.*{words}") as caught:
        parse_endpoint("ws://h", header_files=[path])
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "text", "redacted"),
    [
        ("Cookie: session=abcdef; theme=dark", "abcdef, dark", "<redacted>, <redacted>"),
        ("Authorization: Basic bWU6Z2VoZWlt", "me:geheim geheim", "<redacted> <redacted>"),
        ("Authorization: Basic x", "me:geheim", "me:geheim"),
        ("X: 0123456789abcdef", "0123456789abc… 0123456789", "<redacted>… 0123456789"),
        ("X: <redacted>0123456789", "<redacted>01", "<redacted>"),
    ],
)
def test_what_a_header_is_made_of_is_secret_also_cut_off(
    header: str, text: str, redacted: str
) -> None:
    assert parse_endpoint("ws://h", headers=[header]).redacted(text) == redacted
