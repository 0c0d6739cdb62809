"""``check``'s scenarios against this library's server, and against scripted ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from interop.check.check import WHY_NOT, Check, why_not
from interop.check.endpoint import EndpointError, parse_endpoint
from interop.check.uncontrolled import NO_HEADERS, parsed
from interop.errors import TestbedError, Violation
from interop.peers.python.hosts import HOSTS, Options
from interop.reports.results import SCHEMA_FILE
from interop.roles.judged import Judged
from interop.run.runner import Bound, load_functions
from interop.scenarios.scenario import Scenario, scenario
from interop.scenarios.test_handshake import GARBAGE
from interop.verdicts.deviations import known_to_check, load
from interop.wire import http
from interop.wire.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameReader,
    close_payload,
    frame,
)
from tests.support.app import Notes

from .. import servers

SECRET = "Authorization: Bearer geheim"


@pytest.fixture(autouse=True)
def _short_farewell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripted servers answer no close frame."""
    monkeypatch.setattr("interop.check.remote.FAREWELL_TIMEOUT", 0.05)


@pytest.fixture(scope="module")
def whole() -> dict[str, Bound]:
    return load_functions()


def made(name: str = "made.up", **more: object) -> dict[str, Bound]:
    """A scenario of the test's own."""

    @scenario(name, "A rule.", side="server", needs="nothing", **more)
    async def ping(judged: Judged) -> None:
        connection = await judged.open()
        connection.send(PING, "x")
        await connection.next(PONG)

    return {name: Bound(ping.scenario, ping, {})}  # type: ignore[attr-defined]  # set by @scenario


def test_every_reason_has_words_and_the_rest_runs() -> None:
    facts = {
        "": Scenario("x", "A rule.", side="server", needs="nothing"),
        "echo": Scenario("x", "A rule.", side="each", needs="echo"),
        "load": Scenario("x", "A rule.", side="server", needs="load"),
        "control": Scenario("x", "A rule.", side="each"),
        "client": Scenario("x", "A rule.", side="client", needs="nothing"),
        "pair": Scenario("x", "A rule."),
    }
    assert {why: why_not(each, None) for why, each in facts.items()} == {why: why for why in facts}
    assert why_not(facts["echo"], "echo") == ""
    assert set(WHY_NOT) | {""} == set(facts)


@pytest.mark.parametrize("echo", [None, "echo"])
async def test_this_librarys_server_holds_every_rule(
    whole: dict[str, Bound], echo: str | None
) -> None:
    told: list[str] = []
    async with servers.app() as url:
        check = Check(parse_endpoint(url), patience=5, echo=echo)
        checked = await check.run(whole, told.append)
    results = checked.results
    assert [(c.scenario, c.reason) for c in results.cells if c.verdict != "passed"] == []
    assert results.exit_status == 0
    assert told == [cell.scenario for cell in results.cells]
    assert {name.partition(".")[0] for name in told} >= {"frames", "handshake", "malformed", "time"}
    assert ("echo" in checked.not_run) is (echo is None)
    assert len(told) + checked.not_run.total() == len(whole)
    jsonschema.validate(json.loads(results.dump()), json.loads(SCHEMA_FILE.read_text()))


def test_nothing_that_could_change_something_is_sent(whole: dict[str, Bound]) -> None:
    """No other method, no other path, no load, and no guess at who may come in."""
    chosen = [name for name, bound in whole.items() if not why_not(bound.facts, "echo")]
    barred = ("handshake.method", "handshake.plain-http", "handshake.other-path", "amount.",
              "many.", "handshake.accepts.origin", "handshake.accepts.credentials")  # fmt: skip
    assert [name for name in chosen if name.startswith(barred)] == []


async def test_a_rule_that_does_not_hold_shows_the_frames() -> None:
    async with servers.scripted(None, frame(PING, b"hello")) as url:
        checked = await Check(parse_endpoint(url), patience=0.1).run(made())
    (cell,) = checked.results.cells
    assert (cell.verdict, cell.severity) == ("failed", "must")
    assert cell.reason == "the server wrote no pong frame within 0.1 s; it wrote ping b'hello'"
    assert [(f.author, f.kind) for f in cell.frames] == [
        ("judge", "ping"),
        ("server", "ping"),
    ]
    assert checked.results.exit_status == 1
    assert cell.again == f"python -m interop check '{url}' --scenario 'made.up'"


