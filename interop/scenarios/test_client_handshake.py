"""The opening handshake of a client (RFC 6455, section 4.1). The judge answers over raw HTTP."""

from __future__ import annotations

import base64
import binascii

import pytest

from interop.errors import Violation
from interop.roles.client import check_refusal
from interop.roles.judged import JudgedClient, in_bytes
from interop.scenarios.scenario import scenario
from interop.scenarios.test_handshake import LIST
from interop.wire.frames import DEFLATE, TEXT, Inflater, deflate_parameters, deflated
from interop.wire.http import answer


@scenario(
    "request.form",
    "A client's request has everything that a handshake needs.",
    side="client",
    needs="nothing",
    rules=["H-20"],
)
async def test_form(judged: JudgedClient) -> None:
    connection = await judged.open()
    head = connection.head
    target, host = await judged.asked_for(connection)
    assert head.line == f"GET {target} HTTP/1.1", head.line
    assert head.one("Host") == host, f"expected Host {host!r}, got {head.one('Host')!r}"
    assert (head.one("Upgrade") or "").lower() == "websocket"
    assert "upgrade" in [word.lower() for word in head.all("Connection")]
    assert head.one("Sec-WebSocket-Version") == "13"
    await judged.works(connection)


@scenario(
    "request.key",
    "A client's key is 16 bytes, new for each connection.",
    side="client",
    needs="nothing",
    rules=["H-21"],
)
async def test_key(judged: JudgedClient) -> None:
    keys = set()
    connection, opening = await judged.dialled()
    for last in (False, False, True):
        key = connection.head.one("Sec-WebSocket-Key")
        try:
            raw = base64.b64decode(key or "", validate=True)
        except binascii.Error:
            raise Violation(f"expected a key in base64, got {key!r}") from None
        assert len(raw) == 16, f"expected a key of 16 bytes, got {len(raw)} in {key!r}"
        keys.add(raw)
        connection.write(answer(connection.head, status="503 Service Unavailable"))
        connection.streams[1].close()
        await judged.fails(connection, opening)
        if not last:
            connection, opening = await judged.redialled()
    assert len(keys) == 3, f"expected 3 different keys, got {len(keys)}"


@pytest.mark.parametrize(
    "path", ["/ws?a=1&b=%20", "/a/b%2Fc", "/"], ids=["query", "escapes", "root"]
)
@scenario(
    "request.target",
    "A client requests path and query as they are in the URL.",
    side="client",
    needs="url",
    rules=["H-22"],
)
async def test_target(judged: JudgedClient, path: str) -> None:
    connection, opening = await judged.dialled(path=path)
    assert connection.head.target == path
    connection.write(judged.answering(connection))
    connection.start()
    await opening


@scenario(
    "request.headers",
    "The headers that an application gives are sent.",
    side="client",
    rules=["H-23"],
)
async def test_headers(judged: JudgedClient) -> None:
    connection, opening = await judged.dialled(headers={"X-Token": "abc", "Cookie": "a=b"})
    connection.write(answer(connection.head))
    connection.start()
    await opening
    assert connection.head.one("X-Token") == "abc"
    assert connection.head.one("Cookie") == "a=b"


@scenario(
    "request.subprotocols",
    "The subprotocols given are offered, in order.",
    side="client",
    rules=["H-24"],
)
async def test_subprotocols(judged: JudgedClient) -> None:
    connection, opening = await judged.dialled(protocols=["b", "a"])
    connection.write(answer(connection.head, extra=[("Sec-WebSocket-Protocol", "a")]))
    connection.start()
    await opening
    assert connection.head.all("Sec-WebSocket-Protocol") == ["b", "a"]
    await judged.works(connection)


@scenario(
    "request.subprotocol-declined",
    "A client may use a connection for which none of its subprotocols was chosen.",
    severity="should",
    side="client",
    rules=["H-25"],
)
async def test_subprotocol_declined(judged: JudgedClient) -> None:
    connection, opening = await judged.dialled(protocols=["a"])
    connection.write(answer(connection.head))
    connection.start()
    await opening
    await judged.works(connection)


