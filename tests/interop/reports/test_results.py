from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from interop.errors import TestbedError
from interop.records import VERDICTS, CellResult, ResultsFile, decode, schema
from interop.reports.results import (
    SCHEMA_FILE,
    claimed,
    culprit_line,
    gates,
    read,
    shortened,
    write_files,
)

from ..cells import cell, flaky, results


@pytest.mark.parametrize(
    ("cells", "status"),
    [
        ([cell()], 0),
        ([cell(), cell("deviating"), cell("unsupported")], 0),
        ([cell(), cell("failed")], 1),
        ([cell(), cell("warned", severity="should")], 0),
        ([cell(), cell("failed", severity="should")], 1),
        ([cell(), cell("flaky")], 1),
        ([cell("failed"), cell("error")], 2),
        ([], 2),
    ],
)
def test_the_exit_status(cells: list[CellResult], status: int) -> None:
    assert results(*cells).exit_status == status


def test_a_broken_run_is_never_a_success() -> None:
    assert results(cell(), broken="a worker crashed").exit_status == 2


def test_what_gates() -> None:
    assert [v for v in VERDICTS if gates(cell(v))] == ["failed", "flaky"]


def test_cells_are_put_in_the_matrixs_order() -> None:
    late = cell(server="dart@0.3.0/ZapServer")
    early = cell(client="python/ZapConsumer", scenario="z")
    run = results(late, cell(scenario="b"), early, cell(scenario="a"))
    run.sort()
    order = [(c.server, c.client, c.scenario) for c in run.cells]
    assert order == [
        ("python/ZapServer", "python/ZapConsumer", "z"),
        ("python/ZapServer", "dart@0.5.0/ZapConsumer", "a"),
        ("python/ZapServer", "dart@0.5.0/ZapConsumer", "b"),
        ("dart@0.3.0/ZapServer", "dart@0.5.0/ZapConsumer", "echo.null"),
    ]


EVIDENCE: dict[str, Any] = {
    "frames": [
        {"t_ms": 1.5, "connection": 1, "author": "client", "to": "server", "kind": "text",
         "length": 5, "text": "{}"},
        {"t_ms": 2, "connection": 1, "author": "judge", "to": "server", "kind": "close",
         "length": 0, "code": 1005},
    ],
    "frames_total": 2,
    "violations": [{"author": "client", "violation": "no eventName", "frame": 0, "excused": False}],
    "notifications": {"server": [{"on": "connected", "conn": "1"}], "clients": [[]]},
    "requests": {
        "server": [{"op": "serve", "args": {}, "t_ms": -1.5, "done_ms": -1, "outcome": "ok"}],
        "clients": [[{"op": "open", "args": {"url": "ws://h"}, "t_ms": 1}]],
    },
    "connections": [
        {"t_ms": 1, "target": "/", "headers": [["X", "y"]], "status": 101, "protocol": "a",
         "ended": {"by": "judge", "t_ms": 2}},
    ],
    "acts": ["reset"],
}  # fmt: skip


def test_what_is_written_fits_the_schema(tmp_path: Path) -> None:
    culprit = {"side": "client", "why": "x", "basis": "frame", "api": "a", "frame": 0}
    runs = [{"run": n, "verdict": "failed", "reason": "", "duration_ms": 1, **EVIDENCE}
            for n in (1, 2)]  # fmt: skip
    run = results(
        cell(),
        cell("failed", culprit=culprit, runs=runs, pass_rate=0.0, **EVIDENCE),
        cell("error", reason="\ud800 é"),
        broken="interrupted",
    )
    run.write(tmp_path / "new")
    data = json.loads((tmp_path / "new" / "results.json").read_text("utf-8"))
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(data, schema)
    assert data["run"]["exit_status"] == 2
    assert data["run"]["broken"] == "interrupted"
    assert read(tmp_path / "new") == read(tmp_path / "new" / "results.json") == run.cells
    assert [c["verdict"] for c in data["cells"]] == ["passed", "failed", "error"]


EARLIER = """
{"format": 1, "run": {"started": "2026-01-02T03:04:05+00:00", "broken": ""}, "cells": [
{"server": "a/S", "client": "b/C", "scenario": "x.y", "rule": "A rule.", "severity": "must",
 "raised": "", "setup_ms": 1.5, "duration_ms": 2.0, "teardown_ms": 0.5, "waited_ms": 0.0,
 "escapes": false, "frames": [{"t_ms": 1.5, "connection": 1, "author": "client", "to": "server",
 "kind": "close", "length": 0, "code": null}], "frames_total": 1, "violations": [],
 "notifications": {"server": [{"on": "event", "payload": "\\ud800", "n": NaN, "t_ms": 1}],
 "clients": [[]]}, "requests": {"server": [], "clients": [[]]}, "connections": [], "acts": [],
 "verdict": "failed", "reason": "stale", "culprit": {"side": "unknown", "why": "w", "basis": "",
 "api": "", "frame": null}, "no-longer-kept": 1},
{"server": "a/S", "client": "b/C", "scenario": "x.z", "rule": "A rule.", "severity": "must",
 "verdict": "failed", "reason": "it did not come", "duration_ms": 2}
]}
"""


