from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

from interop.cli import main
from interop.reports.live import Live

from ..cells import cell, results


def written(folder: Path, started: str) -> Path:
    run = results(cell())
    run.started = started
    run.write(folder)
    return folder


def test_the_page_is_written_beside_the_newest_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = written(tmp_path / "b", "2026-01-02T00:00:00+00:00")
    old = written(tmp_path / "a", "2026-01-01T00:00:00+00:00")
    assert main(["report", str(new / "results.json"), str(old)]) == 0
    assert capsys.readouterr().out == f"report: {new}/report.html\n"
    assert b"Changed since 2026-01-01 00:00" in (new / "report.html").read_bytes()
    assert not (old / "report.html").exists()


def test_it_is_opened_in_a_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: not opened.append(url))
    page = tmp_path / "to" / "page.html"
    results_ = str(written(tmp_path, "2026-01-01T00:00:00+00:00"))
    assert main(["report", results_, "--output", str(page), "--open"]) == 0
    assert opened == [page.as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    assert main(["report", results_, "--output", str(page), "--open"]) == 0
    told = f"--open: no browser was found; the page is {page.as_uri()}"
    assert told in capsys.readouterr().out.splitlines()


def test_the_history_is_kept(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", "2026-01-01T00:00:00+00:00")
    assert main(["report", str(folder), "--history", str(tmp_path / "kept")]) == 0
    assert (tmp_path / "kept" / "runs" / "20260101000000.json.gz").exists()
    assert (tmp_path / "kept" / "badge.json").exists()


def test_results_that_cannot_be_read_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "results.json: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("browser", [True, False])
def test_a_run_is_served_until_ctrl_c_and_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    browser: bool,
) -> None:
    pages: list[bytes] = []
    opened: list[str] = []

    def wait(live: Live) -> None:
        pages.append(live.page().overview().encode())

    monkeypatch.setattr(Live, "wait", wait)
    monkeypatch.setattr(webbrowser, "open", lambda url: not opened.append(url) and browser)
    chosen = ["--server", "python/ZapServer", "--client", "python/ZapConsumer"]
    more = ["--scenario", "echo.null", "-n", "0", "--history", str(tmp_path / "kept")]
    results_ = tmp_path / "results"
    status = main(["run", *chosen, *more, "--results", str(results_), "--serve", "--open"])
    assert status == 0
    assert b"All as expected" in pages[0]
    (url,) = opened
    told = capsys.readouterr().out
    assert f"report: {url} until Ctrl-C" in told
    assert (f"no browser was found; the page is {url}" in told) != browser
    assert (results_ / "report.html").exists()
    assert len(list((tmp_path / "kept" / "runs").iterdir())) == 1


def test_a_history_that_cannot_be_read_is_told_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "1.json.gz").write_bytes(b"")
    assert main(["run", "--scenario", "echo.null", "--history", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert "not the record of a run" in captured.err
    assert captured.out == ""
