"""What the peers' adapters owe the testbed: `docs/peer-contract.md`, one side at a time.

A fault here is one of an adapter more often than of a library. An adapter that loses the headers of
an event would otherwise be found only where a scenario about something else happens to look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from interop.control.contract import Notification, Reply
from interop.control.operations import asked_of
from interop.errors import Unsupported, Violation
from interop.roles.judged import STILL_THERE, Judged, JudgedClient, JudgedServer
from interop.scenarios.scenario import scenario
from interop.wire.frames import CLOSE, TEXT
from interop.wire.raw import RawConnection
from interop.wire.rules import differ, read_event

HEADERS = {"token": "abc", "trace": {"n": [1, 2.5, None]}}
KINDS: list[Any] = [False, 0, "", [], {}, "é🙂", 2.5, {"a": [1, None, {"b": True}]}]
"""Payloads of each kind but null, which is `echo.null`'s: one server cannot read it."""


class App:
    """A connection to the interop app, whose answers are checked to the last key."""

    def __init__(self, judged: JudgedServer, connection: RawConnection, conn: str) -> None:
        self._judged = judged
        self.connection = connection
        self.conn = conn

    @classmethod
    async def open(cls, judged: JudgedServer) -> App:
        connection = await judged.open()
        return cls(judged, connection, judged.conn)

    async def tell(self, name: str, payload: Any, headers: Mapping[str, Any] = HEADERS) -> None:
        """Send an event, and check that it is reported as it was sent."""
        asked = payload if isinstance(payload, dict) else {}
        self._judged.server.session.features |= asked_of(name, asked)
        self.connection.send_event(name, payload, headers)
        got = (await self._judged.server.event(name)).data
        same("the reported event", {**got}, {
            "conn": self.conn, "name": name, "payload": payload, "headers": headers,
            "via": "named",
        })  # fmt: skip

    async def hear(
        self, name: str, payload: Any, headers: Mapping[str, Any] = HEADERS, *, of: str
    ) -> None:
        """Check the next event that the app sends.

        Raises:
            Unsupported: it says so, in the contract's form.
        """
        got = await self.connection.next_message()
        if got["eventName"] == "unsupported" != name:
            check_refusal(got, of, HEADERS)
            raise Unsupported(got["payload"]["why"], api=self._judged.server.api, op=of)
        same(f"the answer to {of}", got, {
            "eventName": name, "payload": payload, "headers": headers,
        })  # fmt: skip

    async def is_silent(self) -> None:
        """Check that the app has sent nothing more."""
        self.connection.send_event("echo", "done", HEADERS)
        await self.hear("echo", "done", of="echo")


