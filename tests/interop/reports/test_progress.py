from __future__ import annotations

from io import StringIO

from rich.console import Console

from interop.reports.progress import Progress

from ..cells import cell


def test_a_file_gets_a_line_for_every_tenth() -> None:
    out = StringIO()
    with Progress(40, Console(file=out)) as progress:
        for count in range(1, 41):
            progress(count, cell("failed" if count == 5 else "passed"))
    lines = out.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "4 of 40 cells, 0 unexpected"
    assert lines[-1] == "40 of 40 cells, 1 unexpected"


def test_a_terminal_gets_a_bar() -> None:
    out = StringIO()
    with Progress(2, Console(file=out, force_terminal=True)) as progress:
        progress(1, cell())
        progress(2, cell("error"))
    assert "2/2" in out.getvalue()
