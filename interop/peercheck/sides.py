"""The checks of one API, a server or a client, with the judge on the other side.

They see to what the scenarios ``contract.*`` leave to others: the operations themselves, each with
all of its arguments, the app's handlers, and what becomes of a session that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..control.contract import Reply
from ..control.operations import asked_of
from ..errors import PeerFailure, Violation
from ..records import ROLES, Role
from ..roles.judged import Judged, JudgedClient, JudgedServer, request_id_of
from ..scenarios.test_contract import HEADERS, App, check_refusal, refused, same
from ..wire.certificate import certificate
from ..wire.http import request
from ..wire.raw import MAX_HEAD, RawConnection
from .control import Control
from .samples import GREETING, ORIGIN, PROTOCOLS, samples_of

__all__ = ["ARGUMENTS", "CHECKS", "Connect", "SideCheck"]

Connect = Callable[[], Awaitable[Control]]
"""The argument `connect` of a check: makes one more control connection to the peer."""

PAYLOAD = {"a": [1, 2.5, None]}

_MANY = 20


@dataclass(frozen=True, slots=True)
class SideCheck:
    """A check of one side.

    Attributes:
        escapes: whether it tolerates exceptions that escape the library.
        run: takes ``judged``, and by the same names ``connect`` and ``argument`` if it wants them.
    """

    name: str
    rule: str
    run: Callable[..., Awaitable[None]]
    escapes: bool = False


CHECKS: dict[Role, dict[str, SideCheck]] = {"server": {}, "client": {}}
"""Those of each side, by their names. `interop.peercheck.order` says in which order they run."""

ARGUMENTS: Mapping[Role, str] = {"server": "serve", "client": "open"}
"""The operation whose check, of the name ``OP ARGUMENT``, is run for each of its arguments."""


def _check(
    side: Role, name: str, rule: str, *, escapes: bool = False
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
    def add(run: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        CHECKS[side][name] = SideCheck(name, rule, run, escapes)
        return run

    return add


# --- Both sides ---------------------------------------------------------------------------


async def _asks(judged: Judged) -> None:
    """Check what ``ask`` and ``request`` come back with: a reply, none, and an error."""
    connection = await judged.open()
    op = "ask" if judged.side == "server" else "request"
    id, asking = await judged.take_request(connection, "question", PAYLOAD, seconds=20)
    connection.send_event("question", {"b": 2}, {"replyTo": id})
    got = await judged.role.session.reply(op, asking)
    keys = {"name", "payload", "headers"}
    if set(got) != keys or got["payload"] != {"b": 2} or not isinstance(got["headers"], dict):
        raise Violation(f"the ok of {op} has to be name, payload and headers of the reply: {got}")
    _, asking = await judged.take_request(connection, "question", PAYLOAD, seconds=0.1)
    await _fails(judged, op, asking, "TimeoutError", "that gets no reply in time")
    id, asking = await judged.take_request(connection, "question", PAYLOAD, seconds=20)
    connection.send_event("question", {}, {"replyTo": id, "replyError": "no such thing"})
    failure = await _fails(judged, op, asking, "RemoteError", "whose reply is an error")
    if "no such thing" not in failure.message:
        raise Violation(f"the error's text was 'no such thing', and {op} says {failure.message!r}")


async def _fails(
    judged: Judged, op: str, asking: asyncio.Future[Reply], kind: str, which: str
) -> PeerFailure:
    try:
        await judged.role.session.reply(op, asking)
    except PeerFailure as failure:
        if failure.kind != kind:
            raise Violation(f"{op} {which} has the kind {failure.kind}, not {kind}") from None
        return failure
    raise Violation(f"{op} {which} was answered with ok, not with an error of the kind {kind}")


_WRONG: Mapping[Role, Sequence[tuple[str, Mapping[str, Any]]]] = {
    "server": (
        ("push", {}),
        ("push", {"event": "x", "payload": 1, "headers": {}}),
        ("push", {"conn": "1", "payload": 1, "headers": {}}),
        ("push", {"conn": 1, "event": "x", "payload": 1, "headers": {}}),
        ("drop", {}),
    ),
    "client": (
        ("send", {}),
        ("send", {"payload": 1, "headers": {}}),
    ),
}


async def _wrong_arguments(judged: Judged) -> None:
    connection = await judged.open()
    for op, arguments in _WRONG[judged.side]:
        await refused(judged, op, arguments)
    await judged.works(connection)


async def _ordered(judged: Judged) -> None:
    connection = await judged.open()
    await judged.send("probe", 0)  # which says whether the library can
    # The others are asked for without waiting for a reply.
    started = [judged.start_send("numbered", number) for number in range(_MANY)]
    got = [(await connection.next_event("numbered"))["payload"] for _ in range(_MANY)]
    if got != list(range(_MANY)):
        op = "push" if judged.side == "server" else "send"
        raise Violation(f"{_MANY} requests to {op} 0, 1, 2 … wrote the events {got}")
    for each in started:
        await judged.role.session.reply("send", each)
    for number in range(_MANY):
        connection.send_event("echo", number)
    for number in range(_MANY):
        told = (await judged.role.wait("event", what="event 'echo'")).data["payload"]
        if told != number:
            raise Violation(f"the events 0, 1, 2 … were reported with {told} at {number}")


async def _released(judged: Judged, connect: Connect, how: str) -> None:
    """End a session that has something open; all of it has to end, and nothing of another."""
    connection = await judged.open()
    control = await connect()
    if judged.side == "server":
        reply = await control.ask("serve", api=judged.role.api.name)
        port = _port_of(reply.get("ok"))
        theirs = await _upgraded(judged, port)
    else:
        assert isinstance(judged, JudgedClient)
        listener = await judged.listener()
        accepting = judged.accepting()
        number, line = control.request(
            "open", api=judged.role.api.name, url=listener.url("/ws"), events=["echo"]
        )
        control.write(line)
        theirs = judged.answer(await accepting)
        await control.reply(number, "open")
    theirs.patience = judged.role.patience
    if how == "reset":
        control.reset()
    else:
        await control.close()
    try:
        await _let_end(theirs)
    except Violation:
        raise Violation(
            f"its session has ended, and the {judged.side}'s connection has not",
            within=judged.role.patience,
        ) from None
    if judged.side == "server":
        await _bindable(judged, port)
    await judged.works(connection)


async def _let_end(connection: RawConnection) -> None:
    """Wait until the other side has ended the connection, and do this side's part of a close."""
    await connection.failed()
    if not connection.ended.is_set():
        connection.send_close(1000)
    connection.end_tcp()


