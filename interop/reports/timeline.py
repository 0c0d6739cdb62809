"""A cell as a time line: the wire between what both sides were asked and what they told. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..records import (
    ROLES,
    SECRET_NAMES,
    CellResult,
    ConnectionRecord,
    FrameRecord,
    Missing,
    Note,
    PassageRecord,
    RequestRecord,
    Role,
)

__all__ = [
    "Row",
    "frame_words",
    "gap_words",
    "passage_words",
    "public_headers",
    "public_members",
    "rows",
    "table",
]

Column = Literal["server", "wire", "client"]

_LINES = 5
"""The lines that a row's text may take in its column; of longer texts the beginning is shown."""

_LINES_OF_ERRORS = 15
"""The same, of a text that tells of an error."""

_LEAST = 18
"""The least width of a column."""

_SECRET = re.compile(SECRET_NAMES, re.IGNORECASE)
"""Names of handshake headers whose values are not shown."""

_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_AROUND = 17
"""The columns that the times and the table's lines take."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the time line.

    Attributes:
        t_ms: when it was, in milliseconds.
        text: what it was.
        tail: the end of a text that must be seen although the text is cut.
        frame: the frame's index, for a frame.
        bad: whether it tells of an error.
        gap: the side that had to write what is missing here, or the column's own; empty for what
            did come.
        asked: for a request, what is the same in the row of its success: there it is `ok_of`.
    """

    t_ms: float
    column: Column
    text: str
    tail: str = ""
    frame: int | None = None
    bad: bool = False
    gap: Role | Literal[""] = ""
    asked: str = ""
    ok_of: str = ""


def rows(cell: CellResult) -> list[Row]:
    """Return all that a cell's record holds, in the order of time."""
    found = [*_frames(cell)]
    for number, made in enumerate(cell.connections, 1):
        found += _connection(number, made)
    found += map(_passage, cell.passages)
    for side in ROLES:
        for name, requests in _numbered(_requests(cell, side)):
            found += [row for asked in requests for row in _request(side, name, asked)]
        for name, notes in _numbered(_notes(cell, side)):
            found += [_note(side, name, note) for note in notes]
    found += [_gap(each) for each in cell.missing]
    return _joined(sorted(found, key=lambda row: row.t_ms))


def gap_words(missing: Missing) -> tuple[str, str]:
    """Return where something had to come and did not, and what it is."""
    where = f"on the wire, from the {missing.author}" if missing.author else f"at the {missing.at}"
    return f"Missing {where}", missing.what


def _gap(missing: Missing) -> Row:
    """Return the row of what had to come here and did not."""
    text = f"missing: {missing.what}"
    if missing.at == "wire":
        author = missing.author or "server"
        arrow = "->" if author == "server" else "<-"
        answer = "" if missing.frame is None else f"(in answer to #{missing.frame})"
        return Row(missing.t_ms, "wire", f"{arrow} {text}", answer, bad=True, gap=author)
    brought = "" if missing.frame is None else f"(#{missing.frame} brought it)"
    return Row(missing.t_ms, missing.at, text, brought, bad=True, gap=missing.at)


def _joined(found: list[Row]) -> list[Row]:
    """Put a request's success into the request's own row, where nothing came between."""
    joined: list[Row] = []
    for row in found:
        if joined and row.ok_of and row.ok_of == joined[-1].asked:
            joined[-1] = replace(joined[-1], tail=f"({row.t_ms - joined[-1].t_ms:.1f} ms: ok)")
        else:
            joined.append(row)
    return joined


