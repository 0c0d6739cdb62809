"""Tables of results, as Markdown that is plain to read in a terminal too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .catalog import MEASURES, PEERS, ROWS, Row
from .errors import UsageError
from .results import Compared, Results, compare

__all__ = ["BEGIN", "END", "insert", "page", "summary", "tables"]

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
"""What the numbers in a document stand between."""

_NOTHING = "-"
_HEAD = ("measure", "measured", "against", "value", "theirs", "ratio", "target", "reached")


def tables(results: Results, rows: Sequence[Row] = ROWS) -> str:
    """Return all tables: one for each mode, uvloop and plain asyncio beside each other."""
    modes = dict.fromkeys(key.mode for key in results.outcome.samples)
    parts = []
    for mode in modes:
        title = "Without compression" if mode == "plain" else "With permessage-deflate"
        parts.append(f"{title}:\n\n{_table(results, rows, mode)}")
    parts += _notes(results, rows)
    return "\n\n".join(parts)


def summary(results: Results) -> str:
    """Return the table for the README: the rows that have a target, on uvloop, uncompressed."""
    lines = [_line(("measure", "measured", "against", "ratio", "target", "reached"))]
    lines.append(_line(["---"] * 6))
    for row in ROWS:
        found = compare(results.outcome, row, "plain", "uvloop")
        if row.target is not None and found is not None:
            cells = _names(row)
            lines.append(_line((*cells, _ratio(found), _target(row), _reached(found))))
    return "\n".join([circumstances(results), "", *lines])


def page(results: Results) -> str:
    """Return what belongs into ``docs/speed.md``: circumstances, tables, versions."""
    parts = [circumstances(results), tables(results), _versions(results)]
    return "\n\n".join(part for part in parts if part)


def circumstances(results: Results) -> str:
    """Return on what, when and how the numbers were measured, as a paragraph."""
    machine, settings = results.machine, results.settings
    size = f"{machine['cores']} cores"
    if machine["memory_gib"] is not None:
        size += f", {machine['memory_gib']:g} GiB"
    text = (
        f"Measured on {machine['date'][:10]} with {machine['python']} on {machine['cpu']} "
        f"({size}), {machine['system']}, at commit {machine['commit']}; "
        f"medians of {settings['rounds']} alternations of {settings['seconds']:g} s, "
    )
    if machine["pinned"]:
        text += "server and client on a core each."
    else:
        text += "server and client NOT on a core each."
    if not settings["whole"]:
        text += " **This was not a whole run.**"
    foreign = results.foreign_cpu
    if foreign is None:
        text += " What else ran on the machine is not known."
    elif results.loaded:
        text += f" **The machine was loaded: other programs used {foreign:.0%} of a core.**"
    else:
        text += f" Other programs used {foreign:.0%} of a core."
    return text


def insert(path: Path, text: str) -> None:
    """Put `text` between the markers of the document `path`.

    Raises:
        UsageError: the document has no such place, or more than one.
    """
    document = path.read_text("utf-8")
    if document.count(BEGIN) != 1 or document.count(END) != 1:
        raise UsageError(f"{path} needs the lines {BEGIN} and {END}, once each")
    pattern = re.escape(BEGIN) + ".*" + re.escape(END)
    block = f"{BEGIN}\n{text}\n{END}"
    path.write_text(re.sub(pattern, lambda _: block, document, flags=re.DOTALL), "utf-8")


def _table(results: Results, rows: Sequence[Row], mode: str) -> str:
    loops = list(dict.fromkeys(key.loop for key in results.outcome.samples))
    first, others = loops[0], loops[1:]
    lines = [_line((*_HEAD, *(f"ratio on {loop}" for loop in others)))]
    lines.append(_line(["---"] * (len(_HEAD) + len(others))))
    for row in rows:
        found = compare(results.outcome, row, mode, first)
        if found is None:
            continue
        beside = [compare(results.outcome, row, mode, loop) for loop in others]
        lines.append(
            _line(
                (
                    *_names(row),
                    _value(row, found.ours),
                    _value(row, found.theirs),
                    _ratio(found) if row.theirs else _NOTHING,
                    _target(row),
                    _reached(found),
                    *(_beside(row, other) for other in beside),
                )
            )
        )
    return "\n".join(lines)


def _names(row: Row) -> tuple[str, str, str]:
    theirs = PEERS[row.theirs].title if row.theirs else _NOTHING
    return MEASURES[row.measure].title, PEERS[row.ours].title, theirs


def _value(row: Row, value: float | None) -> str:
    measure = MEASURES[row.measure]
    return _NOTHING if value is None else f"{value:,.{measure.digits}f} {measure.unit}"


def _ratio(found: Compared) -> str:
    low, high = found.spread
    if found.row.theirs is None:
        return _value(found.row, found.ratio)
    mark = " *" if found.bound else ""
    return f"{found.ratio:.2f} x ({low:.2f}-{high:.2f}){mark}"


def _beside(row: Row, found: Compared | None) -> str:
    if found is None:
        return _NOTHING
    return f"{found.ratio:.2f} x" if row.theirs else _value(row, found.ratio)


def _target(row: Row) -> str:
    if row.target is None:
        return _NOTHING
    measure = MEASURES[row.measure]
    unit = "x" if row.theirs else measure.unit
    return f"{'≤' if measure.less else '≥'} {row.target:g} {unit}"


def _reached(found: Compared) -> str:
    return {None: _NOTHING, True: "yes", False: "**no**"}[found.reached]


def _notes(results: Results, rows: Sequence[Row]) -> list[str]:
    notes = []
    keys = results.outcome.samples
    bound = [
        found.bound
        for mode in dict.fromkeys(key.mode for key in keys)
        for row in rows
        if (found := compare(results.outcome, row, mode, next(iter(keys)).loop)) is not None
    ]
    if any(bound):
        notes.append(
            "\\* One of the two did not use its core up, and the load generator used more of its"
            " own: that one may be faster than it looks."
        )
    if results.outcome.failures:
        lines = [f"- {key}: {error}" for key, error in results.outcome.failures]
        notes.append("**Not measured:**\n\n" + "\n".join(lines))
    return notes


def _versions(results: Results) -> str:
    lines = []
    for name in PEERS:
        found = results.outcome.versions.get(name)
        if found is not None:
            words = ", ".join(f"{package} {version}" for package, version in found.items())
            lines.append(f"- {PEERS[name].title}: {words}")
    return "Versions:\n\n" + "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
