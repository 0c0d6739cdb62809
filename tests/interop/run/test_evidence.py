from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from interop.control.contract import Address, Notification
from interop.records import KEPT, ConnectionRecord, FrameRecord, ViolationRecord
from interop.run import evidence
from interop.run.plugin import pytest_assertrepr_compare
from interop.scenarios.scenario import Scenario
from interop.wire.http import answer, parse_head, request
from interop.wire.log import Log
from interop.wire.rules import Frame
from interop.wire.tap import Tap, TapConnection

from ..control.test_session import connected
from ..fake_peer import good

FACTS = Scenario("x", "A rule.", invalid_from=["client"])


def log_of(*frames: Frame) -> Log:
    log = Log()
    log.frames.extend(frames)
    return log


def test_a_burst_is_cut() -> None:
    frame = Frame(0.5, 1, "client", "server", 1, b"{}")
    found = evidence.frames(log_of(*[frame] * 100))
    assert len(found) == KEPT


def test_a_frame_keeps_its_length_and_a_close_frame_its_code() -> None:
    long = Frame(0.0015, 2, "server", "client", 1, b"\xff" + b"x" * 1000)
    close = Frame(0, 1, "server", "client", 8, b"", 1005)
    first, last = evidence.frames(log_of(long, close))
    text = "\\xff" + "x" * 399
    assert first == FrameRecord(1.5, 2, "server", "client", "text", 1001, None, text)
    assert last == FrameRecord(0.0, 1, "server", "client", "close", 0, 1005)


def test_violations_name_author_and_frame() -> None:
    log = log_of(
        Frame(0, 1, "judge", "server", 1, b"no JSON"),
        Frame(0, 1, "client", "server", 2, b""),
        Frame(0, 1, "server", "client", 1, b"[]"),
    )
    log.frame_errors.append(("server", "half a frame"))
    assert evidence.violations(FACTS, log) == [
        ViolationRecord("server", "bytes that are no WebSocket frame: half a frame", False),
        ViolationRecord("client", "a binary message: events are text messages", True, 1, "W-1"),
        ViolationRecord("server", "not an object but an array", False, 2, "W-1"),
    ]


def test_long_values_are_cut() -> None:
    found = evidence.clipped({"a": "x" * 1000, "b": "short"})
    assert found["b"] == "short"
    assert len(found["a"]) == 401
    assert found["a"].endswith("…")
    # As JSON each of these characters is 12 long.
    assert evidence.clipped({"a": "\U0001f600" * 30})["a"] == "\U0001f600" * 30
    assert evidence.clipped({"a": "\U0001f600" * 34})["a"].endswith("…")
    assert evidence.clipped({"a": [1] * 200})["a"].endswith("…")


def test_an_account_of_where_a_value_came_from_is_left_out() -> None:
    raised = AssertionError("assert 1 == 2\n +  where 1 = <object at 0x7f>")
    assert evidence.words(raised) == "assert 1 == 2"


def test_an_assertion_with_words_says_them_alone() -> None:
    raised = AssertionError("it closed with 5\nassert 5 == 6\n  Use -v to get more diff")
    assert evidence.words(raised) == "it closed with 5"


@pytest.mark.parametrize(
    ("got", "expected", "words"),
    [
        (["online"], ["connecting", "online"], "missing 'connecting'"),
        ([0, 1, 1, 3], [0, 1, 2, 3], "missing 2; not expected 1"),
        ([{"a": 1}, [2]], [[2]], "not expected {'a': 1}"),
        ([0, 2, 1], [0, 1, 2], "in another order from index 1 on"),
        ([], [*range(9)], "missing 0, 1, 2, 3, 4, 4 more"),
        (["x" * 99], [], f"not expected '{'x' * 59}…"),
    ],
)
def test_how_two_lists_differ_is_said_in_words(
    got: list[object], expected: list[object], words: str
) -> None:
    line = evidence.difference(got, expected)
    bare = AssertionError(f"assert [...] == [...]\n  \n  {line}\n  At index 0 diff: 1 != 2")
    assert evidence.words(bare) == f"{words}: assert [...] == [...]\n  \n  At index 0 diff: 1 != 2"
    own = AssertionError(f"expected a, got b\nassert [...] == [...]\n  \n  {line}")
    assert evidence.words(own) == f"expected a, got b: {words}"


