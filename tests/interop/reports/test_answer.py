from __future__ import annotations

from typing import Any

from interop.records import CellResult, Excuse, Verdict
from interop.reports.answer import ALONE, Answer, joined, missing
from interop.reports.pairs import CORE, pairs

from .. import cells

NULL = Excuse("dart@0.[23].0", "server", "helper.dart:15 throws", "Null is not read.")
TWICE = Excuse("dart@0.3.0", "server", "helper.dart:16 throws", "Null is not read.")
CLOSE = Excuse("node", "client", "says no goodbye")
SERVERS = ["dart@0.3.0/A", "dart@0.3.0/B", "python/A"]
CLIENTS = ["node/C", "python/C"]


def cell(scenario: str, verdict: Verdict = "passed", **more: Any) -> CellResult:
    return cells.cell(verdict, scenario=scenario, **more)


def core(server: str, client: str) -> list[CellResult]:
    names = [pattern.replace("*", "bmp") for pattern in CORE]
    return [cell(name, server=server, client=client) for name in names]


def answer(*more: CellResult, not_run: dict[str, str] | None = None) -> Answer:
    found = [each for server in SERVERS for client in CLIENTS for each in core(server, client)]
    left_out = not_run or {}
    found = [each for each in found if not {each.server, each.client} & set(left_out)]
    found += more
    return Answer(pairs(found, SERVERS, CLIENTS, left_out), found)


def known(server: str, client: str, scenario: str, *excuses: Excuse) -> CellResult:
    return cell(scenario, "deviating", server=server, client=client, excuses=[*excuses])


def test_a_mark_counts_deviations_and_names_those_in_plain_use_by_letters() -> None:
    said = answer(
        known("dart@0.3.0/A", "node/C", "echo.null", NULL),
        known("dart@0.3.0/A", "node/C", "closing.x", CLOSE),
        known("dart@0.3.0/B", "python/C", "echo.null", TWICE),
        known("python/A", "node/C", "closing.x", CLOSE),
    )
    marks = {place: said.mark(pair) for place, pair in said.pairs.items()}
    assert marks["dart@0.3.0/A", "node/C"] == "~2a"
    assert marks["dart@0.3.0/B", "python/C"] == "~1a"
    assert marks["python/A", "node/C"] == "~1"
    assert marks["python/A", "python/C"] == "ok"
    assert [str(each) for each in said.exempt] == ["dart@0.3.0 (server): Null is not read."]
    assert said.legend() == (
        "servers down, clients across; ok: works; "
        "~2a: works, with 2 named deviations, in plain use only a, see below"
    )


def test_an_exception_of_one_api_names_it_and_without_its_meaning_tells_the_cause() -> None:
    said = answer(
        known("dart@0.3.0/B", "node/C", "echo.null", CLOSE),
        known("dart@0.3.0/B", "node/C", "headers.none-given", TWICE),
    )
    assert [(each.letter, str(each)) for each in said.exempt] == [
        ("a", "dart@0.3.0/B (server): Null is not read."),
        ("b", "node/C (client): says no goodbye"),
    ]


def test_broken_pairs_are_told_once_by_their_reason() -> None:
    red = [
        cell("echo.null", "failed", server=server, client="node/C", defect="no event")
        for server in SERVERS
    ]
    said = answer(*red, cell("x.y", "failed", server="python/A", client="python/C", defect="late"))
    assert [(group.where, group.reason) for group in said.broken()] == [
        ("3 servers <-> node/C", "echo.null: no event"),
        ("python/A <-> python/C", "x.y: late"),
    ]
    assert said.sentence == "4 of 6 pairs are broken; 2 work."
    assert said.legend() == "servers down, clients across; ok: works; X: broken"


def test_one_side_alone_has_a_field_of_its_own() -> None:
    said = answer(
        cell("frames.x", "failed", server="python/A", client="judge/Raw", defect="no pong"),
        known("judge/Raw", "node/C", "closing.x", CLOSE),
    )
    assert said.rows == [*SERVERS, ALONE]
    assert said.columns == [*CLIENTS, ALONE]
    assert said.mark(said.pairs["python/A", ALONE]) == "X"
    assert said.mark(said.pairs[ALONE, "node/C"]) == "~1"
    assert said.sentence == "All 6 pairs work. Broken: python/A alone."
    assert [group.where for group in said.broken()] == ["python/A alone"]


def test_many_sides_that_are_broken_alone_are_counted() -> None:
    red = [
        cell("frames.x", "failed", server=server, client="judge/Raw", defect="no pong")
        for server in SERVERS
    ]
    assert [group.where for group in answer(*red).broken()] == ["3 servers alone"]
    red = [
        cell("frames.x", "failed", server="judge/Raw", client=f"{name}/C", defect="no pong")
        for name in "abc"
    ]
    assert [group.where for group in answer(*red).broken()] == ["3 clients alone"]


def test_a_pair_that_did_not_run_or_only_in_part_is_marked() -> None:
    said = answer(not_run={"node/C": "Node.js: install it"})
    assert said.mark(said.pairs["python/A", "node/C"]) == "-"
    assert said.legend() == "servers down, clients across; ok: works; -: not run"
    part = [cell("echo.null", server="python/A", client="python/C")]
    said = Answer(pairs(part, ["python/A"], ["python/C"], {}), part)
    assert said.mark(said.pairs["python/A", "python/C"]) == ".."
    assert said.legend() == "servers down, clients across; ..: not all of plain use ran"
    assert said.sentence == "No pair ran plain use; 1 cell ran."


def test_more_exceptions_than_letters_share_the_last_mark() -> None:
    excuses = [Excuse("dart", "server", f"cause {number}") for number in range(60)]
    said = answer(known("dart@0.3.0/A", "node/C", "echo.null", *excuses))
    assert [each.letter for each in said.exempt][50:54] == ["Y", "Z", "+", "+"]
    assert said.mark(said.pairs["dart@0.3.0/A", "node/C"]).endswith("YZ+")


def test_what_is_missing_is_told_once_with_its_details() -> None:
    found = missing({"a/S": "Dart: get it\nno dart", "b/C": "Dart: get it\nno dart", "c/C": "Go"})
    assert [(each.names, each.what, each.details) for each in found] == [
        (("a", "b"), "Dart: get it", "no dart"),
        (("c",), "Go", ""),
    ]


def test_words_are_joined_as_in_a_sentence() -> None:
    assert [joined(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "", "a", "a and b", "a, b and c",
    ]  # fmt: skip