async def test_a_should_is_a_warning() -> None:
    async with servers.scripted() as url:
        checked = await Check(parse_endpoint(url), patience=0.1).run(made(severity="should"))
    assert [cell.verdict for cell in checked.results.cells] == ["warned"]
    assert checked.results.exit_status == 0


async def test_a_server_that_writes_what_is_no_event_fails() -> None:
    async with servers.scripted(None, frame(1, b"5"), frame(PONG, b"x")) as url:
        checked = await Check(parse_endpoint(url), patience=5).run(made())
    (cell,) = checked.results.cells
    assert cell.reason == "the server wrote not an object but a number: b'5'"
    assert cell.violations[0].author == "server"


CLOSED = frame(CLOSE, close_payload(1003))


@pytest.mark.parametrize(
    ("behind", "reason"),
    [
        (frame(PONG, b"x"), ""),
        (frame(PING) + frame(PONG, b"x"), ""),
        (frame(TEXT, b'{"eventName":"x"}') + frame(PONG, b"x"), "a data frame after a close frame"),
        (CLOSED + frame(PONG, b"x"), "a second close frame"),
    ],
    ids=["pong", "ping", "text", "close"],
)
async def test_a_server_that_has_closed_may_still_answer_a_ping(behind: bytes, reason: str) -> None:
    async with servers.scripted(None, CLOSED, behind) as url:
        checked = await Check(parse_endpoint(url), patience=5).run(made())
    (cell,) = checked.results.cells
    assert cell.reason.endswith(reason)
    assert cell.verdict == ("failed" if reason else "passed")


Answer = Callable[[dict[str, Any]], dict[str, Any]]


