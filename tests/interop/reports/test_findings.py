"""What a check of one side says first, and what below."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from interop.records import CellResult, Verdict
from interop.reports.findings import answered, print_findings, subject, verdict
from interop.reports.results import Results

from ..cells import cell, frame

URL = "ws://h/ws"


def found(verdict: Verdict = "passed", scenario: str = "frames.a", **more: Any) -> CellResult:
    raised = {} if verdict in ("passed", "deviating") else {"raised": f"it {verdict}"}
    where = {"server": URL, "client": "judge/Raw", "again": f"check {scenario}"}
    return cell(verdict, **{**where, "scenario": scenario, **raised, **more})


def checked(*cells: CellResult, **more: Any) -> Results:
    sides = {"servers": [URL], "clients": ["judge/Raw"], **more}
    return Results("2026-01-02T03:04:05+00:00", "check", not_run={}, cells=list(cells), **sides)


def printed(results: Results) -> str:
    file = io.StringIO()
    print_findings(results, Console(file=file, width=80))
    return file.getvalue()


SHOULD = found("warned", "e.b", severity="should")


@pytest.mark.parametrize(
    ("results", "words"),
    [
        (checked(found()), "works: 1 scenario"),
        (checked(found(), found("deviating", "b.b")), "works: 2 scenarios, 1 known deviation"),
        (checked(found(), SHOULD), "works: 2 scenarios, 1 should failed"),
        (checked(found("failed"), found(), SHOULD),
         "broken: 1 of 2 musts failed: frames.a: it failed"),
        (checked(found("failed", "b.b"), found("failed"), SHOULD),
         "broken: 2 of 2 musts failed, first: b.b: it failed"),
        (checked(found("failed", severity="should"), SHOULD, strict=True),
         "broken: 1 of 2 rules failed: frames.a: it failed"),
        (checked(found("failed", raised="")),
         "works: 1 scenario, but 1 known deviation did not show, first: frames.a"),
        (checked(), "could not be checked: nothing was run"),
        (checked(broken="gone"), "could not be checked: gone"),
        (checked(found("failed"), broken="gone"),
         "could not be checked: gone; 1 of 1 musts failed: frames.a: it failed"),
        (checked(found("error")),
         "could not be checked: the testbed failed in 1 scenario: frames.a: it error"),
    ],
)  # fmt: skip
def test_the_verdict(results: Results, words: str) -> None:
    assert verdict(results) == words
    assert answered(results, []) == f"{URL}: {words}"
    assert printed(results).partition("\n")[0] == f"{URL}: {words}"


def test_the_plainest_words_that_there_are_come_first() -> None:
    why = {"side": "server", "why": "it wrote no JSON in frame 0", "basis": "frame", "api": URL}
    bad = found("failed", culprit={**why, "frame": 0}, frames=[frame("server", "x")])
    assert verdict(checked(bad)).endswith(": frames.a: it wrote no JSON in frame 0")
    judged = found("failed", culprit={**why, "basis": "reported", "why": "it is alone"})
    assert verdict(checked(judged)).endswith(": frames.a: it failed")


def test_a_client_is_judged_likewise() -> None:
    sides = {"servers": ["judge/Raw"], "clients": ["./app --fast"]}
    results = checked(found(server="judge/Raw", client="./app --fast"), **sides)
    assert subject(results) == "./app --fast"
    assert printed(results).startswith("./app --fast: works: 1 scenario\n")


def test_failures_are_grouped_by_their_cause_with_rules_frames_and_command() -> None:
    excuse = {"peer": "ours", "role": "server", "cause": "late"}
    frames = [frame("judge", kind="ping"), *[frame("server", "5" * 200) for _ in range(9)]]
    cells = [
        found("failed", "a.b", raised="no pong 1", reason="no pong 1", rules=["C-12"],
              frames=frames, frames_total=12),
        found("failed", "a.c", raised="no pong 2", reason="no pong 2", frames_total=99),
        found("failed", "b.b", raised="no close", reason="no close"),
        SHOULD,
        *[found("deviating", name, excuses=[excuse]) for name in ("d.d", "d.e", "d.f", "d.g")],
        found(),
    ]  # fmt: skip
    text = printed(checked(*cells, unjudged=["3 scenarios that need more"]))
    assert text.count("must: ") == 2
    assert text.count("should: ") == 1
    block = text[text.index("must: 2 scenarios\n") :].partition("\n\n")[0].splitlines()
    assert block[:3] == ["must: 2 scenarios", "   a.b: A payload comes back.", "   no pong 1"]
    assert block[3].startswith("   rule C-12: ")
    assert block[4] == "      judge -> ping"
    assert block[5] == f"      server -> text '{'5' * 120}'…"
    assert block[-3:] == ["      and 4 more frames", "   also a.c (1)", "   again: check a.b"]
    assert "  a: 2 failed\n  b: 1 failed\n  e: 1 warned\n" in text
    assert "known: ours (server): late (d.d, d.e, d.f, and 1 more)\nnot judged: 3 scen" in text
    assert text.endswith("1 passed, 4 deviating, 1 warned, 3 failed - exit status 1\n")


def test_of_many_causes_the_rest_is_counted() -> None:
    cells = [
        found("failed", f"a.{c}", raised=f"no {c}", reason=f"no {c}") for c in "abcdefghijklmn"
    ]
    assert "\nand 2 more causes of 2 scenarios: --report FILE has them\n" in printed(
        checked(*cells)
    )
