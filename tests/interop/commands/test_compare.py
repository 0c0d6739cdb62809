from __future__ import annotations

from pathlib import Path

import pytest

from interop.cli import main
from interop.records import CellResult, PeerRecord, Verdict

from ..cells import cell, frame, results


def write(folder: Path, *cells: CellResult) -> str:
    results(*cells).write(folder)
    return str(folder)


def test_what_broke_is_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = write(tmp_path / "old", cell(), cell("failed", scenario="b"), cell(scenario="c"),
                cell(scenario="d"), cell("warned", scenario="e"))  # fmt: skip
    new = write(tmp_path / "new", cell("failed"), cell(scenario="b"), cell("flaky", scenario="c"),
                cell("failed", scenario="e", reason="why\n so"))  # fmt: skip
    assert main(["compare", old, new, "--common"]) == 1
    out = capsys.readouterr().out
    pair = "python/ZapServer <-> dart@0.5.0/ZapConsumer"
    for part in (
        f"newly broken: 2\n   e, {pair}: warned -> failed: why so\n",
        f"   echo.null, {pair}: passed -> failed: why it failed\n",
        "newly flaky: 1",
        "newly fixed: 1",
        "not in the new run: 1",
    ):
        assert part in out
    assert main(["compare", new, new]) == 0


