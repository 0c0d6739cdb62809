"""``python -m interop merge``: one run's results out of those of its shards."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ..reports.files import known_apis, write_reports
from ..reports.results import claimed, load
from ..reports.terminal import print_report
from ..run.runner import explain
from ..run.shards import joined
from .options import (
    Commands,
    Stop,
    deviations_option,
    given_path,
    history_option,
    known_deviations,
    named,
)

__all__ = ["add"]


def add(commands: Commands, epilog: str) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "merge", help="make one run's results out of those of its shards", epilog=epilog,
        description="Each FILE is what `run --shard I/N` wrote, all N of them. Culprits are named "
                    "anew, by all cells.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(command=_merge)
    option = parser.add_argument
    option("files", type=given_path, nargs="+", metavar="FILE",
           help="a shard's results.json, or its folder")  # fmt: skip
    option("--results", type=given_path, required=True, metavar="DIR",
           help="where to write the reports")  # fmt: skip
    deviations_option(parser)
    history_option(parser)


def _merge(arguments: argparse.Namespace, console: Console) -> int:
    folder: Path = arguments.results
    files = [path / "results.json" if path.is_dir() else path for path in arguments.files]
    if twice := [path for path in files if files.count(path) > 1]:
        raise Stop(f"{twice[0]} is given more than once")
    results = joined({path: load(path) for path in files}, named(folder))
    known = [] if "--no-deviations" in results.options else known_deviations(arguments)
    explain(results.cells, known, known_apis(results), results.peers)
    with claimed(folder):
        write_reports(results, folder, arguments.history)
    print_report(results, console)
    console.print(f"results: {escape(str(folder))}", highlight=False, soft_wrap=True)
    return results.exit_status
