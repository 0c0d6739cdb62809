"""A cell as a time line."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from interop.records import CellResult
from interop.reports.timeline import rows, table

from ..cells import cell, frame


def recorded(**more: Any) -> CellResult:
    data = {
        "frames": [
            frame("client", '{"eventName":"echo"}', t_ms=10.0),
            frame("server", '{"event_name":"echo"}', t_ms=12.0),
            frame("judge", "why", t_ms=13.0, kind="close", code=1001, to="client"),
        ],
        "frames_total": 3,
        "notifications": {
            "server": [{"on": "event", "name": "echo", "payload": [1], "t_ms": 11.0}],
            "clients": [[{"on": "error", "message": "event_name is missing", "t_ms": 12.5}]],
        },
        "requests": {
            "server": [{"op": "serve", "args": {}, "t_ms": -1.0, "done_ms": 0.5, "outcome": "ok"}],
            "clients": [[{"op": "open", "args": {"url": "ws://h/ws"}, "t_ms": 5.0,
                          "done_ms": 9.0, "outcome": "RuntimeError"}]],
        },
        "connections": [{"t_ms": 6.0, "target": "/ws?token=s3cret", "status": 101,
                         "headers": [["Authorization", "s3cret"], ["X-A", "b"]],
                         "ended": {"by": "client", "t_ms": 20.0}}],
        "culprit": {"side": "server", "why": "no", "basis": "frame", "api": "a/B", "frame": 1},
    }  # fmt: skip
    return cell("failed", **{**data, **more})


def drawn(cell: CellResult, width: int = 80) -> str:
    out = StringIO()
    Console(file=out, width=width).print(table(cell, width))
    return out.getvalue()


def test_everything_is_in_the_order_of_time() -> None:
    found = [(row.column, row.text) for row in rows(recorded())]
    assert found == [
        ("server", "asked: serve"),
        ("client", "asked: open url=ws://h/ws"),
        ("wire", "c1 opens /ws?…: answer 101, Authorization: …, X-A: b"),
        ("client", "open: RuntimeError"),
        ("wire", '#0 <- text: {"eventName":"echo"}'),
        ("server", "told: event name=echo payload=[1]"),
        ("wire", '#1 -> text: {"event_name":"echo"}'),
        ("client", 'told: error message="event_name is missing"'),
        ("wire", "#2 judge -> close 1001: why"),
        ("wire", "c1 ended by the client"),
    ]


def test_success_is_told_in_the_requests_own_row_unless_something_came_between() -> None:
    server = [{"op": "serve", "args": {}, "t_ms": 7.0, "done_ms": 11.5, "outcome": "ok"}]
    apart = rows(recorded(requests={"server": server, "clients": [[]]}))
    assert "serve: ok" in [row.text for row in apart]
    assert [row.tail for row in rows(recorded()) if row.text == "asked: serve"] == ["(1.5 ms: ok)"]


def test_a_request_without_a_reply_is_told() -> None:
    server = [{"op": "stop", "args": {}, "t_ms": 7.0}]
    found = rows(recorded(requests={"server": server, "clients": [[]]}))
    assert [row.bad for row in found if row.text == "stop: no reply"] == [True]


def test_what_is_missing_has_rows_of_its_own() -> None:
    gaps = [
        {"at": "wire", "what": "event name=tick", "t_ms": 12.4, "author": "server", "frame": 0},
        {"at": "wire", "what": "pong frame", "t_ms": 30.0, "author": "client"},
        {"at": "client", "what": "event name=echo", "t_ms": 12.1, "frame": 1},
        {"at": "server", "what": "event 'echo', waited for 5 s", "t_ms": 40.0},
    ]
    one = recorded(missing=gaps)
    assert [(row.column, row.gap, row.text, row.tail) for row in rows(one) if row.gap] == [
        ("client", "client", "missing: event name=echo", "(#1 brought it)"),
        ("wire", "server", "-> missing: event name=tick", "(in answer to #0)"),
        ("wire", "client", "<- missing: pong frame", ""),
        ("server", "server", "missing: event 'echo', waited for 5 s", ""),
    ]
    assert "?? -> missing: event name=tick" in drawn(one, 140)


@pytest.mark.parametrize("width", [66, 80, 140])
def test_it_fits_and_marks_the_frame_at_fault(width: int) -> None:
    text = drawn(recorded(), width)
    assert max(map(len, text.splitlines())) <= width
    marked = [line for line in text.splitlines() if ">>" in line]
    assert len(marked) == 1
    assert "#1" in marked[0]


def test_a_url_stays_in_one_line() -> None:
    text = drawn(recorded(server="ws://h:8000/ws", client="judge/Raw", requests=None), 140)
    assert "ws://h:8000/ws" in text


def test_long_texts_are_cut_with_their_length() -> None:
    long = '{"eventName":"echo","payload":"' + "x" * 370
    text = drawn(recorded(frames=[frame("client", long, length=1_048_576)]))
    assert "(1,048,576" in text
    assert text.count("x") < 300


def test_what_was_not_kept_is_said() -> None:
    assert [row.text for row in rows(recorded(frames_total=1003))][-2:] == [
        "and 1000 more frames, which were not kept",
        "c1 ended by the client",
    ]


def test_several_clients_and_connections_are_numbered() -> None:
    two = [[{"on": "connected", "t_ms": 1.0}], [{"on": "connected", "t_ms": 2.0}]]
    frames = [frame("client", "a"), frame("client", "b", connection=2)]
    found = rows(recorded(notifications={"server": [], "clients": two}, frames=frames))
    texts = [row.text for row in found]
    assert "(1) told: connected" in texts
    assert "(2) told: connected" in texts
    assert "c2 #1 <- text: b" in texts


def test_values_of_secret_headers_are_not_shown() -> None:
    args = {"headers": {"Authorization": "s3cret", "x-api-key": "s3cret", "X-A": "b"}}
    clients = [[{"op": "open", "args": args, "t_ms": 5.0, "done_ms": 9.0, "outcome": "ok"}]]
    text = drawn(recorded(requests={"server": [], "clients": clients}), 140)
    assert "s3cret" not in text
    assert '"X-A":"b"' in "".join(text.split())


def test_a_cell_without_a_record_is_empty() -> None:
    assert rows(cell("error")) == []
