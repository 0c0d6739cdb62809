from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from interop.records import CellResult, Culprit, FrameRecord, Verdict
from interop.verdicts.culprit import by_evidence, by_matrix, name_culprits, undeclared

from ..cells import blamed, cell, frame


def red(verdict: Verdict = "failed", **more: Any) -> CellResult:
    return cell(verdict, raised="why", **more)


def notes(server: list[dict[str, Any]], *clients: list[dict[str, Any]]) -> dict[str, Any]:
    return {"server": server, "clients": list(clients)}


def violation(author: str, frame: int | None, excused: bool = False) -> dict[str, Any]:
    where = {} if frame is None else {"frame": frame}
    return {"author": author, "violation": "no eventName", "excused": excused, **where}


UNCAUGHT = {"on": "uncaught", "message": "boom", "t_ms": 5.0}
FRAMES = [
    frame("server", t_ms=1.0),
    frame("client", t_ms=2.0),
    frame("judge", t_ms=3.0, to="server"),
    frame("client", t_ms=9.0),
]


def test_the_author_of_an_invalid_event_is_the_culprit() -> None:
    found = by_evidence(red(violations=[violation("client", 7), violation("server", 3)]))
    assert found is not None
    assert (found.side, found.api, found.basis, found.frame) == (
        "server", "python/ZapServer", "frame", 3,
    )  # fmt: skip
    assert found.why == "the server wrote no eventName in frame 3"


def test_bytes_that_are_no_frame_come_first() -> None:
    found = by_evidence(red(violations=[violation("client", 0), violation("server", None)]))
    assert found is not None
    assert (found.side, found.frame) == ("server", None)


def test_an_excused_violation_convicts_neither_side() -> None:
    assert by_evidence(red(violations=[violation("client", 0, excused=True)])) is None


def test_the_only_side_with_an_escaped_exception_is_the_culprit() -> None:
    found = by_evidence(red(frames=FRAMES, notifications=notes([UNCAUGHT], [])))
    assert found is not None
    assert (found.side, found.basis, found.frame) == ("server", "uncaught", 2)
    assert "boom" in found.why
    found = by_evidence(red(notifications=notes([], [{"on": "connected"}], [UNCAUGHT])))
    assert found is not None
    assert (found.side, found.api, found.frame) == ("client", "dart@0.5.0/ZapConsumer", None)


@pytest.mark.parametrize(
    "evidence",
    [
        {},
        {"notifications": notes([UNCAUGHT], [UNCAUGHT])},
        {"notifications": notes([UNCAUGHT], []), "escapes": True},
    ],
)
def test_evidence_may_convict_neither_side(evidence: dict[str, Any]) -> None:
    assert by_evidence(red(**evidence)) is None


def test_an_undeclared_unsupported_is_its_authors() -> None:
    found = undeclared(cell("failed"), "client")
    assert (found.side, found.basis, found.api) == (
        "client",
        "unsupported",
        "dart@0.5.0/ZapConsumer",
    )


A: dict[str, Any] = {"server": "a"}
B: dict[str, Any] = {"server": "b"}
X: dict[str, Any] = {"client": "x"}
Y: dict[str, Any] = {"client": "y"}


@pytest.mark.parametrize(
    ("others", "side", "why"),
    [
        ([], "unknown", "no other cell"),
        ([cell(**B, **X)], "server", "a fails in all its cells (1), x passes with other"),
        ([cell(**B, **X), red(**A, **Y)], "server", "a fails in all its cells (2), x passes"),
        ([cell(**A, **Y)], "client", "x fails in all its cells (1), a passes with other clients"),
        # A server that meets no other client says little; the APIs of one peer say one thing.
        ([cell(**B, **X), red(server="c", **X)], "client", "x fails with most servers, and a has"),
        ([cell(**B, **X), red(server="c", **X), red(**A, **Y)], "server", "a fails in all"),
        ([cell(**B, **X), red(server="a/Other", **X)], "server", "a fails in all its cells (1)"),
        ([cell(**A, **Y), cell(**B, **X)], "unknown", "only this pair"),
        ([red(**A, **Y), red(**B, **X)], "unknown", "neither side passes"),
        ([cell("unsupported", **B, **X), cell("error", **A, **Y)], "unknown", "no other cell"),
        # Red because they passed, or because nobody had declared what they lack.
        ([cell("failed", **B, **X)], "server", "x passes with other servers"),
        ([cell("failed", **B, **X, culprit=Culprit("client", "", "unsupported"))],
         "unknown", "no other cell"),
    ],
)  # fmt: skip
def test_the_row_or_the_column_that_fails_alone(
    others: list[CellResult], side: str, why: str
) -> None:
    one = red(**A, **X)
    found = by_matrix(one, [one, *others])
    assert found.side == side
    assert why in found.why
    assert found.basis == {"server": "row", "client": "column", "unknown": ""}[side]
    assert found.api == {"server": "a", "client": "x", "unknown": ""}[side]


