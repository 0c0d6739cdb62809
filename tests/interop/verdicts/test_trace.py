from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from interop.records import CellResult, FrameRecord, Missing
from interop.verdicts.trace import faults, missing

from ..cells import cell, frame

Data = dict[str, Any]


def text(name: str = "echo", payload: Any = 1, headers: Any = None) -> str:
    return json.dumps({"eventName": name, "payload": payload, "headers": headers or {}})


def event(name: str = "echo", payload: Any = 1, headers: Any = None, at: float = 3.0) -> Data:
    told = {"name": name, "payload": payload, "headers": headers or {}, "via": "named"}
    return {"on": "event", "conn": "1", "t_ms": at, **told}


def send(name: str = "echo", payload: Any = 1, headers: Any = None, at: float = 1.0) -> Data:
    args = {"event": name, "payload": payload, "headers": headers or {}}
    return {"op": "send", "args": args, "t_ms": at, "done_ms": at + 0.5, "outcome": "ok"}


OPEN: Data = {"op": "open", "args": {"events": ["echo"]}, "t_ms": 0.0, "outcome": "ok"}
CONNECTED: Data = {"on": "connected", "conn": "1", "t_ms": 0.5}
ASKED = frame("client", text(), t_ms=2.0)
ANSWERED = frame("server", text(), t_ms=4.0)
TOLD = event(at=5.0)


def ran(
    frames: Sequence[FrameRecord],
    server: Sequence[Data] = (),
    client: Sequence[Data] = (),
    asked: Sequence[Data] = (),
    pushed: Sequence[Data] = (),
    judged: bool = False,
    **more: Any,
) -> CellResult:
    data: Data = {
        **({"client": "judge/Raw"} if judged else {}),
        "frames": list(frames),
        "frames_total": len(frames),
        "notifications": {"server": [CONNECTED, *server], "clients": [list(client)]},
        "requests": {"server": list(pushed), "clients": [[OPEN, *asked]]},
        "duration_ms": 1000.0,
        **more,
    }
    return cell("failed", raised="why", **data)


def found(one: CellResult) -> list[tuple[str, str, int | None]]:
    return [(fault.side, fault.why, fault.frame) for fault in faults(one)]


def test_an_echo_that_all_records_have_has_no_fault() -> None:
    assert found(ran([ASKED, ANSWERED], [event()], [TOLD], [send()])) == []


def ticks(*numbers: int, total: int = 0) -> CellResult:
    """Return a cell in which a burst of five was asked for, and these ticks were written."""
    asked = frame("client", text("burst", {"count": 5}), t_ms=2.0)
    wrote = [frame("server", text("tick", n), t_ms=4.0 + n) for n in numbers]
    told = [event("tick", n, at=4.5 + n) for n in numbers]
    args = {"events": ["tick"]}
    more: Data = {"frames_total": total} if total else {}
    sent = [{**OPEN, "args": args}, send("burst", {"count": 5})]
    return ran([asked, *wrote], [event("burst", {"count": 5})], told, sent, **more)


