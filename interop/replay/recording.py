"""One half of a recorded cell as a sequence of steps to take and to expect. Pure.

The *live* side is run again; the other half is *played* from the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, TypeVar

from ..catalog import JUDGES, did_you_mean
from ..errors import TestbedError
from ..records import KEPT, CellResult, Note, RequestRecord, Role

__all__ = [
    "Answer",
    "Ask",
    "Connect",
    "Ended",
    "Expect",
    "Play",
    "RecordingError",
    "Step",
    "Told",
    "chosen",
    "find",
    "steps",
]

_SHOWN = 10
_NAMES = {"cell": "its server, client and scenario", "pair": "its server and client"}

T = TypeVar("T")


class RecordingError(TestbedError):
    """There is no such cell, or its record lacks something that a replay needs."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The live side's peer was sent a request; `peer` is its number among that side's peers."""

    peer: int
    number: int
    op: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """It answered the request of that number; `outcome` is that of `Reply.outcome`."""

    peer: int
    number: int
    op: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Connect:
    """The client connected; `status` is the server's answer, 0 for none."""

    connection: int
    target: str
    headers: Sequence[tuple[str, str]]
    status: int
    protocol: str | None


@dataclass(frozen=True, slots=True)
class _Frame:
    """A recorded frame. `index` is its place in the record."""

    connection: int
    index: int
    kind: str
    text: str
    code: int | None


@dataclass(frozen=True, slots=True)
class Play(_Frame):
    """A frame to write to the live side."""


@dataclass(frozen=True, slots=True)
class Expect(_Frame):
    """A frame that the live side wrote."""


@dataclass(frozen=True, slots=True)
class Told:
    """A notification of the live side's peer; values that the record cut short are left out."""

    peer: int
    note: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """The played half, or the testbed, ended the TCP connection."""

    connection: int


Step = Ask | Answer | Connect | Play | Expect | Told | Ended


def find(cells: Sequence[CellResult], words: Sequence[str]) -> CellResult:
    """Return the one cell that has all `words` in its server, client and scenario; see `chosen`."""
    return chosen(cells, lambda cell: cell.key, words, "cell")


def chosen(
    things: Sequence[T], key: Callable[[T], Sequence[str]], words: Sequence[str], noun: str
) -> T:
    """Return the one thing that has all `words` in its names.

    Of several such things, the one in which most of the words are whole names is meant.

    Args:
        key: returns a thing's names: its server and client, and its scenario if it is a cell.
        noun: ``cell`` or ``pair``, for the error.

    Raises:
        RecordingError: no such thing, or several; names them.
    """
    asked = [
        word.strip(":,") for text in words for word in text.split() if word not in ("<->", "-")
    ]
    if not asked:
        raise RecordingError(f"no {noun} is named: give {_NAMES[noun]}")
    ranked = [(whole, each) for each in things if (whole := _whole(key(each), asked)) is not None]
    best = max((whole for whole, _ in ranked), default=0)
    found = [each for whole, each in ranked if whole == best]
    if len(found) == 1:
        return found[0]
    if not found:
        known = [key(each) for each in things]
        unknown = [word for word in asked if all(_whole(names, [word]) is None for names in known)]
        why = f"no {noun} has all of that"
        if unknown:
            parts = {part for names in known for name in names for part in (name, *name.split("/"))}
            why = f"{unknown[0]!r} is in none{did_you_mean(unknown[0], sorted(parts))}"
        raise RecordingError(f"{' '.join(asked)}: no such {noun} among {len(things)}: {why}")
    names = [f"\n  {' '.join(key(each))}" for each in found[:_SHOWN]]
    more = f"\n  and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise RecordingError(
        f"{' '.join(asked)}: {len(found)} {noun}s; say which one:{''.join(names)}{more}"
    )


def _whole(names: Sequence[str], words: Sequence[str]) -> int | None:
    """Return how many words are whole names; None if one is part of none."""
    if not all(any(word in name for name in names) for word in words):
        return None
    return sum(word in names for word in words)