@pytest.mark.parametrize("offered", [[], ["a"]], ids=["none-offered", "another-offered"])
@scenario(
    "response.subprotocol-not-offered",
    "A client fails a connection whose server chose a subprotocol that it did not offer.",
    side="client",
    needs="nothing",
    control=["another-offered"],
    rules=["H-26"],
)
async def test_subprotocol_not_offered(judged: JudgedClient, offered: list[str]) -> None:
    connection, opening = await judged.dialled(protocols=offered or None)
    connection.write(answer(connection.head, extra=[("Sec-WebSocket-Protocol", "b")]))
    await judged.fails(connection, opening)


# --- Answers ------------------------------------------------------------------------------

LEGAL: dict[str, dict[str, str | None]] = {
    "upgrade-in-capitals": {"Upgrade": "WebSocket"},
    "connection-in-small-letters": {"Connection": "upgrade"},
    "connection-list": {"Connection": "keep-alive, Upgrade"},
    "extra-headers": {"Server": "judge", "Set-Cookie": "a=b", "X-Long": "x" * 4000},
    "names-in-small-letters": {
        **{"Upgrade": None, "Connection": None},
        "upgrade": "websocket",
        "connection": "Upgrade",
    },
}


@pytest.mark.parametrize("form", LEGAL)
@scenario(
    "response.accepts",
    "Every legal form of the answer is accepted.",
    side="client",
    needs="nothing",
    rules=["H-27"],
)
async def test_accepts(judged: JudgedClient, form: str) -> None:
    await judged.works(await judged.open(headers=LEGAL[form]))


@pytest.mark.parametrize("reason", ["", " Fine", " Switching Protocols and more"])
@scenario(
    "response.reason",
    "The reason phrase after 101 has no meaning.",
    side="client",
    needs="nothing",
    rules=["H-27"],
)
async def test_reason(judged: JudgedClient, reason: str) -> None:
    await judged.works(await judged.open(status=f"101{reason or ' '}"))


@scenario(
    "response.byte-by-byte",
    "An answer may come one byte at a time.",
    side="client",
    needs="nothing",
    rules=["H-28"],
)
async def test_byte_by_byte(judged: JudgedClient) -> None:
    connection, opening = await judged.dialled()
    await in_bytes(connection, judged.answering(connection))
    connection.start()
    await opening
    await judged.works(connection)


@scenario(
    "response.first-moment",
    "Events in the same segment as the server's answer are delivered, after the state online.",
    side="client",
    needs="echo",
    rules=["L-2", "H-28"],
)
async def test_first_moment(judged: JudgedClient) -> None:
    connection, opening = await judged.dialled()
    frames = [connection.frame(TEXT, judged.event(number)) for number in range(5)]
    connection.write(judged.answering(connection), *frames)
    connection.start()
    await opening
    for number in range(5):
        await judged.received("echo", number)
    await judged.online_before_events()