def same(what: str, got: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    if difference := differ({**expected}, {**got}):
        raise Violation(f"{what} is another at {difference}")


def check_refusal(message: Mapping[str, Any], event: str, headers: Mapping[str, Any]) -> None:
    """Check the form in which the app answers that its library has no such thing."""
    why = message["payload"].get("why") if isinstance(message["payload"], dict) else None
    assert why and isinstance(why, str), f"unsupported says no why: {message['payload']!r}"
    same(f"the refusal of {event}", message, {
        "eventName": "unsupported", "payload": {"event": event, "why": why}, "headers": headers,
    })  # fmt: skip


# --- The interop app ----------------------------------------------------------------------


async def _echo(app: App, judged: JudgedServer) -> None:
    for payload in KINDS:
        await app.tell("echo", payload)
        await app.hear("echo", payload, of="echo")


async def _burst(app: App, judged: JudgedServer) -> None:
    for count in (0, 3):
        await app.tell("burst", {"count": count})
        for number in range(count):
            await app.hear("tick", number, of="burst")
        await app.is_silent()


async def _slow(app: App, judged: JudgedServer) -> None:
    payload: dict[str, Any] = {"ms": 20, "more": [None, 2.5]}
    await app.tell("slow", payload)
    await app.hear("slow", payload, of="slow")


async def _whoami(app: App, judged: JudgedServer) -> None:
    ids = []
    questions: list[Any] = [{}, "me?"]
    for payload in questions:
        await app.tell("whoami", payload)
        got = await app.connection.next_message()
        ids.append(got["payload"].get("id") if isinstance(got["payload"], dict) else None)
        expected = {"eventName": "whoami", "payload": {"id": ids[-1]}, "headers": HEADERS}
        same("the answer to whoami", got, expected)
    assert isinstance(ids[0], str) and ids[0] == ids[1], f"expected one id, got {ids}"


async def _answer(app: App, judged: JudgedServer) -> None:
    for number, payload in enumerate(KINDS):
        id = f"by hand-{number}"
        await app.tell("answer", payload, {**HEADERS, "requestId": id})
        await app.hear("answer", payload, {"replyTo": id}, of="answer")


async def _fail(app: App, judged: JudgedServer) -> None:
    await app.tell("fail", {"a": 1}, HEADERS)
    await app.is_silent()
    await app.tell("fail", {"a": 1}, {**HEADERS, "requestId": "by hand"})
    got = await app.connection.next_message()
    error = (got.get("headers") or {}).get("replyError")
    assert error and isinstance(error, str), f"the reply has no replyError: {got!r}"
    same("the answer to fail", got, {
        "eventName": "fail", "payload": {}, "headers": {"replyTo": "by hand", "replyError": error},
    })  # fmt: skip
    await app.is_silent()


async def _join_and_leave(app: App, judged: JudgedServer) -> None:
    payload: dict[str, Any] = {"room": "r", "more": [None, 2.5]}
    for _ in range(2):
        await app.tell("join", payload)
        await app.hear("joined", payload, of="join")
        await app.tell("leave", payload)
        await app.hear("left", payload, of="leave")
    await app.tell("to-room", {"room": "r", "event": "said", "payload": 1})
    await app.is_silent()


async def _to_room(app: App, judged: JudgedServer) -> None:
    other = await App.open(judged)
    for each in (app, other):
        await each.tell("join", {"room": "r"})
        await each.hear("joined", {"room": "r"}, of="join")
    for payload in [None, *KINDS]:
        for exclude in ({}, {"exclude-self": False}, {"exclude-self": True}):
            said = {"room": "r", "event": "said so", "payload": payload, **exclude}
            await app.tell("to-room", said)
            await other.hear("said so", payload, of="to-room")
            if not exclude.get("exclude-self"):
                await app.hear("said so", payload, of="to-room")
            await app.is_silent()


EVENTS = {
    "echo": _echo,
    "burst": _burst,
    "slow": _slow,
    "whoami": _whoami,
    "answer": _answer,
    "fail": _fail,
    "join-and-leave": _join_and_leave,
    "to-room": _to_room,
}


@pytest.mark.parametrize("name", EVENTS)
@scenario(
    "contract.app",
    "Each event of the interop app is reported as it came, and answered as the contract says.",
    side="server",
    rules=["P-12"],
)
async def test_app(judged: JudgedServer, name: str) -> None:
    await EVENTS[name](await App.open(judged), judged)


@pytest.mark.parametrize("event", ["close-me", "join", "leave", "to-room", "broadcast"])
@scenario(
    "contract.app-refuses",
    "What the library cannot do, the interop app answers with unsupported, name and reason.",
    side="server",
    rules=["P-13"],
)
async def test_app_refuses(judged: JudgedServer, event: str) -> None:
    connection = await judged.open()
    payload = {"room": "r", "event": "said", "payload": 1, "code": 4001}
    connection.send_event(event, payload, HEADERS)
    await judged.server.event(event)
    if event != "close-me":  # where there are rooms, not each of these has an answer
        connection.send_event("echo", "done", HEADERS)
    frame = await connection.next(TEXT, CLOSE)
    if frame.opcode == CLOSE:
        assert event == "close-me" and frame.code == 4001, f"closed with {frame.code}"
        return
    message = {"payload": None, **read_event(frame.payload, "server")}
    if message["eventName"] == "unsupported":
        check_refusal(message, event, HEADERS)
    else:
        assert event != "close-me", "close-me with a code neither closes nor is refused"


# --- Operations ---------------------------------------------------------------------------

SENT: dict[str, dict[str, Any]] = {
    "payload-absent": {"headers": HEADERS},
    "payload-null": {"payload": None, "headers": HEADERS},
    "headers-absent": {"payload": 1},
    "headers-null": {"payload": 1, "headers": None},
    "headers-empty": {"payload": 1, "headers": {}},
    "headers": {"payload": 1, "headers": HEADERS},
}


@pytest.mark.parametrize("form", SENT)
@scenario(
    "contract.sent",
    "push and send hand payload and headers to the library: absent, null, empty and full.",
    side="each",
    rules=["P-6"],
)
async def test_sent(judged: Judged, form: str) -> None:
    connection = await judged.open()
    await send(judged, **SENT[form])
    got = await connection.next_event("any name")
    # A library writes headers that it was not given as empty ones, as null or not at all.
    given = {"payload": None, **SENT[form], "headers": SENT[form].get("headers") or {}}
    wrote = {**got, "headers": got.get("headers") or {}}
    same("the event sent", wrote, {"eventName": "any name", **given})


@scenario(
    "contract.sent-kinds", "push and send take a payload of any kind.", side="each", rules=["P-6"]
)
async def test_sent_kinds(judged: Judged) -> None:
    connection = await judged.open()
    for payload in KINDS:
        await send(judged, payload=payload, headers=HEADERS)
        got = await connection.next_event("any name")
        expected = {"eventName": "any name", "payload": payload, "headers": HEADERS}
        same("the event sent", got, expected)


async def send(judged: Judged, **arguments: Any) -> None:
    """Make the application send the event ``any name``."""
    if isinstance(judged, JudgedServer):
        await judged.role.session.call("push", conn=judged.conn, event="any name", **arguments)
    else:
        await judged.role.session.call("send", event="any name", **arguments)


@scenario(
    "contract.received",
    "A client's peer reports an event with its name, payload and headers.",
    side="client",
    rules=["P-7"],
)
async def test_received(judged: JudgedClient) -> None:
    connection = await judged.open()
    for payload in KINDS:
        connection.send_event("echo", payload, HEADERS)
        got = {**(await judged.client.event("echo")).data}
        via = got.pop("via", None)
        assert via in ("named", "all"), f"via is {via!r}"
        same("the reported event", got, {"name": "echo", "payload": payload, "headers": HEADERS})


@scenario(
    "contract.all",
    "A client with a catch-all reports each event there too, and named what it has a handler for.",
    side="client",
    rules=["P-8"],
)
async def test_all(judged: JudgedClient) -> None:
    connection = await judged.open(more={"all": True})
    await judged.client.subscribe("late", "fail")
    for name in ("echo", "echo ", "other", "late"):
        connection.send_event(name, 1, HEADERS)
    connection.send_event("fail", {}, {"requestId": "by hand"})
    replies = [await connection.next_message()]
    await judged.works(connection)
    await judged.role.settle()
    told = [n.data for n in judged.role.session.notifications if n.on == "event"]
    every = ["echo", "echo ", "other", "late", "fail", "echo"]
    named = ["echo", "late", "fail", "echo"]
    for via, expected in (("all", every), ("named", named)):
        got = [data["name"] for data in told if data["via"] == via]
        alone = via == "named" and not got  # an API may have one stream of everything
        assert got == expected or alone, f"expected {expected} via {via}, got {got}"
    texts = [f.payload for f in connection.frames if f.opcode == TEXT]
    replies += [read_event(text, "client") for text in texts[1:]]
    answered = sum("replyTo" in (reply.get("headers") or {}) for reply in replies)
    assert answered == 1, f"fail was answered {answered} times"


@scenario(
    "contract.fail",
    "A client's handler of fail answers a request with an error, and nothing else.",
    side="client",
    rules=["P-15"],
)
async def test_fail(judged: JudgedClient) -> None:
    connection = await judged.open()
    await judged.client.subscribe("fail")
    for headers in (HEADERS, {**HEADERS, "requestId": "by hand"}):
        connection.send_event("fail", {"a": 1}, headers)
        await judged.client.event("fail")
    got = await connection.next_message()
    error = (got.get("headers") or {}).get("replyError")
    assert error and isinstance(error, str), f"the reply has no replyError: {got!r}"
    same("the answer to fail", got, {
        "eventName": "fail", "payload": {}, "headers": {"replyTo": "by hand", "replyError": error},
    })  # fmt: skip
    await judged.works(connection)


@scenario(
    "contract.close",
    "close and drop hand code and reason to the library.",
    side="each",
    rules=["P-14"],
)
async def test_close(judged: Judged) -> None:
    connection = await judged.open()
    closing = judged.start_close(code=4001, reason="é🙂 enough")
    frame = connection.soon(CLOSE)
    await judged.first(closing, frame)
    if not frame.done() and (await closing).ok is not None:
        await frame
    if frame.done():
        connection.send_close(4001)
        connection.end_tcp()
    await judged.role.session.reply("close", closing)
    got = (await frame).payload
    expected = (4001).to_bytes(2) + "é🙂 enough".encode()
    assert got == expected, f"expected the close frame {expected!r}, got {got!r}"


@scenario(
    "contract.unencodable",
    "A payload that has no form in JSON is reported as $unencodable, with its text.",
    side="each",
    escapes=True,
    rules=["P-11"],
)
async def test_unencodable(judged: Judged) -> None:
    connection = await judged.open()
    name = "whoami" if judged.side == "server" else "echo"  # nothing is sent back
    connection.send(TEXT, f'{{"eventName":"{name}","payload":1e400,"headers":{{}}}}')
    await judged.role.settle()
    for note in judged.role.session.notifications:
        payload = note.data.get("payload")
        if note.on == "event":
            text = payload.get("$unencodable") if isinstance(payload, dict) else None
            assert text and isinstance(text, str), f"infinity is reported as {payload!r}"


# --- Errors -------------------------------------------------------------------------------


async def refused(judged: Judged, op: str, arguments: Mapping[str, Any]) -> None:
    """Check that a request is answered, and with an error or unsupported."""
    used = set(judged.role.session.features)
    asked: asyncio.Future[Reply] = judged.role.session.start(op, arguments)
    await judged.role.session.check_alive()
    try:
        async with judged.setup_patience.limit():
            reply = await asked
    except TimeoutError:
        raise Violation(f"{op} {dict(arguments)} was not answered", api=judged.role.api) from None
    assert reply.ok is None, f"{op} {dict(arguments)} was answered with ok"
    judged.role.session.features = used  # the library was not asked
    if reply.error is not None:
        kind, message = reply.error.get("kind"), reply.error.get("message")
        assert kind and isinstance(kind, str), f"the error of {op} has the kind {kind!r}"
        assert message and isinstance(message, str), f"the error of {op} says {message!r}"


EARLY: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "server": {"push": {"conn": "1", "event": "x"}, "drop": {"conn": "1"}, "stop": {}},
    "client": {"send": {"event": "x"}, "close": {}, "reconnect": {}, "subscribe": {"events": []}},
}