def steps(cell: CellResult, live: Role, api: str = "", *, again: str = "") -> list[Step]:
    """Return the steps to take and to expect, in the order of the record.

    The live side's pings and their pongs are left out, since their times vary. So are, for a client
    other than the recorded one, notifications that not every client API sends.

    Args:
        api: the live side's row or column, where it is not the recorded one.
        again: the command that runs the cell again, for the error.

    Raises:
        RecordingError: the record is incomplete; says what is missing.
    """
    _check(cell, live, again)
    # Times are one process's, in microseconds: a cause precedes its effect.
    timed = [*_connections(cell, live), *_frames(cell, live)]
    timed += _told(cell, live, live == "client" and api not in ("", cell.client))
    timed += _asked(cell, live)
    return [step for _, step in sorted(timed, key=lambda pair: pair[0])]


def _check(cell: CellResult, live: Role, again: str) -> None:
    def refuse(why: str) -> RecordingError:
        advice = f"; run it again instead: {again}" if again else ""
        return RecordingError(f"this cell cannot be replayed: {why}{advice}")

    if JUDGES["server"].id in (cell.server, cell.client):
        raise refuse("the judge wrote its half byte by byte, which the frames do not show")
    if cell.requests is None or cell.notifications is None:
        raise refuse("its record has no requests and connections, as those of older runs")
    if cell.acts:
        raise refuse(f"the faults in it are not in the frames ({', '.join(cell.acts)})")
    if cell.frames_total > len(cell.frames):
        raise refuse(f"it had {cell.frames_total} frames, and {len(cell.frames)} were kept")
    kept: list[Sized] = [*_requests(cell, live), *_notes(cell, live), cell.connections]
    if any(len(each) >= KEPT for each in kept):
        raise refuse(f"more than the {KEPT} requests, notifications or connections kept")
    if not cell.connections:
        raise refuse("it has no connection, so there is no half to play")
    for index, frame in enumerate(cell.frames):
        if len(frame.text.encode()) != frame.length:
            raise refuse(f"frame {index}, of {frame.length} bytes, was not kept as it was")
    for requests in _requests(cell, live):
        if cut := [asked.op for asked in requests if any(map(_is_cut, asked.args.values()))]:
            raise refuse(f"the arguments of {cut[0]!r} were not kept whole")


def _notes(cell: CellResult, live: Role) -> list[list[Note]]:
    """Return the notifications of each peer of the live side."""
    assert cell.notifications is not None  # `_check` refuses such records
    return [cell.notifications.server] if live == "server" else cell.notifications.clients


def _requests(cell: CellResult, live: Role) -> list[list[RequestRecord]]:
    """Return the requests to each peer of the live side."""
    assert cell.requests is not None  # as above
    return [cell.requests.server] if live == "server" else cell.requests.clients


def _is_cut(value: object) -> bool:
    return isinstance(value, str) and len(value) > KEPT and value.endswith("…")


def _asked(cell: CellResult, live: Role) -> Iterator[tuple[float, Step]]:
    for peer, requests in enumerate(_requests(cell, live)):
        for number, asked in enumerate(requests):
            yield asked.t_ms, Ask(peer, number, asked.op, asked.args)
            if asked.done_ms is not None:
                yield asked.done_ms, Answer(peer, number, asked.op, asked.outcome)


def _told(cell: CellResult, live: Role, other: bool) -> Iterator[tuple[float, Step]]:
    for peer, notes in enumerate(_notes(cell, live)):
        for note in notes:
            own = ("via",) if other else ()
            kept = {k: v for k, v in note.items() if k not in ("t_ms", *own) and not _is_cut(v)}
            if not (other and note["on"] in ("connected", "disconnected", "ended")):
                yield note["t_ms"], Told(peer, kept)


def _connections(cell: CellResult, live: Role) -> Iterator[tuple[float, Step]]:
    for number, made in enumerate(cell.connections, 1):
        yield (
            made.t_ms,
            Connect(number, made.target, made.headers, made.status, made.protocol),
        )
        if made.ended is not None and made.ended.by != live:
            yield made.ended.t_ms, Ended(number)


def _frames(cell: CellResult, live: Role) -> Iterator[tuple[float, Step]]:
    for index, frame in enumerate(cell.frames):
        what = (
            frame.connection,
            index,
            frame.kind,
            frame.text,
            frame.code,
        )
        if frame.author == live:
            if frame.kind != "ping":
                yield frame.t_ms, Expect(*what)
        elif frame.to == live and (frame.author == "judge" or frame.kind != "pong"):
            yield frame.t_ms, Play(*what)
