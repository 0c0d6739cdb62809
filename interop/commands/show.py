"""``python -m interop show``: one recorded cell, as a time line of both sides and the wire."""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from pathlib import Path

from msgspec import structs
from rich.console import Console
from rich.markup import escape

from ..places import command
from ..records import ROLES, CellResult
from ..replay.recording import find
from ..reports.capture import MADE_UP, capture, missing
from ..reports.causes import told
from ..reports.evidence import breaches
from ..reports.hints import Hints
from ..reports.provenance import commit_line, peer_words
from ..reports.qlog import qlog
from ..reports.results import Recorded, culprit_line, load
from ..reports.terminal import STYLES
from ..reports.timeline import table
from ..spec.rules import quoted
from .options import Commands, Stop, at_least, given_path, named, recorded_option

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command."""
    show = commands.add_parser(
        "show", help="show what happened in a recorded cell, on the wire and at both sides",
        epilog=f"example: {command('show', 'dart', 'node', 'echo.null', '--pcap', 'cell.pcapng')}",
    )  # fmt: skip
    show.set_defaults(command=_show)
    option = show.add_argument
    option("cell", nargs="+", metavar="CELL",
           help="the cell's server, client and scenario, or parts that only it has")  # fmt: skip
    recorded_option(show, "cell")
    option("--run", type=at_least(1), metavar="N",
           help="of a cell that ran several times, this run (default: the worst)")  # fmt: skip
    option("--pcap", type=given_path, metavar="FILE",
           help="write its frames as a capture for Wireshark (pcapng), instead")  # fmt: skip
    option("--qlog", type=given_path, metavar="FILE",
           help="write its frames, requests and notifications as qlog (JSON), instead")  # fmt: skip


def _show(arguments: argparse.Namespace, console: Console) -> int:
    recorded = load(arguments.results)
    found = find(recorded.cells, arguments.cell)
    cell = found if arguments.run is None else _of_run(found, arguments.run)
    if arguments.pcap is not None or arguments.qlog is not None:
        _export(cell, recorded.run.started, arguments.pcap, arguments.qlog, console)
        return 0
    style = STYLES[cell.verdict]
    names = f"{cell.server} <-> {cell.client}, {cell.scenario}"
    console.print(f"[{style}]{cell.verdict}[/]: {escape(names)}", highlight=False)
    for title, words in _facts(cell, recorded):
        console.print(f"[dim]{title}:[/] {escape(words)}", highlight=False)
    console.print()
    console.print(table(cell, console.width))
    _print_marked(cell, console)
    if cell.verdict not in ("passed", "deviating", "unsupported"):
        again = Hints(recorded.cells, recorded.run.options, named(arguments.results)).again(cell)
        console.print(f"\n[dim]run it again:[/] {escape(again)}", highlight=False, soft_wrap=True)
    return 0


def _export(
    cell: CellResult, started: str, pcap: Path | None, qlog_file: Path | None, console: Console
) -> None:
    """Write a cell's record for other tools.

    Raises:
        Stop: it has no frames, or a file cannot be written.
    """
    if not cell.frames:
        raise Stop(f"{cell.server} <-> {cell.client}, {cell.scenario}: its record has no frames")
    written: list[tuple[Path, bytes, str]] = []
    if pcap is not None:
        epoch = datetime.fromisoformat(started).timestamp()
        written.append((pcap, capture(cell, epoch=epoch), MADE_UP))
    if qlog_file is not None:
        text = json.dumps(qlog(cell, started=started), indent=1, ensure_ascii=False) + "\n"
        written.append((qlog_file, text.encode(), "times are since the cell's own beginning"))
    for path, data, note in written:
        try:
            path.write_bytes(data)
        except OSError as exc:
            raise Stop(f"{path}: {exc.strerror}") from exc
        count = f"{len(cell.frames)} frame{'s' if len(cell.frames) != 1 else ''}"
        words = "; ".join([count, *missing(cell), note])
        console.print(f"{path}: {words}", markup=False, highlight=False, soft_wrap=True)


def _of_run(cell: CellResult, number: int) -> CellResult:
    """Return a cell with the evidence of one of its runs.

    Raises:
        Stop: it has no such run.
    """
    runs = {each.run: each for each in cell.runs}
    if number not in runs:
        ran = f"runs 1 to {len(runs)}" if runs else "one run"
        raise Stop(f"--run {number}: this cell has {ran}")
    run = runs[number]
    evidence = {name: getattr(run, name) for name in run.__struct_fields__ if name != "run"}
    # The culprit's frame is that of the worst run.
    kept = cell.culprit if run.frames == cell.frames else None
    return structs.replace(cell, **evidence, culprit=kept)


def _facts(cell: CellResult, recorded: Recorded) -> list[tuple[str, str]]:
    found = [(f"rule ({cell.severity})", cell.rule)]
    found += [("of the specification", rule) for rule in quoted(cell.rules)]
    if cell.reason:
        found.append(("reason", cell.reason))
    if (culprit := culprit_line(cell)) and cell.culprit is not None:
        found.append(("culprit", culprit.removeprefix("culprit: ").removeprefix("culprit ")))
    error = told(cell) if cell.verdict != "passed" else None
    if error is not None and error.message not in cell.reason:
        found.append((f"the {error.side} {error.verb}", error.message))
    if cell.acts:
        found.append(("faults injected", ", ".join(cell.acts)))
    found += [(title[0].lower() + title[1:], words) for title, words in breaches(cell)]
    if cell.runs:
        verdicts = ", ".join(f"{run.run} {run.verdict}" for run in cell.runs)
        found.append(("runs", f"{verdicts}; --run N shows another"))
    peers = recorded.run.peers
    for role in ROLES:
        if (peer := peers.get(cell.api(role))) is not None:
            found.append((f"{role}'s peer", peer_words(peer)))
    found.append(("made with", commit_line(recorded.run.commit, recorded.run.testbed)))
    return found


def _print_marked(cell: CellResult, console: Console) -> None:
    """Print the frame at fault as it was kept: the table shows its beginning."""
    index = cell.culprit.frame if cell.culprit is not None else None
    if index is None or index >= len(cell.frames):
        return
    frame = cell.frames[index]
    if not frame.text:
        return
    kept, size = len(frame.text.encode()), f"{frame.length:,} bytes"
    cut = f"its first {kept:,} of {size}" if kept < frame.length else size
    title = f"[bold red]>> #{index}[/] {frame.author} -> {frame.to}, {cut}:"
    console.print(f"\n{title}", highlight=False)
    console.print(frame.text, markup=False, highlight=False)
