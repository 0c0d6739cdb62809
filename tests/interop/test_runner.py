"""Whole runs: pytest, plugin, engine and tap, with this library and with scripted peers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from interop.catalog import Api
from interop.plan import Plan
from interop.runner import load_catalogue, run_plan

SERVER = Api("python", "server", "ZapServer")
CLIENT = Api("python", "client", "ZapConsumer")
PYTHON = [sys.executable, "-m", "interop.peers.python"]


def run(workers: int = 0, **more: Any) -> tuple[list[dict[str, Any]], str]:
    plan: dict[str, Any] = {
        "engine": "local",
        "servers": (SERVER,),
        "clients": (CLIENT,),
        "commands": {"python": PYTHON},
        "scenarios": ("echo.null",),
        "patience": 2.0,
    }
    seen: list[int] = []
    cells, seconds, broken = run_plan(
        Plan(**{**plan, **more}), workers=workers, progress=lambda count, _: seen.append(count)
    )
    assert seen == list(range(1, len(cells) + 1))
    assert seconds > 0
    return [dict(cell) for cell in cells], broken


def fake(mode: str) -> dict[str, list[str]]:
    return {"python": [sys.executable, "-m", "tests.interop.fake_peer", mode]}


def test_a_cell_passes_with_its_evidence() -> None:
    ((cell,), broken) = run()
    assert (cell["verdict"], cell["reason"], broken) == ("passed", "", "")
    assert (cell["server"], cell["client"]) == ("python/ZapServer", "python/ZapConsumer")
    texts = [(f["author"], f["text"]) for f in cell["frames"] if f["kind"] == "text"]
    assert texts == [
        ("client", '{"eventName":"echo","payload":null,"headers":{}}'),
        ("server", '{"eventName":"echo","payload":null,"headers":{}}'),
    ]
    assert cell["notifications"]["server"][0] == {"on": "connected", "conn": "1"}
    assert cell["violations"] == []


def test_workers_bring_the_same_cells_home() -> None:
    chosen = ("echo.null", "echo.floats", "headers.*")
    alone, _ = run(scenarios=chosen)
    shared, broken = run(workers=2, scenarios=chosen)
    assert broken == ""

    def verdicts(cells: list[dict[str, Any]]) -> set[tuple[str, str]]:
        return {(cell["scenario"], cell["verdict"]) for cell in cells}

    assert verdicts(shared) == verdicts(alone)
    assert len(shared) == len(alone) == 7


def deviation(tmp_path: Path, scenario: str) -> Path:
    path = tmp_path / "deviations.toml"
    path.write_text(
        f'[[deviation]]\npeer = "python"\nrole = "server"\nscenario = "{scenario}"\n'
        'cause = "made up"\n',
        "utf-8",
    )
    return path


def test_unsupported_is_a_verdict_of_its_own() -> None:
    ((cell,), _) = run(scenarios=("lifecycle.clean",))
    assert cell["verdict"] == "unsupported"
    assert "client python/ZapConsumer: " in cell["reason"]


def test_a_stale_deviation_fails(tmp_path: Path) -> None:
    ((cell,), _) = run(deviations=deviation(tmp_path, "echo.null"))
    assert cell["verdict"] == "failed"
    assert "expected to fail, but passed" in cell["reason"]
    assert "made up" in cell["reason"]


def test_a_failure_says_what_was_missing() -> None:
    other = Api("python", "client", "ZapSubscriber")
    ((cell,), _) = run(scenarios=("lifecycle.clean",), clients=(other,), patience=0.0)
    assert cell["verdict"] == "failed"
    assert "within 0 s" in cell["reason"]


def test_a_known_deviation_is_no_failure(tmp_path: Path) -> None:
    ((cell,), _) = run(commands=fake("deaf"), patience=0.05)
    assert cell["verdict"] == "failed"
    ((cell,), _) = run(commands=fake("deaf"), deviations=deviation(tmp_path, "echo.null"))
    assert cell["verdict"] == "deviating"
    assert cell["reason"].startswith("python (server): made up [seen: server python/ZapServer: no")


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("silent", "nothing to say"),
        ("dies", "the peer closed its control connection"),
        ("good", "python does not offer ZapServer as a server"),
    ],
)
def test_a_testbeds_failure_is_an_error_even_where_a_deviation_is_known(
    mode: str, says: str, tmp_path: Path
) -> None:
    known = deviation(tmp_path, "echo.null")
    ((cell,), _) = run(commands=fake(mode), deviations=known, logs=tmp_path)
    assert cell["verdict"] == "error"
    assert says in cell["reason"]


def test_the_catalogue_has_ids_rules_and_both_severities() -> None:
    catalogue = load_catalogue()
    assert len(catalogue) >= 90
    assert {facts.severity for facts in catalogue.values()} == {"must", "should"}
    for name, facts in catalogue.items():
        assert name.startswith(facts.id)
        assert facts.rule.endswith("."), name