async def _bindable(judged: Judged, port: int) -> None:
    """Wait until a port can be bound again."""
    with contextlib.suppress(TimeoutError):
        async with judged.role.patience.limit():
            while not _binds(judged.host, port):  # noqa: ASYNC110  # no event tells of a port
                await asyncio.sleep(0.01)
            return
    raise Violation(
        f"its session has ended, and the server's port {port} cannot be bound again",
        within=judged.role.patience,
    )


def _binds(host: str, port: int) -> bool:
    with socket.socket() as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind((host, port))
            own.listen()
        except OSError:
            return False
    return True


def _port_of(ok: object) -> int:
    port = ok.get("port") if isinstance(ok, Mapping) else None
    if type(port) is not int or not 0 < port < 1 << 16:
        raise Violation(f'serve has to be answered with ok: {{"port": n}}, not with {ok!r}')
    return port


async def _upgraded(judged: Judged, port: int, path: str = "/ws") -> RawConnection:
    """Connect to a server at that port by hand, and return the connection, upgraded."""
    assert isinstance(judged, JudgedServer)
    try:
        streams = await asyncio.open_connection(judged.host, port, limit=MAX_HEAD)
    except OSError as exc:
        raise Violation(f"nothing listens at the port {port} of serve's ok: {exc}") from None
    connection = RawConnection(judged.log, "client", streams, judged.setup_patience)
    judged.connections.append(connection)
    connection.write(request(host=f"{judged.host}:{port}", path=path))
    head = await connection.read_head()
    if head.status != 101:
        raise Violation(f"a handshake at {path} was answered with {head.line!r}, not 101")
    connection.start()
    return connection


