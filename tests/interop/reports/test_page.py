from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from interop.records import CellResult, Verdict
from interop.reports.files import report
from interop.reports.pairs import CORE
from interop.reports.results import Results, load

from ..cells import cell, flaky, frame, results
from ..pages import data

SERVER, CLIENT = "python/ZapServer", "dart@0.5.0/ZapConsumer"


def rendered(*found: CellResult, **more: Any) -> str:
    return report(results(*found, **more)).decode()


def evidence(found: CellResult, *more: CellResult) -> Any:
    return data(rendered(found, *more), "block-0")[f"{found.server} {found.client}"]


def test_only_the_pages_own_script_and_style_may_run() -> None:
    text = rendered(cell())
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', text)
    for tag in ("style", "script"):
        (own,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"<[^>]*\s(?:src|style|on\w+)=", text.partition("<script>")[0])


def test_the_page_fetches_nothing() -> None:
    assert re.findall(r"https?://[^\s'\"]+", rendered(cell())) == []


def test_the_index_holds_every_cell_and_the_blocks_their_evidence() -> None:
    text = rendered(
        cell(frames=[frame("client", "hi")], frames_total=1),
        cell("failed", scenario="b.c", rules=["W-2", "W-0"]),
    )
    index = data(text, "index")
    rules = ["W-2: The object MUST have a member `eventName`, whose value is a string.", "W-0"]
    assert index["scenarios"][1] == {"id": "b.c", "rule": "A payload comes back.",
                                     "severity": "must", "quoted": rules}  # fmt: skip
    shown = rules[0].replace("`eventName`", "<code>eventName</code>")
    assert f'<span class="quoted">{shown}</span>' in text
    assert index["cells"] == [[0, 1, 0, 0, 0, "", -1], [0, 1, 1, 4, 1, "", 0]]
    assert index["reasons"] == ["", "why it failed"]
    assert index["pairs"][f"{SERVER} {CLIENT}"]["words"] == "broken: b.c: why it failed"
    (row,) = data(text, "block-0")[f"{SERVER} {CLIENT}"]["rows"]
    assert row == {"t": 1.0, "at": "wire", "text": "text: hi", "frame": 0, "by": "client",
                   "to": "server"}  # fmt: skip
    assert "rows" not in data(text, "block-1")[f"{SERVER} {CLIENT}"]


def test_secrets_of_handshakes_are_left_out() -> None:
    made = {"t_ms": 1.0, "target": "/ws?token=s3cret", "headers": [["Authorization", "s3cret"]],
            "status": 101}  # fmt: skip
    asked = {"op": "open", "args": {"headers": {"Cookie": "s3cret"}}, "t_ms": 0.0}
    requests = {"server": [], "clients": [[asked]]}
    assert "s3cret" not in json.dumps(evidence(cell(connections=[made], requests=requests)))


def test_a_red_cell_is_compared_with_one_that_passes_in_its_place() -> None:
    culprit = {"side": "server", "why": "w", "basis": "frame", "api": SERVER, "frame": 0}
    red = cell("failed", culprit=culprit, frames=[frame("server", '{"b":0,"a":1}')])
    other = cell(server="dart@0.3.0/ZapServer", frames=[frame("server", '{"a":1,"b":0}')])
    elsewhere = cell(client="python/ZapConsumer", frames=[frame("server", '{"a":2}')])
    found = evidence(red, elsewhere, other)["difference"]
    assert (found["side"], found["api"]) == ("server", "dart@0.3.0/ZapServer")
    assert found["texts"] == [
        {"words": ["key order"], "mine": '{"b":0,"a":1}', "other": '{"a":1,"b":0}'}
    ]
    assert "difference" not in evidence(red, elsewhere)