BAD_ANSWERS: dict[str, dict[str, str | None]] = {
    "no-accept": {"Sec-WebSocket-Accept": None},
    "wrong-accept": {"Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
    "no-upgrade": {"Upgrade": None},
    "other-upgrade": {"Upgrade": "h2c"},
    "no-connection": {"Connection": None},
    "other-connection": {"Connection": "close"},
    "unknown-extension": {"Sec-WebSocket-Extensions": "x-nobody-knows"},
}


@pytest.mark.parametrize("form", BAD_ANSWERS)
@scenario(
    "response.fails",
    "A client fails a connection whose answer does not fit its request.",
    side="client",
    needs="nothing",
    rules=["H-29"],
)
async def test_fails(judged: JudgedClient, form: str) -> None:
    connection, opening = await judged.dialled()
    connection.write(answer(connection.head, headers=BAD_ANSWERS[form]))
    await judged.fails(connection, opening)


STATUSES = ["200 OK", "400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found"]
STATUSES += ["426 Upgrade Required", "429 Too Many Requests", "500 Internal Server Error"]
STATUSES += ["503 Service Unavailable"]
NO_UPGRADE = {"Upgrade": None, "Connection": "close", "Sec-WebSocket-Accept": None}


@pytest.mark.parametrize("status", STATUSES, ids=[status[:3] for status in STATUSES])
@scenario(
    "response.rejected",
    "A client whose connection is rejected gets an error, and its state is error.",
    side="client",
    needs="nothing",
    rules=["L-4"],
)
async def test_rejected(judged: JudgedClient, status: str) -> None:
    connection, opening = await judged.dialled()
    length = {"Content-Length": "2"}
    connection.write(
        answer(connection.head, status=status, headers={**NO_UPGRADE, **length}), b"no"
    )
    connection.streams[1].close()
    await judged.fails(connection, opening)
    await judged.in_error()


@scenario(
    "response.redirect",
    "A client that is redirected follows, or gets an error.",
    side="client",
    needs="nothing",
    rules=["H-31"],
)
async def test_redirect(judged: JudgedClient) -> None:
    connection, opening = await judged.dialled()
    to = {"Location": await judged.url("/there"), "Content-Length": "0"}
    connection.write(answer(connection.head, status="302 Found", headers={**NO_UPGRADE, **to}))
    connection.streams[1].close()
    there = await judged.redirected(opening)
    if there is None:
        await judged.fails(connection, opening)
        return
    assert there.head.target == "/there"
    judged.answer(there)
    await opening
    await judged.works(there)


ENDINGS = {
    "nothing": b"",
    "half-an-answer": b"HTTP/1.1 101 Switching Proto",
    "no-http": b"hello?\r\n\r\n",
}


@pytest.mark.parametrize("name", ENDINGS)
@scenario(
    "response.ended",
    "Connecting is an error when the server ends the connection instead of answering.",
    side="client",
    needs="nothing",
    rules=["H-32"],
)
async def test_ended(judged: JudgedClient, name: str) -> None:
    connection, opening = await judged.dialled()
    connection.write(ENDINGS[name])
    connection.streams[1].close()
    await judged.fails(connection, opening)


# --- permessage-deflate (RFC 7692) --------------------------------------------------------

ANSWERS = {
    "declined": None,
    "plain": "permessage-deflate",
    "server-bits": "permessage-deflate; server_max_window_bits=10",
    "server-no-takeover": "permessage-deflate; server_no_context_takeover",
    "client-no-takeover": "permessage-deflate; client_no_context_takeover",
    "client-bits": "permessage-deflate; client_max_window_bits=10",
    "everything": "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
    "server_max_window_bits=12; client_max_window_bits=12",
}
BAD_DEFLATE = {
    "unknown-parameter": "permessage-deflate; x=1",
    "bits-out-of-range": "permessage-deflate; server_max_window_bits=16",
    "bits-without-value": "permessage-deflate; server_max_window_bits",
    "parameter-twice": "permessage-deflate; server_max_window_bits=10; server_max_window_bits=11",
    "two-extensions": "permessage-deflate, permessage-deflate",
}


@pytest.mark.parametrize("form", ANSWERS)
@scenario(
    "response.deflate",
    "A client that offers permessage-deflate accepts each legal answer, and both directions work.",
    side="client",
    needs="echo",
    rules=["H-34"],
)
async def test_deflate(judged: JudgedClient, form: str) -> None:
    connection, opening = await judged.dialled(deflate=True)
    offers = [
        deflate_parameters(offer)
        for offer in connection.head.all("Sec-WebSocket-Extensions")
        if offer.lower().startswith("permessage-deflate")
    ]
    if not offers:
        raise Violation("expected an offer of permessage-deflate, got none")
    chosen = ANSWERS[form]
    if form in ("client-bits", "everything") and "client_max_window_bits" not in offers[0]:
        chosen = "permessage-deflate"  # a client that does not offer it must not be asked for it
    connection.write(judged.answering(connection, headers={"Sec-WebSocket-Extensions": chosen}))
    agreed = dict(deflate_parameters(chosen)) if chosen else {}
    connection.start(Inflater.agreed("client", agreed) if chosen else None)
    await opening
    for text in ("short", "x" * 5000, "é🙂" * 700):
        await judged.works(connection, text)
        if chosen:
            message = judged.event(text)
            window = int(agreed.get("server_max_window_bits") or 15)
            connection.send(TEXT, deflated(message, window), rsv=DEFLATE)
            await judged.received("echo", text)


@pytest.mark.parametrize("form", BAD_DEFLATE)
@scenario(
    "response.bad-deflate",
    "A client fails a connection whose answer to its offer of permessage-deflate is illegal.",
    side="client",
    needs="nothing",
    rules=["H-35"],
)
async def test_bad_deflate(judged: JudgedClient, form: str) -> None:
    connection, opening = await judged.dialled(deflate=True)
    chosen = {"Sec-WebSocket-Extensions": BAD_DEFLATE[form]}
    connection.write(answer(connection.head, headers=chosen))
    await judged.fails(connection, opening)


@scenario(
    "response.deflate-not-offered",
    "A client that offered no extension fails a connection whose server chose one.",
    side="client",
    needs="nothing",
    rules=["H-36"],
)
async def test_deflate_not_offered(judged: JudgedClient) -> None:
    connection, opening = await judged.dialled()
    if connection.head.all("Sec-WebSocket-Extensions"):
        opening.cancel()
        return  # it always offers it, and other scenarios judge the answers
    chosen = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    connection.write(answer(connection.head, headers=chosen))
    await judged.fails(connection, opening)


BODIES = {
    "chunked": ({"Transfer-Encoding": "chunked"}, b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n"),
    "endless-chunks": ({"Transfer-Encoding": "chunked"}, (b"400\r\n" + b"x" * 1024 + b"\r\n") * 64),
    "endless": ({}, b"x" * 65_536),
    "after-the-head": ({"Content-Length": "2"}, b"no"),
}


@pytest.mark.parametrize("size", ["7.6-kib", "10.1-kib"])
@scenario(
    "response.long-lists",
    "Lists in the headers of an answer are read up to 8 KiB together, and beyond refused.",
    side="client",
    needs="nothing",
    should=["10.1-kib"],
    rules=["H-41"],
    rules_of={"10.1-kib": ["H-42"]},
)
async def test_long_lists(judged: JudgedClient, size: str) -> None:
    lines = 3 if size == "7.6-kib" else 4
    connection, opening = await judged.dialled()
    judged.answer(connection, extra=[("Connection", LIST)] * lines)
    if size == "7.6-kib":
        await opening
        await judged.works(connection)
        return
    check_refusal(await judged.fails(connection, opening))


@pytest.mark.parametrize("body", BODIES)
@scenario(
    "response.refusal-body",
    "A refused client gets its error whether the refusal's body is chunked, never ends, or comes "
    "after the head.",
    side="client",
    rules=["H-30"],
)
async def test_refusal_body(judged: JudgedClient, body: str) -> None:
    headers, data = BODIES[body]
    connection, opening = await judged.dialled()
    usual = {"Upgrade": None, "Connection": None, "Sec-WebSocket-Accept": None}
    connection.write(
        answer(connection.head, status="403 Forbidden", headers={**usual, **headers}),
        data if body != "after-the-head" else b"",
    )
    if body == "after-the-head":
        await judged.role.settle()  # it has read that much by then
        connection.write(data)
    check_refusal(await judged.fails(connection, opening))
