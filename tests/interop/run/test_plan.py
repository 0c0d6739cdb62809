from __future__ import annotations

from pathlib import Path

import pytest

from interop.catalog import Api
from interop.control.contract import Address
from interop.engines.compose import ComposeEngine
from interop.engines.local import LocalEngine
from interop.errors import TestbedError
from interop.run.plan import Plan
from interop.verdicts.flaky import KnownFlaky

SERVERS = (Api("a", "server", "S"), Api("b", "server", "S", "1.0"))
CLIENTS = (Api("a", "client", "C"),)


def test_a_plan_survives_the_way_to_a_worker() -> None:
    plan = Plan(
        engine="compose",
        servers=SERVERS,
        clients=CLIENTS,
        commands={"a": ["python", "-m", "a"]},
        addresses={"b": Address("b", 7000)},
        scenarios=("echo.*",),
        only={"a/S": ["echo.null"]},
        cells={"a/S": {"a/C": ["echo.null"]}},
        flaky=(KnownFlaky(("echo.*",), "a race", "2026-12-31"),),
        deviations=(Path("deviations.toml"),),
        peers=(Path("ours"),),
        patience=0.5,
    )
    assert Plan.parse(plan.dump()) == plan


def test_pairs_are_rows_times_columns() -> None:
    pairs = [(s.id, c.id) for s, c in Plan("local", SERVERS, CLIENTS).pairs()]
    assert pairs == [("a/S", "a/C"), ("b@1.0/S", "a/C")]


@pytest.mark.parametrize(
    ("patterns", "wanted"), [((), True), (("echo.*",), True), (("many.*", "echo.null"), True),
                             (("echo",), False)]
)  # fmt: skip
def test_scenarios_are_chosen_by_globs(patterns: tuple[str, ...], wanted: bool) -> None:
    assert Plan("local", SERVERS, CLIENTS, scenarios=patterns).wants("echo.null") is wanted


def test_an_api_may_run_some_scenarios_only() -> None:
    plan = Plan("local", SERVERS, CLIENTS, scenarios=("e*",), only={"a/S": ["echo.null", "ends"]})
    a, b = ((server, CLIENTS[0]) for server in SERVERS)
    wanted = ("echo.null", "ends", "echo.floats", "echo", "many.ids")
    assert [plan.wants(each, a) for each in wanted] == [True, True, False, False, False]
    assert [plan.wants(each, b) for each in wanted] == [True, True, True, True, False]
    begun = ("echo", "ends", "ech", "many")
    assert [plan.may_want(each, a) for each in begun] == [True, True, False, False]
    assert [plan.may_want(each, b) for each in begun] == [True, True, True, False]


def test_a_pair_may_run_some_cells_only() -> None:
    plan = Plan("local", SERVERS, CLIENTS, cells={"a/S": {"a/C": ["echo.null", "ends"]}})
    a, b = ((server, CLIENTS[0]) for server in SERVERS)
    wanted = ("echo.null", "ends", "echo.floats", "echo")
    assert [plan.wants(each, a) for each in wanted] == [True, True, False, False]
    assert [plan.wants(each, b) for each in wanted] == [False] * 4
    begun = ("echo", "ends", "ech", "many")
    assert [plan.may_want(each, a) for each in begun] == [True, True, False, False]
    assert [plan.may_want(each, b) for each in begun] == [False] * 4


def test_what_no_pattern_can_name_is_not_wanted() -> None:
    def wanted(*patterns: str) -> list[str]:
        plan = Plan("local", SERVERS, CLIENTS, scenarios=patterns)
        names = ("echo", "echo.floats", "ends.once", "many.ids")
        return [name for name in names if plan.may_want(name, (SERVERS[0], CLIENTS[0]))]

    assert wanted() == ["echo", "echo.floats", "ends.once", "many.ids"]
    assert wanted("*.ids") == ["echo", "echo.floats", "ends.once", "many.ids"]
    assert wanted("e[cn]*") == ["echo", "echo.floats", "ends.once"]
    assert wanted("echo") == ["echo", "echo.floats"]  # the cells are chosen among its parameters
    assert wanted("echo.floats.?") == ["echo", "echo.floats"]
    assert wanted("ends.once", "many.ids.x") == ["ends.once", "many.ids"]


def test_the_engine_is_the_one_named() -> None:
    assert isinstance(Plan("local", SERVERS, CLIENTS).make_engine(), LocalEngine)
    assert isinstance(Plan("compose", SERVERS, CLIENTS).make_engine(), ComposeEngine)


def test_a_plan_of_an_unknown_engine_makes_none() -> None:
    with pytest.raises(TestbedError, match="no engine is named 'cloud'"):
        Plan("cloud", SERVERS, CLIENTS).make_engine()