@pytest.mark.parametrize(
    ("server", "client", "side"), [("judge/Raw", "x/Y", "client"), ("x/Y", "judge/Raw", "server")]
)
def test_the_side_that_fails_with_the_judge_is_the_culprit(
    server: str, client: str, side: str
) -> None:
    one = red(server=server, client=client)
    found = by_matrix(one, [one])
    assert (found.side, found.api, found.basis) == (side, "x/Y", "judge")


def event(name: str, **more: Any) -> str:
    return json.dumps(
        {"eventName": name, "payload": 1, "headers": {}} | more, separators=(",", ":")
    )


def said(author: str, *texts: str) -> list[FrameRecord]:
    other = "server" if author == "client" else "client"
    return [frame(other, kind="ping"), *(frame(author, text) for text in texts)]


@pytest.mark.parametrize(
    ("wrote", "frame"),
    [
        ([event("a"), event("c")], 2),
        ([event("a"), event("b"), event("b")], 3),
        ([event("a")], 0),
        ([], 0),
        ([event("a"), event("b", more=[])], 2),
        ([event("a"), event("b")], None),
    ],
)
def test_the_frame_is_the_first_that_a_passing_api_writes_otherwise(
    wrote: list[str], frame: int | None
) -> None:
    good = cell(**B, **X, frames=said("server", event("a"), event("b")))
    one = red(**A, **X, frames=said("server", *wrote))
    found = by_matrix(one, [one, good])
    assert (found.side, found.frame) == ("server", frame)


def test_every_red_cell_gets_its_culprit() -> None:
    own = Culprit("client", "it wrote []", "frame", "x", 0)
    cells = [
        red(**A, **X),
        cell(**B, **X),
        cell("failed", **A, **Y, scenario="stale"),
        red("warned", **A, **X, scenario="other", culprit=own),
    ]
    name_culprits(cells)
    assert [each.culprit.side if each.culprit else None for each in cells] == [
        "server", None, None, "client",
    ]  # fmt: skip
    assert blamed(cells[3]) == own


def test_a_wider_matrix_says_more_than_a_narrower_one() -> None:
    one = red(**A, **X)
    name_culprits([one])
    assert blamed(one).side == "unknown"
    name_culprits([one, cell(**B, **X)])
    assert blamed(one).side == "server"


def test_the_unknown_says_why() -> None:
    assert by_matrix(red(), []).why.startswith("there is no other cell")


@pytest.mark.parametrize("cut", ["here", "there"])
def test_what_is_not_recorded_of_a_burst_shows_nothing(cut: str) -> None:
    """One of the two has more frames of that side, since the other side wrote less so far."""
    few, many = said("server", event("a")), said("server", *[event("a")] * 2)
    good = cell(**B, **X, frames=many if cut == "here" else few, frames_total=99)
    one = red(**A, **X, frames=few if cut == "here" else many, frames_total=99)
    found = by_matrix(one, [one, good])
    assert (found.side, found.frame) == ("server", None)


WITHOUT = '{"eventName":"echo","payload":1}'
PYTHON: dict[str, Any] = {"server": "python/ZapServer", "client": "dart-0.3@0.3.0/ZapSubscriber"}


