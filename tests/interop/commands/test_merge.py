from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from interop.cli import main
from interop.records import Shard
from interop.reports.results import SCHEMA_FILE, load

from ..cells import blamed, cell, results

CHOSEN = [
    *("--server", "mutant/one-id", "--server", "mutant/event-name-key"),
    *("--server", "python/ZapServer", "--client", "python/ZapConsumer"),
    *("--scenario", "echo.[fn]*", "--scenario", "many.ids", "--scenario", "frames.ping*"),
    *("-n", "0", "--patience", "0.3"),
]


def verdicts(folder: Path) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    found = {}
    for each in load(folder, whole=True).cells:
        named = each.culprit and (each.culprit.side, each.culprit.basis, each.culprit.api)
        found[each.key] = (each.verdict, each.severity, each.rules, each.excuses, named)
    return found


def test_three_shards_make_the_result_of_one_run_cell_by_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, merged = tmp_path / "one", tmp_path / "merged"
    assert main(["run", *CHOSEN, "--results", str(one)]) == 1
    shards = [tmp_path / str(number) for number in (1, 2, 3)]
    for folder in shards:
        main(["run", *CHOSEN, "--shard", f"{folder.name}/3", "--results", str(folder)])
    assert all(0 < len(load(folder).cells) < len(load(one).cells) for folder in shards)
    assert main(["merge", *map(str, reversed(shards)), "--results", str(merged)]) == 1
    assert verdicts(merged) == verdicts(one)
    assert {each[0] for each in verdicts(one).values()} >= {"passed", "failed"}
    assert main(["compare", "--equal", str(one), str(merged)]) == 0
    data = json.loads((merged / "results.json").read_text("utf-8"))
    jsonschema.validate(data, json.loads(SCHEMA_FILE.read_text("utf-8")))
    before = json.loads((one / "results.json").read_text("utf-8"))["run"]
    same = ("engine", "servers", "clients", "not_run", "repeat", "strict", "counts", "peers")
    assert {name: data["run"][name] for name in same} == {name: before[name] for name in same}
    assert (merged / "report.html").exists()
    capsys.readouterr()
    assert main(["merge", *map(str, shards[1:]), "--results", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == "interop: 1 shard is missing: 1/3\n"
    assert not (tmp_path / "none").exists()
    with_all = ["merge", *map(str, [*shards, shards[0]]), "--results", str(tmp_path / "none")]
    assert main(with_all) == 2
    assert "is given more than once" in capsys.readouterr().err


def test_culprits_are_named_by_the_cells_of_all_shards(tmp_path: Path) -> None:
    unknown = {"side": "unknown", "why": "no other cell", "basis": ""}
    red = cell("failed", server="dart@0.3.0/ZapServer", raised="it does not", culprit=unknown)
    for number, each in enumerate((red, cell("passed")), 1):
        results(each, shard=Shard(number, 2)).write(tmp_path / str(number))
    folders = [str(tmp_path / str(number)) for number in (1, 2)]
    assert main(["merge", *folders, "--results", str(tmp_path / "whole")]) == 1
    (found,) = (each for each in load(tmp_path / "whole").cells if each.verdict == "failed")
    assert (blamed(found).basis, blamed(found).api) == ("row", "dart@0.3.0/ZapServer")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--shard", "1/3"], "--shard 1/3: there are only 2 scenarios to share out"),
        (["--shard", "1/2", "--failed"], "--failed and --shard do not go together"),
    ],
)
def test_what_cannot_be_shared_out_is_said(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = ["--server", "python/ZapServer", "--client", "python/ZapConsumer", "-n", "0"]
    scenarios = ["--scenario", "echo.null", "--scenario", "echo.floats"]
    results = ["--results", str(tmp_path)]
    assert main(["run", *pair, *scenarios, *arguments, *results]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "-1/3", "a/b", "1/3/5"])
def test_a_shard_is_i_of_n(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", f"--shard={text}"])
    assert f"{text!r} is not I/N, from 1/N to N/N" in capsys.readouterr().err
