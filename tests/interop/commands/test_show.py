"""``show``: one recorded cell on the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interop.cli import main
from interop.records import CellResult, Commit, PeerRecord, Verdict

from ..cells import cell, frame, results

CULPRIT = {"side": "server", "why": "it wrote no eventName", "basis": "frame",
           "api": "python/ZapServer", "frame": 0}  # fmt: skip


def red(verdict: Verdict = "failed", **more: Any) -> CellResult:
    data = {
        "reason": "no event 'echo' within 0.4 s",
        "rules": ["W-19"],
        "culprit": CULPRIT,
        "frames": [frame("server", '{"event_name":"echo","payload":"' + "x" * 300, length=5000)],
        "frames_total": 1,
        "notifications": {
            "server": [],
            "clients": [[{"on": "error", "message": "event_name is missing", "t_ms": 2.0}]],
        },
        **more,
    }
    return cell(verdict, **data)


def write(folder: Path, *cells: CellResult, **more: Any) -> list[str]:
    results(*cells, **more).write(folder)
    return ["--results", str(folder)]


def test_a_red_cell_is_shown_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    peer = PeerRecord("Python", "3.11", {"zaptools": "0.6"}, {"zaptools": "00aa"})
    more = {"peers": {"python/ZapServer": peer}, "commit": Commit("4de8327", dirty=True)}
    where = write(tmp_path, red(), options=["--strict"], **more)
    assert main(["show", "ZapServer", "ZapConsumer", "echo.null", *where]) == 0
    out = capsys.readouterr().out
    for part in (
        "failed: python/ZapServer <-> dart@0.5.0/ZapConsumer, echo.null\n",
        "rule (must): A payload comes back.\n",
        "of the specification: W-19: A payload of any JSON type MUST arrive",
        "reason: no event 'echo' within 0.4 s\n",
        "culprit: server python/ZapServer (it wrote no eventName); frame 0: ",
        "the client reported: event_name is missing\n",
        "server's peer: Python 3.11; zaptools 0.6 (00aa)\n",
        "made with: commit 4de8327, and changes that are not committed\n",
        ">> #0 -> text:",
        "told: error",
        "\n>> #0 server -> client, its first 332 of 5,000 bytes:\n",
        f" --scenario echo.null --strict --results {tmp_path}/again\n",
    ):
        assert part in out
    lines = [line for line in out.splitlines() if "run it again" not in line]
    assert max(map(len, lines)) <= 80


def test_a_cell_that_passed_is_shown_without_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "echo.null", *write(tmp_path, cell())]) == 0
    out = capsys.readouterr().out
    assert out.startswith("passed: ")
    assert "again" not in out


def test_one_of_several_runs_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [
        {"run": 1, "verdict": "passed", "reason": "", "duration_ms": 1.0, "frames": []},
        {"run": 2, "verdict": "failed", "reason": "no event", "duration_ms": 1.0},
    ]
    where = write(tmp_path, red("flaky", runs=runs))
    assert main(["show", "echo.null", *where]) == 0
    assert "runs: 1 passed, 2 failed; --run N shows another\n" in capsys.readouterr().out
    assert main(["show", "echo.null", "--run", "1", *where]) == 0
    out = capsys.readouterr().out
    assert out.startswith("passed: ")
    assert ">>" not in out
    assert main(["show", "echo.null", "--run", "3", *where]) == 2
    assert "--run 3: this cell has runs 1 to 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["echo.nul", "x"], "no such cell among 2: 'x' is in none"),
        (["ehco.null"], "'ehco.null' is in none (did you mean 'echo.null'?)"),
        (["pyton"], "'pyton' is in none (did you mean 'python'?)"),
        (["ZapServer", "ZapConsmer"], "'ZapConsmer' is in none (did you mean 'ZapConsumer'?)"),
        (
            ["ZapServer"],
            "2 cells; say which one:\n  python/ZapServer dart@0.5.0/",
        ),
    ],
)
def test_a_cell_that_cannot_be_told_is_status_2(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = write(tmp_path, cell(), cell(scenario="a"))
    assert main(["show", *words, *where]) == 2
    assert says in capsys.readouterr().err


def test_a_cell_is_written_for_other_tools(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results(red()).write(tmp_path)
    pcap, qlog = tmp_path / "cell.pcapng", tmp_path / "cell.qlog"
    words = ["show", "dart", "echo.null", "--results", str(tmp_path)]
    assert main([*words, "--pcap", str(pcap), "--qlog", str(qlog)]) == 0
    out = capsys.readouterr().out
    cut = "1 frame; 1 of 1 frames are cut: only their beginning was recorded; "
    assert f"{pcap}: {cut}made from a record of messages: addresses, " in out
    assert f"{qlog}: {cut}times are since" in out
    assert pcap.read_bytes()[:4] == bytes((0x0A, 0x0D, 0x0D, 0x0A))
    assert len(json.loads(qlog.read_text("utf-8"))["traces"]) == 2
    assert main([*words, "--pcap", str(tmp_path / "nowhere" / "x")]) == 2
    assert "nowhere/x: No such file" in capsys.readouterr().err


def test_a_cell_without_frames_is_no_capture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results(red(frames=[], frames_total=0, culprit=None)).write(tmp_path)
    words = ["show", "dart", "echo.null", "--results", str(tmp_path)]
    assert main([*words, "--pcap", str(tmp_path / "x")]) == 2
    assert "its record has no frames" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