@scenario(
    "contract.too-early",
    "An operation before there is a server, or a client, is answered with an error.",
    side="each",
    rules=["P-2"],
)
async def test_too_early(judged: Judged) -> None:
    for op, arguments in EARLY[judged.side].items():
        await refused(judged, op, {**arguments, **({"headers": {}} if op == "send" else {})})
    await judged.works(await judged.open())


STARTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "server": ("serve", {}),
    "client": ("open", {"url": "ws://127.0.0.1:1/ws", "events": []}),
}


@scenario(
    "contract.unknown-api",
    "An API that the peer does not have is refused, and the next one still starts.",
    side="each",
    rules=["P-3"],
)
async def test_unknown_api(judged: Judged) -> None:
    op, arguments = STARTS[judged.side]
    await refused(judged, op, {"api": "NoSuchApi", **arguments})
    await judged.works(await judged.open())


@scenario(
    "contract.one-each",
    "A session has at most one server and one client: another is refused, and the first works.",
    side="each",
    rules=["P-4"],
)
async def test_one_each(judged: Judged) -> None:
    connection = await judged.open()
    api = judged.role.api.name
    if isinstance(judged, JudgedServer):
        await refused(judged, "serve", {"api": api, "path": "/another"})
    elif isinstance(judged, JudgedClient):
        url = (await judged.listener()).url()
        await refused(judged, "open", {"api": api, "url": url, "events": []})
    await judged.works(connection)


