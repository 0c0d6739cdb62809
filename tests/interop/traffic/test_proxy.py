"""The proxy, between a client and a server of a library that it shares no code with."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from interop.traffic.masks import Masks
from interop.traffic.proxy import joined_target
from interop.traffic.recording import schema
from interop.wire.frames import BINARY, TEXT, close_payload, frame
from interop.wire.http import answer, parse_head, request
from tests.support import tls, until, within
from tests.support.ports import free_port

from .. import servers
from .sessions import proxied


def lines(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a recording, each of which is of the schema."""
    found = [json.loads(line) for line in file.read_text().splitlines()]
    validator = jsonschema.Draft202012Validator(schema())
    for line in found:
        validator.validate(line)
    return found


def said(file: Path) -> list[tuple[str, str, str | None]]:
    return [(x["author"], x["kind"], x.get("text")) for x in lines(file) if x["on"] == "said"]


def whole(file: Path) -> bytes:
    return file.read_bytes()


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def server(handler: Any = echo, **options: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, **options) as running:
        port = running.sockets[0].getsockname()[1]
        yield f"wss://localhost:{port}" if "ssl" in options else f"ws://127.0.0.1:{port}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "r.jsonl"


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_what_passes_is_recorded(compression: str | None, file: Path) -> None:
    async with server(compression=compression) as url, proxied(url, file) as proxy:
        async with connect(f"ws://127.0.0.1:{proxy.port}/x", compression=compression) as client:
            assert client.response is not None
            agreed = client.response.headers.get("Sec-WebSocket-Extensions", "")
            assert ("permessage-deflate" in agreed) is (compression is not None)
            for message in ("one" * 50, ["frag", "men", "ted"], b"\0\xff", b"text"):
                await client.send(message)
                await client.recv()
            await (await client.ping(b"a secret"))
    texts = [("one" * 50, "text"), ("fragmented", "text"), (None, "binary"), ("text", "binary")]
    expected = [(by, kind, text) for text, kind in texts for by in ("client", "server")]
    assert said(file) == [*expected, ("client", "ping", None), ("server", "pong", None)]
    assert [(x["author"], x["code"]) for x in lines(file) if x["on"] == "closed"] == [
        ("client", 1000), ("server", 1000),
    ]  # fmt: skip
    assert [x["on"] for x in lines(file)][-1] == "stopped"


async def test_over_tls_to_the_server(file: Path) -> None:
    async with server(ssl=tls.server_context()) as url, proxied(url, file, ca=tls.PEM) as proxy:
        async with connect(f"ws://127.0.0.1:{proxy.port}/") as client:
            await client.send("x" * 100_000)
            assert len(await client.recv()) == 100_000
    assert [(by, kind) for by, kind, _ in said(file)] == [("client", "text"), ("server", "text")]
    assert [x["cut"] for x in lines(file) if x["on"] == "said"] == [True, True]


async def test_the_request_passes_as_from_a_proxy(file: Path) -> None:
    seen: list[Request] = []

    async def look(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request)
        await connection.close(4001, "token=abcdefg")

    async with server(look, subprotocols=[Subprotocol("v2")]) as url:
        async with proxied(f"{url}/ws?a=1", file) as proxy:
            async with connect(
                f"ws://127.0.0.1:{proxy.port}/room?b=2",
                subprotocols=[Subprotocol("v1"), Subprotocol("v2")],
                additional_headers={"Authorization": "Bearer geheim1234"},
            ) as client:
                with pytest.raises(ConnectionClosed) as closed:
                    await client.recv()
                assert closed.value.rcvd is not None
                assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "token=abcdefg")
                assert client.subprotocol == "v2"
    (asked,) = seen
    assert asked.path == "/ws/room?a=1&b=2"
    assert asked.headers["Host"] == url.removeprefix("ws://")
    assert asked.headers["Authorization"] == "Bearer geheim1234"
    written = whole(file)
    assert b"geheim1234" not in written
    assert b"abcdefg" not in written


@pytest.mark.parametrize(
    ("upstream", "asked", "found"),
    [
        ("/", "/", "/"),
        ("/ws", "/", "/ws"),
        ("/ws", "/ws", "/ws"),
        ("/ws", "/ws/a", "/ws/a"),
        ("/ws", "/wsx", "/ws/wsx"),
        ("/ws/", "/a", "/ws/a"),
        ("/ws?k=1", "/?b=2", "/ws?k=1&b=2"),
        ("/", "/a?b=2", "/a?b=2"),
    ],
)
def test_targets(upstream: str, asked: str, found: str) -> None:
    assert joined_target(upstream, asked) == found


