from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interop.errors import TestbedError
from interop.records import CellResult, Commit, PeerRecord, Shard
from interop.reports.results import Results, load
from interop.run.shards import dealt_scenarios, joined

from ..cells import cell, flaky, results


def test_shards_share_all_scenarios_and_take_about_equally_long() -> None:
    cells = {f"echo.{n}": 10 for n in range(40)} | {f"time.{n}": 3 for n in range(6)}
    shards = dealt_scenarios(cells, 3)
    assert sorted(name for each in shards for name in each) == sorted(cells)
    assert [sum(name.startswith("time.") for name in each) for each in shards] == [2, 2, 2]
    counts = [sum(cells[name] for name in each) for each in shards]
    assert max(counts) - min(counts) <= 10
    assert dealt_scenarios(dict(reversed(cells.items())), 3) == shards


def shard(number: int, *cells: CellResult, of: int = 2, plan: str = "p", **more: Any) -> Results:
    return results(*cells, shard=Shard(number, of, plan), **more)


def merged(tmp_path: Path, *parts: Results) -> Results:
    paths = [tmp_path / str(number) for number, _ in enumerate(parts)]
    for path, part in zip(paths, parts, strict=True):
        part.write(path)
    return joined({path: load(path) for path in paths}, tmp_path)


A, B = cell(scenario="echo.a"), cell("failed", scenario="echo.b")


def test_the_cells_of_all_shards_are_those_of_one_run(tmp_path: Path) -> None:
    peer = PeerRecord("Python", "3.11")
    whole = merged(
        tmp_path,
        shard(2, A, duration_s=2.0, peers={"python/ZapServer": peer}),
        shard(1, B, duration_s=3.0, peers={"python/ZapConsumer": peer}, options=["--strict"]),
    )
    assert whole.cells == [A, B]
    assert (whole.duration_s, whole.exit_status, whole.shard) == (3.0, 1, None)
    assert list(whole.peers) == ["python/ZapConsumer", "python/ZapServer"]
    assert (whole.options, whole.not_run) == (["--strict"], results().not_run)


def test_a_shard_that_is_not_whole_breaks_the_run(tmp_path: Path) -> None:
    parts = [
        shard(1, A, broken="interrupted", peers={"python/ZapServer": PeerRecord(runtime="3.11")}),
        shard(2, B, stopped="1 of 2", peers={"python/ZapServer": PeerRecord(runtime="3.12")}),
    ]
    whole = merged(tmp_path, *parts)
    assert whole.broken.startswith("python/ZapServer is another one in shard 2: ")
    assert whole.broken.endswith("; shard 1: interrupted")
    assert (whole.stopped, whole.exit_status) == ("shard 2: 1 of 2", 2)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([shard(1, A)], "1 shard is missing: 2/2"),
        ([shard(3, A, of=3)], "2 shards are missing: 1/3, 2/3"),
        ([shard(1, A), shard(1, A)], "shard 1/2 is there more than once: {}/0, {}/1"),
        ([shard(1, A), shard(2, A)], "a cell is there more than once: python/ZapServer / dart@"),
        ([shard(1, A), results(B)], "{}/1: not the results of a shard, which run --shard writes"),
        ([shard(1, A), shard(2, B, of=3)],
         "shards of different numbers of shards: {}/0 has 2, {}/1 has 3"),
        ([shard(1, A), shard(2, B, plan="q")],
         "shards of different plans (rows, columns, scenarios or options): {}/0 has p, {}/1 has q"),
        ([shard(1, A, commit=Commit("a" * 40, dirty=False)),
          shard(2, B, commit=Commit("b" * 40, dirty=False))],
         "shards of different commits: {}/0 has aaaaaaaaaaaa, {}/1 has bbbbbbbbbbbb"),
        ([shard(1, A, commit=Commit("a" * 40, dirty=False)), shard(2, B)],
         "shards of different commits: {}/0 has aaaaaaaaaaaa, {}/1 has none"),
        ([shard(1, A, testbed="0.6.0"), shard(2, B, testbed="0.6.1")],
         "shards of different commits: {}/0 has 0.6.0, {}/1 has 0.6.1"),
    ],
)  # fmt: skip
def test_what_is_not_the_shards_of_one_run_is_named(
    parts: list[Results], says: str, tmp_path: Path
) -> None:
    with pytest.raises(TestbedError) as caught:
        merged(tmp_path, *parts)
    assert says.replace("{}", str(tmp_path)) in str(caught.value)


def test_shards_with_different_peers_that_cannot_run_are_named(tmp_path: Path) -> None:
    second = shard(2, B)
    second.not_run = {}
    with pytest.raises(TestbedError, match=r"peers that cannot run: .* has pypi@0"):
        merged(tmp_path, shard(1, A), second)


def test_known_flaky_cells_of_all_shards_are_counted_together(tmp_path: Path) -> None:
    one, two = ("a/S", "b/C", "echo.a"), ("a/S", "b/C", "echo.b")
    over = flaky(over=True, until="2026-01-01", cells=0)
    whole = merged(
        tmp_path,
        shard(1, A, known_flaky=[flaky(cells=3, failed=[two])]),
        shard(2, cell(scenario="echo.b"), known_flaky=[flaky(cells=2, failed=[one]), over]),
    )
    assert whole.known_flaky == [over, flaky(cells=5, failed=[one, two])]
    assert whole.exit_status == 1