for _side in ROLES:
    for _how in ("closed", "reset"):
        _check(
            _side,
            f"released.{_how}",
            "What a session opened ends with it, and what another has open goes on.",
            escapes=True,
        )(_released)
    _check(
        _side,
        "wrong-arguments",
        "An argument that is missing, or of another type, gets an error and changes nothing.",
    )(_wrong_arguments)
    _check(
        _side,
        "order",
        "Requests are begun, and events are reported, in the order in which they came.",
    )(_ordered)


# --- The server ---------------------------------------------------------------------------


@_check("server", "serve", "serve starts the app at the port that it answers, by default at /ws.")
async def _serve(judged: JudgedServer) -> None:
    reply = await judged.server.session.call("serve", api=judged.role.api.name)
    await _upgraded(judged, _port_of(reply))


@_check("server", "serve {argument}", "serve takes {argument}, or answers unsupported.")
async def _serve_with(judged: JudgedServer, argument: str) -> None:
    more, headers = samples_of("serve", argument), {}
    context: ssl.SSLContext | None = None
    match argument:
        case "tls":
            shown = certificate(judged.host)
            more, context = {"tls": shown.with_key}, shown.for_client()
        case "origins":
            headers["Origin"] = ORIGIN
        case "protocols":
            headers["Sec-WebSocket-Protocol"] = ", ".join(["other", *PROTOCOLS])
    await judged.serve(**more)
    judged.tls = context
    connection = await judged.open(headers=headers)
    match argument:
        case "protocols":
            chosen = connection.head.one("Sec-WebSocket-Protocol")
            if chosen not in PROTOCOLS:
                raise Violation(f"serve had the protocols {PROTOCOLS}, and it chose {chosen!r}")
        case "on_connect":
            await _greeted(connection)
        case "at_connect":
            got = await connection.next_message()
            same("what at_connect sends", got, {
                "eventName": "slow", "payload": {"ms": 1}, "headers": {},
            })  # fmt: skip
        case "all":
            connection.send_event("of no handler", PAYLOAD, HEADERS)
            told = (await judged.server.event("of no handler")).data
            if told["via"] != "all":
                raise Violation(f"an event that has no handler was reported via {told['via']!r}")


async def _greeted(connection: RawConnection) -> None:
    got = await connection.next_message()
    same("what on_connect sends", got, {
        "eventName": GREETING["event"], "payload": GREETING["payload"],
        "headers": GREETING["headers"],
    })  # fmt: skip


@_check("server", "stop", "stop is the library's own call, and is answered once that returned.")
async def _stop(judged: JudgedServer) -> None:
    connection = await judged.open()
    await _done(judged, "stop", connection)
    await judged.role.session.check_alive()


async def _done(judged: Judged, op: str, connection: RawConnection) -> None:
    """Ask for an operation that may end the connection, and do the judge's part of that."""
    asked = judged.role.session.start(op, {})
    ending = asyncio.ensure_future(_let_end(connection))
    try:
        await judged.first(asked, ending)
        await judged.role.session.reply(op, asked)
    finally:
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)


_check("server", "ask", "ask is answered with the reply, or an error of a documented kind.")(_asks)


@_check("server", "app.boom", "boom raises, which reaches no other session.", escapes=True)
async def _boom(judged: JudgedServer) -> None:
    connection = await judged.open()
    connection.send_event("boom", PAYLOAD, HEADERS)
    await judged.server.event("boom")
    await judged.usable_or_closed(connection, clean=False)


@_check("server", "app.close-me", "close-me closes the connection that sent it.", escapes=True)
async def _close_me(judged: JudgedServer) -> None:
    app = await App.open(judged)
    await app.tell("close-me", {})
    await _let_end(app.connection)


@_check("server", "app.broadcast", "broadcast sends an event to all connections of the server.")
async def _broadcast(judged: JudgedServer) -> None:
    first, second = await App.open(judged), await App.open(judged)
    said = {"event": "said", "payload": PAYLOAD}
    await first.tell("broadcast", said)
    await first.hear("said", PAYLOAD, of="broadcast")
    await second.hear("said", PAYLOAD, of="broadcast")
    await first.tell("broadcast", {**said, "exclude-self": True})
    await second.hear("said", PAYLOAD, of="broadcast")
    await first.is_silent()