@pytest.mark.parametrize(
    ("one", "what", "expected"),
    [
        (ran([], asked=[send()]), "echo payload=1", ("wire", 1.0, "client", None)),
        (ran([ASKED], asked=[send()]), "echo payload=1", ("server", 2.0, None, 0)),
        (ran([ASKED], [event()], asked=[send()]), "echo payload=1", ("wire", 3.0, "server", 0)),
        (ran([ASKED, ANSWERED], [event()], asked=[send()]), "echo payload=1",
         ("client", 4.0, None, 1)),
        (ran([frame("client", text("whoami"), t_ms=2.0)], [event("whoami")],
             asked=[send("whoami")]), "whoami", ("wire", 3.0, "server", 0)),
        (ticks(0, 1, 3, 4), "tick payload=2", ("wire", 6.999, "server", 0)),
        (ticks(0, 1, 3, total=99), "tick payload=2", ("wire", 6.999, "server", 0)),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_where_it_was_due(
    one: CellResult, what: str, expected: tuple[Any, ...]
) -> None:
    at, when, author, index = expected
    assert missing(one) == [Missing(at, f"event name={what}", when, author, index)]


@pytest.mark.parametrize(
    "one",
    [
        ran([ASKED, ANSWERED], [event()], [TOLD], [send()]),
        ticks(0, 1, total=99),  # the others may be behind the record's end
        ran([frame("server", text(headers={"replyTo": "1"}), t_ms=4.0)]),  # a request takes it
        ran([ASKED], asked=[send()], acts=["the connection was cut"]),
        ran([ASKED], asked=[send()], notifications=None),
        ran([ASKED], asked=[send()], duration_ms=10.0),  # it ended before it could come
        ran(
            [ASKED, frame("server", "{}", t_ms=4.0)],
            [event()],
            asked=[send()],
            violations=[
                {"author": "server", "violation": "no eventName", "excused": False, "frame": 1}
            ],
        ),
    ],
)
def test_what_may_have_come_is_not_missing(one: CellResult) -> None:
    assert missing(one) == []


def test_answers_to_control_frames_and_ends_that_are_not_told_are_missing() -> None:
    ping = frame("client", "p", kind="ping", t_ms=2.0)
    close = frame("client", "", kind="close", code=1000, t_ms=3.0)
    asked: Data = {"op": "close", "args": {}, "t_ms": 2.5, "outcome": "ok"}
    offline = {"on": "state", "state": "offline", "t_ms": 6.0}
    assert missing(ran([ping, close], client=[offline], asked=[asked])) == [
        Missing("wire", "pong", 2.0, "server", 0),
        Missing("wire", "close frame", 3.0, "server", 1),
        Missing("server", "end of the connection", 3.0, None, 1),
    ]


def test_an_answer_that_the_library_does_not_support_is_not_missing() -> None:
    """A client that cannot read the refusal is at fault, not the server."""
    room = {"room": "r"}
    join = frame("client", text("join", room), t_ms=2.0)
    refusal = text("unsupported", {"event": "join", "why": "it has no rooms"})
    notes, sends = [event("join", room)], [send("join", room)]
    assert ("server", "did not write 'joined'", 0) in found(ran([join], notes, asked=sends))
    answered = ran([join, frame("server", refusal, t_ms=4.0)], notes, asked=sends)
    assert "server" not in {side for side, _, _ in found(answered)}


@pytest.mark.parametrize("length", [1, 500])
@pytest.mark.parametrize("name", ["to-room", "broadcast"])
def test_what_many_are_sent_is_not_written_unasked(name: str, length: int) -> None:
    """A record keeps 400 bytes of a payload."""
    said = {
        **({"room": "r"} if name == "to-room" else {}),
        "event": "said",
        "payload": length * "x",
    }
    kept = said if length < 400 else json.dumps(said)[:400] + "…"
    asked = frame("judge", text(name, said), to="server", t_ms=2.0)
    wrote = [frame("server", text(each, length * "x"), t_ms=4.0) for each in ("said", "said", "x")]
    one = ran([asked, *wrote], [event(name, kept)], judged=True)
    assert found(one) == [("server", "wrote 'x' once more than it was sent", 3)]


@pytest.mark.parametrize(
    ("one", "side", "why", "index"),
    [
        (ran([frame("client", text(payload="1"), t_ms=2.0)], asked=[send()]),
         "client", "wrote 'echo' otherwise", 0),
        (ran([frame("client", text(payload=1.0), t_ms=2.0)], asked=[send()]),
         "client", "wrote 'echo' otherwise", 0),
        (ran([frame("client", text(headers={"a": 1}), t_ms=2.0)], asked=[send()]),
         "client", "wrote 'echo' otherwise", 0),
        (ran([], asked=[send()]), "client", "did not write 'echo'", None),
        (ran([ASKED], asked=[send()]), "server", "did not deliver 'echo'", 0),
        (ran([ASKED], [event(payload=2)], asked=[send()]), "server", "read 'echo' otherwise", 0),
        (ran([ASKED], [event()], asked=[send()]), "server", "did not write 'echo'", 0),
        (ran([ASKED, frame("server", text(headers={"a": 1}), t_ms=4.0)], [event()],
             [event(headers={"a": 1}, at=5.0)], [send()]),
         "server", "wrote 'echo' otherwise", 1),
        (ran([ASKED, ANSWERED], [event()], asked=[send()]),
         "client", "did not deliver 'echo'", 1),
        (ran([ASKED, ANSWERED], [event()], [TOLD, TOLD], [send()]),
         "client", "delivered 'echo' once more", 1),
        (ran([ASKED, ANSWERED, ANSWERED], [event()], [TOLD, event(at=6.0)], [send()]),
         "server", "wrote 'echo' once more", 2),
    ],
)  # fmt: skip
def test_the_first_record_that_differs_is_the_fault(
    one: CellResult, side: str, why: str, index: int | None
) -> None:
    first = found(one)[0]
    assert (first[0], first[2]) == (side, index)
    assert first[1].startswith(why)


def test_what_is_missing_at_once_may_still_come() -> None:
    assert found(ran([ASKED], asked=[send()], duration_ms=50.0)) == []


@pytest.mark.parametrize("more", [{"acts": ["reset"]}, {"frames_total": 99}])
def test_what_is_missing_of_a_cut_connection_or_record_tells_nothing(more: Data) -> None:
    assert found(ran([ASKED], asked=[send()], **more)) == []


def test_the_judge_is_never_at_fault() -> None:
    frames = [frame("judge", text(), to="server", t_ms=2.0), ANSWERED]
    one = ran(frames, [event()], judged=True)
    assert found(one) == []
    one = ran(frames[:1], judged=True, duration_ms=3.0)
    assert found(one) == [("server", "did not deliver 'echo'", 0)]


def test_a_message_after_one_that_a_side_stumbled_over_is_not_the_cause() -> None:
    frames = [frame("judge", "{not json", to="server"), frame("judge", text(), to="server")]
    assert found(ran(frames, judged=True)) == [("server", "did not deliver 'echo'", 0)]


@pytest.mark.parametrize("count", ["x", None, [1], {}, float("nan"), float("inf")])
def test_a_burst_of_no_number_is_no_burst(count: Any) -> None:
    assert found(ran([], [event("burst", {"count": count})])) == []


def test_a_name_that_is_no_text_is_followed_nowhere() -> None:
    name = r"not UTF-8: \xff"  # as `interop.run.evidence` records the byte
    wrote = frame("client", text().replace("echo", name), t_ms=2.0, length=len(text()))
    assert found(ran([wrote])) == []


def test_events_keep_their_order() -> None:
    sent = [send(payload=n, at=1.0 + n / 10) for n in range(3)]
    frames = [frame("client", text(payload=n), t_ms=2.0 + n / 10) for n in (0, 2, 1)]
    told = [event(payload=n, at=3.0 + n / 10) for n in (0, 1, 2)]
    whys = [(side, why) for side, why, _ in found(ran(frames, told, asked=sent))]
    assert ("client", "wrote 'echo' too late") in whys
    assert ("server", "delivered 'echo' out of order") in whys


def test_a_burst_is_followed_as_far_as_it_is_recorded() -> None:
    frames = [frame("server", text("tick", n), t_ms=3.0 + n) for n in (0, 1, 1)]
    one = ran(frames, [event("burst", {"count": 1000}, at=2.0)], frames_total=1001)
    assert found(one) == [("server", "wrote 'tick' otherwise than it was sent", 2)]


def test_requests_and_replies() -> None:
    asked: Data = {"op": "request", "args": {"event": "answer", "payload": 1, "timeout": 1}}
    asked |= {"t_ms": 1.0, "done_ms": 9.0, "outcome": "ok"}
    request = frame("client", text("answer", headers={"requestId": "r"}), t_ms=2.0)
    heard = event("answer", headers={"requestId": "r"})

    def reply(**headers: Any) -> FrameRecord:
        return frame("server", text("answer", headers=headers), t_ms=4.0)

    assert found(ran([request, reply(replyTo="r")], [heard], asked=[asked])) == []
    wrong = found(ran([request, reply(replyTo="x")], [heard], asked=[asked]))
    assert wrong[0] == ("server", "wrote 'answer' otherwise than it was sent", 1)
    failed = {**asked, "outcome": "RemoteError"}
    taken = found(ran([request, reply(replyTo="r")], [heard], asked=[failed]))
    assert taken == [("client", "read a reply otherwise than it was written", 1)]


@pytest.mark.parametrize(
    ("frames", "fault"),
    [
        ([frame("judge", "a", kind="ping", to="server")], ("did not answer a ping", 0)),
        ([frame("judge", "a", kind="ping", to="server"), frame("server", "b", kind="pong")],
         ("wrote a pong of other bytes", 1)),
        ([frame("judge", "a", kind="ping", to="server"), frame("server", "a", kind="pong")], None),
        ([frame("judge", kind="close", code=1000, to="server")],
         ("did not answer a close frame", 0)),
        ([frame("judge", kind="close", code=4000, to="server"),
          frame("server", kind="close", code=1002, t_ms=2.0)],
         ("answered a close frame with another code", 1)),
        ([frame("server", kind="close", code=1011)], ("closed the connection unasked", 0)),
    ],
)  # fmt: skip
def test_control_frames_are_answered(
    frames: list[FrameRecord], fault: tuple[str, int] | None
) -> None:
    told = [{"on": "disconnected", "conn": "1", "t_ms": 3.0}]
    ours = [] if fault is None else [("server", *fault)]
    assert found(ran(frames, told, judged=True)) == ours


def test_the_code_that_was_asked_for_is_written() -> None:
    frames = [
        frame("server", kind="close", code=1000),
        frame("client", kind="close", code=1000, t_ms=2.0),
    ]
    told = [{"on": "disconnected", "conn": "1", "t_ms": 3.0}]
    drop = {"op": "drop", "args": {"conn": "1", "code": 4000}, "t_ms": 0.5, "outcome": "ok"}
    one = ran(frames, told, told, pushed=[drop])
    assert found(one) == [("server", "closed with another code than asked", 0)]


def test_a_side_may_close_once_the_other_was_asked_to() -> None:
    """Some libraries end a connection with no close frame; the other side then writes its own."""
    drop = {"op": "drop", "args": {"conn": "1"}, "t_ms": 0.5, "outcome": "ok"}
    told = [{"on": "disconnected", "conn": "1", "t_ms": 3.0}]
    one = ran([frame("client", kind="close", code=1005)], told, told, pushed=[drop])
    assert ("client", "closed the connection unasked", 0) not in found(one)
    assert ("client", "closed the connection unasked", 0) in found(ran(one.frames, told, told))


def test_callbacks_come_once_and_not_without_cause() -> None:
    end = {"on": "disconnected", "conn": "1", "t_ms": 3.0}
    closes = [
        frame("client", kind="close", code=1000),
        frame("server", kind="close", code=1000, t_ms=2.0),
    ]
    close = {"op": "close", "args": {}, "t_ms": 0.5, "outcome": "ok"}
    assert found(ran(closes, [end], [end], [close])) == []
    assert found(ran(closes, [end, end], [end], [close])) == [
        ("server", "reported disconnected twice", 0)
    ]
    assert found(ran(closes, [], [end], [close])) == [
        ("server", "did not report the end of the connection", 0)
    ]
    forged = frame("client", text("connected"), t_ms=1.0)
    again = {**CONNECTED, "t_ms": 1.5}
    assert ("server", "reported connected twice", 0) in found(
        ran([forged], [again], asked=[send("connected")])
    )


@pytest.mark.parametrize(("connection", "id", "given"), [(2, "a", 1), (2, "b", 0), (1, "a", 0)])
def test_each_connection_has_an_id_of_its_own(connection: int, id: str, given: int) -> None:
    frames = [
        frame("server", text("whoami", {"id": "a"})),
        frame("server", text("whoami", {"id": id}), connection=connection),
    ]
    whys = [why for _, why, _ in found(ran(frames, [event("whoami"), event("whoami")]))]
    assert whys.count("gave one id to two connections") == given


def test_a_cell_without_records_has_no_faults() -> None:
    assert faults(cell("failed", frames=[ASKED])) == []
