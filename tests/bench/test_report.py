"""Tables, and putting them into documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.catalog import Row
from bench.errors import UsageError
from bench.report import BEGIN, END, circumstances, insert, page, summary, tables
from bench.results import Key, Outcome, Results

from .made import MACHINE, made_results, sample


def lines_of(text: str, *words: str) -> list[str]:
    return [line for line in text.splitlines() if all(word in line for word in words)]


def test_the_table_has_value_ratio_target_and_the_other_loop() -> None:
    (line, deflated) = lines_of(tables(made_results()), "echo, 16", "raw echo")
    assert line == (
        "| echo, 16 connections x 32 in flight | ZapServer | websockets, raw echo without JSON"
        " | 260 echoes/s | 100 echoes/s | 2.60 x (1.00-3.00) | ≥ 2.5 x | yes | 1.20 x |"
    )
    assert "1.80 x (1.80-1.80) | ≥ 2.5 x | **no** | - |" in deflated


def test_a_value_of_one_peer_has_no_ratio() -> None:
    (line,) = lines_of(tables(made_results()), "ZapServer | - |")
    assert line.endswith("| ZapServer | - | 11.0 KiB | - | - | ≤ 10 KiB | **no** | - |")


def test_a_row_without_a_target_has_a_ratio_alone() -> None:
    text = tables(made_results(), [Row("echo", "zaptools", "websockets")])
    assert lines_of(text, "| 2.60 x (1.00-3.00) | - | - | 1.20 x |")


def test_every_line_has_as_many_cells_as_the_head() -> None:
    lines = [line for line in tables(made_results()).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1


def test_what_could_not_be_measured_is_told() -> None:
    assert "**Not measured:**\n\n- echo picows (uvloop): no wheel" in tables(made_results())


def test_one_loop_alone_has_no_columns_beside_it() -> None:
    results = made_results()
    samples = results.outcome.samples
    for key in [key for key in samples if key.loop == "uvloop"]:
        del samples[key]
    assert "ratio on" not in tables(results)
    assert lines_of(tables(results), "1.20 x (1.20-1.20)")


def test_a_generator_at_its_limit_is_marked() -> None:
    results = made_results()
    assert "\\*" not in tables(results)
    for peer in ("zaptools", "websockets"):
        key = Key("plain", "uvloop", "echo", peer)
        results.outcome.samples[key] = [sample(1, measured=0.5, generator=0.9)]
    assert lines_of(tables(results), "1.00 x (1.00-1.00) * |")
    assert "\\* One of the two did not use its core up" in tables(results)


def test_the_readme_has_the_rows_with_a_target() -> None:
    text = summary(made_results())
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert rows == [
        "| echo, 16 connections x 32 in flight | ZapServer | websockets, raw echo without JSON"
        " | 2.60 x (1.00-3.00) | ≥ 2.5 x | yes |",
        "| memory per idle connection, of 2,000 | ZapServer | - | 11.0 KiB | ≤ 10 KiB | **no** |",
        "| memory per idle connection, of 2,000 | ZapServer | websockets, raw echo without JSON"
        " | 0.55 x (0.53-0.60) | ≤ 0.7 x | yes |",
    ]
    assert "2030-01-02" in text


def test_the_circumstances_are_told() -> None:
    assert circumstances(made_results()) == (
        "Measured on 2030-01-02 with CPython 3.99.0 on Abacus (2 cores, 4 GiB), Plan 9, at commit"
        " abc; medians of 3 alternations of 2 s, server and client on a core each. Other programs"
        " used 1% of a core."
    )


@pytest.mark.parametrize(
    ("results", "words"),
    [
        (made_results(foreign=0.3), "**The machine was loaded: other programs used 30% of a core"),
        (made_results(foreign=None), "What else ran on the machine is not known."),
        (made_results(whole=False), "**This was not a whole run.**"),
        (made_results(pinned=False), "NOT on a core each"),
        (made_results(memory_gib=None), "(2 cores)"),
    ],
)
def test_bad_circumstances_are_told(results: Results, words: str) -> None:
    assert words in circumstances(results)
    assert words in summary(results)
    assert words in page(results)


def test_the_page_has_the_versions() -> None:
    assert "- ZapServer: python 3.99.0, zaptools 9" in page(made_results())


def test_nothing_measured_makes_no_table() -> None:
    empty = Results(MACHINE, {"rounds": 1, "seconds": 1, "whole": False}, Outcome())
    assert tables(empty) == ""


def test_numbers_go_between_the_markers(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        insert(path, r"new \1")
        assert path.read_text() == f"before\n{BEGIN}\nnew \\1\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["", BEGIN, f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_document_without_a_place_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.md"
    path.write_text(text)
    with pytest.raises(UsageError, match="once each"):
        insert(path, "new")
