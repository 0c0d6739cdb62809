from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import unquote

import pytest

from interop.errors import TestbedError
from interop.output import Terminal
from interop.records import CellResult
from interop.reports.files import summary
from interop.reports.github import annotated, append_summary, command, without_commands

from ..cells import cell, flaky, results

MIB = 1024 * 1024
CULPRIT = {"side": "client", "why": "it wrote x", "basis": "frame", "api": "x/Y"}


def different(verdict: str, count: int) -> list[CellResult]:
    """Return cells of as many causes."""
    names = [f"s{chr(ord('a') + n)}" for n in range(count)]
    return [
        cell(
            "failed" if verdict == "failed" else "warned", scenario=name, reason=f"{verdict} {name}"
        )
        for name in names
    ]


def test_a_command_is_escaped_as_github_documents() -> None:
    assert command("error", "a: b, c%\r\n", "100%: a, b\r\n::notice::c") == (
        "::error title=a%3A b%2C c%25%0D%0A::100%25: a, b%0D%0A::notice::c"
    )


def test_a_cause_is_one_annotation_however_many_cells_it_has() -> None:
    cells = [
        cell("failed", scenario=f"echo.{n}", reason="100% bad", culprit=CULPRIT, rules=["W-19"])
        for n in range(30)
    ]
    found, notice = annotated(results(*cells, options=["--strict"]))
    head, message = found.removeprefix("::").split("::", 1)
    assert unquote(head) == "error title=client x/Y: 30 cells, 30 scenarios, 1 pair"
    first, second, *rest = unquote(message).splitlines()
    assert first == "echo.0: A payload comes back."
    assert second == "python/ZapServer <-> dart@0.5.0/ZapConsumer: 100% bad"
    assert rest[0].startswith("rule W-19")
    assert rest[1:] == [
        "culprit: client x/Y (it wrote x)",
        "also echo.* (29)",
        "again: python -m interop run --server python/ZapServer --client dart@0.5.0/ZapConsumer "
        "--scenario echo.0 --strict --results results/again",
    ]
    assert notice == (
        "::notice title=zaptools interop::1 of 1 pair is broken.%0A30 cells: 30 failed"
    )


def test_a_should_is_a_warning_and_a_green_run_has_a_notice_alone() -> None:
    found = annotated(results(cell("warned", severity="should"), cell("error", scenario="b")))
    assert [line.partition(" ")[0] for line in found] == ["::error", "::warning", "::notice"]
    (notice,) = annotated(results(cell(), cell("deviating", scenario="b")))
    assert notice.endswith("2 cells: 1 passed, 1 deviating")


def test_ten_of_each_kind_are_shown_and_the_rest_counted() -> None:
    found = annotated(results(*different("failed", 13), *different("warned", 11)))
    kinds = [line.partition(" ")[0] for line in found]
    assert kinds == ["::error"] * 10 + ["::warning"] * 10 + ["::notice"]
    assert found[-1].endswith("%0A3 more errors and 1 more warning not shown here: see the job's "
                              "summary")  # fmt: skip
    assert "not shown" not in annotated(results(*different("failed", 10)))[-1]


def test_what_ended_the_run_comes_first() -> None:
    run = results(cell("failed"), broken="a worker crashed", stopped="--fail-fast")
    first, second, *_ = annotated(run)
    assert first == "::error title=the testbed failed::a worker crashed"
    assert second == "::error title=stopped::--fail-fast"


def test_the_summary_is_appended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page"
    page.write_text("before\n", "utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    run = results(cell("failed", reason="bad \ud800"))
    append_summary(run)
    assert page.read_bytes() == b"before\n" + summary(run).encode()


@pytest.mark.parametrize("before", [0, 1000, MIB - 10])
def test_github_takes_a_mebibyte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    page = tmp_path / "page"
    page.write_bytes(b"x" * before)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    append_summary(results(cell(), broken="é" * MIB))
    text = page.read_text("utf-8")  # cut between characters
    assert before <= page.stat().st_size <= MIB
    assert text.endswith("All of it is in `summary.md`.\n") == (before < MIB - 10)


def test_without_a_page_there_is_no_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "")
    append_summary(results(cell()))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    with pytest.raises(TestbedError, match=r"STEP_SUMMARY: .*: Is a directory"):
        append_summary(results(cell()))


def test_what_is_printed_meanwhile_is_no_command() -> None:
    out = io.StringIO()
    console = Terminal(file=out, width=20)
    with pytest.raises(KeyError), without_commands(console):
        console.out("::error::of a peer", highlight=False)
        raise KeyError
    first, _, last = out.getvalue().splitlines()
    token = first.removeprefix("::stop-commands::")
    assert len(token) == 32
    assert last == f"::{token}::"


def test_what_is_flaky_for_longer_than_allowed_is_an_error() -> None:
    found, _ = annotated(results(cell(), known_flaky=[flaky(), flaky(over=True)]))
    assert found.startswith(
        "::error title=known flaky::echo.* (* <-> dart): may not fail any more after"
    )