def asked(*clients: list[dict[str, Any]], server: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    data = {"t_ms": 0.0, "done_ms": 0.5, "outcome": "ok"}
    lists = [[{**data, **each} for each in of_one] for of_one in clients]
    return {"server": [{**data, **each} for each in server], "clients": lists}


def test_the_writer_of_an_odd_form_comes_before_the_reader_that_failed_at_it() -> None:
    frames = [frame("client", event("echo"), t_ms=1.0), frame("server", WITHOUT, t_ms=2.0)]
    one = red(**PYTHON, frames=frames, notifications=notes([], [UNCAUGHT]))
    found = by_evidence(one)
    assert found is not None
    assert (found.side, found.api, found.basis, found.frame) == (
        "server", "python/ZapServer", "form", 1,
    )  # fmt: skip
    assert "empty headers absent, where it wrote {} before" in found.why


def test_a_reader_that_fails_at_what_was_always_written_is_the_culprit() -> None:
    one = red(
        server="pypi@0.5.2/FastApiConnector",
        client="dart-0.3@0.3.0/ZapSubscriber",
        scenario="headers.none-given",
        frames=[frame("server", WITHOUT, t_ms=2.0)],
        notifications=notes([], [UNCAUGHT]),
    )
    found = by_evidence(one)
    assert found is not None
    assert (found.side, found.basis) == ("client", "uncaught")


def test_the_form_of_a_text_that_was_cut_is_that_of_the_same_pairs_other_cells() -> None:
    long = frame("server", WITHOUT[:20], t_ms=2.0, length=9999)
    evidence: dict[str, Any] = {"notifications": notes([], [UNCAUGHT])}
    cells = [
        red(**PYTHON, frames=[frame("server", WITHOUT, t_ms=2.0)], **evidence),
        red(**PYTHON, scenario="size", frames=[long], **evidence),
        red(
            **PYTHON,
            scenario="x",
            frames=[long],
            notifications=notes([], [{**UNCAUGHT, "message": "?"}]),
        ),
    ]
    name_culprits(cells)
    assert [(blamed(c).side, blamed(c).basis) for c in cells] == [
        ("server", "form"), ("server", "form"), ("client", "uncaught"),
    ]  # fmt: skip


def test_a_value_that_was_written_otherwise_comes_before_its_reader() -> None:
    sent = [{"op": "send", "args": {"event": "echo", "payload": 1, "headers": {}}}]
    one = red(
        frames=[frame("client", event("echo", payload="1"), t_ms=1.0)],
        notifications=notes([UNCAUGHT], []),
        requests=asked(sent),
    )
    found = by_evidence(one)
    assert found is not None
    assert (found.side, found.basis, found.frame) == ("client", "trace", 0)


def test_the_peers_records_decide_where_the_matrix_cannot() -> None:
    frames = [frame("client", event("echo"), t_ms=1.0)]
    sent = [{"op": "send", "args": {"event": "echo", "payload": 1}}]
    evidence: dict[str, Any] = {"frames": frames, "requests": asked(sent), "duration_ms": 1000.0}
    one = red(**A, **X, notifications=notes([], []), **evidence)
    found = by_matrix(one, [one, red(**A, **Y), red(**B, **X)])
    assert (found.side, found.basis, found.frame) == ("server", "trace", 0)


def test_the_judges_cells_of_the_family_decide_where_the_pairs_cannot() -> None:
    cells = [
        red(**A, **X, scenario="form.one"),
        red(**A, **Y, scenario="form.one"),
        red(**B, **X, scenario="form.one"),
        red(**A, client="judge/Raw", scenario="form.two"),
        red("deviating", server="judge/Raw", **X, scenario="form.three"),
        cell(server="judge/Raw", **X, scenario="form.two"),
    ]
    name_culprits(cells)
    assert (blamed(cells[0]).side, blamed(cells[0]).basis) == ("server", "judged")
    assert "fails 1 scenarios form.* with the judge" in blamed(cells[0]).why
    assert blamed(cells[2]).side == "unknown"


def test_the_side_that_reported_nothing_is_the_last_guess() -> None:
    one = red(**A, **X, reporter="client")
    found = by_matrix(one, [one])
    assert (found.side, found.basis, found.api) == ("client", "reported", "x")


@pytest.mark.parametrize(
    ("frames", "index"),
    [
        ([frame("judge", event("echo"), to="server")], 0),
        ([frame("judge", "!", to="server"), frame("judge", event("echo"), to="server")], 0),
        ([frame("judge", event("echo"), to="server"), frame("server", event("echo"))], 1),
        ([frame("judge", "x", kind="ping", to="server"), frame("server", "y", kind="pong")], 1),
    ],
)
def test_a_cell_with_the_judge_names_the_frame(frames: list[FrameRecord], index: int) -> None:
    records: dict[str, Any] = {"notifications": notes([]), "requests": asked()}
    one = red(client="judge/Raw", frames=frames, frames_total=len(frames), **records)
    assert by_matrix(one, [one]).frame == index


def test_of_two_odd_frames_the_first_tells() -> None:
    null = '{"eventName":"echo","payload":1,"headers":null}'
    frames = [frame("client", null, t_ms=1.0), frame("server", null, t_ms=2.0)]
    one = red(server="python/ZapServer", client="node/Client", frames=frames)
    found = by_matrix(one, [one])
    assert (found.side, found.basis, found.frame) == ("client", "form", 0)


def test_an_exception_that_always_escapes_is_not_what_is_wrong() -> None:
    evidence: dict[str, Any] = {"notifications": notes([UNCAUGHT], [])}
    known = Culprit("server", "", "uncaught", "a")
    other = Culprit("server", "", "uncaught", "b")
    cells = [
        red("deviating", **A, **Y, scenario="another", culprit=known, **evidence),
        red(**A, **X, culprit=known, reporter="client", **evidence),
        red(**B, **X, culprit=other, reporter="client", **evidence),
        cell(**A, **Y),
    ]
    name_culprits(cells)
    assert (blamed(cells[1]).side, blamed(cells[1]).basis) == ("client", "column")
    assert (blamed(cells[2]).side, blamed(cells[2]).basis) == ("server", "uncaught")
