"""A run's files: ``results.json``; ``report.html`` to look at; for pull requests and for CI servers
``summary.md`` and ``junit.xml``."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from ..catalog import Api, load_peers
from ..output import printable
from ..records import CellResult
from .answer import Answer, missing
from .causes import Blame, Cause, blames, counted, details
from .compatibility import compatibility
from .findings import answered
from .hints import Hints
from .history import history, keep, read_history, record
from .page import Page
from .pairs import MEANING, Pair, pairs
from .provenance import commit_line, peer_lines
from .results import Results, gates, is_red, known_flaky, shortened, write_files

__all__ = [
    "FILES",
    "judged_pairs",
    "junit",
    "known_apis",
    "report",
    "report_files",
    "summary",
    "write_reports",
]

FILES = ("results.json", "summary.md", "junit.xml", "report.html")
"""The names of a run's files."""

# XML 1.0 section 2.2: what a document may not hold in any form.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_reports(results: Results, directory: Path, kept: Path | None = None) -> None:
    """Write the four files below `directory`.

    Args:
        kept: the folder of the matrix' history, to which the run is added.

    Raises:
        TestbedError: they cannot be written, or the history cannot be read.
    """
    *others, page = FILES
    files = report_files(results, others)
    try:
        files[page] = report(results, kept=kept)
    finally:  # a history that cannot be read must not cost the results
        write_files(directory, files)


def report_files(results: Results, names: Iterable[str]) -> dict[str, bytes]:
    """Return those of a run's files that have these names, without a history."""
    make: Mapping[str, Callable[[Results], bytes]] = {
        "results.json": Results.dump,
        "summary.md": lambda results: summary(results).encode("utf-8", "backslashreplace"),
        "junit.xml": lambda results: ET.tostring(
            junit(results).getroot(), encoding="utf-8", xml_declaration=True
        ),
        "report.html": report,
    }
    return {name: make[name](results) for name in names}


def report(results: Results, earlier: Sequence[Results] = (), kept: Path | None = None) -> bytes:
    """Return the page of a run.

    Args:
        earlier: runs of the same matrix before it.
        kept: the folder of the matrix' history, to which the runs are added.

    Raises:
        TestbedError: the history cannot be read or written.
    """
    found = judged_pairs(results)
    if not earlier and kept is None:
        return Page(results, found).whole()
    records = []
    for each in (*earlier, results):
        of_run = found if each is results else judged_pairs(each)
        records.append(record(each, of_run))
        if kept is not None:
            keep(kept, each, of_run)
    started = {each.run.started for each in records}
    if kept is not None:
        records += [old for old in read_history(kept) if old.run.started not in started]
    before = [old for old in records if old.run.started <= results.started]
    return Page(results, found, history(before)).whole()


def judged_pairs(results: Results) -> list[Pair]:
    """Return the verdicts of a run's pairs, those with what could not run among them."""
    apis = known_apis(results) if results.not_run else []
    return pairs(
        results.cells, results.servers, results.clients, results.not_run, apis, results.options
    )


def known_apis(results: Results) -> list[Api]:
    """Return all rows and columns that there are, those of the run's added peers among them."""
    added = [
        replace(Api.parse(each.id, each.role), lacks=each.lacks, older=each.older)
        for each in results.added
    ]
    return [*(api for peer in load_peers().values() for api in peer.apis), *added]


def summary(results: Results) -> str:
    """Return the matrix, the failures and the deviations as Markdown."""
    lines = ["# zaptools interop", ""]
    found = judged_pairs(results)
    lines += [f"**{answered(results, found)}**", ""]
    if results.engine != "check":
        lines += _grid(Answer(found, results.cells))
    counts = ", ".join(f"{n} {verdict}" for verdict, n in results.counts.items() if n)
    lines += ["", f"{len(results.cells)} cells: {counts or 'none'}."]
    for each in missing(results.not_run):
        lines += ["", f"Not run: {each}"]
        if each.details:
            lines += ["", *(f"    {line}" for line in each.details.splitlines())]
    lines += [line for why in results.unjudged for line in ("", f"Not judged: {why}")]
    if results.stopped:
        lines += ["", f"**Stopped:** {results.stopped}"]
    if results.broken and results.engine != "check":  # there the verdict says it
        lines += ["", f"**The testbed failed:** {results.broken}"]
    red = blames(cell for cell in results.cells if is_red(cell))
    if red:
        hints = Hints(results.cells, results.options, results.folder)
        title = "What fails" if results.engine == "check" else "Unexpected"
        lines += ["", f"## {title}", *(line for blame in red for line in _blame(blame, hints))]
    if results.known_flaky:
        lines += ["", "## Known flaky", "", *_known_flaky(results)]
    versions = compatibility(results.cells)
    if versions:
        lines += ["", "## Versions", "", *(f"- {line}" for line in versions)]
    known = _deviations(results)
    if known or results.engine != "check":
        lines += ["", "## Known deviations", "", *known]
    ran = [f"{commit_line(results.commit, results.testbed)}.", *peer_lines(results.peers)]
    lines += ["", "## What ran", "", *(f"- {line}" for line in ran)]
    return printable("\n".join(lines)) + "\n"