def echoing(answer: Answer) -> AbstractAsyncContextManager[str]:
    """A server that answers every event ``echo``, also with headers that are no object."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http.answer(http.parse_head(await reader.readuntil(b"\r\n\r\n"))))
        frames = FrameReader("client")
        while data := await reader.read(65536):
            for found in frames.feed(data):
                event = parsed(found.payload) if found.opcode == TEXT else {}
                if event.get("eventName") == "echo":
                    reply = {"eventName": "echo", "payload": event.get("payload"), **answer(event)}
                    writer.write(frame(TEXT, json.dumps(reply).encode()))
                if found.opcode == CLOSE:
                    return

    return servers.served(handle)


@pytest.mark.parametrize(
    ("answer", "reasons", "unjudged"),
    [
        (lambda event: {"headers": event["headers"]}, [""], 0),
        (lambda event: {"headers": {**event["headers"], "n": 2}}, ["$.n: expected a number 1"], 0),
        (lambda event: {"headers": {}}, [], 1),
        (lambda event: {}, [], 1),
    ],
    ids=["whole", "changed", "empty", "absent"],
)
async def test_headers_are_judged_where_the_echo_returns_them(
    whole: dict[str, Bound], answer: Answer, reasons: list[str], unjudged: int
) -> None:
    name = "headers.from-handler.text"
    async with echoing(answer) as url:
        check = Check(parse_endpoint(url), patience=5, echo="echo")
        results = (await check.run({name: whole[name]})).results
    assert [reason in cell.reason for reason, cell in zip(reasons, results.cells, strict=True)] == [
        True for _ in reasons
    ]
    assert [cell.verdict == "passed" for cell in results.cells] == [not each for each in reasons]
    assert results.unjudged == [f"1 scenario because {NO_HEADERS}"] * unjudged


@pytest.mark.parametrize("name", ["headers-array", "headers-number", "no-name", "two-objects"])
async def test_a_malformed_message_that_is_answered_has_reached_a_handler(
    whole: dict[str, Bound], name: str
) -> None:
    name = f"malformed.server-unheard.{name}"
    async with echoing(lambda event: {"headers": {}}) as url:
        check = Check(parse_endpoint(url), patience=5, echo="echo")
        (cell,) = (await check.run({name: whole[name]})).results.cells
    answered = ".headers-" in name
    assert cell.reason == ("the server echoed 1 event, not none" if answered else "")
    assert cell.rules == ["W-23"]


async def test_a_handshake_that_fails_shows_its_bytes(whole: dict[str, Bound]) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.readuntil(b"\r\n\r\n")
        if data.startswith(b"GET"):
            writer.write(http.answer(http.parse_head(data), extra=[("Set-Cookie", "id=geheim")]))
            writer.write(frame(PONG, b"still there?") + CLOSED)
            await reader.read()

    names = "handshake.garbage-told.frame", "handshake.no-host"
    async with servers.served(handle) as url:
        check = Check(parse_endpoint(url, headers=[SECRET]), patience=5)
        results = (await check.run({name: whole[name] for name in names})).results
    garbage, no_host = (
        [(each.author, each.what, each.text) for each in cell.passages] for cell in results.cells
    )
    bytes_sent = GARBAGE["frame"].decode("latin-1")
    assert garbage == [("judge", "handshake", bytes_sent), ("server", "end", "")]
    assert results.cells[0].reason == "the server ended the connection and answered nothing"
    (*asked, request), (*answered, answer) = no_host
    assert (asked, answered) == (["judge", "handshake"], ["server", "handshake"])
    assert request.startswith("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n")
    assert request.endswith("\r\nAuthorization: …\r\n\r\n")
    assert answer.endswith("\r\nSet-Cookie: …\r\n\r\n")


@pytest.mark.parametrize("cut", [True, False])
async def test_whether_tcp_was_cut_or_stays_open_is_told(
    whole: dict[str, Bound], cut: bool
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = http.parse_head(await reader.readuntil(b"\r\n\r\n"))
        writer.write(http.answer(asked) + frame(PONG, b"still there?"))
        while data := await reader.read(65536):
            if cut and data[0] & 15 == BINARY:
                return

    async with servers.served(handle) as url:
        check = Check(parse_endpoint(url), patience=0.2)
        results = (await check.run({"frames.binary.empty": whole["frames.binary.empty"]})).results
    (cell,) = results.cells
    assert cell.defect == "the connection is not usable and the server wrote no close frame"
    assert cell.reason == f"{cell.defect}; {'it ended TCP' if cut else 'TCP stays open'}"
    ends = [(each.author, each.what) for each in cell.passages if each.what != "handshake"]
    assert ends == ([("server", "end")] if cut else [])


async def test_what_the_server_gives_back_of_a_secret_is_not_kept() -> None:
    @scenario("made.up", "A rule.", side="server", needs="nothing")
    async def tells(judged: Judged) -> None:
        raise Violation("it answered Bearer geheim to ?key=qwertz")

    bound = Bound(tells.scenario, tells, {})  # type: ignore[attr-defined]  # set by @scenario
    async with servers.app() as url:
        endpoint = parse_endpoint(f"{url}?key=qwertz", headers=[SECRET])
        checked = await Check(endpoint, patience=1).run({"made.up": bound})
    (cell,) = checked.results.cells
    assert cell.reason == "it answered <redacted> to ?<redacted>"
    assert cell.server == url


async def test_an_error_to_begin_with_tells_no_secret_either() -> None:
    async with servers.scripted(b"HTTP/1.1 400 Bad geheim\r\n\r\n") as url:
        check = Check(parse_endpoint(url, headers=[SECRET]), patience=1)
        with pytest.raises(EndpointError, match="400 Bad <redacted>"):
            await check.run(made())


async def test_a_failure_without_words_and_one_of_the_testbed() -> None:
    async def fails(judged: Judged) -> None:
        raise AssertionError

    async def explains(judged: Judged) -> None:
        raise AssertionError("it answered 5\nassert 5 == 6\n +  where 5 = f()")

    async def breaks(judged: Judged) -> None:
        raise TestbedError("broken")

    async def misses(judged: Judged) -> None:
        """As where an event has not the payload that is read; in a scenario it is the server's."""
        nothing: dict[str, object] = {}
        assert nothing["id"]

    facts = Scenario("x", "A rule.", side="server", needs="nothing")
    bounds = {
        "a": Bound(facts, fails, {}),
        "b": Bound(facts, breaks, {}),
        "c": Bound(facts, explains, {}),
        "d": Bound(facts, misses, {}),
    }
    async with servers.app() as url:
        checked = await Check(parse_endpoint(url), patience=1).run(bounds)
    found = [(cell.verdict, cell.reason) for cell in checked.results.cells]
    assert found == [
        ("failed", "it does not hold"),
        ("error", "TestbedError: broken"),
        ("failed", "it answered 5"),
        ("error", "KeyError: 'id'"),
    ]
    assert checked.results.exit_status == 2