@scenario(
    "contract.limits",
    "A close timeout that a peer takes is one that its describe declares; others are refused.",
    side="each",
    rules=["P-17"],
)
async def test_limits(judged: Judged) -> None:
    # The other limits are set by `time.*`, declared or not, and seen in force there.
    op, arguments = STARTS[judged.side]
    setting = {"api": judged.role.api.name, **arguments, "close_timeout_s": 7}
    asked = judged.role.session.start(op, setting)
    judged.role.session.features -= asked_of(op, setting)  # the answer may be that it lacks that
    async with judged.setup_patience.limit():
        reply = await asked
    declared = await judged.declared("close_timeout_s")
    taken = reply.unsupported is None
    assert not taken or declared is not None, f"{op} takes close_timeout_s, which is null"


@scenario(
    "contract.sessions",
    "What happens in one session of a peer is reported in no other.",
    side="each",
    rules=["P-16"],
)
async def test_sessions(judged: Judged, other: Judged) -> None:
    connection, second = await judged.open(), await other.open()
    connection.send_event("echo", "to the first")
    await judged.received("echo", "to the first")
    second.abort(reset=True)
    await other.ended()
    await judged.works(connection)
    for each, expected in ((judged, ["to the first", STILL_THERE]), (other, [])):
        await each.role.settle()
        told = [n for n in each.role.session.notifications if n.on != "error"]
        got = [n.data["payload"] for n in told if n.on == "event"]
        assert got == expected, f"expected the events {expected}, got {got}"
        ends = [n for n in told if n.on == "disconnected" or n.data.get("state") == "offline"]
        assert each is other or not ends, f"another session's end is reported: {dict(ends[0].data)}"


