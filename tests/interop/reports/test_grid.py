from __future__ import annotations

import pytest
from rich.text import Text

from interop.reports.grid import grid

ROWS = ["dart@0.3.0/ZapServer", "python/ZapServer"]
COLUMNS = [f"dart-0.3@0.3.0/Client{number}" for number in range(12)]
MARKS = {
    (row, column): Text(f"{at}{number}")
    for at, row in zip("xy", ROWS, strict=True)
    for number, column in enumerate(COLUMNS)
}


def lines(width: int) -> list[str]:
    return [line.plain for line in grid(ROWS, COLUMNS, MARKS, width)]


def test_names_stand_above_columns_where_they_fit() -> None:
    first, second, *rows = lines(300)
    assert first.split() == ["dart-0.3@0.3.0/"] * 12
    assert second.split() == [f"Client{number}" for number in range(12)]
    assert [row.split() for row in rows] == [
        [row, *(f"{at}{number}" for number in range(12))]
        for at, row in zip("xy", ROWS, strict=True)
    ]


def test_columns_are_numbered_where_names_do_not_fit() -> None:
    head, *rows = lines(80)
    assert head.split() == [str(number) for number in range(1, 13)]
    assert rows[0].index("x4") == head.index("5")
    assert rows[0].startswith("dart@0.3.0/ZapServer  x0")
    assert "12 dart-0.3@0.3.0/Client11" in "\n".join(rows)


@pytest.mark.parametrize("width", [30, 34, 40, 60, 80, 100, 300])
def test_every_mark_is_shown_once_in_the_width_that_there_is(width: int) -> None:
    found = lines(width)
    assert max(map(len, found)) <= width
    words = [word for line in found for word in line.split()]
    for at in "xy":
        assert [word for word in words if word in {f"{at}{number}" for number in range(12)}] == [
            f"{at}{number}" for number in range(12)
        ]
    if width < 300:
        assert [word for word in words if word in COLUMNS] == sorted(COLUMNS, key=words.index)
        assert set(COLUMNS) <= set(words)


def test_a_field_without_a_mark_is_empty() -> None:
    rows = [line.plain for line in grid(["a/S", "b/S"], ["c/C"], {("b/S", "c/C"): Text("ok")}, 80)]
    assert rows == ["     c/", "     C", "a/S", "b/S  ok"]
