from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from interop.results import SCHEMA_FILE, Results, gates, rerun_command


def cell(verdict: str = "passed", **more: Any) -> dict[str, Any]:
    return {
        "server": "python/ZapServer",
        "client": "dart@0.5.0/ZapConsumer",
        "scenario": "echo.null",
        "rule": "A payload comes back.",
        "severity": "must",
        "verdict": verdict,
        "reason": "" if verdict == "passed" else f"why it {verdict}",
        "duration_ms": 12.5,
        **more,
    }


def results(*cells: dict[str, Any], **more: Any) -> Results:
    run = Results(
        started="2026-01-02T03:04:05+00:00",
        engine="local",
        servers=["python/ZapServer", "dart@0.3.0/ZapServer"],
        clients=["python/ZapConsumer", "dart@0.5.0/ZapConsumer"],
        not_run={"pypi@0.5.2/ZapClient": "no network"},
        **more,
    )
    run.cells = list(cells)
    return run


@pytest.mark.parametrize(
    ("cells", "status"),
    [
        ([cell()], 0),
        ([cell(), cell("deviating"), cell("unsupported")], 0),
        ([cell(), cell("failed")], 1),
        ([cell(), cell("failed", severity="should")], 0),
        ([cell("failed"), cell("error")], 2),
        ([], 2),
    ],
)
def test_the_exit_status(cells: list[dict[str, Any]], status: int) -> None:
    assert results(*cells).exit_status == status


def test_a_broken_run_is_never_a_success() -> None:
    assert results(cell(), broken="a worker crashed").exit_status == 2


def test_only_a_failed_must_gates() -> None:
    assert gates(cell("failed"))
    assert not gates(cell("failed", severity="should"))
    assert not gates(cell("deviating"))


def test_cells_are_put_in_the_matrixs_order() -> None:
    late = cell(server="dart@0.3.0/ZapServer")
    early = cell(client="python/ZapConsumer", scenario="z")
    run = results(late, cell(scenario="b"), early, cell(scenario="a"))
    run.sort()
    order = [(c["server"], c["client"], c["scenario"]) for c in run.cells]
    assert order == [
        ("python/ZapServer", "python/ZapConsumer", "z"),
        ("python/ZapServer", "dart@0.5.0/ZapConsumer", "a"),
        ("python/ZapServer", "dart@0.5.0/ZapConsumer", "b"),
        ("dart@0.3.0/ZapServer", "dart@0.5.0/ZapConsumer", "echo.null"),
    ]


def test_pairs_are_counted() -> None:
    run = results(cell(), cell(scenario="x"), cell("failed", scenario="y"))
    counts = run.by_pair()[("python/ZapServer", "dart@0.5.0/ZapConsumer")]
    assert counts == {"passed": 2, "deviating": 0, "failed": 1, "unsupported": 0, "error": 0}


EVIDENCE: dict[str, Any] = {
    "frames": [
        {"t_ms": 1.5, "connection": 1, "author": "client", "to": "server", "kind": "text",
         "length": 5, "text": "{}"},
        {"t_ms": 2, "connection": 1, "author": "judge", "to": "server", "kind": "close",
         "length": 0, "code": 1005},
    ],
    "frames_total": 2,
    "violations": [{"author": "client", "violation": "no eventName"}],
    "notifications": {"server": [{"on": "connected", "conn": "1"}], "clients": [[]]},
}  # fmt: skip


def test_what_is_written_fits_the_schema(tmp_path: Path) -> None:
    run = results(cell(), cell("failed", **EVIDENCE), cell("error", reason="\ud800 é"))
    run.write(tmp_path / "new")
    data = json.loads((tmp_path / "new" / "results.json").read_text("utf-8"))
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(data, schema)
    assert data["run"]["exit_status"] == 2
    assert [c["verdict"] for c in data["cells"]] == ["passed", "failed", "error"]


@pytest.mark.parametrize(
    "wrong", [{"verdict": "fine"}, {"severity": "may"}, {"more": 1}, {"duration_ms": "long"}]
)
def test_the_schema_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        data = results(cell(**wrong)).to_json()
        jsonschema.validate(data, json.loads(SCHEMA_FILE.read_text("utf-8")))


def test_the_command_that_runs_a_cell_again() -> None:
    assert rerun_command(cell()) == (
        "python -m interop run --server 'python/ZapServer' "
        "--client 'dart@0.5.0/ZapConsumer' --scenario 'echo.null'"
    )