def test_a_frame_that_the_side_at_fault_did_not_write_is_not_called_at_fault() -> None:
    def page(by: str) -> str:
        culprit = {"side": "client", "why": "w", "basis": "judge", "api": CLIENT, "frame": 0}
        red = cell("failed", server="judge/Raw", culprit=culprit, frames=[frame(by)])
        found = results(red)
        found.servers.append("judge/Raw")
        return report(found).decode()

    text = page("judge")
    assert "1 cell not as expected; at fault: client dart@0.5.0/ZapConsumer" in text
    assert "Broken: dart@0.5.0/ZapConsumer alone." in text
    assert "<b>Read wrongly, or left unanswered: Frame 0, judge → client</b>" in text
    assert "<b>Frame 0, client → server</b>" in page("client")


def test_what_could_not_run_is_in_the_grid_and_in_a_list() -> None:
    text = rendered(cell())
    assert "<dt>pypi@0.5.2</dt><dd>no network</dd>" in text
    assert f'data-pair="{SERVER} pypi@0.5.2/ZapClient"' in text


def test_one_sentence_says_how_many_pairs_work() -> None:
    def said(*verdicts: Verdict) -> str:
        names = [pattern.replace("*", "bmp") for pattern in CORE]
        excuse = {"peer": "a", "role": "server", "cause": "why"}
        found = [
            cell(each, client=f"c{number}/C", scenario=name, excuses=[excuse])
            for number, verdict in enumerate(verdicts)
            for name, each in (*((name, "passed") for name in names), ("rooms.once", verdict))
        ]
        run = Results("", "local", [SERVER], sorted({each.client for each in found}), {})
        run.cells = found
        sentence: str
        (sentence,) = re.findall("<h1>(.*?)</h1>", report(run).decode())
        return sentence

    assert said("passed") == "The pair works."
    assert said("passed", "passed") == "All 2 pairs work."
    assert said("deviating", "deviating") == "All 2 pairs work, with named deviations."
    assert said("passed", "deviating") == (
        "All 2 pairs work: 1 without deviations, 1 with named ones."
    )
    assert said("failed") == "1 of 1 pair is broken."
    assert said("failed", "error", "passed", "deviating") == (
        "2 of 4 pairs are broken; 1 works; 1 works with named deviations."
    )


def test_a_broken_run_says_why() -> None:
    assert "The testbed failed: interrupted" in rendered(cell(), broken="interrupted")
    assert "nothing ran" in rendered()
    assert "Stopped: as asked" in rendered(cell("failed"), stopped="as asked")


def test_a_run_without_pairs_is_shown_too() -> None:
    alone = Results("", "local", ["a/B"], ["judge/Raw"], {}, cells=[
        cell(server="a/B", client="judge/Raw")])  # fmt: skip
    text = report(alone).decode()
    assert "No pair ran plain use; 1 cell ran." in text
    assert 'data-pair="a/B judge/Raw"' in text


def test_results_of_earlier_versions_are_rendered(tmp_path: Path) -> None:
    old = {"server": SERVER, "client": CLIENT, "scenario": "a", "rule": "r", "severity": "must",
           "verdict": "passed", "reason": "", "duration_ms": 1.0}  # fmt: skip
    (tmp_path / "results.json").write_text(json.dumps({"format": 1, "cells": [old], "run": {}}))
    text = report(load(tmp_path).results(tmp_path)).decode()
    assert data(text, "index")["servers"] == [SERVER]


def test_the_rules_that_are_not_kept_are_listed_with_the_sides_that_break_them() -> None:
    excuse = {"peer": "python", "role": "server", "cause": "it does"}
    text = rendered(
        cell("deviating", rules=["W-9"], excuses=[excuse]), cell(scenario="b", rules=["W-10"])
    )
    assert "2 looked at, 1 kept on every side" in text
    assert '<a href="#q=W-9%3A">W-9</a>: A receiver MUST take' in text
    assert 'python/ZapServer <span class="sub">(deviating)</span></td>' in text
    assert ">W-10</a>" not in text
    assert "<h2>Rules</h2>" not in rendered(cell())