async def test_a_server_that_goes_away_ends_it_with_what_is_done() -> None:
    async with servers.scripted(times=3) as url:  # two connections to begin with, one for a
        checked = await Check(parse_endpoint(url), patience=0.1).run({**made("a"), **made("b")})
    assert [cell.scenario for cell in checked.results.cells] == ["a"]
    assert checked.results.broken.startswith(
        "after a, which may have ended the server: no connection to"
    )
    assert checked.results.exit_status == 2


UVICORNS_OWN = ["handshake.http-1.0", "handshake.no-host", "handshake.version-told"]


@asynccontextmanager
async def hosted(api: str) -> AsyncIterator[str]:
    """Run an application of a framework that has an ``echo``; give its URL."""
    host = HOSTS[api](Notes(), "127.0.0.1", "/ws", lambda exc, what: None, Options())
    port = await host.start()
    try:
        yield f"ws://127.0.0.1:{port}/ws"
    finally:
        await host.kill()


async def test_what_is_known_of_a_framework_is_not_held_against_an_application(
    whole: dict[str, Bound],
) -> None:
    chosen = {name: whole[name] for name in (*UVICORNS_OWN, "frames.ping.0")}
    async with hosted("FastApiConnector") as url:
        checked = await Check(parse_endpoint(url), patience=5, frameworks=load()).run(chosen)
        verdicts = {cell.scenario: cell.verdict for cell in checked.results.cells}
        assert verdicts == {**dict.fromkeys(UVICORNS_OWN, "deviating"), "frames.ping.0": "passed"}
        assert checked.framework == "uvicorn"
        assert checked.results.exit_status == 0
        strict = await Check(parse_endpoint(url), patience=5, frameworks=load(), framework="").run(
            chosen
        )
        assert strict.results.exit_status == 1


async def test_a_frameworks_deviation_that_does_not_show_is_no_fault(
    whole: dict[str, Bound],
) -> None:
    async with servers.app() as url:
        check = Check(parse_endpoint(url), patience=5, frameworks=load(), framework="uvicorn")
        checked = await check.run({name: whole[name] for name in UVICORNS_OWN})
    assert [cell.verdict for cell in checked.results.cells] == ["passed"] * 3


async def test_what_is_known_of_a_server_is_expected_of_it(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text('[[deviation]]\nscenario = "made.up"\nseen = "no pong frame"\ncause = "late"\n')
    known = known_to_check(path, ["made.up"])
    async with servers.scripted() as url:
        checked = await Check(parse_endpoint(url), patience=0.1, known=known).run(made())
    (cell,) = checked.results.cells
    assert cell.verdict == "deviating"
    assert cell.reason.startswith("ours.toml (server): late [seen: the server wrote no pong")
    async with servers.app() as url:
        checked = await Check(parse_endpoint(url), patience=5, known=known).run(made())
    (cell,) = checked.results.cells
    assert cell.verdict == "failed"
    assert cell.reason == (
        "expected to fail, but passed; remove its entry: ours.toml (server): late"
    )


async def test_time_that_the_rate_takes_is_not_the_servers() -> None:
    async with servers.app() as url:
        check = Check(parse_endpoint(url), patience=5, rate=10, within=0.25)
        checked = await check.run({**made("a"), **made("b"), **made("c"), **made("d")})
    assert [cell.verdict for cell in checked.results.cells] == ["passed"] * 4
    assert checked.results.duration_s > 0.25