@pytest.mark.parametrize("more", [[], ["--equal"]])
def test_a_run_that_broke_is_compared_with_nothing(
    more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = write(tmp_path / "whole", cell(), cell(scenario="b"))
    results(cell(), broken="interrupted; 1 of 2 runs of cells have a result").write(
        tmp_path / "cut"
    )
    none = write(tmp_path / "none")
    for pair, which, says in (
        (
            (whole, str(tmp_path / "cut")),
            "NEW",
            "not a whole run, but 1 cells of one: interrupted; ",
        ),
        (
            (str(tmp_path / "cut"), whole),
            "OLD",
            "not a whole run, but 1 cells of one: interrupted; ",
        ),
        ((whole, none), "NEW", "not a whole run, but 0 cells of one: no cell ran"),
    ):
        assert main(["compare", *pair, *more]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"interop: {which} {tmp_path}/")
        assert says in err


def test_a_run_that_lacks_cells_is_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write(tmp_path / "old", cell(), cell(scenario="b"), cell(scenario="c"))
    new = write(tmp_path / "new", cell(scenario="c"), cell(scenario="d"))
    assert main(["compare", old, new]) == 2
    said = capsys.readouterr()
    assert f"NEW {new} is not whole: it lacks 2 of the 3 cells of OLD {old}" in said.err
    assert "not in the new run: 2" in said.out
    assert main(["compare", old, new, "--common"]) == 0
    assert main(["compare", new, new]) == 0


def test_runs_without_a_cell_in_common_are_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = write(tmp_path / "old", cell()), write(tmp_path / "new", cell(scenario="b"))
    assert main(["compare", old, new, "--common"]) == 2
    assert f"OLD {old} and NEW {new} have no cell in common" in capsys.readouterr().err


@pytest.mark.parametrize("was", ["failed", "error"])
def test_errors_of_the_testbed_are_no_success(
    was: Verdict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = write(tmp_path / "old", cell(was)), write(tmp_path / "new", cell("error"))
    assert main(["compare", old, new]) == 2
    said = capsys.readouterr()
    assert "errors of the testbed: 1" in said.out
    assert f"NEW {new} says nothing of 1 cells that were broken" in said.err


def test_what_holds_no_longer_always_is_status_1(tmp_path: Path) -> None:
    passed, flaky = write(tmp_path / "a", cell()), write(tmp_path / "b", cell("flaky"))
    failed = write(tmp_path / "c", cell("failed"))
    assert main(["compare", passed, flaky]) == 1
    assert main(["compare", flaky, flaky]) == 0
    assert main(["compare", failed, flaky]) == 0


def test_equal_runs_without_a_cell_of_the_peer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A peer that is a server alone makes no pair with itself."""
    folder = write(tmp_path, cell())
    assert main(["compare", "--equal", "--peer", "go", folder, folder]) == 1
    assert "old: no cell with go alone\nnew: no cell with go alone\n" in capsys.readouterr().out


def test_what_is_fixed_is_not_titled_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write(tmp_path / "old", cell("deviating"))
    new = write(tmp_path / "new", cell("failed", raised="", reason="expected to fail, but passed"))
    assert main(["compare", old, new]) == 0
    out = capsys.readouterr().out
    assert "repaired, though deviations.toml or peer.toml expects a failure: 1" in out
    assert "newly broken" not in out


def test_changed_text_alone_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write(tmp_path / "old", cell(frames=[frame("client", '{"eventName":"e"}')]))
    new = write(tmp_path / "new", cell(frames=[frame("client", '{"eventName":"e","headers":{}}')]))
    assert main(["compare", old, new]) == 0
    out = capsys.readouterr().out
    assert "client dart@0.5.0/ZapConsumer (1 cells): headers there, not absent" in out
    assert 'old {"eventName":"e"}' in out


def test_many_changes_are_cut_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"s{n:02}" for n in range(45)]
    texts = [frame("client", '{"eventName":"e"}')], [frame("client", '{"eventName":"f"}')]
    was = [cell(scenario=name) for name in names]
    was += [cell(scenario=f"w{name}", frames=texts[0]) for name in names]
    now = [cell("failed", scenario=name) for name in names]
    now += [cell(scenario=f"w{name}", frames=texts[1]) for name in names]
    old, new = write(tmp_path / "old", *was), write(tmp_path / "new", *now)
    assert main(["compare", old, new]) == 1
    out = capsys.readouterr().out
    assert out.count("and 5 more: --all lists them") == 2
    assert ("s44" in out, "ws44" in out) == (False, False)
    assert main(["compare", old, new, "--all"]) == 1
    out = capsys.readouterr().out
    assert "more" not in out
    assert ("   s44, " in out, "   ws44, " in out) == (True, True)


def test_a_package_that_is_another_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, digest in (("old", "00aa"), ("new", "00bb")):
        peer = PeerRecord("Dart", "3.7.3", {"zap": "0.3.0"}, {"zap": digest})
        results(cell(), peers={"zap@0.3.0/Server": peer}).write(tmp_path / name)
    assert main(["compare", str(tmp_path / "old"), str(tmp_path / "new")]) == 0
    assert capsys.readouterr().out == (
        "1 cells old, 1 new\n"
        "peers changed: 1\n"
        "   zap@0.3.0: zap is 0.3.0 in both runs, but its sources differ: 00bb, was 00aa\n"
    )


def test_what_is_cut_from_a_wire_diff_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f'{{"eventName":"{name * 250}"}}' for name in "abcde"]
    folder = write(tmp_path, cell(frames=[frame("server", text) for text in texts]))
    assert main(["wire-diff", folder, "--all"]) == 0
    out = capsys.readouterr().out
    assert f"      {texts[2][:200]}…\n      and 2 more\n" in out


def test_equal_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = write(tmp_path / "old", cell("failed", client="python/ZapConsumer"))
    new = write(tmp_path / "new", cell("passed", client="python/ZapConsumer"))
    assert main(["compare", "--equal", old, old]) == 0
    assert main(["compare", "--equal", "--peer", "python", old, new]) == 1
    assert "echo.null: old failed, new passed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--peer", "python"], "--peer goes with --equal"),
        (["--equal", "--common"], "--common does not go with --equal"),
        (
            ["--equal", "--peer", "pyton"],
            "is not among the peers (did you mean 'python'?): browser, dart, ",
        ),
    ],
)
def test_a_mistake_is_named(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path, cell())
    assert main(["compare", *arguments, folder, folder]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(("text", "says"), [(None, "No such file"), ("{", "not JSON")])
def test_what_cannot_be_read_is_status_2(
    text: str | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = write(tmp_path / "good", cell()), tmp_path / "bad.json"
    if text is not None:
        bad.write_text(text, "utf-8")
    for arguments in ([good, str(bad)], [str(bad), good]):
        assert main(["compare", *arguments]) == 2
        assert f"bad.json: {says}" in capsys.readouterr().err
    assert main(["wire-diff", str(bad)]) == 2


SAME = frame("server", '{"eventName":"e","headers":{}}')
OTHER = frame("server", '{"headers":{},"eventName":"e"}')


def test_what_is_written_differently_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [
        cell(frames=[SAME]), cell(server="dart@0.3.0/ZapServer", frames=[OTHER]),
        cell(scenario="b", frames=[SAME]), cell(scenario="b", server="x/Y", frames=[SAME]),
    ]  # fmt: skip
    folder = write(tmp_path, *[c for c in cells if c.server != "x/Y"])
    assert main(["wire-diff", folder]) == 0
    out = capsys.readouterr().out
    assert "echo.null, what servers write\n   dart@0.3.0/ZapServer: reference\n" in out
    assert "python/ZapServer: key order" in out
    assert "b, what servers write" not in out
    assert "1 alike, 1 not; of each connection the first 5 texts" in out
    assert main(["wire-diff", folder, "--all", "--scenario", "b"]) == 0
    assert "b, what servers write\n   python/ZapServer: all" in capsys.readouterr().out
    assert main(["wire-diff", folder, "--scenario", "c"]) == 2
    assert "--scenario 'c' names no scenario" in capsys.readouterr().err
