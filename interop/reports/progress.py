"""Progress of a run: a bar on a terminal, a line for every tenth elsewhere."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from ..records import CellResult
from .hints import Hints
from .live import Live
from .results import gates
from .terminal import print_first

__all__ = ["Progress"]


class Progress:
    """Callable for `interop.run.runner.run_plan`; a context manager around the run.

    The first cell that is not as expected is printed when it comes.

    Args:
        total: how many runs of cells there will be.
        hints: makes the command that runs that cell again.
        live: shows the cells in a browser.
    """

    def __init__(
        self,
        total: int,
        console: Console,
        hints: Hints | None = None,
        live: Live | None = None,
    ) -> None:
        self._live = live
        self._total = total
        self._hints = hints or Hints()
        self._console = console
        self._has_bar = console.is_terminal
        self._unexpected = 0
        self._tenths = 0
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        self._bar = Bar(*columns, console=console, transient=True)
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Progress:
        if self._has_bar:
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._has_bar:
            self._bar.stop()

    def __call__(self, count: int, cell: CellResult) -> None:
        if self._live is not None:
            self._live.add(cell)
        if gates(cell) or cell.verdict == "error":
            self._unexpected += 1
            if self._unexpected == 1:
                print_first(cell, self._hints, self._console)
        words = f"{self._unexpected} unexpected"
        if self._has_bar:
            self._bar.update(self._task, completed=count, description=words)
        elif count * 10 // self._total > self._tenths:
            self._tenths = count * 10 // self._total
            self._console.print(f"{count} of {self._total} cells, {words}", highlight=False)
