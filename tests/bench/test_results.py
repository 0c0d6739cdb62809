"""Ratios and medians, and the file that they are made from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.catalog import Row
from bench.errors import UsageError
from bench.results import Key, Outcome, compare, read, write
from bench.sample import Sample

from .made import made_outcome, made_results, sample

ECHO = Row("echo", "zaptools", "websockets", 2.5)
MEMORY = Row("memory", "zaptools", "websockets", 0.7)
ALONE = Row("memory", "zaptools", None, 10)


def outcome_of(ours: list[Sample], theirs: list[Sample]) -> Outcome:
    keys = (Key("plain", "uvloop", "echo", name) for name in ("zaptools", "websockets"))
    return Outcome(dict(zip(keys, (ours, theirs), strict=True)))


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    ours = [sample(100), sample(1200), sample(280)]
    theirs = [sample(100), sample(300), sample(140)]
    found = compare(outcome_of(ours, theirs), ECHO, "plain", "uvloop")
    assert found is not None
    assert (found.ratio, found.spread) == (2.0, (1.0, 4.0))  # not 280 / 140 of the medians alone
    assert (found.ours, found.theirs) == (280, 140)
    assert found.reached is False


def test_more_is_better_for_rates_and_less_for_costs() -> None:
    outcome = made_outcome()
    echo = compare(outcome, ECHO, "plain", "uvloop")
    memory = compare(outcome, MEMORY, "plain", "uvloop")
    assert echo is not None
    assert (echo.ratio, echo.reached) == (2.6, True)
    assert memory is not None
    assert (memory.ratio, memory.reached) == (0.55, True)
    worse = compare(outcome, Row("memory", "zaptools", "websockets", 0.5), "plain", "uvloop")
    assert worse is not None
    assert worse.reached is False


def test_a_target_that_is_just_met_is_reached() -> None:
    for row in (Row("echo", "zaptools", "websockets", 2.6), MEMORY):
        found = compare(made_outcome(), row, "plain", "uvloop")
        assert found is not None
        assert found.reached


def test_a_row_about_one_peer_has_a_value() -> None:
    found = compare(made_outcome(), ALONE, "plain", "uvloop")
    assert found is not None
    assert (found.ratio, found.theirs, found.reached) == (11.0, None, False)


def test_a_rate_of_one_peer_alone_is_compared_with_nothing() -> None:
    found = compare(made_outcome(), Row("echo", "zaptools", None), "plain", "uvloop")
    assert found is not None
    assert (found.ratio, found.bound) == (260.0, False)


def test_without_a_target_nothing_is_reached_or_not() -> None:
    found = compare(made_outcome(), Row("echo", "zaptools", "websockets"), "plain", "uvloop")
    assert found is not None
    assert found.reached is None


@pytest.mark.parametrize("ours", ["zaptools", "aiohttp"])
def test_what_was_not_measured_has_no_numbers(ours: str) -> None:
    for row in (Row("echo", ours, "picows"), Row("connect", ours, None)):
        assert compare(made_outcome(), row, "plain", "uvloop") is None


@pytest.mark.parametrize(
    ("measured", "generator", "bound"),
    [(1.0, 0.5, False), (0.95, 0.99, False), (0.7, 0.9, True), (0.5, 0.3, False)],
)
@pytest.mark.parametrize("turned", [True, False])
def test_a_generator_at_its_limit_is_told(
    measured: float, generator: float, bound: bool, turned: bool
) -> None:
    one, other = [sample(1, measured=measured, generator=generator)], [sample(1)]
    outcome = outcome_of(*((other, one) if turned else (one, other)))
    found = compare(outcome, ECHO, "plain", "uvloop")
    assert found is not None
    assert found.bound is bound


def test_a_file_holds_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    results = made_results()
    write(results, path)
    assert read(path) == results
    data = json.loads(path.read_text("utf-8"))
    assert data["loaded"] is False
    assert data["samples"][1] == {
        "mode": "plain",
        "loop": "uvloop",
        "measure": "echo",
        "peer": "zaptools",
        "round": 2,
        "value": 100.0,
        "measured_cpu": 1.0,
        "generator_cpu": 0.5,
        "foreign_cpu": 0.01,
    }


@pytest.mark.parametrize(
    ("foreign", "loaded"), [(0.0, False), (0.09, False), (0.1, True), (None, False)]
)
def test_a_loaded_machine_is_known(foreign: float | None, loaded: bool) -> None:
    results = made_results(foreign=foreign)
    assert results.foreign_cpu == foreign
    assert results.loaded is loaded


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"format": 0}'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=str(path)):
        read(path)


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not exist: measure first, with `make bench`"):
        read(tmp_path / "none.json")