def junit(results: Results) -> ET.ElementTree[ET.Element]:
    """Return the run as JUnit XML: a suite a pair; what is expected is no failure.

    Failures with the same cause have the same type.
    """
    root = ET.Element("testsuites", name="zaptools interop")
    suites: dict[tuple[str, str], ET.Element] = {}
    hints = Hints(results.cells, results.options, results.folder)
    kinds = {
        cell.key: f"{blame.culprit}: {cause.form}"
        for blame in blames(cell for cell in results.cells if is_red(cell))
        for cause in blame.causes
        for cell in cause.cells
    }
    for cell in results.cells:
        pair = (cell.server, cell.client)
        if pair not in suites:
            suites[pair] = ET.SubElement(root, "testsuite", name=f"{pair[0]} <-> {pair[1]}")
        case = ET.SubElement(
            suites[pair],
            "testcase",
            classname=f"{pair[0]} <-> {pair[1]}",
            name=cell.scenario,
            time=f"{cell.duration_ms / 1000:.3f}",
        )
        _outcome(case, cell, hints, kinds.get(cell.key, ""))
    if results.broken:  # no verdict of a cell says so
        suites["", ""] = suite = ET.SubElement(root, "testsuite", name="the run as a whole")
        case = ET.SubElement(suite, "testcase", classname="zaptools interop", name="whole")
        ET.SubElement(case, "error", message=_NOT_XML.sub("�", results.broken), type="broken")
    for suite in suites.values():
        for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(key, str(len(suite.findall(f"*/{tag}"))))
        suite.set("tests", str(len(suite)))
    return ET.ElementTree(root)


def _outcome(case: ET.Element, cell: CellResult, hints: Hints, cause: str) -> None:
    verdict, reason = cell.verdict, _NOT_XML.sub("�", cell.reason)
    if gates(cell) or verdict == "error":
        kind = "error" if verdict == "error" else "failure"
        words = "\n".join([*details(cell), *hints.both(cell)])
        found = ET.SubElement(case, kind, message=reason, type=_NOT_XML.sub("�", cause))
        found.text = _NOT_XML.sub("�", words)
    elif verdict != "passed":
        ET.SubElement(case, "skipped", message=f"{verdict}: {reason}")


def _grid(answer: Answer) -> list[str]:
    """Return the verdict of each pair as a table, and what it leaves open."""
    if not answer.pairs:
        return []
    lines = [MEANING, "", f"| server ╲ client | {' | '.join(answer.columns)} |"]
    lines += ["|---" * (len(answer.columns) + 1) + "|"]
    for row in answer.rows:
        found = [answer.pairs.get((row, column)) for column in answer.columns]
        marks = ["" if pair is None else answer.mark(pair) for pair in found]
        lines.append(f"| {row} | {' | '.join(marks)} |")
    lines += ["", f"{answer.legend()}."]
    if answer.exempt:
        lines += ["", "Excepted in plain use:", ""]
        lines += [f"- {each.letter}: {each}" for each in answer.exempt]
    if broken := answer.broken():
        lines += ["", "Broken:", "", *(f"- {each.where}: {each.reason}" for each in broken)]
    return lines


def _blame(blame: Blame, hints: Hints) -> Iterator[str]:
    """Yield what one culprit is at fault for."""
    yield f"\n### {blame.heading}"
    for cause in blame.causes:
        if len(blame.causes) > 1:
            yield f"\n#### {cause.words}"
        yield _cause(cause, hints)


def _cause(cause: Cause, hints: Hints) -> str:
    """Return a cause: its example whole, and all its other cells."""
    cell = cause.example
    lines = ["", f"**{cell.scenario}**{_kind(cell)}: {cell.rule}", ""]
    reason = shortened(cell.reason, 400)
    lines += [f"- {line}" for line in (f"{cell.server} ↔ {cell.client}: {reason}", *details(cell))]
    lines += [f"- `{command}`" for command in hints.both(cell)]
    pairs: dict[str, set[str]] = {}
    for each in cause.cells[1:]:
        name = f"{each.scenario}{_kind(each)}"
        pairs.setdefault(name, set()).add(f"{each.server} ↔ {each.client}")
    if pairs:
        alike: dict[tuple[str, ...], list[str]] = {}  # the scenarios of the same pairs
        for name in sorted(pairs):
            alike.setdefault(tuple(sorted(pairs[name])), []).append(name)
        lines += [
            "",
            f"<details><summary>{counted(len(cause.cells) - 1, 'more cell')}</summary>",
            "",
        ]
        lines += [f"- {', '.join(names)}: {', '.join(cells)}" for cells, names in alike.items()]
        lines += ["", "</details>"]
    return "\n".join(lines)


def _kind(cell: CellResult) -> str:
    return "" if cell.verdict == "failed" else f" ({cell.verdict})"


def _known_flaky(results: Results) -> Iterator[str]:
    for each in results.known_flaky:
        yield f"- {'**over** ' if each.over else ''}{known_flaky(each)}"
        for server, client, scenario in each.failed:
            yield f"    - {scenario}: {server} ↔ {client}"


def _deviations(results: Results) -> list[str]:
    scenarios: dict[str, set[str]] = defaultdict(set)
    for cell in results.cells:
        for excuse in cell.excuses if cell.verdict == "deviating" else ():
            scenarios[str(excuse)].add(cell.scenario)
    return [f"- {cause} ({', '.join(sorted(names))})" for cause, names in sorted(scenarios.items())]
