from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from interop.reports.hints import Hints
from interop.reports.progress import Progress

from ..cells import cell


def test_a_file_gets_a_line_for_every_tenth() -> None:
    out = StringIO()
    with Progress(40, Console(file=out)) as progress:
        for count in range(1, 41):
            progress(count, cell("failed" if count == 5 else "passed"))
    lines = [line for line in out.getvalue().splitlines() if " of 40 cells" in line]
    assert len(lines) == 10
    assert lines[0] == "4 of 40 cells, 0 unexpected"
    assert lines[-1] == "40 of 40 cells, 1 unexpected"


@pytest.mark.parametrize("terminal", [False, True])
def test_the_first_unexpected_cell_is_printed_whole_when_it_comes(terminal: bool) -> None:
    out = StringIO()
    hints = Hints(options=["--strict"], folder=Path("there"))
    console = Console(file=out, force_terminal=terminal, width=400)
    with Progress(9, console, hints) as progress:
        progress(1, cell("warned"))
        progress(2, cell("deviating"))
        assert "first" not in out.getvalue()
        progress(3, cell("failed", reason="x" * 350, defect="x"))
        said = out.getvalue()
        progress(4, cell("failed"))
        progress(5, cell("error"))
    assert "the first unexpected result:" in said
    assert "echo.null: A payload comes back." in said
    assert f"python/ZapServer <-> dart@0.5.0/ZapConsumer: {'x' * 350}" in said
    assert "--scenario echo.null --strict --results there/again" in said
    assert out.getvalue().count("first unexpected") == 1
    assert "why it failed" not in out.getvalue()


def test_a_terminal_gets_a_bar() -> None:
    out = StringIO()
    with Progress(2, Console(file=out, force_terminal=True)) as progress:
        progress(1, cell())
        progress(2, cell("error"))
    assert "2/2" in out.getvalue()