async def test_a_refusal_passes(file: Path) -> None:
    def refuse(connection: ServerConnection, asked: Request) -> Response:
        return connection.respond(403, "no: geheim1234")

    async with server(process_request=refuse) as url, proxied(url, file) as proxy:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{proxy.port}/")
        assert refused.value.response.status_code == 403
        assert refused.value.response.body == b"no: geheim1234"
    assert [x["status"] for x in lines(file) if x["on"] == "answered"] == [403]
    assert b"geheim1234" not in whole(file)


async def test_a_server_that_is_down_is_a_bad_gateway(file: Path) -> None:
    async with proxied(f"ws://127.0.0.1:{free_port()}", file) as proxy:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{proxy.port}/")
        assert refused.value.response.status_code == 502
        assert b"cannot reach the server" in (refused.value.response.body or b"")
        assert "Connection refused" in proxy.refused
    assert [x["proxy"] for x in lines(file) if x["on"] == "answered"] == [True]


async def test_another_request_passes_and_is_not_recorded(file: Path) -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = parse_head(await reader.readuntil(b"\r\n\r\n"))
        assert head.one("Connection") == "close"
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + await reader.readexactly(4))

    async with servers.served(page) as url, proxied(url, file) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
        assert await within(reader.read()) == b"HTTP/1.1 200 OK\r\n\r\nbody"
        writer.close()
    assert [x["on"] for x in lines(file)] == ["begun", "stopped"]


@asynccontextmanager
async def opened(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection through the proxy, byte by byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(host="x", path="/"))
    await within(reader.readuntil(b"\r\n\r\n"))
    yield reader, writer
    writer.transport.abort()


async def test_one_direction_may_end_before_the_other(file: Path) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(parse_head(await reader.readuntil(b"\r\n\r\n"))))
        await reader.read()
        writer.write(frame(TEXT, b"late" * 100_000))

    async with servers.served(handle) as url, proxied(url, file, longest=4) as proxy:
        async with opened(proxy.port) as (reader, writer):
            writer.write_eof()
            assert len(await within(reader.read())) == 400_010
    assert said(file) == [("server", "text", "late")]
    assert [x["author"] for x in lines(file) if x["on"] == "ended"] == ["client"]


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_a_reset_of_the_client_passes(file: Path) -> None:
    async with servers.ends() as (port, ended), proxied(f"ws://127.0.0.1:{port}", file) as proxy:
        async with opened(proxy.port) as (_, writer):
            reset(writer)
            assert await within(ended) == "reset"
    (end,) = (x for x in lines(file) if x["on"] == "ended")
    assert (end["author"], end["reset"]) == ("client", True)


async def test_a_reset_of_the_server_passes(file: Path) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(parse_head(await reader.readuntil(b"\r\n\r\n"))))
        await reader.read(1)
        reset(writer)

    async with servers.served(handle) as url, proxied(url, file) as proxy:
        async with opened(proxy.port) as (reader, writer):
            writer.write(b"x")
            with pytest.raises(ConnectionResetError):
                await within(reader.read())
    (end,) = (x for x in lines(file) if x["on"] == "ended")
    assert (end["author"], end["reset"]) == ("server", True)


async def test_the_end_of_the_recording_ends_the_connections(file: Path) -> None:
    async with servers.ends() as (port, ended), proxied(f"ws://127.0.0.1:{port}", file) as proxy:
        async with opened(proxy.port):
            await proxy.close()
            await within(ended)
    assert [x["author"] for x in lines(file) if x["on"] == "ended"] == ["proxy"]


async def test_a_slow_client_slows_the_server_down(file: Path) -> None:
    written = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(answer(parse_head(await reader.readuntil(b"\r\n\r\n"))))
        for _ in range(50):
            writer.write(frame(BINARY, b"\xff" * (1 << 20)))
            await writer.drain()
            written += 1
        writer.write(frame(8, close_payload(1000)))

    async with servers.served(handle) as url, proxied(url, file, longest=1) as proxy:
        async with opened(proxy.port) as (reader, _):
            before = -1
            while written > before:  # until it stands still
                before = written
                await asyncio.sleep(0.1)
            assert written < 40  # the systems' own buffers hold some megabytes
            got = 0
            while data := await within(reader.read(1 << 20)):
                got += len(data)
                if got == 50 * ((1 << 20) + 10) + 4:
                    break
            else:
                pytest.fail(f"{got} bytes came")
    assert len(said(file)) == 50


