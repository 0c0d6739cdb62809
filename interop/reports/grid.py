"""A grid of short marks as lines of text, in the width that there is. Pure.

Rows and columns are named ``peer@version/Api``. Columns stand under their names where these fit,
else under numbers that a list below explains; several grids share the columns where even those do
not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

__all__ = ["grid"]

_GAPS = (2, 1)
"""The blanks between two columns: the second where the first is too wide."""

_INDENT = "  "

Marks = Mapping[tuple[str, str], Text]


def grid(rows: Sequence[str], columns: Sequence[str], marks: Marks, width: int) -> Iterator[Text]:
    """Yield the lines.

    Args:
        marks: the mark of each row and column; a field without one stays empty.
        width: the length of the longest line, where names allow it.
    """
    names = {column: _parts(column) for column in columns}
    numbers = {column: [str(number)] for number, column in enumerate(columns, 1)}
    labels = {row: [row] for row in rows}
    layout = _Layout(labels, names, marks, _GAPS[0])
    if layout.width(columns) <= width:
        yield from layout.lines(columns)
        return
    for gap in _GAPS:
        layout = _Layout(labels, numbers, marks, gap)
        if layout.width(columns) <= width:
            break
    else:
        layout = _Layout({row: _parts(row) for row in rows}, numbers, marks, _GAPS[1])
    begin = 0
    while begin < len(columns):
        end = len(columns)
        while end > begin + 1 and layout.width(columns[begin:end]) > width:
            end -= 1
        yield from layout.lines(columns[begin:end])
        yield Text()
        begin = end
    yield from _side_by_side([f"{number[0]:>2} {name}" for name, number in numbers.items()], width)


@dataclass(frozen=True, slots=True)
class _Layout:
    """One way to lay the grid out.

    Attributes:
        labels, heads: the lines of each row's and each column's name.
        gap: the blanks before each column.
    """

    labels: Mapping[str, Sequence[str]]
    heads: Mapping[str, Sequence[str]]
    marks: Marks
    gap: int

    def width(self, columns: Iterable[str]) -> int:
        """Return the length of the longest line with some of the columns."""
        return self._first + sum(self.gap + self._column(column) for column in columns)

    def lines(self, columns: Sequence[str]) -> Iterator[Text]:
        height = max(len(self.heads[column]) for column in columns)
        for at in range(-height, 0):
            heads = [self.heads[column] for column in columns]
            fields = [Text(head[at] if -at <= len(head) else "", "dim") for head in heads]
            yield self._line("", columns, fields)
        for row, (label, *more) in self.labels.items():
            yield self._line(label, columns, [self._mark(row, column) for column in columns])
            yield from (Text(_INDENT + part) for part in more)

    def _line(self, label: str, columns: Sequence[str], fields: Sequence[Text]) -> Text:
        line = Text(f"{label:<{self._first}}")
        for column, field in zip(columns, fields, strict=True):
            line.append(" " * self.gap)
            line.append_text(field)
            line.append(" " * (self._column(column) - len(field)))
        line.rstrip()
        return line

    @property
    def _first(self) -> int:
        lines = [
            len(_INDENT) * (number > 0) + len(part)
            for label in self.labels.values()
            for number, part in enumerate(label)
        ]
        return max(lines, default=0)

    def _column(self, column: str) -> int:
        marks = (len(self._mark(row, column)) for row in self.labels)
        return max(*map(len, self.heads[column]), *marks, 0)

    def _mark(self, row: str, column: str) -> Text:
        return self.marks.get((row, column), Text())


def _parts(name: str) -> list[str]:
    peer, slash, api = name.partition("/")
    return [peer + slash, api] if slash else [name]


def _side_by_side(names: Sequence[str], width: int) -> Iterator[Text]:
    """Yield names in columns, as many as fit, which are read downwards."""
    longest = max(map(len, names), default=0)
    across = max((width + _GAPS[0]) // (longest + _GAPS[0]), 1)
    down = -(-len(names) // across)
    for at in range(down):
        line = (" " * _GAPS[0]).join(f"{name:<{longest}}" for name in names[at::down])
        yield Text(line.rstrip(), "dim")