def table(cell: CellResult, width: int) -> Table:
    """Return the time line as a table that is `width` columns wide.

    The frame at fault is marked by ``>>``, and what is missing by ``??``: colours may be missing.
    """
    marked = cell.culprit.frame if cell.culprit is not None else None
    side = max((width - _AROUND) * 3 // 10, _LEAST)
    widths = {"server": side, "wire": max(width - _AROUND - 2 * side, _LEAST), "client": side}
    titles: dict[str, str] = {role: f"{role}\n{_in_lines(cell.api(role))}" for role in ROLES}
    found = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    found.add_column("ms", justify="right", no_wrap=True, width=9)
    for column, wide in widths.items():
        found.add_column(escape(titles.get(column, column)), overflow="fold", width=wide)
    for row in rows(cell):
        at_fault = row.frame is not None and row.frame == marked
        style = "bold red" if at_fault or row.gap else "red" if row.bad else ""
        mark = ">> " if at_fault else "?? " if row.gap else ""
        lines = _LINES_OF_ERRORS if row.bad else _LINES
        text = Text(mark + _cut(row, widths[row.column] * lines), style=style)
        time = Text(f"{row.t_ms:.1f}", style=style or "dim")
        found.add_row(time, *(text if column == row.column else "" for column in widths))
    return found


def _in_lines(api: str) -> str:
    """Return a peer's API in two lines, and a URL as it is."""
    return api if "://" in api else api.replace("/", "/\n", 1)


def _cut(row: Row, most: int) -> str:
    text = row.text
    if len(text) > most:
        text = f"{text[: most - 1]}…"
    return f"{text} {row.tail}".rstrip()


def _numbered(lists: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Yield each client's list, with the client's number where there are several."""
    for number, each in enumerate(lists, 1):
        yield (f"({number}) " if len(lists) > 1 else ""), each


def _requests(cell: CellResult, side: Role) -> list[list[RequestRecord]]:
    if cell.requests is None:
        return []
    return [cell.requests.server] if side == "server" else cell.requests.clients


def _notes(cell: CellResult, side: Role) -> list[list[Note]]:
    if cell.notifications is None:
        return []
    return [cell.notifications.server] if side == "server" else cell.notifications.clients


def _frames(cell: CellResult) -> Iterator[Row]:
    several = any(frame.connection > 1 for frame in cell.frames)
    for index, frame in enumerate(cell.frames):
        where = f"c{frame.connection} " if several else ""
        text, tail = frame_words(frame)
        yield Row(frame.t_ms, "wire", f"{where}{_arrow(frame, index)} {text}", tail, index)
    if cell.frames_total > len(cell.frames):
        last = cell.frames[-1].t_ms if cell.frames else 0.0
        more = cell.frames_total - len(cell.frames)
        yield Row(last, "wire", f"and {more} more frames, which were not kept")


def _arrow(frame: FrameRecord, index: int) -> str:
    """Return a frame's number and direction: the server is on the left, the client on the right."""
    judge = " judge" if frame.author == "judge" else ""
    return f"#{index}{judge} {'<-' if frame.to == 'server' else '->'}"


def frame_words(frame: FrameRecord) -> tuple[str, str]:
    """Return a frame in words, and its length where less of it is shown."""
    kind = frame.kind if frame.code is None else f"{frame.kind} {frame.code}"
    return f"{kind}: {frame.text}" if frame.text else kind, (
        f"({frame.length:,} bytes)" if frame.length > _SHORT else ""
    )


_SHORT = 60
"""The length up to which a frame's text is shown whole in any column."""


def _connection(number: int, made: ConnectionRecord) -> Iterator[Row]:
    status = f"answer {made.status}" if made.status else "no answer"
    protocol = f", subprotocol {made.protocol}" if made.protocol else ""
    path = made.target.partition("?")[0] + ("?…" if "?" in made.target else "")
    headers = "".join(
        f", {name}: {'…' if _SECRET.search(name) else value}" for name, value in made.headers
    )
    yield Row(made.t_ms, "wire", f"c{number} opens {path}: {status}{protocol}{headers}")
    if made.ended is not None:
        yield Row(made.ended.t_ms, "wire", f"c{number} ended by the {made.ended.by}")


def _passage(each: PassageRecord) -> Row:
    judge = "judge " if each.author == "judge" else ""
    arrow = "<-" if each.to == "server" else "->"
    return Row(each.t_ms, "wire", f"{judge}{arrow} {passage_words(each)}")


def passage_words(each: PassageRecord) -> str:
    """Return in words what passed beside the frames: the bytes, or how TCP ended."""
    if each.what == "handshake":
        return f"{each.text!r}{'…' if each.length > len(each.text) else ''}"
    return "end of TCP" if each.what == "end" else "TCP reset"


def _request(side: Role, name: str, asked: RequestRecord) -> Iterator[Row]:
    """Yield a request, and its outcome."""
    same = f"{side} {name}{asked.op}" if asked.outcome == "ok" else ""
    text = f"{name}asked: {asked.op} {_values(asked.args)}".rstrip()
    yield Row(asked.t_ms, side, text, asked=same)
    if asked.done_ms is None:
        yield Row(asked.t_ms, side, f"{name}{asked.op}: no reply", bad=True)
    else:
        words = f"{name}{asked.op}: {asked.outcome}"
        bad = asked.outcome not in ("ok", "unsupported")
        yield Row(asked.done_ms, side, words, bad=bad, ok_of=same)


def _note(side: Role, name: str, note: Note) -> Row:
    on = str(note["on"])
    values = _values({key: value for key, value in note.items() if key not in ("on", "t_ms")})
    text = f"{name}told: {on} {values}".rstrip()
    return Row(float(note.get("t_ms", 0.0)), side, text, bad=on in ("error", "uncaught"))


def _values(members: Mapping[str, Any]) -> str:
    """Return an object's members in short; values of secret headers are left out."""
    return " ".join(f"{key}={_value(key, value)}" for key, value in members.items())


def public_members(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object's members, with ``…`` for the values of secret headers in ``headers``."""
    return {key: _public(key, value) for key, value in members.items()}


def public_headers(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return headers, with ``...`` for the values of secret ones."""
    return [(name, "..." if _SECRET.search(name) else text) for name, text in pairs]


def _public(key: str, value: Any) -> Any:
    if key == "headers" and isinstance(value, Mapping):
        return {name: "…" if _SECRET.search(name) else text for name, text in value.items()}
    return value


def _value(key: str, value: Any) -> str:
    value = _public(key, value)
    if isinstance(value, str) and value.isprintable():
        return value if value and " " not in value else f'"{value}"'
    return _compact(value)
