"""Shared by the commands that judge one side from outside: where the findings are written.

`outputs_options` adds the options, `claimed_outputs` checks them before anything is judged, and
`write_outputs` writes the files; `annotating` is for GitHub's workflows.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rich.console import Console

from ..catalog import CatalogError
from ..errors import TestbedError
from ..reports.files import FILES, report_files, write_reports
from ..reports.github import annotated, append_summary, command, without_commands
from ..reports.results import Results, claimed, write_files
from ..verdicts.deviations import DeviationError
from .options import Stop, given_path

__all__ = [
    "annotating",
    "check_file",
    "claimed_outputs",
    "format_option",
    "outputs_options",
    "recorded_folder",
    "write_outputs",
]

_OPTIONS = {"json": "results.json", "junit": "junit.xml", "report": "report.html"}
"""The options that name one file, and which of a run's files it is."""


def format_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how the findings are printed."""
    parser.add_argument("--format", choices=["text", "github"], default="text",
                        help="github: the causes of red cells as annotations of a GitHub "
                             "workflow too, and the summary on its page "
                             "($GITHUB_STEP_SUMMARY)")  # fmt: skip


def outputs_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name files and folders for the findings."""
    option = parser.add_argument
    option("--junit", type=given_path, metavar="FILE", help="write JUnit XML, for a CI server")
    option("--json", type=given_path, metavar="FILE",
           help="write what was found as data, in the form of a run's results.json")  # fmt: skip
    option("--report", type=given_path, metavar="FILE",
           help="write a page to look at, HTML in one file")  # fmt: skip
    option("--results", type=given_path, metavar="DIR",
           help=f"write all of it there: {', '.join(FILES)}")  # fmt: skip
    format_option(parser)


@contextmanager
def claimed_outputs(arguments: argparse.Namespace) -> Iterator[None]:
    """Check that all can be written that was asked for, and hold the folder of ``--results``.

    Raises:
        TestbedError: something cannot be written; says which option and why.
    """
    _check_files(arguments)
    with claimed(arguments.results) if arguments.results else nullcontext():
        yield


def recorded_folder(arguments: argparse.Namespace) -> Path | None:
    """Return the results that commands for one of the cells can read: a folder, or a file."""
    found: Path | None = arguments.results or arguments.json
    return found


def write_outputs(results: Results, arguments: argparse.Namespace, console: Console) -> None:
    """Write what was asked for, and print in one line what was written.

    Raises:
        TestbedError: something cannot be written; the others are.
    """
    files = _files(arguments)
    made = report_files(results, [_OPTIONS[name] for name in files])
    written: list[str] = []
    failed: list[str] = []
    for name, path in files.items():
        try:
            write_files(path.parent, {path.name: made[_OPTIONS[name]]})
            written.append(str(path))
        except TestbedError as exc:
            failed.append(f"--{name} {path}: {exc}")
    if arguments.results:
        try:
            write_reports(results, arguments.results)
            written.append(f"{arguments.results} ({', '.join(FILES)})")
        except TestbedError as exc:
            failed.append(f"--results {exc}")
    if written:
        words = f"written: {', '.join(written)}"
        console.print(words, markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise TestbedError("; ".join(failed))


def annotating(
    arguments: argparse.Namespace, console: Console, run: Callable[[], Results]
) -> Results:
    """Return what `run` found; with ``--format github``, annotate the workflow's run with it.

    So it is with the error that prevented it, which is raised.
    """
    if arguments.format != "github":
        return run()
    try:
        with without_commands(console):
            results = run()
            append_summary(results)
    except (Stop, CatalogError, DeviationError, TestbedError) as exc:
        console.out(command("error", "zaptools interop", str(exc)), highlight=False)
        raise
    for line in annotated(results):
        console.out(line, highlight=False)
    return results


def check_file(option: str, path: Path) -> None:
    """Check that a file can be written.

    Args:
        option: what names it, for an error.

    Raises:
        TestbedError: it cannot; says why.
    """
    folder = path.parent
    if path.is_dir():
        raise TestbedError(f"{option}: that is a folder; name a file in it")
    if not folder.is_dir():
        raise TestbedError(f"{option}: there is no folder {str(folder)!r}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TestbedError(f"{option}: the folder {str(folder)!r} is not writable")


def _files(arguments: argparse.Namespace) -> Mapping[str, Path]:
    return {name: path for name in _OPTIONS if (path := getattr(arguments, name)) is not None}


def _check_files(arguments: argparse.Namespace) -> None:
    files = _files(arguments)
    for name, path in files.items():
        check_file(f"--{name} {path}", path)
    given: dict[Path, str] = {}
    for name, path in files.items():
        other = given.setdefault(path.resolve(), name)
        if other != name:
            raise TestbedError(f"--{other} and --{name} name the same file: {path}")