def test_a_known_deviation_says_what_an_application_sees_before_its_cause() -> None:
    excuse = {
        "peer": "dart",
        "role": "server",
        "cause": "x.dart:3 drops it",
        "means": "It is lost.",
    }
    text = rendered(cell("deviating", reason="any", excuses=[excuse]))
    row = '<td>dart (server)</td><td>It is lost. <span class="sub">x.dart:3 drops it</span></td>'
    assert f'{row}<td class="number">1</td>' in text


def test_breaches_of_one_kind_are_told_once() -> None:
    wrong = {"author": "server", "violation": "no eventName", "excused": False, "rule": "W-2"}
    one = cell(
        "failed",
        violations=[
            *({**wrong, "frame": n} for n in range(1, 1001)),
            {**wrong, "excused": True, "frame": 1},
            {"author": "client", "violation": "half a frame", "excused": False},
        ],
    )
    assert evidence(one)["violations"] == [
        ["Breach of the wire's rules",
         "the server wrote no eventName (W-2) in frames 1, 2, 3, 4, 5 and 995 more"],
        ["Breach of the wire's rules, provoked",
         "the server wrote no eventName (W-2) in frame 1"],
        ["Breach of the wire's rules", "the client wrote half a frame"],
    ]  # fmt: skip


def test_known_flaky_cells_are_listed_with_those_that_failed() -> None:
    text = rendered(cell("tolerated"), known_flaky=[flaky(failed=[(SERVER, CLIENT, "echo.null")])])
    assert "echo.* (* &lt;-&gt; dart): 1 of 3 cells failed, which is tolerated until" in text
    assert re.search(
        r'<section id="flaky">.*<a href="#[^"]*">echo.null</a>.*</section>', text, re.S
    )
    assert "All as expected" in text


def test_a_known_flaky_cell_after_its_date_is_no_green_run() -> None:
    text = rendered(cell(), known_flaky=[flaky(over=True)])
    assert "1 known to be flaky for longer than was allowed" in text
    assert "All as expected" not in text


def checked(*found: CellResult, **more: Any) -> Results:
    """A check of one server, with nothing to run it against."""
    when = "2026-01-02T03:04:05+00:00"
    return Results(when, "check", [URL], ["judge/Raw"], {}, cells=list(found), **more)


URL = "wss://host.example/ws"


def of_server(verdict: Verdict = "passed", scenario: str = "frames.a", **more: Any) -> CellResult:
    return cell(verdict, server=URL, client="judge/Raw", scenario=scenario, **more)


def test_a_check_has_no_matrix() -> None:
    bad = of_server("failed", raised="no pong", reason="no pong", again="check it")
    run = checked(of_server("passed", "time.b"), bad, unjudged=["9 that need more"], folder=None)
    text = report(run).decode()
    head = text.partition("<script")[0].partition("</style>")[2]
    assert f"</b> {URL}</p>" in head
    assert "<h1>Broken: 1 of 2 musts failed: frames.a: no pong</h1>" in head
    assert "Which client works with which server" not in head
    assert "at fault" not in head
    assert "judge/Raw" not in re.sub('href="[^"]*"', "", head)
    assert f'>{URL}</a> <span class="sub">1 scenario</span>' in head
    assert '<tr data-topic="frames"><td><a href="#q=frames.">frames</a></td>' in head
    assert "<li>9 that need more</li>" in head
    assert data(text, "index")["outside"] == URL
    assert data(text, "block-1")[f"{URL} judge/Raw"]["again"] == "check it"
    assert "show" not in data(text, "block-1")[f"{URL} judge/Raw"]
    assert data(rendered(cell()), "index")["outside"] == ""


def test_a_check_that_was_not_possible_says_why_first() -> None:
    head = report(checked(broken="it is gone")).decode().partition("<script")[0]
    assert "<h1>Could not be checked: it is gone</h1>" in head
    assert "What was judged" not in head
