from __future__ import annotations

from interop.records import CellResult, Verdict
from interop.reports.compatibility import PLAIN, compatibility
from interop.run.runner import load_catalogue

from .. import cells


def cell(
    server: str, client: str, verdict: Verdict = "passed", name: str = "echo.null"
) -> CellResult:
    return cells.cell(verdict, server=server, client=client, scenario=name)


def test_one_version_of_each_has_nothing_to_say() -> None:
    assert compatibility([cell("a@1.0/S", "b/C"), cell("a/T", "b/C", "failed")]) == []


def test_versions_between_which_all_works_are_one_line() -> None:
    versions = ("0.9.0", "0.10.0", "0.2.0")
    found = [cell(f"a@{v}/S", f"b@{w}/C") for v in versions for w in versions]
    assert compatibility(found) == ["a/S 0.2.0 to 0.10.0 with b/C 0.2.0 to 0.10.0: compatible"]


def test_what_stands_in_the_way_is_named() -> None:
    found = [
        cell("a/S", "b@1/C", "deviating"),
        cell("a/S", "b@1/C", "failed", "headers.none-given"),
        cell("a/S", "b@2/C", "deviating"),
        cell("a/S", "b@3/C", "unsupported"),
        cell("a/S", "b@3/C", "failed", "malformed.reported"),
        cell("a/S", "b@4/C"),
    ]
    assert compatibility(found) == [
        "a/S with b/C 1: but for echo.null, headers.none-given",
        "a/S with b/C 2: but for echo.null",
        "a/S with b/C 3 to 4: compatible",
    ]


def test_servers_that_differ_have_lines_of_their_own() -> None:
    found = [
        cell("a@1/S", "b@1/C", "error"),
        cell("a@1/S", "b@2/C"),
        cell("a@2/S", "b@1/C"),
        cell("a@2/S", "b@2/C"),
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
