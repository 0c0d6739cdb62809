"""The opening handshake of a server (RFC 6455, section 4.2). The judge asks over raw HTTP."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from interop.errors import Disconnected, Violation
from interop.roles.judged import JudgedServer, in_bytes
from interop.scenarios.scenario import scenario
from interop.wire.frames import PING, TEXT
from interop.wire.http import accept_key

# --- Paths --------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["?", "?a=1&b=%20", "?a=?/"], ids=["empty", "plain", "odd"])
@scenario(
    "handshake.query",
    "A query after the path makes no difference.",
    side="server",
    needs="nothing",
    rules=["H-1"],
)
async def test_query(judged: JudgedServer, query: str) -> None:
    await judged.serve()
    connection = await judged.open(path=judged.with_query(query))
    await judged.works(connection)


OTHER_PATHS = {"root": "/", "elsewhere": "/elsewhere", "below": "{path}/more", "longer": "{path}x"}


@pytest.mark.parametrize("path", OTHER_PATHS)
@scenario(
    "handshake.other-path", "A path that is not served is refused.", side="server", rules=["H-2"]
)
async def test_other_path(judged: JudgedServer, path: str) -> None:
    await judged.serve()
    head = await judged.refuses(path=OTHER_PATHS[path].format(path=judged.server.path))
    assert head.status >= 400, f"expected an error status, got {head.line!r}"
    await judged.works(await judged.open())


# --- The form of the request -----------------------------------------------------

LEGAL: dict[str, dict[str, str | None]] = {
    "upgrade-in-capitals": {"Upgrade": "WebSocket"},
    "connection-in-small-letters": {"Connection": "upgrade"},
    "connection-list": {"Connection": "keep-alive, Upgrade"},
    "names-in-small-letters": {
        **{name: None for name in ("Upgrade", "Connection", "Sec-WebSocket-Version")},
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-version": "13",
    },
    "extra-headers": {"X-Trace": "abc", "Cookie": "a=b; c=d"},
    "latin-1-header": {"X-Name": "é"},
    "long-header": {"X-Long": "x" * 4000},
    "credentials": {"Authorization": "Bearer abc.def"},
    "no-origin": {},
    "origin": {"Origin": "https://example.org"},
    "origin-null": {"Origin": "null"},
    "unknown-extension": {"Sec-WebSocket-Extensions": "x-nobody-knows; a=1"},
    "unknown-subprotocol": {"Sec-WebSocket-Protocol": "x-nobody-knows"},
}


@pytest.mark.parametrize("form", LEGAL)
@scenario(
    "handshake.accepts",
    "Every legal form of the request is accepted.",
    side="server",
    needs="nothing",
    control=["credentials", "origin", "origin-null", "unknown-subprotocol"],
    rules=["H-3"],
    rules_of={"unknown-*": ["H-4"]},
)
async def test_accepts(judged: JudgedServer, form: str) -> None:
    connection = await judged.open(headers=LEGAL[form])
    head = connection.head
    for name in ("Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"):
        chosen = set(head.all(name)) - set(judged.subprotocols)
        assert not chosen, f"expected no unknown {name} chosen, got {sorted(chosen)}"
    assert (head.one("Upgrade") or "").lower() == "websocket"
    assert "upgrade" in [word.lower() for word in head.all("Connection")]
    await judged.works(connection)


@scenario(
    "handshake.many-headers",
    "A request with 80 headers is accepted.",
    side="server",
    needs="nothing",
    rules=["H-15"],
)
async def test_many_headers(judged: JudgedServer) -> None:
    connection = await judged.open(extra=[(f"X-{n}", "x" * 20) for n in range(80)])
    await judged.works(connection)


@scenario(
    "handshake.byte-by-byte",
    "A request may come one byte at a time.",
    side="server",
    needs="nothing",
    rules=["H-5"],
)
async def test_byte_by_byte(judged: JudgedServer) -> None:
    connection = await judged.dial()
    await in_bytes(connection, judged.request())
    assert (await connection.read_head()).status == 101


NOT_A_KEY = {
    "missing": None,
    "empty": "",
    "no-base64": "!!!!!!!!!!!!!!!!!!!!!!==",
    "8-bytes": base64.b64encode(b"x" * 8).decode(),
    "17-bytes": base64.b64encode(b"x" * 17).decode(),
}


@pytest.mark.parametrize("key", NOT_A_KEY)
@scenario(
    "handshake.key",
    "A key that is not 16 bytes in base64 is refused.",
    side="server",
    needs="nothing",
    rules=["H-6"],
)
async def test_key(judged: JudgedServer, key: str) -> None:
    await judged.serve()
    head = await judged.refuses(headers={"Sec-WebSocket-Key": NOT_A_KEY[key]})
    assert 400 <= head.status < 500, f"expected a status from 400 to 499, got {head.line!r}"
    await judged.works(await judged.open())


@scenario(
    "handshake.accept-key",
    "Sec-WebSocket-Accept is the hash of the key.",
    side="server",
    needs="nothing",
    rules=["H-7"],
)
async def test_accept_key(judged: JudgedServer) -> None:
    for key in ("dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAA==", "/////////////////////w=="):
        connection = await judged.ask(headers={"Sec-WebSocket-Key": key})
        got = connection.head.one("Sec-WebSocket-Accept")
        assert got == accept_key(key), f"expected {accept_key(key)!r}, got {got!r}"


VERSIONS = {"missing": None, "0": "0", "8": "8", "12": "12", "14": "14", "text": "x"}


@pytest.mark.parametrize("version", VERSIONS)
@scenario(
    "handshake.version",
    "A version other than 13 is refused.",
    side="server",
    needs="nothing",
    rules=["H-8"],
)
async def test_version(judged: JudgedServer, version: str) -> None:
    await judged.serve()
    head = await judged.refuses(headers={"Sec-WebSocket-Version": VERSIONS[version]})
    assert 400 <= head.status < 500, f"expected a status from 400 to 499, got {head.line!r}"


@scenario(
    "handshake.version-told",
    "A server that refuses a version lists in Sec-WebSocket-Version those that it accepts.",
    side="server",
    needs="nothing",
    rules=["H-9"],
)
async def test_version_told(judged: JudgedServer) -> None:
    await judged.serve()
    head = await judged.refuses(headers={"Sec-WebSocket-Version": "12"})
    told = head.all("Sec-WebSocket-Version")
    assert "13" in told, f"expected 13 in Sec-WebSocket-Version, got {told}"


NO_UPGRADE: dict[str, dict[str, str | None]] = {
    "no-upgrade": {"Upgrade": None},
    "other-upgrade": {"Upgrade": "h2c"},
    "no-connection": {"Connection": None},
    "other-connection": {"Connection": "keep-alive"},
}


@pytest.mark.parametrize("form", NO_UPGRADE)
@scenario(
    "handshake.no-upgrade",
    "A request that asks for no upgrade to WebSocket gets none.",
    side="server",
    needs="nothing",
    rules=["H-10"],
)
async def test_no_upgrade(judged: JudgedServer, form: str) -> None:
    await judged.serve()
    await judged.refuses(headers=NO_UPGRADE[form])
    await judged.works(await judged.open())


@scenario(
    "handshake.http-1.0",
    "HTTP/1.0, which has no upgrade, is refused.",
    side="server",
    needs="nothing",
    rules=["H-11"],
)
async def test_http_10(judged: JudgedServer) -> None:
    await judged.serve()
    await judged.refuses(version="HTTP/1.0")


@scenario(
    "handshake.no-host",
    "A request without a Host header is refused.",
    side="server",
    needs="nothing",
    rules=["H-12"],
)
async def test_no_host(judged: JudgedServer) -> None:
    await judged.serve()
    await judged.refuses(headers={"Host": None})


METHODS = ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]


@pytest.mark.parametrize("method", METHODS)
@scenario(
    "handshake.method",
    "A handshake with a method other than GET is refused, and the server keeps working.",
    side="server",
    rules=["H-13"],
)
async def test_method(judged: JudgedServer, method: str) -> None:
    await judged.serve()
    await judged.refuses(method=method)
    await judged.works(await judged.open())


PLAIN = dict.fromkeys(("Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"), None)


@pytest.mark.parametrize("method", ["GET", *METHODS])
@scenario(
    "handshake.plain-http",
    "A plain HTTP request to the path gets an error, and the server keeps working.",
    side="server",
    rules=["H-10", "H-14"],
)
async def test_plain_http(judged: JudgedServer, method: str) -> None:
    await judged.serve()
    head = await judged.refuses(method=method, headers=dict(PLAIN))
    least = 200 if method == "OPTIONS" else 400  # a framework may answer OPTIONS for its routes
    assert head.status >= least, f"expected a status from {least} on, got {head.line!r}"
    await judged.works(await judged.open())


@scenario(
    "handshake.refusal-whole",
    "The body of the answer to a plain HTTP request is as long as its Content-Length says.",
    side="server",
    escapes=True,
    rules=["H-40"],
)
async def test_refusal_whole(judged: JudgedServer) -> None:
    connection = await judged.ask(headers=dict(PLAIN))
    length = connection.head.one("Content-Length")
    if length is None:
        return
    try:
        async with connection.patience.limit():
            await connection.streams[0].readexactly(int(length))
    except (TimeoutError, asyncio.IncompleteReadError):
        raise Violation(f"the server wrote less than the {length} bytes of its answer") from None


GARBAGE = {
    "no-http": b"hello?\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n",
    "frame": b"\x81\x85\x00\x00\x00\x00hello\r\n\r\n",
    "no-version": b"GET /ws\r\n\r\n",
    "header-without-colon": b"GET /ws HTTP/1.1\r\nHost\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
@scenario(
    "handshake.garbage",
    "Bytes that are not HTTP end only their own connection.",
    side="server",
    needs="nothing",
    rules=["H-14"],
)
async def test_garbage(judged: JudgedServer, name: str) -> None:
    connection = await judged.dial()
    connection.write(GARBAGE[name])
    try:
        head = await connection.read_head()
    except Disconnected:  # without an answer, which bytes that are not HTTP need not get
        pass
    else:
        assert head.status >= 400, f"expected an error status, got {head.line!r}"
    await judged.works(await judged.open())


@pytest.mark.parametrize("name", [name for name in GARBAGE if name != "no-version"])  # HTTP/0.9
@scenario(
    "handshake.garbage-told",
    "Bytes that are not HTTP are answered with 400 (RFC 9112, section 2.2).",
    severity="should",
    side="server",
    needs="nothing",
    rules=["H-38"],
)
async def test_garbage_told(judged: JudgedServer, name: str) -> None:
    head = (await judged.ask(GARBAGE[name])).head
    assert head.status == 400, f"expected 400, got {head.line!r}"


@scenario(
    "handshake.half-a-request",
    "A client that disconnects in the middle of its request does not affect others.",
    side="server",
    needs="nothing",
    rules=["H-14"],
)
async def test_half_a_request(judged: JudgedServer) -> None:
    for reset in (False, True):
        connection = await judged.dial()
        connection.write(judged.request()[:40])
        await connection.streams[1].drain()
        connection.abort(reset=reset)
    await judged.works(await judged.open())


@scenario(
    "handshake.half-open-beside",
    "Handshakes that are not finished hold up no others, and can be finished later.",
    side="server",
    rules=["H-44"],
)
async def test_half_open_beside(judged: JudgedServer) -> None:
    await judged.serve()
    head = judged.request()
    waiting = [await judged.dial() for _ in range(3)]
    for connection, length in zip(waiting, (0, 1, len(head) // 2), strict=True):
        connection.write(head[:length])
    await judged.works(await judged.open())
    connection.write(head[length:])
    answer = await connection.read_head()
    assert answer.status == 101, f"expected 101, got {answer.line!r}"
    connection.start()
    await judged.works(connection, "late")


# --- Origins and subprotocols that a server was given ----------------------------------


OTHER_ORIGINS = [
    "https://other.example",
    "https://mine.example.evil",
    "https://notmine.example",
    "https://sub.mine.example",
    "http://mine.example",
    "https://mine.example:8443",
    "null",
]


@scenario(
    "handshake.origin-refused",
    "A server with a list of origins refuses others, and requests without one.",
    side="server",
    rules=["H-16"],
)
async def test_origin_refused(judged: JudgedServer) -> None:
    await judged.serve(origins=["https://mine.example"])
    for origin in (*OTHER_ORIGINS, None):
        head = await judged.refuses(headers={"Origin": origin})
        assert 400 <= head.status < 500, f"expected a status from 400 to 499, got {head.line!r}"
    await judged.works(await judged.open(headers={"Origin": "https://mine.example"}))


SUBPROTOCOLS: dict[str, tuple[list[tuple[str, str]], list[str]]] = {
    "none-offered": ([], []),
    "none-in-common": ([("Sec-WebSocket-Protocol", "c, d")], []),
    "one": ([("Sec-WebSocket-Protocol", "b")], ["b"]),
    "several": ([("Sec-WebSocket-Protocol", "c, b , a")], ["a", "b"]),
    "in-two-lines": ([("Sec-WebSocket-Protocol", "c"), ("Sec-WebSocket-Protocol", "b")], ["b"]),
    "in-capitals": ([("Sec-WebSocket-Protocol", "A, B")], []),
}


@pytest.mark.parametrize("offer", SUBPROTOCOLS)
@scenario(
    "handshake.subprotocol",
    "A server with a list of subprotocols chooses one that is offered, or none.",
    side="server",
    rules=["H-17"],
)
async def test_subprotocol(judged: JudgedServer, offer: str) -> None:
    extra, common = SUBPROTOCOLS[offer]
    connection = await judged.open(extra=extra, more={"protocols": ["a", "b"]})
    chosen = [v for n, v in connection.head.headers if n.lower() == "sec-websocket-protocol"]
    fits = len(chosen) == bool(common) and set(chosen) <= set(common)
    assert fits, f"expected {'one' if common else 'none'} of {common} chosen, got {chosen}"
    await judged.works(connection)


@scenario(
    "handshake.subprotocol-preferred",
    "Of several subprotocols in common, a server chooses the one that is first in its own list.",
    severity="should",
    side="server",
    rules=["H-43"],
)
async def test_subprotocol_preferred(judged: JudgedServer) -> None:
    offer = [("Sec-WebSocket-Protocol", "c, b, a")]
    connection = await judged.open(extra=offer, more={"protocols": ["a", "b"]})
    chosen = connection.head.all("Sec-WebSocket-Protocol")
    assert chosen == ["a"], f"expected the subprotocol 'a' chosen, got {chosen}"


ORIGIN = {"Origin": "https://mine.example"}
AGAIN: dict[str, dict[str, Any]] = {
    "subprotocols": {"protocols": ["a"]},
    "origins": {"origins": [ORIGIN["Origin"]]},
    "limit": {"message_bytes": 2000},
    "pings": {"ping_interval_s": 0.5, "ping_timeout_s": 5},
}


@pytest.mark.parametrize("option", AGAIN)
@scenario(
    "handshake.options-again",
    "What a server was given holds for its later connections too.",
    side="server",
    escapes=True,
    rules=["H-18"],
)
async def test_options_again(judged: JudgedServer, option: str) -> None:
    offer = [("Sec-WebSocket-Protocol", "a")]
    first = await judged.open(headers=ORIGIN, extra=offer, more=AGAIN[option])
    await judged.works(first)
    await first.close()
    await judged.ended()
    second = await judged.open(headers=ORIGIN, extra=offer)
    match option:
        case "subprotocols":
            chosen = second.head.all("Sec-WebSocket-Protocol")
            assert chosen == ["a"], f"expected the subprotocol 'a' chosen, got {chosen}"
        case "origins":
            await judged.refuses(headers={"Origin": "https://other.example"})
        case "limit":
            second.write(second.frame(TEXT, judged.event("x" * 2000)))
            await second.failed(1009)
        case "pings":
            second.patience = second.patience.at_least(2 * AGAIN["pings"]["ping_interval_s"])
            await second.next(PING)


SPLIT = {
    "connection": [("Connection", "Upgrade"), ("Connection", "keep-alive")],
    "extensions": [("Sec-WebSocket-Extensions", f"x-unknown-{number}") for number in (1, 2)],
    "subprotocols": [("Sec-WebSocket-Protocol", f"unknown-{number}") for number in (1, 2)],
}


@pytest.mark.parametrize("header", SPLIT)
@scenario(
    "handshake.split-list",
    "A header that is a list may come in several lines (RFC 9110, section 5.3).",
    side="server",
    needs="nothing",
    rules=["H-3"],
)
async def test_split_list(judged: JudgedServer, header: str) -> None:
    usual = {"Connection": None} if header == "connection" else {}
    await judged.works(await judged.open(headers=usual, extra=SPLIT[header]))


LIST = ", ".join(f"unknown-{number:03}" for number in range(200))
"""2,598 bytes: three of these have less than 8 KiB together, four have more."""


@pytest.mark.parametrize("size", ["7.6-kib", "10.1-kib"])
@scenario(
    "handshake.long-lists",
    "Lists in the headers of a request are read up to 8 KiB together, and beyond refused.",
    side="server",
    should=["10.1-kib"],
    rules=["H-41"],
    rules_of={"10.1-kib": ["H-42"]},
)
async def test_long_lists(judged: JudgedServer, size: str) -> None:
    headers = {
        "Connection": f"Upgrade, {LIST}",
        "Sec-WebSocket-Extensions": LIST,
        "Sec-WebSocket-Protocol": LIST if size == "7.6-kib" else f"{LIST}, {LIST}",
    }
    await judged.serve()
    if size == "7.6-kib":
        await judged.works(await judged.open(headers=headers))
        return
    answer = await judged.refuses(headers=headers)
    assert 400 <= answer.status < 500, f"expected a status from 400 to 499, got {answer.line!r}"
    await judged.works(await judged.open())


@scenario(
    "handshake.endless-head",
    "A request whose head does not end is refused, and the server keeps working.",
    side="server",
    needs="load",
    rules=["H-15"],
)
async def test_endless_head(judged: JudgedServer) -> None:
    await judged.serve()
    head = judged.request(extra=[("X-Long", "x" * 1000)] * 4000).removesuffix(b"\r\n")
    try:
        answer = await judged.refuses(head)
    except Disconnected:
        pass
    else:
        assert 400 <= answer.status < 500, f"expected a status from 400 to 499, got {answer.line!r}"
    await judged.works(await judged.open())