@scenario(
    "contract.no-such-conn",
    "push and drop for a connection that never was are answered with an error.",
    side="server",
    rules=["P-5"],
)
async def test_no_such_conn(judged: JudgedServer) -> None:
    connection = await judged.open()
    for conn in ("2", "0", ""):
        await refused(judged, "push", {"conn": conn, "event": "x", "payload": 1, "headers": {}})
        await refused(judged, "drop", {"conn": conn})
    await judged.works(connection)


# --- Notifications ------------------------------------------------------------------------

Keys = Mapping[str, type | tuple[type, ...]]
ANY = object

NEEDED: Mapping[str, Keys] = {
    "connected": {},
    "disconnected": {},
    "event": {"name": str, "payload": ANY, "headers": dict, "via": str},
    "state": {"state": str},
    "ended": {"stream": str},
    "error": {"message": str},
    "uncaught": {"message": str},
}
OPTIONAL: Mapping[str, Keys] = {
    "disconnected": {"code": (int, type(None)), "reason": (str, type(None))},
    "error": {"event": (str, type(None))},
}
OF_A_CONNECTION = ("connected", "disconnected", "event")
VALUES: Mapping[str, tuple[str, ...]] = {
    "via": ("named", "all"),
    "state": ("connecting", "online", "offline", "error"),
    "stream": ("events", "states"),
}


@pytest.mark.parametrize("after", ["null", "malformed", "close"])
@scenario(
    "contract.notifications",
    "Each notification has the keys of the contract, and no other.",
    side="each",
    escapes=True,
    rules=["P-9"],
)
async def test_notifications(judged: Judged, after: str) -> None:
    connection = await judged.open()
    connection.send_event("echo", {"a": 1}, HEADERS)
    await judged.received("echo", {"a": 1})
    if after == "null":  # which one server cannot read
        connection.send_event("echo", None, {})
    elif after == "malformed":
        connection.send(TEXT, "{not json")
    else:
        connection.send_close(4003, "é🙂 enough")
        await connection.next(CLOSE)
        connection.end_tcp()
        await judged.ended()
    await judged.role.settle()
    for note in judged.role.session.notifications:
        check_notification(note, judged)
        if note.on == "disconnected" and after == "close":
            check_told(note.data, {"code": 4003, "reason": "é🙂 enough"})