@_check("server", "app.ask-back", "ask-back sends a request, and asked with the reply's payload.")
async def _app_asks_back(judged: JudgedServer) -> None:
    app = await App.open(judged)
    asked = {"event": "question", "payload": PAYLOAD, "timeout": 20}
    await app.tell("ask-back", asked)
    await _answered(judged, app.connection)
    await app.hear("asked", {"b": 2}, of="ask-back")


async def _answered(judged: Judged, connection: RawConnection) -> None:
    """Answer the question of an ``ask-back``, which may be refused."""
    judged.role.session.features |= asked_of("ask-back", {})
    got = await connection.next_message()
    judged.role.check_supported("ask-back", got["eventName"], got["payload"])
    if (got["eventName"], got["payload"]) != ("question", PAYLOAD):
        raise Violation(f"ask-back with the event 'question' sent {got}")
    connection.send_event("question", {"b": 2}, {"replyTo": request_id_of(got, judged.side)})


# --- The client ---------------------------------------------------------------------------


@_check("client", "open", "open connects, and is answered once it has; describe is meanwhile.")
async def _open(judged: JudgedClient) -> None:
    connection, opening = await judged.dialled(path="/asked/for")
    if connection.head.target != "/asked/for":
        raise Violation(f"open had the path /asked/for, and it asked for {connection.head.target}")
    await judged.role.settle()
    if opening.done():
        raise Violation("open was answered before the server had answered the handshake")
    judged.answer(connection)
    await opening


@_check("client", "open-refused", "open that the server refuses is answered with an error.")
async def _refused(judged: JudgedClient) -> None:
    connection, opening = await judged.dialled()
    judged.refuse(connection)
    failure = await judged.fails(connection, opening)
    if failure.message in ("", "None"):
        raise Violation(f"the error of open says nothing: its message is {failure.message!r}")
    await judged.role.session.check_alive()


@_check("client", "open {argument}", "open takes {argument}, or answers unsupported.")
async def _open_with(judged: JudgedClient, argument: str) -> None:
    more, answer = samples_of("open", argument), dict[str, str | None]()
    if argument == "ca":
        shown = certificate(judged.host)
        await judged.listener(shown.for_server())
        more = {"ca": shown.pem}
    connection, opening = await judged.dialled(**more)
    head = connection.head
    match argument:
        case "protocols":
            if (offered := head.one("Sec-WebSocket-Protocol")) is None:
                raise Violation(f"open had the protocols {PROTOCOLS}, and it offered none")
            if [each.strip() for each in offered.split(",")] != PROTOCOLS:
                raise Violation(f"open had the protocols {PROTOCOLS}, and it offered {offered!r}")
            answer["Sec-WebSocket-Protocol"] = PROTOCOLS[1]
        case "headers":
            for name, value in more["headers"].items():
                if (got := head.one(name)) != value:
                    raise Violation(f"open had the header {name}: {value}, and it sent {got!r}")
        case "deflate":
            if "permessage-deflate" not in (head.one("Sec-WebSocket-Extensions") or ""):
                raise Violation("open had deflate, and it offered no permessage-deflate")
    judged.answer(connection, headers=answer)
    await opening
    if argument == "on_connect":
        await _greeted(connection)


@_check("client", "close", "close closes the connection, and the end is reported.")
async def _close(judged: JudgedClient) -> None:
    await _closed(judged, await judged.open())


async def _closed(judged: JudgedClient, connection: RawConnection) -> None:
    await _done(judged, "close", connection)
    await judged.ended()


@_check("client", "subscribe", "subscribe registers handlers while the client is connected.")
async def _subscribe(judged: JudgedClient) -> None:
    connection = await judged.open()
    await judged.client.subscribe("late")
    connection.send_event("late", PAYLOAD, HEADERS)
    await judged.received("late", PAYLOAD)


@_check("client", "reconnect", "reconnect connects the same client again, after its close.")
async def _reconnect(judged: JudgedClient) -> None:
    await _closed(judged, await judged.open())
    connection, opening = await judged.redialled()
    judged.answer(connection)
    await opening
    await judged.works(connection)


