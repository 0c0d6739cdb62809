from __future__ import annotations

import json
from pathlib import Path

import pytest

from interop.errors import TestbedError
from interop.records import CellResult, Commit, Verdict
from interop.reports.files import report
from interop.reports.history import CellChange, Change, history, keep, read_history, record
from interop.reports.pairs import CORE, Pair, pairs
from interop.reports.results import Results

from .. import cells
from ..cells import cell, frame

ID = "0f0e0d0c-0b0a-0908-0706-050403020100"
WHERE = "python/ZapServer dart@0.5.0/ZapConsumer"


def run(day: int, *found: CellResult, broken: str = "") -> Results:
    made = cells.results(*found, broken=broken, commit=Commit("4de8327", dirty=False))
    made.started = f"2026-01-{day:02}T00:00:00+00:00"
    return made


def judged(results: Results) -> list[Pair]:
    return pairs(results.cells, results.servers, results.clients, {})


def core(verdict: Verdict = "passed") -> list[CellResult]:
    names = [pattern.replace("*", "bmp") for pattern in CORE]
    return [cell(scenario=names[0], verdict=verdict), *(cell(scenario=n) for n in names[1:])]


def wrote(text: str) -> CellResult:
    return cell(frames=[frame("server", text)])


def test_a_cell_that_changed_has_all_its_states() -> None:
    runs = [run(3, cell("failed")), run(1, cell()), run(2, cell()), run(4, cell("failed"))]
    found = history(record(each, []) for each in runs)
    assert [each.started[8:10] for each in found.runs] == ["01", "02", "03", "04"]
    assert found.cells == {
        WHERE: {"echo.null": [CellChange(0, "passed", False), CellChange(2, "failed", False)]}
    }


def test_a_cell_that_did_not_change_has_none() -> None:
    runs = [
        run(1, wrote(f'{{"id":"{ID}"}}')),
        run(2, wrote(f'{{"id":"{ID.replace("0f", "1f")}"}}')),
    ]
    assert history(record(each, []) for each in runs).cells == {}


def test_other_texts_on_the_wire_are_a_change() -> None:
    runs = [run(1, wrote("[1]")), run(2, wrote("[2]")), run(3), run(4, wrote("[2]"))]
    found = history(record(each, []) for each in runs)
    assert found.cells[WHERE]["echo.null"] == [
        CellChange(0, "passed", False),
        CellChange(1, "passed", True),
    ]


def test_the_order_of_texts_is_no_change() -> None:
    frames = [frame("server", "[1]"), frame("server", "[2]")]
    runs = [run(1, cell(frames=frames)), run(2, cell(frames=frames[::-1]))]
    assert history(record(each, []) for each in runs).cells == {}


def test_a_pair_that_changed_has_its_verdicts() -> None:
    runs = [run(1, *core()), run(2, *core("failed"))]
    found = history(record(each, judged(each)) for each in runs)
    assert found.pairs == {WHERE: [Change(0, "works"), Change(1, "broken")]}


def test_records_are_kept_in_a_folder_and_read_again(tmp_path: Path) -> None:
    results = run(1, *core(), wrote("\ud800"))
    keep(tmp_path, results, judged(results))
    keep(tmp_path, results, judged(results))
    assert read_history(tmp_path) == [record(results, judged(results))]
    assert read_history(tmp_path / "nowhere") == []


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    for data in (b"", b"no gzip"):
        (tmp_path / "runs" / "1.json.gz").write_bytes(data)
        with pytest.raises(TestbedError, match=r"--history .*1\.json\.gz: not the record of a run"):
            read_history(tmp_path)


def test_badges_are_for_all_pairs_and_for_each(tmp_path: Path) -> None:
    results = run(1, *core("failed"))
    keep(tmp_path, results, judged(results))
    assert json.loads((tmp_path / "badge.json").read_bytes()) == {
        "schemaVersion": 1,
        "label": "interop",
        "message": "0 of 1 pairs work",
        "color": "red",
    }
    names = {path.name for path in (tmp_path / "badges").iterdir()}
    assert len(names) == 4
    one = tmp_path / "badges" / "python-ZapServer--dart@0.5.0-ZapConsumer.json"
    assert json.loads(one.read_bytes())["message"] == "broken"
    other = tmp_path / "badges" / "dart@0.3.0-ZapServer--python-ZapConsumer.json"
    assert json.loads(other.read_bytes())["color"] == "lightgrey"


def test_a_run_that_is_not_whole_changes_no_badge(tmp_path: Path) -> None:
    results = run(1, *core(), broken="interrupted")
    keep(tmp_path, results, judged(results))
    assert not (tmp_path / "badge.json").exists()
    assert len(read_history(tmp_path)) == 1


def test_a_report_adds_its_run_and_shows_none_after_it(tmp_path: Path) -> None:
    for day in (1, 3, 2):
        page = report(run(day, *core()), kept=tmp_path)
    assert len(read_history(tmp_path)) == 3
    assert b"Changed since 2026-01-01 00:00, commit 4de8327" in page
    assert b"2026-01-03" not in page