async def test_many_at_once(file: Path) -> None:
    async def one(number: int, port: int) -> None:
        async with connect(f"ws://127.0.0.1:{port}/") as client:
            for turn in range(5):
                await client.send(f"{number} {turn}")
                assert await client.recv() == f"{number} {turn}"

    async with server() as url, proxied(url, file) as proxy:
        await within(asyncio.gather(*(one(number, proxy.port) for number in range(20))))
    found: dict[int, list[str]] = {}
    for line in lines(file):
        if line["on"] == "said" and line["author"] == "server":
            found.setdefault(line["c"], []).append(line["text"])
    assert sorted(found) == list(range(1, 21))
    assert sorted(texts[0] for texts in found.values()) == sorted(f"{n} 0" for n in range(20))
    for texts in found.values():
        assert texts == [f"{texts[0].split()[0]} {turn}" for turn in range(5)]


async def test_bytes_that_are_no_frames_pass_and_end_the_record(file: Path) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(parse_head(await reader.readuntil(b"\r\n\r\n"))))
        writer.write(frame(TEXT, b"good") + b"\xff\xff\xff" + frame(TEXT, b"s3cr3t-text"))

    async with servers.served(handle) as url, proxied(url, file) as proxy:
        async with opened(proxy.port) as (reader, writer):
            writer.write_eof()
            assert (await within(reader.read())).endswith(b"s3cr3t-text")
        assert len(proxy.lost) == 1
    assert said(file) == [("server", "text", "good")]
    assert [x["on"] for x in lines(file)].count("lost") == 1


SECRETS = [f"sEcReT{number:02}" for number in range(20)]


async def test_no_secret_reaches_the_disk(file: Path) -> None:
    s = SECRETS
    payload = {
        "password": s[3],
        "deep": [{"accessToken": s[4], "pin": 4321987}],
        "note": f"I am {s[0]}",
    }
    pushed = {"eventName": "x", "payload": {"refresh_token": s[5]}, "headers": {"X-Api-Key": s[6]}}
    inner = json.dumps({"secret": s[7]})

    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        for text in (json.dumps(pushed), json.dumps({"eventName": "y", "payload": inner})):
            await connection.send(text)
        await connection.send(json.dumps({"payload": {"password": s[8]}}).encode())
        await connection.send(b"\xff\x00" + s[9].encode())
        await connection.send(['{"payload":{"pass', 'word":"sEcR', 'eT10"}}'])
        await connection.send(f"plain text, token={s[11]} and Bearer {s[12]}x")
        await connection.send('{"password":"' + s[13] + '","password":""}')
        await connection.send('{"p\\u0061ssword":"' + s[14] + '"')
        await connection.recv()
        await connection.close(4000, f"bad token: {s[15]}")

    async with server(handler, compression="deflate") as url, proxied(url, file) as proxy:
        async with connect(
            f"ws://127.0.0.1:{proxy.port}/?token={s[0]}&key={s[1]}&q=%7B%22pwd%22%3A%22{s[16]}%22%7D",
            additional_headers={
                "Authorization": f"Bearer {s[2]}",
                "Cookie": f"a={s[17]}; b={s[18]}",
                "X-Auth-Token": s[19],
            },
            subprotocols=[Subprotocol("access_token"), Subprotocol("sEcReT20")],
        ) as client:
            await client.send(json.dumps({"eventName": "login", "payload": payload, "headers": {}}))
            for _ in range(8):
                await client.recv()
            await client.ping(b"sEcReT-ping")
            await client.send(["one ", "message"])
            with pytest.raises(ConnectionClosed):
                await client.recv()
    written = whole(file)
    assert b"<masked:" in written
    assert b"4321987" not in written
    assert sorted(s for s in [*SECRETS, "sEcReT20", "sEcReT-ping"] if s.encode() in written) == []
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    kinds = [kind for _, kind, _ in said(file)]
    assert (kinds.count("text"), kinds.count("binary")) == (8, 2)


async def test_without_masks_all_is_kept(file: Path) -> None:
    async with server() as url, proxied(url, file, masks=Masks(defaults=False)) as proxy:
        async with connect(f"ws://127.0.0.1:{proxy.port}/?token=abcdefgh") as client:
            await client.send('{"password":"hunter2"}')
            await client.recv()
    assert ("client", "text", '{"password":"hunter2"}') in said(file)
    assert b"token=abcdefgh" in whole(file)


async def test_each_line_is_there_at_once(file: Path) -> None:
    async with server() as url, proxied(url, file) as proxy:
        async with connect(f"ws://127.0.0.1:{proxy.port}/") as client:
            await client.send("now")
            await client.recv()
            await until(lambda: len(said(file)) == 2)
