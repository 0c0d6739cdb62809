from __future__ import annotations

import pytest

from interop.records import CellResult, Verdict
from interop.reports.compatibility import PLAIN, compatibility
from interop.run.runner import load_catalogue

from .. import cells


def pair(server: str, client: str, **verdicts: Verdict) -> list[CellResult]:
    """Return the cells of plain use, passed but for those that `verdicts` names by their ends."""
    found = [cells.cell(server=server, client=client, scenario=name) for name in PLAIN]
    return [
        cells.cell(verdict, server=server, client=client, scenario=cell.scenario)
        if (verdict := verdicts.get(cell.scenario.replace("-", "_").rpartition(".")[2]))
        else cell
        for cell in found
    ]


def test_one_version_of_each_has_a_line() -> None:
    found = [*pair("a@1.0/S", "b/C"), *pair("a@1.0/S", "b@2/D", null="deviating")]
    lines = ["a/S 1.0 with b/C: compatible", "a/S 1.0 with b/D 2: but for echo.null"]
    assert compatibility(found) == lines
    assert compatibility(found, single=False) == []


def test_a_pair_without_versions_has_nothing_to_say() -> None:
    assert compatibility(pair("a/S", "b/C", null="failed")) == []


@pytest.mark.parametrize("left_out", PLAIN)
def test_versions_between_which_not_all_of_plain_use_ran_have_no_line(left_out: str) -> None:
    found = pair("a@1/S", "b/C") + pair("a@2/S", "b/C")
    part = [cell for cell in found if (cell.server, cell.scenario) != ("a@2/S", left_out)]
    assert compatibility(part) == ["a/S 1 with b/C: compatible"]
    assert compatibility(part, single=False) == []


def test_versions_between_which_all_works_are_one_line() -> None:
    versions = ("0.9.0", "0.10.0", "0.2.0")
    found = [cell for v in versions for w in versions for cell in pair(f"a@{v}/S", f"b@{w}/C")]
    lines = ["a/S 0.2.0 to 0.10.0 with b/C 0.2.0 to 0.10.0: compatible"]
    assert compatibility(found) == compatibility(found, single=False) == lines


def test_what_stands_in_the_way_is_named() -> None:
    found = [
        *pair("a/S", "b@1/C", null="deviating", none_given="failed"),
        *pair("a/S", "b@2/C", null="deviating"),
        *pair("a/S", "b@3/C", null="unsupported"),
        cells.cell("failed", server="a/S", client="b@3/C", scenario="malformed.reported"),
        *pair("a/S", "b@4/C"),
    ]
    assert compatibility(found) == [
        "a/S with b/C 1: but for echo.null, headers.none-given",
        "a/S with b/C 2: but for echo.null",
        "a/S with b/C 3 to 4: compatible",
    ]


def test_servers_that_differ_have_lines_of_their_own() -> None:
    found = [
        *pair("a@1/S", "b@1/C", null="error"),
        *pair("a@1/S", "b@2/C"),
        *pair("a@2/S", "b@1/C"),
        *pair("a@2/S", "b@2/C"),
    ]
    assert compatibility(found) == [
        "a/S 1 with b/C 1: but for echo.null",
        "a/S 1 with b/C 2: compatible",
        "a/S 2 with b/C 1 to 2: compatible",
    ]


def test_plain_use_is_made_of_scenarios_that_there_are() -> None:
    from fnmatch import fnmatchcase

    catalogue = load_catalogue()
    for pattern in PLAIN:
        sides = {found.side for name, found in catalogue.items() if fnmatchcase(name, pattern)}
        assert sides == {"pair"}, pattern
