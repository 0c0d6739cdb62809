"""``check`` against servers that mean it ill: it ends, in words, whatever they write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import chain, repeat

import pytest

from interop.cli import main
from interop.wire.frames import CLOSE, PING, TEXT, close_payload, frame
from interop.wire.http import answer, parse_head
from tests.support import PATIENCE

from .. import servers

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

FLOOD = "the server writes without end: over 10000 frames or 16777216 bytes on one connection"

DEEP = b'{"eventName":"x","payload":"\\ud800","headers":' + b'{"a":' * 5000 + b"1" + b"}" * 5001


async def upgraded(streams: Streams) -> asyncio.StreamWriter:
    reader, writer = streams
    writer.write(answer(parse_head(await reader.readuntil(b"\r\n\r\n"))))
    return writer


async def pour(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    """Write for ever, as fast as it is taken."""
    for data in repeat(chunk):
        writer.write(data)
        await writer.drain()


async def endless_head(*streams: asyncio.StreamReader | asyncio.StreamWriter) -> None:
    reader, writer = streams
    assert isinstance(reader, asyncio.StreamReader)
    assert isinstance(writer, asyncio.StreamWriter)
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\n")
    await pour(writer, b"X-More: " + b"x" * 1000 + b"\r\n")


async def long_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 10_000_000 + b"\r\n\r\n")
    await reader.read()


async def slow_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    for byte in chain(b"HTTP/1.1 101 ", repeat(ord("x"))):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.01)


async def odd_status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 \xb2" + b"9" * 5000 + b" \x1b[31m\r\n\r\n")


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def mute_once_open(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await upgraded((reader, writer))
    await reader.read()


def floods(data: bytes) -> servers.Handle:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pour(await upgraded((reader, writer)), data)

    return handle


def after_the_probe(handle: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> servers.Handle:
    """Begin as a good server does, and then do `handle` on each connection from the third on."""
    seen = 0

    async def made(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        await upgraded((reader, writer))
        if seen <= 2:
            writer.write(frame(10, b"still there?"))
            await reader.read()
        else:
            await handle(writer)

    return made


async def nothing(writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()


def patience_with(handle: object) -> float:
    """Return seconds for a server to answer: few only where they have to run out."""
    return 0.3 if handle in (slow_head, mute, mute_once_open, nothing) else PATIENCE


@pytest.mark.parametrize(
    ("handle", "words"),
    [
        (endless_head, "a handshake that does not end within 65536 bytes"),
        (long_head, "a handshake that does not end within 65536 bytes"),
        (slow_head, "the server wrote no handshake within"),
        (odd_status, r"it answered 'HTTP/1.1 ²99"),
        (mute, "the server wrote no handshake within"),
        (mute_once_open, "cannot tell whether it works: it answers no ping"),
        (floods(frame(PING, b"x") * 500), FLOOD),
        (floods(frame(TEXT, b'{"eventName":"tick"}') * 500), FLOOD),
        (floods(frame(CLOSE, close_payload(1000)) * 500), FLOOD),
        (floods(b"\x82\x7f" + b"\x7f" * 8 + b"\0" * 60_000), FLOOD),
        (floods(frame(TEXT, b"x" * 5000, fin=False) * 10), FLOOD),
    ],
    ids=[
        *("endless head", "long head", "slow head", "odd status", "mute", "mute once open"),
        *("pings", "texts", "closes", "endless frame", "endless message"),
    ],
)
def test_it_is_one_line_and_status_2(
    handle: servers.Handle,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patience = patience_with(handle)
    monkeypatch.setattr("interop.roles.judged.SETUP_PATIENCE", patience)
    monkeypatch.setattr("interop.check.remote.FAREWELL_TIMEOUT", 0.05)
    with servers.background(partial(servers.served, handle)) as url:
        assert main(["check", url, "--patience", str(patience)]) == 2
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.count("\n") == 1
    assert captured.out.startswith(f"{url}: could not be checked: ")
    assert words in captured.out
    assert len(captured.out) < 1000
    assert captured.out.strip().isprintable()


@pytest.mark.parametrize(
    ("handle", "words"),
    [
        (nothing, "could not be checked: after frames."),
        (partial(pour, chunk=frame(PING, b"x") * 500), FLOOD),
        (partial(pour, chunk=frame(TEXT, DEEP)), FLOOD),
        (partial(pour, chunk=frame(TEXT, b"[" + b"NaN," * 200_000 + b"1]")), FLOOD),
    ],
    ids=["mute", "pings", "deep", "many faults"],
)
def test_one_that_turns_hostile_ends_it_with_what_is_done(
    handle: Callable[[asyncio.StreamWriter], Awaitable[None]],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("interop.check.remote.FAREWELL_TIMEOUT", 0.05)
    made = after_the_probe(handle)
    with servers.background(partial(servers.served, made)) as url:
        assert main(["check", url, "--patience", str(patience_with(handle))]) == 2
    captured = capsys.readouterr()
    assert captured.err == ""
    assert words in captured.out
    assert captured.out.startswith(f"{url}: could not be checked: ")


def test_one_that_keeps_each_scenario_going_has_a_limit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes often enough that no wait is in vain, and never what is waited for."""
    monkeypatch.setattr("interop.check.remote.FAREWELL_TIMEOUT", 0.05)

    async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgraded((reader, writer))
        writer.write(frame(10, b"still there?"))
        while not writer.is_closing():
            writer.write(frame(10, b"another"))
            await asyncio.sleep(0.05)

    with servers.background(partial(servers.served, drips)) as url:
        chosen = ["--scenario", "frames.unasked-pong", "--scenario", "handshake.accepts.*"]
        limits = [*chosen, "--patience", "0.3", "--timeout", "0.5", "--within", "1"]
        assert main(["check", url, *limits]) == 2
    out = capsys.readouterr().out
    assert "not done within 0.5 s" in out
    assert "could not be checked: not done within 1 s (--within gives it longer): " in out
