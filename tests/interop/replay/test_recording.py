from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interop.records import KEPT, CellResult, FrameRecord, RequestRecord
from interop.replay.recording import (
    Answer,
    Ask,
    Connect,
    Ended,
    Expect,
    Play,
    RecordingError,
    Told,
    find,
    steps,
)

from .. import cells

EVENT = '{"eventName":"echo","payload":"é","headers":{}}'


def frame(at: float, author: str, to: str, text: str = EVENT, **more: Any) -> FrameRecord:
    return cells.frame(author, text, t_ms=at, to=to, **more)


def recorded(**more: Any) -> CellResult:
    """A cell in which a client echoed once, and the server closed."""
    frames = [
        frame(5.0, "client", "server"),
        frame(6.0, "server", "client"),
        frame(7.5, "server", "client", "", kind="ping"),
        frame(7.6, "client", "server", "", kind="pong"),
        frame(8.0, "server", "client", "why", kind="close", code=1001),
    ]
    data: dict[str, Any] = {
        "frames": frames,
        "frames_total": len(frames),
        "notifications": {
            "server": [{"on": "connected", "conn": "1", "t_ms": 4.0}],
            "clients": [
                [
                    {"on": "state", "state": "online", "t_ms": 4.5},
                    {"on": "event", "name": "echo", "payload": "x" * 400 + "…", "t_ms": 6.5},
                ]
            ],
        },
        "requests": {
            "server": [
                {"op": "serve", "args": {"api": "ZapServer", "path": "/ws-1"}, "t_ms": -1.0,
                 "done_ms": -0.5, "outcome": "ok"},
                {"op": "drop", "args": {"conn": "1", "code": 1001}, "t_ms": 7.0},
            ],
            "clients": [
                [{"op": "open", "args": {"api": "ZapConsumer", "url": "ws://h:9/ws-1"}, "t_ms": 2.0,
                  "done_ms": 4.6, "outcome": "ok"}]
            ],
        },
        "connections": [
            {"t_ms": 3.0, "target": "/ws-1", "headers": [["X-A", "1"]], "status": 101,
             "protocol": "a", "ended": {"by": "client", "t_ms": 9.0}},
        ],
        "acts": [],
    }  # fmt: skip
    return cells.cell(**{**data, **more})


CONNECT = Connect(1, "/ws-1", [("X-A", "1")], 101, "a")


def test_the_clients_half_for_a_live_server() -> None:
    assert steps(recorded(), "server") == [
        Ask(0, 0, "serve", {"api": "ZapServer", "path": "/ws-1"}),
        Answer(0, 0, "serve", "ok"),
        CONNECT,
        Told(0, {"on": "connected", "conn": "1"}),
        Play(1, 0, "text", EVENT, None),
        Expect(1, 1, "text", EVENT, None),
        Ask(0, 1, "drop", {"conn": "1", "code": 1001}),
        Expect(1, 4, "close", "why", 1001),
        Ended(1),
    ]


def test_the_servers_half_for_a_live_client() -> None:
    assert steps(recorded(), "client") == [
        Ask(0, 0, "open", {"api": "ZapConsumer", "url": "ws://h:9/ws-1"}),
        CONNECT,
        Told(0, {"on": "state", "state": "online"}),
        Answer(0, 0, "open", "ok"),
        Expect(1, 0, "text", EVENT, None),
        Play(1, 1, "text", EVENT, None),
        Told(0, {"on": "event", "name": "echo"}),  # its long payload was cut in the record
        Play(1, 2, "ping", "", None),
        Expect(1, 3, "pong", "", None),
        Play(1, 4, "close", "why", 1001),
    ]


def test_another_client_need_not_report_what_not_every_api_does() -> None:
    notes = [
        {"on": "connected", "t_ms": 1.0},
        {"on": "event", "name": "x", "via": "named", "t_ms": 2.0},
        {"on": "disconnected", "t_ms": 3.0},
        {"on": "ended", "stream": "events", "t_ms": 3.0},
    ]
    data = recorded(notifications={"server": [], "clients": [notes]})
    same = steps(data, "client", "dart@0.5.0/ZapConsumer")
    assert same == steps(data, "client")
    assert sum(isinstance(step, Told) for step in same) == 4
    told = [step for step in steps(data, "client", "x/Other") if isinstance(step, Told)]
    assert told == [Told(0, {"on": "event", "name": "x"})]
    assert steps(data, "server", "x/Other") == steps(data, "server")


