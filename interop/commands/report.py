"""``python -m interop report``: the page of a run, out of its results."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ..reports.files import report
from ..reports.results import Results, load, write_files
from .options import RESULTS, Commands, given_path, history_option, named, open_page

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "report", help="write report.html out of results, and show it",
        description="Several FILEs are runs of one matrix: the newest is shown, with what changed "
                    "since the others.",
    )  # fmt: skip
    parser.set_defaults(command=_report)
    option = parser.add_argument
    option("files", type=given_path, nargs="*", default=[RESULTS], metavar="FILE",
           help="results.json, or its folder (default: results)")  # fmt: skip
    option("--output", type=given_path, metavar="FILE",
           help="where to write the page (default: report.html beside "
                "the newest results)")  # fmt: skip
    option("--open", action="store_true", help="show the page in a browser")
    history_option(parser)


def _report(arguments: argparse.Namespace, console: Console) -> int:
    runs = sorted(map(_read, arguments.files), key=lambda run: run.started)
    newest = runs[-1]
    output: Path = arguments.output or (newest.folder or Path()) / "report.html"
    page = report(newest, runs[:-1], arguments.history)
    write_files(output.parent, {output.name: page})
    console.print(f"report: {escape(str(output))}", highlight=False, soft_wrap=True)
    if arguments.open:
        open_page(output, console)
    return 0


def _read(path: Path) -> Results:
    folder = path if path.is_dir() else path.parent
    return load(path).results(named(folder))
