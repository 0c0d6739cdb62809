"""A run's results as GitHub's workflow commands, and on the page of its job.

Each cause of red cells is one annotation, an error or, for a *should*, a warning; the answer is a
notice. GitHub shows ten annotations of each kind for a step.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from rich.console import Console

from ..catalog import JUDGE_IDS
from ..errors import TestbedError
from .answer import joined
from .causes import Blame, Cause, blames, counted, details, others
from .files import judged_pairs, summary
from .findings import answered
from .hints import Hints
from .results import Results, is_red, known_flaky, shortened

__all__ = ["annotated", "append_summary", "command", "without_commands"]

_MOST = 10
"""The annotations of one kind that GitHub shows for a step."""

_MOST_BYTES = 1024 * 1024
"""What GitHub takes as the summary of a step; of a longer one it shows nothing."""

_CUT = "\n\n… cut here: GitHub takes 1 MiB. All of it is in `summary.md`.\n"

_TOPICS = 8

_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def command(kind: Literal["error", "warning", "notice"], title: str, message: str) -> str:
    """Return the workflow command of an annotation, which is one line."""
    return f"::{kind} title={title.translate(_PROPERTY)}::{message.translate(_DATA)}"


def annotated(results: Results) -> list[str]:
    """Return the workflow commands of a run: its causes, the most harmful first, and its answer.

    Of more causes than GitHub shows, the answer's notice counts the rest.
    """
    hints = Hints(results.cells, results.options, results.folder)
    found = blames(cell for cell in results.cells if is_red(cell))
    errors, warnings = (
        [
            command(kind, _title(blame, cause), _message(cause, hints))
            for blame in found
            for cause in blame.causes
            if cause.is_should == (kind == "warning")
        ]
        for kind in ("error", "warning")
    )
    over = [command("error", "known flaky", known_flaky(each)) for each in results.over]
    errors = [*over, *errors]
    failed = "could not be checked" if results.engine == "check" else "the testbed failed"
    for title, why in (("stopped", results.stopped), (failed, results.broken)):
        if why:
            errors.insert(0, command("error", title, why))
    answer = answered(results, judged_pairs(results))
    counts = ", ".join(f"{n} {verdict}" for verdict, n in results.counts.items() if n)
    lines = [answer, f"{counted(len(results.cells), 'cell')}: {counts or 'none'}"]
    if rest := _rest(errors, warnings):
        lines.append(f"{rest} not shown here: see the job's summary")
    shown = [*errors[:_MOST], *warnings[:_MOST]]
    return [*shown, command("notice", "zaptools interop", "\n".join(lines))]


def append_summary(results: Results) -> None:
    """Append the run's summary to that of the job's step, if ``$GITHUB_STEP_SUMMARY`` names one.

    Raises:
        TestbedError: it cannot be written.
    """
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return
    path = Path(name)
    text = summary(results).encode("utf-8", "backslashreplace")
    try:
        room = _MOST_BYTES - (path.stat().st_size if path.exists() else 0)
        if len(text) > room:
            kept = text[: max(room - len(_CUT.encode()), 0)]
            text = (kept.decode("utf-8", "ignore") + _CUT).encode()
        if len(text) <= room:
            with path.open("ab") as file:
                file.write(text)
    except OSError as exc:
        raise TestbedError(f"$GITHUB_STEP_SUMMARY: {path}: {exc.strerror}") from exc


@contextmanager
def without_commands(console: Console) -> Iterator[None]:
    """Let GitHub take nothing that is printed meanwhile as a workflow command.

    Texts of peers are among it.
    """
    token = secrets.token_hex(16)
    console.out(f"::stop-commands::{token}", highlight=False)
    try:
        yield
    finally:
        console.out(f"::{token}::", highlight=False)


def _title(blame: Blame, cause: Cause) -> str:
    what = cause.size
    if cause.example.again and JUDGE_IDS & {cause.example.server, cause.example.client}:
        more = len(cause.cells) - 1
        what = f"{cause.example.scenario}{f' and {more} more' if more else ''}"
    return f"{blame.culprit}: {what}"


def _message(cause: Cause, hints: Hints) -> str:
    cell = cause.example
    lines = [
        f"{cell.scenario}: {cell.rule}",
        f"{cell.server} <-> {cell.client}: {shortened(cell.reason)}",
        *details(cell),
        others(cause, _TOPICS),
        f"again: {hints.again(cell)}",
    ]
    return "\n".join(filter(None, lines))


def _rest(errors: Sequence[str], warnings: Sequence[str]) -> str:
    """Return in words how many annotations of each kind are not shown; empty if none."""
    counts = {"error": len(errors) - _MOST, "warning": len(warnings) - _MOST}
    return joined([f"{counted(n, f'more {kind}')}" for kind, n in counts.items() if n > 0])
