from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from interop.records import CellResult
from interop.verdicts.deviations import DeviationError, parse
from interop.verdicts.suggest import pattern_for, suggestions

from ..cells import cell

DEFECT = "no event 'x'"
RAISED = f"server a@1/S: {DEFECT} within 0.2 s; last it reported: nothing"


def red(side: str, scenario: str, raised: str = RAISED, **more: Any) -> CellResult:
    defect = DEFECT if raised == RAISED else raised
    known = {"server": "a@1/S", "client": "b/C", "raised": raised, "defect": defect, **more}
    known["scenario"] = scenario
    culprit = {"side": side, "api": known.get(side, ""), "why": "both pass with others"}
    return cell("failed", **{"culprit": culprit, **known})


@pytest.mark.parametrize(
    ("defect", "pattern"),
    [
        ("no event 'x'", "no event 'x'"),
        ("boom (1)", r"boom \(1\)"),
        ("assert ['a'] == ['b']", r"assert \['a'\] == \['b'\]"),
        ("x" * 200, "x" * 90),
    ],
)
def test_a_pattern_fits_the_defect_and_reads_well(defect: str, pattern: str) -> None:
    assert pattern_for(defect) == pattern
    assert re.search(pattern, f"server a@1/S: {defect} within 1 s; last it reported: nothing")


def test_a_cell_of_an_earlier_run_has_its_text_alone() -> None:
    (text,) = suggestions([red("server", "a", "no event\nmore", defect="")])
    assert "seen = 'no event'" in text


def test_an_entry_for_each_implementation_and_what_is_seen() -> None:
    found = suggestions([red("server", "b"), red("server", "a"), red("client", "a", "other [1]")])
    assert [tomllib.loads(text)["deviation"][0] for text in found] == [
        {"peer": "a@1", "role": "server", "scenario": ["a", "b"], "seen": "no event 'x'",
         "cause": ""},
        {"peer": "b", "role": "client", "scenario": "a", "seen": r"other \[1\]", "cause": ""},
    ]  # fmt: skip
    assert r"seen = 'other \[1\]'" in found[1]


def test_a_person_must_fill_in_the_cause() -> None:
    (text,) = suggestions([red("server", "a")])
    with pytest.raises(DeviationError, match="'cause' must be a non-empty string"):
        parse(text)
    (entry,) = parse(text.replace('""', '"x.dart:3"'))
    assert entry.describes(RAISED)


def test_an_unknown_culprit_is_said_and_pins_the_pair() -> None:
    for culprit in ({"side": "unknown", "why": "only\nthis pair"}, None):
        (text,) = suggestions([red("server", "a", culprit=culprit)])
        (entry,) = tomllib.loads(text)["deviation"]
        assert (entry["peer"], entry["role"], entry["other"]) == ("a@1/S", "server", "b/C")
        assert text.startswith("# the culprit is unknown: ")


def test_a_peer_is_named_only_if_all_its_apis_have_it() -> None:
    other: dict[str, Any] = {"server": "a@1/T"}
    (text,) = suggestions([red("server", "a"), cell(**other)])
    assert 'peer = "a@1/S"' in text
    culprit = {"side": "server", "api": "a@1/T", "why": ""}
    (text,) = suggestions([red("server", "a"), red("server", "a", **other, culprit=culprit)])
    assert 'peer = "a@1"' in text


def test_only_what_failed_calls_for_an_entry() -> None:
    stale = cell("failed", raised="")
    assert suggestions([cell(), cell("deviating", raised="x"), cell("error"), stale]) == []