def test_what_the_judge_wrote_to_the_live_side_is_played_too() -> None:
    frames = [frame(1.0, "judge", "server"), frame(2.0, "judge", "client")]
    found = steps(recorded(frames=frames, frames_total=2), "client")
    assert [step.index for step in found if isinstance(step, Play)] == [1]


def test_what_happened_in_the_same_moment_is_taken_in_the_order_of_causes() -> None:
    drop = {"op": "drop", "args": {"conn": "1", "code": 1001}, "t_ms": 4.0}
    data = recorded(frames=[frame(4.0, "client", "server")], frames_total=1)
    assert data.requests is not None
    data.requests.server[1:] = [msgspec.convert(drop, RequestRecord)]
    kinds = [type(step) for step in steps(data, "server")]
    assert kinds[3:6] == [Play, Told, Ask]


def test_a_connection_that_did_not_end_or_that_the_live_side_ended() -> None:
    made = {"t_ms": 3.0, "target": "/ws-1", "headers": [], "status": 101}
    assert Ended(1) not in steps(recorded(connections=[made]), "server")
    assert Ended(1) not in steps(recorded(), "client")


def too_many() -> dict[str, Any]:
    notes = [{"on": "event", "t_ms": 1.0}] * KEPT
    return {"notifications": {"server": notes, "clients": []}}


LONG = {"op": "push", "args": {"payload": "x" * 400 + "…"}, "t_ms": 1.0}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"client": "judge/Raw"}, "the judge wrote its half byte by byte"),
        ({"server": "judge/Raw"}, "the judge wrote its half byte by byte"),
        ({"acts": ["half-close", "passage"]}, r"the faults in it .* \(half-close, passage\)"),
        ({"frames_total": 100}, "it had 100 frames, and 5 were kept"),
        (too_many(), f"more than the {KEPT} requests, notifications or connections kept"),
        ({"connections": []}, "it has no connection"),
        ({"frames": [frame(1, "client", "server", "x", length=2000)], "frames_total": 1},
         "frame 0, of 2000 bytes, was not kept as it was"),
        ({"frames": [frame(1, "client", "server", "\\xff", length=1)], "frames_total": 1},
         "frame 0, of 1 bytes, was not kept as it was"),
        ({"requests": {"server": [LONG], "clients": []}}, "of 'push' were not kept whole"),
    ],
)  # fmt: skip
def test_a_record_that_is_not_whole_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(RecordingError, match=words) as caught:
        steps(recorded(**change), "server", again="python -m interop run")
    assert str(caught.value).endswith("; run it again instead: python -m interop run")


def test_a_record_of_an_older_run_is_refused() -> None:
    data = recorded(requests=None, connections=[])
    with pytest.raises(RecordingError, match="as those of older runs"):
        steps(data, "client")


CELLS = [
    cells.cell(),
    cells.cell(scenario="echo.null-and-more"),
    cells.cell(client="python/ZapConsumer"),
    cells.cell(client="python/ZapConsumer", scenario="lifecycle.cut"),
]


@pytest.mark.parametrize(
    ("words", "index"),
    [
        (["lifecycle"], 3),
        (["python/ZapServer", "dart@0.5.0/ZapConsumer", "echo.null"], 0),
        (["python/ZapServer <-> dart@0.5.0/ZapConsumer:", "more"], 1),
        (["python/ZapServer", "<->", "python/ZapConsumer,", "echo.null"], 2),
        (["dart", "echo.null"], 0),
    ],
)
def test_a_cell_is_named_by_what_only_it_has(words: list[str], index: int) -> None:
    assert find(CELLS, words) is CELLS[index]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "no cell is named: give its server, client and scenario"),
        (["<->"], "no cell is named"),
        (["nope"], "nope: no such cell among 4: 'nope' is in none"),
        (["dart", "lifecycle"], "dart lifecycle: no such cell among 4: no cell has all of that"),
        (["dart"], "dart: 2 cells; say which one:\n  python/ZapServer dart@0.5.0/ZapConsumer "),
    ],
)  # fmt: skip
def test_a_name_of_none_or_several_is_an_error(words: list[str], error: str) -> None:
    with pytest.raises(RecordingError) as caught:
        find(CELLS, words)
    assert str(caught.value).startswith(error)


def test_of_many_cells_some_are_named() -> None:
    many = [cells.cell(scenario=f"echo.{n}") for n in range(15)]
    with pytest.raises(RecordingError, match=r"15 cells; .*(\n.*){10}\n  and 5 more$"):
        find(many, ["echo"])
