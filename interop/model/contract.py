"""The items of the control contract, as `docs/peer-contract.md` lists them in its tables.

An item is an operation (``op push``), an argument of one (``op serve protocols``), an event of the
interop app (``app burst``), a key of its payload (``app burst count``), a notification
(``on state``) or a key of one (``on disconnected code``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..control.operations import OPERATIONS, Operation

__all__ = ["items", "stands_for"]

_LIMITS = ("message_bytes", "ping_interval_s", "ping_timeout_s", "close_timeout_s")
_KINDS = {"op": "op", "on": "on", "`on`": "on", "event": "app"}
_CODE = re.compile(r"`([\w-]+)`")


def items(page: str) -> list[str]:
    """Return every item that the page has; ``describe``, which the peer answers itself, is none."""
    found: list[str] = []
    for kind, names, second in _rows(page):
        for name in names:
            if name != "describe":
                found += [f"{kind} {name}", *(f"{kind} {name} {k}" for k in _keys(kind, second))]
    return found


def stands_for(item: str) -> str:
    """Return the item that this one is looked at with.

    An operation stands for the arguments that every library takes, and so does an event of the
    interop app; a notification stands for its keys.
    """
    kind, name, *key = item.split(" ")
    operation = OPERATIONS.get(name, Operation())
    basic = kind == "on" or bool(operation.feature) or operation.basic.issuperset(key)
    return f"{kind} {name}" if basic else item


def _rows(page: str) -> Iterator[tuple[str, list[str], str]]:
    """Yield kind, names and second column of each row of the tables of items."""
    kind = ""
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            kind = ""
        elif not kind:
            kind = _KINDS.get(cells[0], "none")
        elif kind != "none" and not line.startswith("|---"):
            yield kind, _CODE.findall(cells[0]), cells[1]


def _keys(kind: str, cell: str) -> list[str]:
    if kind == "app":
        return re.findall(r'"([\w-]+)"', cell)
    cell = re.sub(r"\([^()]*\)", "", cell)  # what an argument means
    cell = re.sub(r"(`\w+`): `[^;]*", r"\1", cell)  # what a key's values are
    found = _CODE.findall(cell)
    return found + [name for name in _LIMITS if "limits?" in cell]
