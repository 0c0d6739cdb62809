"""Runs as a whole: workers, the catalogue, and what is said when pytest itself cannot go on."""

from __future__ import annotations

from typing import Any

import pytest

from interop.runner import Collector, load_catalogue

from .runs import run


def test_workers_bring_the_same_cells_home() -> None:
    chosen = ("echo.null", "echo.floats", "headers.*")
    alone, _ = run(scenarios=chosen)
    shared, broken = run(workers=2, scenarios=chosen)
    assert broken == ""

    def verdicts(cells: list[dict[str, Any]]) -> set[tuple[str, str]]:
        return {(cell["scenario"], cell["verdict"]) for cell in cells}

    assert verdicts(shared) == verdicts(alone)
    assert len(shared) == len(alone) > 5


def test_the_catalogue_has_ids_rules_and_both_severities() -> None:
    catalogue = load_catalogue()
    assert len(catalogue) >= 90
    assert {facts.severity for facts in catalogue.values()} == {"must", "should"}
    for name, facts in catalogue.items():
        assert name.startswith(facts.id)
        assert facts.rule.endswith("."), name


class Report:
    """What a pytest report holds for the collector."""

    nodeid = "test_x.py::test_y"
    when = "teardown"
    passed = False
    failed = True
    longreprtext = "SyntaxError"
    user_properties = [("interop-cell", '{"reason": "RuntimeError: too late"}')]  # noqa: RUF012  # a stand-in


def test_what_goes_wrong_outside_of_cells_breaks_the_run() -> None:
    collector = Collector(lambda count, cell: pytest.fail("no cell"))
    collector.pytest_runtest_logreport(Report())  # type: ignore[arg-type]  # a stand-in
    collector.pytest_collectreport(Report())  # type: ignore[arg-type]  # a stand-in
    collector.pytest_internalerror("INTERNALERROR")
    assert collector.problems == [
        "tearing down test_x.py::test_y: RuntimeError: too late",
        "collecting test_x.py::test_y: SyntaxError",
        "INTERNALERROR",
    ]
    assert collector.cells == []