def test_the_file_of_an_earlier_run_is_read(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(EARLIER, "utf-8")
    whole, bare = read(tmp_path, whole=True)
    assert (whole.verdict, whole.raised, whole.frames[0].code) == ("failed", "", None)
    assert whole.notifications is not None
    assert whole.notifications.server[0]["payload"] == "\ud800"
    assert (bare.raised, bare.requests, bare.frames) == (None, None, [])


def test_the_schema_is_made_from_the_records() -> None:
    assert json.loads(SCHEMA_FILE.read_text("utf-8")) == schema(), (
        "python -m interop.records > interop/results.schema.json"
    )


@pytest.mark.parametrize(
    "wrong", [{"verdict": "fine"}, {"severity": "may"}, {"more": 1}, {"duration_ms": "long"}]
)
def test_the_schema_refuses(wrong: dict[str, Any]) -> None:
    data = json.loads(results(cell()).dump())
    jsonschema.validate(data, schema())
    data["cells"][0] |= wrong
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "No such file"),
        ("{", "not JSON: "),
        ("[]", r"not the results of a run \(format 1\)"),
        ('{"format": 2}', "not the results of a run"),
        ('{"format": 1, "cells": {}}', r"Expected `array`, got `object` - at `\$.cells`"),
        ('{"format": 1, "cells": [{"server": "a"}]}', r"missing .* `\$.cells\[0\]`"),
        ('{"format": 1, "cells": [], "run": []}', r"got `array` - at `\$.run`"),
        ("[" * 100_000, "not the results of a run"),
        ('{"a": ' + "[" * 100_000, "not JSON: "),
    ],
)
def test_what_cannot_be_read_is_named(text: str | None, says: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "results.json").write_text(text, "utf-8")
    with pytest.raises(TestbedError, match=rf"results\.json: .*{says}"):
        read(tmp_path / "results.json")


def test_a_whole_run_has_each_cell_once(tmp_path: Path) -> None:
    results(cell("failed"), cell()).write(tmp_path)
    assert len(read(tmp_path)) == 2
    with pytest.raises(TestbedError, match="more than once: python/ZapServer / dart@0"):
        read(tmp_path, whole=True)


def test_a_folder_is_claimed_by_one_run_at_a_time(tmp_path: Path) -> None:
    with claimed(tmp_path / "r"):
        with pytest.raises(TestbedError, match="another run writes there"), claimed(tmp_path / "r"):
            pytest.fail("two runs at once")
    with claimed(tmp_path / "r"):
        assert list((tmp_path / "r").iterdir()) == []


def test_where_no_folder_can_be_locked_none_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    with claimed(tmp_path), claimed(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(TestbedError, match="file: that is not a folder"),
        claimed(tmp_path / "file"),
    ):
        pytest.fail("not claimed")
    # Root may write anywhere, and tests may run as root.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(TestbedError, match="not writable"), claimed(tmp_path / "r"):
        pytest.fail("not claimed")


@pytest.mark.parametrize(
    ("culprit", "line"),
    [
        (None, ""),
        ({"side": "unknown", "why": "a\n b"}, "culprit unknown: a b"),
        (
            {"side": "client", "api": "x/Y", "frame": 3, "why": "w"},
            "culprit: client x/Y (w); frame 3",
        ),
        ({"side": "server", "api": "x/Y", "frame": None, "why": "w"}, "culprit: server x/Y (w)"),
    ],
)
def test_the_culprit_in_a_line(culprit: dict[str, Any] | None, line: str) -> None:
    assert culprit_line(cell("failed", culprit=culprit)) == line


def test_the_culprits_frame_is_shown() -> None:
    culprit = {"side": "client", "api": "x/Y", "frame": 0, "why": "w"}
    line = culprit_line(cell("failed", culprit=culprit, **EVIDENCE))
    assert line == "culprit: client x/Y (w); frame 0: client -> server text {}"


def test_what_cannot_all_be_written_leaves_all_as_it_was(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": b"old", "b": b"old"})
    (tmp_path / "file").touch()
    with pytest.raises(TestbedError, match="nothing was written, and what was there before stays"):
        write_files(tmp_path, {"a": b"new", "b": b"new", "file/c": b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a": b"old", "b": b"old", "file": b"",
    }  # fmt: skip
    write_files(tmp_path, {"a": b"new", "b": b"new"})
    assert {(tmp_path / name).read_bytes() for name in "ab"} == {b"new"}


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    quoted = f"the server sent {'x' * 70_000!r} and closed with 1009"
    short = shortened(quoted)
    assert short.startswith("the server sent 'xxx")
    assert "… 69,739 characters …" in short
    assert short.endswith("and closed with 1009")
    assert shortened("two\n lines") == "two lines"


def test_what_is_flaky_for_longer_than_allowed_makes_the_run_fail() -> None:
    assert results(cell("tolerated"), known_flaky=[flaky()]).exit_status == 0
    assert results(cell(), known_flaky=[flaky(), flaky(over=True)]).exit_status == 1
    assert results(known_flaky=[flaky(over=True)]).exit_status == 2  # nothing ran


def test_known_flaky_cells_are_written_and_read_back(tmp_path: Path) -> None:
    known = [flaky(over=True), flaky(failed=[("a/S", "b/C", "echo.null")])]
    results(cell("tolerated"), known_flaky=known).write(tmp_path)
    assert decode((tmp_path / "results.json").read_bytes(), ResultsFile).run.known_flaky == known
    jsonschema.validate(
        json.loads((tmp_path / "results.json").read_text("utf-8")),
        json.loads(SCHEMA_FILE.read_text("utf-8")),
    )