@pytest.mark.parametrize(
    ("op", "left", "right", "lines"),
    [
        ("==", [1], [2], ["a", "in words: missing 2; not expected 1", "b"]),
        ("!=", [1], [1], ["a", "b"]),
        ("==", 1, 2, ["a", "b"]),
    ],
)
def test_pytests_own_lines_stay_beside_the_words(
    op: str, left: object, right: object, lines: list[str]
) -> None:
    hook = pytest_assertrepr_compare(op, left, right)
    next(hook)
    with pytest.raises(StopIteration) as ended:
        hook.send([["a", "b"]])
    assert ended.value.value == [lines]


async def _value(value: int) -> int:
    return value


async def test_an_assertion_without_words_says_what_it_expected() -> None:
    with pytest.raises(AssertionError) as caught:
        assert (await _value(1000)) in (
            4002,
            None,
        )
    assert evidence.words(caught.value) == (
        "expected _value(1000) in (4002, None): assert 1000 in (4002, None)"
    )


def test_an_assertion_that_pytest_does_not_see_into_says_what_it_expected(tmp_path: Path) -> None:
    path = tmp_path / "plain.py"
    path.write_text("def check(x):\n    assert x == 1\n")
    scope: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    with pytest.raises(AssertionError) as caught:
        scope["check"](2)
    assert evidence.words(caught.value) == "expected x == 1"


def test_what_no_assertion_raised_says_what_it_says() -> None:
    assert evidence.words(AssertionError()) == ""
    assert evidence.words(ValueError("x\n +  y")) == "x"


async def test_notes_have_their_time() -> None:
    async with connected(good) as session:
        session.notifications += [Notification("event", {"name": "x" * 1000})] * 70
        session.times += [12.5] * 70
        found = evidence.notes(session, 12.0)
    assert len(found) == KEPT
    assert (found[0]["on"], found[0]["t_ms"]) == ("event", 500.0)
    assert found[0]["name"].endswith("…")


async def test_requests_have_what_became_of_them() -> None:
    def script(request: dict[str, Any]) -> Any:
        return {
            "send": {"error": {"kind": "Gone", "message": "it went"}},
            "serve": {"ok": {}},
            "wait": [],
        }.get(request["op"], {"unsupported": "no"})

    async with connected(script) as session:
        session.start("wait", {"text": "x" * 1000})
        for op in ("serve", "send", "clean"):
            await asyncio.wait([session.start(op, {"n": 1})])
        found = evidence.requests(session, session.requests[0].time)
    assert [(asked.op, asked.outcome) for asked in found] == [
        ("wait", ""), ("serve", "ok"), ("send", "Gone"), ("clean", "unsupported")
    ]  # fmt: skip
    assert found[0].args["text"].endswith("…")
    assert found[0].done_ms is None
    assert found[1].args == {"n": 1}
    assert found[1].done_ms is not None
    assert 0 == found[0].t_ms < found[1].t_ms < found[1].done_ms < found[2].t_ms


async def test_connections_have_what_is_special_in_their_handshakes() -> None:
    tap = Tap("127.0.0.1", Address("127.0.0.1", 0), Log())
    relayed = [TapConnection(tap, 1) for _ in range(2)]
    first = relayed[0]
    asked = request(host="h", path="/a?b", extra=[("X-A", "1"), ("X-A", "2")])
    first.heads["client"] = asked
    first.heads["server"] = answer(parse_head(asked), extra=[("Sec-WebSocket-Protocol", "p")])
    first.over("judge")
    first.over("client")
    found = evidence.connections(relayed)
    assert found[0].ended is not None
    assert found[0].ended.by == "judge"
    assert found[0].t_ms <= found[1].t_ms
    headers = [("X-A", "1"), ("X-A", "2")]
    assert found == [
        ConnectionRecord(found[0].t_ms, "/a?b", headers, 101, "p", found[0].ended),
        ConnectionRecord(found[1].t_ms, "", [], 0),
    ]