def check_told(data: Mapping[str, Any], whole: Mapping[str, object]) -> None:
    """Check code and reason of a disconnected: a library may tell one of them, or none."""
    told = {key: data[key] for key in whole if data.get(key) is not None}
    rightly = not any(told.values()) or told.items() <= whole.items()
    assert rightly, f"expected {whole}, one of them or none, got {told}"


def check_notification(note: Notification, judged: Judged) -> None:
    needed: dict[str, Any] = {**NEEDED[note.on]}
    optional: dict[str, Any] = {**OPTIONAL.get(note.on, {})}
    if judged.side == "server":
        (needed if note.on in OF_A_CONNECTION else optional)["conn"] = str
    for key, kind in needed.items():
        assert key in note.data, f"the notification {note.on} has no {key}"
        assert isinstance(note.data[key], kind), f"{key} of {note.on} is {note.data[key]!r}"
    for key, value in note.data.items():
        assert key in {**needed, **optional}, f"the notification {note.on} has a key {key!r}"
        assert isinstance(value, {**optional, **needed}[key]), f"{key} of {note.on} is {value!r}"
        allowed = VALUES.get(key, (value,))
        assert value in allowed, f"{key} of {note.on} is {value!r}, none of {', '.join(allowed)}"


@scenario(
    "contract.conn",
    "Connections are named 1, 2, 3 in the order of connected, and each name means one.",
    side="server",
    rules=["P-10"],
)
async def test_conn(judged: JudgedServer) -> None:
    three = []
    for number in range(3):
        three.append(await judged.open())
        assert judged.conn == str(number + 1), f"connection {number + 1} is named {judged.conn!r}"
    for number in (1, 0, 2):
        conn = str(number + 1)
        three[number].send_event("echo", number)
        got = await judged.server.event("echo")
        assert got.data["conn"] == conn, f"an event of {conn} is reported of {got.data['conn']!r}"
        await judged.server.push(conn, "pushed", number)
        got = (await three[number].next_event("pushed"))["payload"]
        assert got == number, f"expected the payload {number}, got {got!r}"
    three[1].abort()
    gone = await judged.server.wait("disconnected")
    assert gone.data["conn"] == "2", f"the end of 2 is reported of {gone.data['conn']!r}"
    await judged.open()
    assert judged.conn == "4", f"the fourth connection is named {judged.conn!r}"


@scenario(
    "contract.drop", "drop closes the connection of that name alone.", side="server", rules=["P-14"]
)
async def test_drop(judged: JudgedServer) -> None:
    first, second = await judged.open(), await judged.open()
    dropping = judged.role.session.start("drop", {"conn": "1"})
    closing = asyncio.ensure_future(first.closing())
    try:
        await judged.first(dropping, closing)
        if not closing.done():
            await judged.role.session.reply("drop", dropping)  # there may be no drop
        await closing
    finally:
        closing.cancel()
    first.send(CLOSE)
    first.end_tcp()
    await judged.role.session.reply("drop", dropping)
    await judged.works(second)


@scenario(
    "contract.describe",
    "describe tells what the contract asks for, in its form.",
    side="each",
    rules=["P-1"],
)
async def test_describe(judged: Judged) -> None:
    await judged.open()
    about = await judged.role.session.call("describe")
    for key in ("peer", "language", "runtime"):
        value = about.get(key)
        assert value and isinstance(value, str), f"{key} of describe is {value!r}"
    libraries = about.get("libraries")
    assert isinstance(libraries, dict), f"libraries of describe is {libraries!r}"
    for name, version in libraries.items():
        known = isinstance(version, str) and version[:1].isdigit()
        assert known, f"the version of {name} is {version!r}"
    for limit in ("message_bytes", "ping_interval_s", "ping_timeout_s"):
        value = await judged.declared(limit)
        assert value is None or (isinstance(value, (int, float)) and value > 0), (
            f"{limit} of describe is {value!r}"
        )