@_check("client", "try-reconnect", "try-reconnect waits, and connects once more.")
async def _try_reconnect(judged: JudgedClient) -> None:
    await _closed(judged, await judged.open())
    trying = judged.role.session.start("try-reconnect", {"delay_s": 0.01})
    accepting = judged.accepting()
    await judged.first(trying, accepting)
    if not accepting.done():
        accepting.cancel()
        await judged.role.session.reply("try-reconnect", trying)
        raise Violation("try-reconnect was answered with ok, and it did not connect")
    connection = judged.answer(await accepting)
    told = (await judged.role.session.reply("try-reconnect", trying)).get("connected", True)
    if told is not True:
        raise Violation(f"try-reconnect connected, and says connected: {told!r}")
    await judged.works(connection)


_check(
    "client", "request", "request is answered with the reply, or an error of a documented kind."
)(_asks)


@_check("client", "clean", "clean ends every stream that the library gave.")
async def _clean(judged: JudgedClient) -> None:
    await _done(judged, "clean", await judged.open())
    await judged.client.wait("ended")


@_check("client", "handler.slow", "The handler of slow waits, then sends slow with its payload.")
async def _slow(judged: JudgedClient) -> None:
    connection = await judged.open(events=["slow"])
    await _sends(connection, "slow", {"ms": 10}, HEADERS, "slow", {"ms": 10}, HEADERS)


@_check("client", "handler.mirror", "The handler of mirror sends mirrored, payload and headers.")
async def _mirror(judged: JudgedClient) -> None:
    connection = await judged.open(events=["mirror"])
    await _sends(connection, "mirror", PAYLOAD, HEADERS, "mirrored", PAYLOAD, HEADERS)


@_check("client", "handler.answer", "The handler of answer answers a request, with replyTo.")
async def _answer(judged: JudgedClient) -> None:
    connection = await judged.open(events=["answer"])
    asked, reply = {**HEADERS, "requestId": "by hand"}, {"replyTo": "by hand"}
    await _sends(connection, "answer", PAYLOAD, asked, "answer", PAYLOAD, reply)


async def _sends(
    connection: RawConnection,
    name: str, payload: Any, headers: Mapping[str, Any],
    answer: str, answered: Any, with_headers: Mapping[str, Any],
) -> None:  # fmt: skip
    """Send an event, and check what its handler sends."""
    connection.send_event(name, payload, headers)
    same(f"what the handler of {name} sends", await connection.next_message(), {
        "eventName": answer, "payload": answered, "headers": with_headers,
    })  # fmt: skip


@_check(
    "client", "handler.boom", "The handler of boom raises, where there are handlers.", escapes=True
)
async def _client_boom(judged: JudgedClient) -> None:
    connection = await judged.open(events=["boom"])
    connection.send_event("boom", PAYLOAD, HEADERS)
    await judged.client.event("boom")
    await judged.usable_or_closed(connection, clean=False)


@_check("client", "handler.close-me", "The handler of close-me closes the connection.")
async def _client_close_me(judged: JudgedClient) -> None:
    connection = await judged.open(events=["close-me"])
    connection.send_event("close-me", {}, HEADERS)
    await judged.client.event("close-me")
    await _let_end(connection)


@_check("client", "handler.ask-back", "The handler of ask-back sends a request, then asked.")
async def _client_asks_back(judged: JudgedClient) -> None:
    connection = await judged.open(events=["ask-back"])
    asked = {"event": "question", "payload": PAYLOAD, "timeout": 20}
    connection.send_event("ask-back", asked, HEADERS)
    got = await connection.next_message()
    if got["eventName"] == "unsupported":
        check_refusal(got, "ask-back", HEADERS)
        return  # a client's `lacks` has the call, request, and not this event
    connection.send_event("question", {"b": 2}, {"replyTo": request_id_of(got, "client")})
    same("what the handler of ask-back sends", await connection.next_message(), {
        "eventName": "asked", "payload": {"b": 2}, "headers": HEADERS,
    })  # fmt: skip
