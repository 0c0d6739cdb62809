"""Pages of the documentation that are made from data, and what is wrong with either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from .. import places

__all__ = ["report_pages"]


def report_pages(
    pages: Mapping[Path, str],
    problems: Sequence[str],
    command: str,
    console: Console,
    *,
    write: bool,
) -> int:
    """Print the problems, those of stale pages among them, and return the exit status.

    Args:
        pages: the text of each page.
        problems: those of the data that the pages are made from.
        command: the name of the command, which has the option ``--write``.
        write: whether stale pages are written anew.
    """
    found = [*problems]
    for path, text in pages.items():
        if path.exists() and path.read_text("utf-8") == text:
            continue
        if write:
            path.write_text(text, "utf-8")
            console.print(f"wrote {path}", soft_wrap=True)
        else:
            found.append(f"{path} is stale: {places.command(command, '--write')}")
    for problem in found:
        console.print(problem, soft_wrap=True, highlight=False, markup=False)
    return 1 if found else 0
