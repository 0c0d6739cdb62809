"""Follows each event of a cell from the application through its frame to the other application.

What a side was asked to send, the frames that it wrote, and what its library reported are three
records of the same events. Where two of them differ, the side between the two is at fault, whatever
any other cell says. Pure.

::

    request, or the interop app's handler ──> [library] ──> frame ──> [library] ──> notification

A cell may hold no fault: what is judged may be no event at all. And of a record that was cut, or of
a connection that was cut off or closed, what is missing tells nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..catalog import JUDGE_IDS
from ..control.operations import OPERATIONS
from ..records import (
    KEPT,
    KEPT_BYTES,
    OTHER,
    ROLES,
    CellResult,
    FrameRecord,
    Missing,
    Note,
    RequestRecord,
    Role,
)
from ..wire.rules import check_text, differ

__all__ = ["Fault", "faults", "missing"]

_ANY: Any = object()
"""A value that is not known, because the record is cut, or that may be anything."""

_APP = frozenset(
    {"echo", "boom", "answer", "fail", *(name for name, op in OPERATIONS.items() if op.of_app)}
)
"""The events that every server's application handles."""

_TO_MANY = ("to-room", "broadcast")
"""The events for which the interop app sends one to several connections."""

_ENDING = ("close", "drop", "stop", "clean")
"""The operations that end connections."""

_SOON_MS = 100.0
"""Milliseconds after which what has not come does not come: a scenario that fails otherwise ends
at once, and one that misses something waits longer."""

_BEFORE_MS = 0.001
"""The time by which what is missing stands before what came in its place."""

_MOST = 1000
"""Events of one burst that are looked for."""

_LEGAL_CODES = frozenset({1000, 1001, 1003, *range(1007, 1012), *range(3000, 5000)})
_NAME = re.compile(r'"eventName"\s*:\s*"((?:[^"\\]|\\.)*)"')
_SENT_NAME = re.compile(r'"event": "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Fault:
    """A step that a library did not do, or did otherwise.

    Attributes:
        frame: index of the frame that it wrote wrongly, read wrongly or left unanswered; None
            where no frame shows the fault.
        t_ms: when.
        wrote: whether it is about what that side wrote, and not about what it read.
        lacks: what it had to write in answer to that frame, and did not.
    """

    side: Role
    why: str
    frame: int | None
    t_ms: float
    wrote: bool = False
    lacks: str = ""


@dataclass(slots=True, eq=False)
class _Event:
    """An event, as one of the three records has it.

    Attributes:
        index: the frame's; of an answer that is due, the frame's that it answers.
        due: whether its absence in the next record is a fault.
        note: the notification.
    """

    name: str
    payload: Any
    headers: Any
    t_ms: float
    index: int | None = None
    due: bool = True
    note: Note | None = None


_Matched = tuple[_Event, _Event | None, str]
"""An event of one record, its own of the next, and how these are alike; see `_matched`."""


def faults(cell: CellResult) -> list[Fault]:
    """Return the faults of both sides, in the order of time."""
    sides = [side for side in ROLES if cell.api(side) not in JUDGE_IDS]
    found = [fault for side in sides for fault in _Side(cell, side).faults()]
    return sorted(found, key=lambda fault: (fault.t_ms, not fault.wrote))


def missing(cell: CellResult) -> list[Missing]:
    """Return what had to come in a cell that failed and did not, in the order of time.

    What is behind the end of a record that was cut may have come. Where a later event of the same
    name is in the record, the one that is not is missing all the same.
    """
    sides = [side for side in ROLES if cell.api(side) not in JUDGE_IDS]
    found = [each for side in sides for each in _Side(cell, side).missing()]
    return sorted(found, key=lambda each: each.t_ms)


@dataclass
class _Side:
    """One side of a cell."""

    cell: CellResult
    side: Role
    # By the identity of a notification, the frame that carried it; set by `_reading`.
    carried: dict[int, int | None] = field(default_factory=dict)

    def faults(self) -> Iterator[Fault]:
        if self.cell.notifications is None or self.cell.requests is None:
            return
        yield from self._reading()
        yield from self._writing()
        yield from self._requests()
        yield from self._pongs()
        yield from self._closing()
        yield from self._callbacks()
        yield from self._ids()

    def missing(self) -> Iterator[Missing]:
        if self.cell.notifications is None or self.cell.requests is None or self.cell.acts:
            return
        came = list(self._came())
        pairs, _ = _matched(came, list(self._told()))
        self._carry(pairs)
        for unread, when in self._unmatched(pairs):
            if "replyTo" not in _keys(unread.headers):
                yield Missing(self.side, _in_words(unread), when, frame=unread.index)
        wrote = [event for i, f in self._frames("text", written=True) if (event := _event(i, f))]
        wanted = sorted([*self._sent(), *self._answers(wrote)], key=lambda event: event.t_ms)
        wanted = [event for event in wanted if event.due]
        closes = any(frame.kind == "close" for frame in self.cell.frames)
        for each in wanted:
            each.due = self._waited(each.t_ms) and not (closes or self._is_disturbed)
        if any(each.author == self.side and not each.excused for each in self.cell.violations):
            wanted = []  # what it wrote wrongly is what seems to be missing
        for unsent, when in self._unmatched(_matched(wanted, wrote)[0]):
            yield Missing("wire", _in_words(unsent), when, self.side, unsent.index)
        for fault in (*self._pongs(), *self._closing()):
            if fault.lacks:
                yield Missing("wire", fault.lacks, fault.t_ms, self.side, fault.frame)
        for fault in self._ends():
            yield Missing(self.side, "end of the connection", fault.t_ms, frame=fault.frame)

    def _unmatched(self, pairs: Sequence[_Matched]) -> Iterator[tuple[_Event, float]]:
        """Yield the events that are due and did not come, and when they were due.

        One that a later one of its name has passed was due before that.
        """
        for number, (event, _, how) in enumerate(pairs):
            if how != "none":
                continue
            later = [got for one, got, _ in pairs[number + 1 :] if got and one.name == event.name]
            if later:
                yield event, min(got.t_ms for got in later) - _BEFORE_MS
            elif event.due:
                yield event, event.t_ms

    # --- The records ------------------------------------------------------------------------

    @property
    def _notes(self) -> list[list[Note]]:
        notes = self.cell.notifications
        assert notes is not None
        return [notes.server] if self.side == "server" else notes.clients

    @property
    def _asked(self) -> list[RequestRecord]:
        asked = self.cell.requests
        assert asked is not None
        lists = [asked.server] if self.side == "server" else asked.clients
        return sorted((each for of_one in lists for each in of_one), key=lambda each: each.t_ms)

    @property
    def _is_told_in_part(self) -> bool:
        """Whether there was more than the peers' records hold."""
        return len(self._asked) >= KEPT or any(len(each) >= KEPT for each in self._notes)

    @property
    def _is_cut(self) -> bool:
        """Whether there was more than the records hold."""
        return self._is_told_in_part or len(self.cell.frames) < self.cell.frames_total

    @property
    def _is_disturbed(self) -> bool:
        """Whether what is missing may have been lost on the way, or never been possible."""
        return bool(self.cell.acts) or self._is_cut

    def _frames(self, kind: str, *, written: bool) -> list[tuple[int, FrameRecord]]:
        return [
            (index, frame)
            for index, frame in enumerate(self.cell.frames)
            if frame.kind == kind
            and (frame.author == self.side if written else frame.to == self.side)
        ]

    def _closed(self, connection: int) -> float:
        """Return when the side had closed that connection, or was told to close any."""
        closes = [
            f.t_ms for _, f in self._frames("close", written=True) if f.connection == connection
        ]
        asked = [each.t_ms for each in self._asked if each.op in _ENDING]
        return min([*closes, *asked], default=math.inf)

    def _waited(self, since: float) -> bool:
        """Whether the cell went on long enough after that for an answer to have come."""
        return self._is_judged or self.cell.duration_ms - since >= _SOON_MS

    @property
    def _is_judged(self) -> bool:
        """Whether the other side is the judge, so that no other library can be at fault."""
        return self.cell.api(OTHER[self.side]) in JUDGE_IDS

    def _last_received(self, when: float) -> int | None:
        return max(
            (i for i, f in enumerate(self.cell.frames) if f.to == self.side and f.t_ms <= when),
            default=None,
        )

    def _registered(self, name: str) -> bool:
        if self.side == "server":
            return name in _APP
        opened = [each.args for each in self._asked if each.op in ("open", "subscribe")]
        return any(
            args.get("all") or name in args.get("events", ()) or name == "echo" for args in opened
        )

    # --- Events -----------------------------------------------------------------------------

    def _reading(self) -> Iterator[Fault]:
        """Compare the frames that came with the events that the application was told of."""
        came, told = list(self._came()), list(self._told())
        pairs, rest = _matched(came, told)
        self._carry(pairs)
        for event, _, how in pairs:
            if how == "other":
                yield self._fault(f"read {event.name!r} otherwise than it was written", event)
            elif how == "none" and event.due:
                event.index = self._after_what(event)
                yield self._fault(f"did not deliver {event.name!r}", event)
        if len(self._notes) == 1 and not self.cell.acts:
            for event in _late([(told.index(got), event) for event, got, _ in pairs if got]):
                yield self._fault(f"delivered {event.name!r} out of order", event)
        by_all = any(each.note and each.note.get("via") == "all" for each in told)
        if self._is_cut or self.cell.acts or by_all:
            return
        for got in rest:
            index = self._carrier(got, came)
            if index is not None:  # else the judge wrote it byte by byte, which is not recorded
                why = f"delivered {got.name!r} once more than it came"
                yield Fault(self.side, why, index, got.t_ms)

    def _carry(self, pairs: Iterable[_Matched]) -> None:
        for event, got, _ in pairs:
            if got is not None:
                self.carried[id(got.note)] = event.index

    def _came(self) -> Iterator[_Event]:
        for index, frame in self._frames("text", written=False):
            event = _event(index, frame)
            if event is None or not self._registered(event.name):
                continue
            closing = self._closed(frame.connection) <= frame.t_ms
            lost = closing or self._is_disturbed or "replyTo" in _keys(event.headers)
            event.due = self._waited(frame.t_ms) and not lost
            yield event

    def _told(self) -> Iterator[_Event]:
        for note in sorted(_flat(self._notes), key=lambda note: _time(note)):
            if note["on"] == "event":
                payload, headers = _whole(note.get("payload")), _whole(note.get("headers"))
                yield _Event(note["name"], payload, headers, _time(note), note=note)

    def _after_what(self, event: _Event) -> int | None:
        """Return the frame before one that was not delivered, if it was one to stumble over."""
        connection = self.cell.frames[event.index or 0].connection
        before = [
            (index, frame)
            for index, frame in enumerate(self.cell.frames[: event.index])
            if frame.to == self.side and frame.connection == connection
        ]
        if before:
            index, frame = before[-1]
            one = _event(index, frame) if frame.kind == "text" else None
            if frame.kind in ("text", "binary") and (one is None or one.name in ("boom", "fail")):
                return index
        return event.index

    def _carrier(self, got: _Event, came: Sequence[_Event]) -> int | None:
        """Return the frame that made the side deliver an event that did not come."""
        known = {event.index for event in came}
        carriers = []
        for index, frame in enumerate(self.cell.frames):
            if frame.to != self.side or index in known or frame.t_ms > got.t_ms:
                continue
            with contextlib.suppress(ValueError, RecursionError):
                message = json.loads(frame.text)
                if isinstance(message, dict) and _equal(message.get("payload"), got.payload):
                    named = str(message.get("eventName")).casefold() == got.name.casefold()
                    carriers.append((not named, index))
        return min(carriers)[1] if carriers else self._last_received(got.t_ms)

    def _writing(self) -> Iterator[Fault]:
        """Compare what the application sent with the frames that the side wrote."""
        wrote = []
        for index, frame in self._frames("text", written=True):
            if (event := _event(index, frame)) is not None:
                wrote.append(event)
        wanted = sorted([*self._sent(), *self._answers(wrote)], key=lambda event: event.t_ms)
        closes = any(frame.kind == "close" for frame in self.cell.frames)
        for event in wanted:
            event.due = (
                event.due and self._waited(event.t_ms) and not (closes or self._is_disturbed)
            )
        pairs, rest = _matched(wanted, wrote)
        for event, got, how in pairs:
            if got is not None and how == "other":
                yield self._fault(f"wrote {got.name!r} otherwise than it was sent", got, wrote=True)
            elif how == "none" and event.due:
                yield self._fault(f"did not write {event.name!r}", event, wrote=True)
        notes = self.cell.notifications
        assert notes is not None
        if sum(note["on"] == "connected" for note in (notes.server or _flat(notes.clients))) == 1:
            for got in _late([(n, wrote[n]) for n in _places(wrote, pairs)], first=True):
                yield self._fault(f"wrote {got.name!r} too late", got, wrote=True)
        if self._is_told_in_part:
            return
        for got in rest:
            if "replyTo" not in _keys(got.headers) and got.name != "unsupported":
                yield self._fault(f"wrote {got.name!r} once more than it was sent", got, wrote=True)

    def _sent(self) -> Iterator[_Event]:
        """Yield what the testbed asked the application to send."""
        for each in self._asked:
            args = each.args
            if "event" not in args:
                continue  # peer-check leaves it out on purpose
            if each.op in ("send", "push"):
                headers = _whole(args.get("headers"))
            elif each.op in ("request", "ask"):
                headers = _ANY
            else:
                continue
            due = each.outcome == "ok" and each.op in ("send", "push")
            yield _Event(args["event"], _whole(args.get("payload")), headers, each.t_ms, None, due)

    def _answers(self, wrote: Iterable[_Event]) -> Iterator[_Event]:
        """Yield what the interop app's handlers sent; what they wrote is unsupported is not due."""
        refusals = [event.payload for event in wrote if event.name == "unsupported"]
        refused = [each.get("event") for each in refusals if isinstance(each, dict)]
        for note in _flat(self._notes):
            if note["on"] != "event":
                continue
            payload, headers = _whole(note.get("payload")), _whole(note.get("headers"))
            if note["name"] in _TO_MANY:
                payload = _to_many(note.get("payload"))
            index, when = self.carried.get(id(note)), _time(note)
            for name, value, heads, due in _app(note["name"], payload, headers):
                if self.side == "server" or name == "fail":
                    must = due and self.side == "server" and note["name"] not in refused
                    yield _Event(name, value, heads, when, index, must)

    # --- Requests ---------------------------------------------------------------------------

    def _requests(self) -> Iterator[Fault]:
        """Compare the outcome of each request with the reply that came."""
        written = [_event(index, frame) for index, frame in self._frames("text", written=True)]
        came = [_event(index, frame) for index, frame in self._frames("text", written=False)]
        for each in self._asked:
            if each.op not in ("request", "ask") or not each.outcome or self._is_cut:
                continue
            ids = [
                e.headers["requestId"]
                for e in written
                if e and e.name == each.args["event"] and "requestId" in _keys(e.headers)
                and e.t_ms >= each.t_ms
            ]  # fmt: skip
            replies = [
                e for e in came if e and ids and "replyTo" in _keys(e.headers)
                and e.headers["replyTo"] == ids[0]
            ]  # fmt: skip
            last = max((e.index or 0 for e in came if e), default=None)
            when = math.inf if each.done_ms is None else each.done_ms
            if not replies and each.outcome == "ok" and ids:
                yield Fault(self.side, "took for a reply what is none", last, when)
            elif replies and (each.outcome == "ok") == ("replyError" in replies[0].headers):
                yield self._fault("read a reply otherwise than it was written", replies[0])

    # --- Control frames ---------------------------------------------------------------------

    def _pongs(self) -> Iterator[Fault]:
        """Compare the pings that came with the pongs."""
        pongs = self._frames("pong", written=True)
        pings = self._frames("ping", written=False)
        for number, (index, ping) in enumerate(pings):
            if self._is_disturbed or self._closed(ping.connection) <= ping.t_ms:
                continue
            later = {f.text for _, f in pings[number:] if f.connection == ping.connection}
            after = [
                p for p in pongs if p[1].connection == ping.connection and p[1].t_ms >= ping.t_ms
            ]
            if any(pong.text in later for _, pong in after):
                continue
            if after:
                yield Fault(self.side, "wrote a pong of other bytes", after[0][0], ping.t_ms, True)
            else:
                yield Fault(self.side, "did not answer a ping", index, ping.t_ms, lacks="pong")

    def _closing(self) -> Iterator[Fault]:
        """Compare each connection's close frames, and the codes that the side was asked for."""
        wanted = [
            each.args.get("code") for each in self._asked if each.op in _ENDING
        ] + [
            note["payload"].get("code")
            for note in _flat(self._notes)
            if note["on"] == "event" and note["name"] == "close-me"
            and isinstance(note.get("payload"), dict)
        ]  # fmt: skip
        for connection in {frame.connection for frame in self.cell.frames}:
            mine, theirs = (
                [f for f in self._frames("close", written=w) if f[1].connection == connection]
                for w in (True, False)
            )
            if mine and (not theirs or mine[0][1].t_ms < theirs[0][1].t_ms):
                index, close = mine[0]
                codes = [code for code in wanted if code is not None]
                if codes and close.code not in codes:
                    yield Fault(
                        self.side, "closed with another code than asked", index, close.t_ms, True
                    )
                elif not wanted and not self._other_closed(connection, close.t_ms):
                    yield Fault(self.side, "closed the connection unasked", index, close.t_ms, True)
            elif theirs and not self.cell.acts:
                index, close = theirs[0]
                if not mine:
                    why = "did not answer a close frame"
                    yield Fault(self.side, why, index, close.t_ms, lacks="close frame")
                elif close.code in _LEGAL_CODES and mine[0][1].code not in (close.code, 1000, 1005):
                    why = "answered a close frame with another code"
                    yield Fault(self.side, why, mine[0][0], mine[0][1].t_ms, True)

    def _other_closed(self, connection: int, when: float) -> bool:
        """Whether the other side had been asked to close, or had ended the connection, by then."""
        records, number = self.cell.requests, connection - 1
        assert records is not None
        others = records.clients if self.side == "server" else [records.server]
        if any(each.op in _ENDING and each.t_ms <= when for asked in others for each in asked):
            return True
        ended = [each.ended for each in self.cell.connections[number : number + 1]]
        return any(each and each.by != self.side and each.t_ms <= when for each in ended)

    # --- Callbacks --------------------------------------------------------------------------

    def _callbacks(self) -> Iterator[Fault]:
        """Find callbacks that came too often, too early or not at all."""
        for of_one in self._notes:
            seen: set[tuple[str, str]] = set()
            for note in of_one:
                name, when = note["on"], _time(note)
                key = name, str(note.get("conn"))
                if name not in ("connected", "disconnected"):
                    continue
                if name == "connected" and self.side == "client":
                    seen.clear()
                elif key in seen:
                    yield Fault(self.side, f"reported {name} twice", self._cause(name, when), when)
                elif name == "disconnected" and self._goes_on(when):
                    why = "reported the end of a connection that went on"
                    yield Fault(self.side, why, self._cause(name, when), when)
                seen.add(key)
        yield from self._ends()

    def _cause(self, name: str, when: float) -> int | None:
        """Return the frame that made a library call that callback: one of its name, or the last."""
        for index, frame in self._frames("text", written=False):
            if (event := _event(index, frame)) and event.name == name and frame.t_ms <= when:
                return index
        return self._last_received(when)

    def _goes_on(self, when: float) -> bool:
        """Whether the only connection did not end by then."""
        frames = self.cell.frames
        ended = any(f.kind == "close" and f.t_ms <= when for f in frames) or self.cell.acts
        later = any(f.author == self.side and f.kind == "text" and f.t_ms > when for f in frames)
        opens = sum(each.op in ("open", "reconnect") for each in self._asked)
        return self.side == "client" and later and not ended and opens == 1

    def _ends(self) -> Iterator[Fault]:
        """Find that no callback told of a connection's end."""
        ends = [frame for frame in self.cell.frames if frame.kind == "close"]
        if not ends or self._is_disturbed or not self._waited(ends[-1].t_ms):
            return
        notes = list(_flat(self._notes))
        states = [note["state"] for note in notes if note["on"] == "state"]
        told = {"offline", "error"} & set(states) if states else {note["on"] for note in notes}
        if (not states and "disconnected" not in told) or (states and not told):
            came = [f for _, f in self._frames("close", written=False)] or ends
            index = self.cell.frames.index(came[0])
            yield Fault(self.side, "did not report the end of the connection", index, came[0].t_ms)

    def _ids(self) -> Iterator[Fault]:
        """Find an id that a server gave to two connections of the cell."""
        given: dict[str, int] = {}
        for index, frame in self._frames("text", written=True):
            event = _event(index, frame)
            if event is None or event.name != "whoami" or not isinstance(event.payload, dict):
                continue
            first = given.setdefault(str(event.payload.get("id")), frame.connection)
            if first != frame.connection:
                yield self._fault("gave one id to two connections", event, wrote=True)

    def _fault(self, why: str, event: _Event, *, wrote: bool = False) -> Fault:
        return Fault(self.side, why, event.index, event.t_ms, wrote)


def _app(name: str, payload: Any, headers: Any) -> Iterator[tuple[str, Any, Any, bool]]:
    """Yield what the interop app sends for an event: name, payload, headers, whether it must."""
    request = headers.get("requestId") if isinstance(headers, dict) else None
    members = payload if isinstance(payload, dict) else {}
    match name:
        case "echo":
            yield name, payload, headers, True
        case "slow":
            yield name, payload, headers, False  # it may be under way still
        case "whoami":
            yield name, _ANY, headers, True
        case "join" | "leave":
            yield {"join": "joined", "leave": "left"}[name], payload, headers, True
        case "burst" if isinstance(count := members.get("count"), int):
            for number in range(min(count, _MOST)):
                yield "tick", number, headers, True
        case _ if name in _TO_MANY:
            for _ in range(KEPT):
                yield members.get("event", ""), members.get("payload"), headers, False
        case "answer":
            yield name, payload, {"replyTo": request}, request is not None
        case "fail" if request is not None:
            yield name, {}, {"replyTo": request, "replyError": _ANY}, True


def _in_words(event: _Event) -> str:
    if event.payload is _ANY:
        return f"event name={event.name}"
    payload = json.dumps(event.payload, ensure_ascii=False, separators=(",", ":"))
    return f"event name={event.name} payload={payload[:KEPT_BYTES]}"


def _to_many(payload: Any) -> Any:
    """Return what a room, or all, is to be sent; of a payload that the record cuts, the name."""
    if _whole(payload) is not _ANY or not isinstance(payload, str):
        return payload
    found = _SENT_NAME.search(payload)
    return {"event": json.loads(f'"{found[1]}"'), "payload": _ANY} if found else {}


def _event(index: int, frame: FrameRecord) -> _Event | None:
    """Return the event that a text frame holds; None if it is malformed, or its name was cut."""
    if len(frame.text.encode("utf-8", "surrogatepass")) != frame.length:
        with contextlib.suppress(ValueError):  # bytes that are no UTF-8 are escaped in the record
            if name := _NAME.search(frame.text):
                return _Event(json.loads(f'"{name[1]}"'), _ANY, _ANY, frame.t_ms, index)
        return None
    if check_text(frame.text.encode("utf-8", "surrogatepass")):
        return None
    message = json.loads(frame.text)
    return _Event(
        message["eventName"], message.get("payload"), message.get("headers"), frame.t_ms, index
    )


def _whole(value: Any) -> Any:
    """Return a recorded value; `_ANY` for one that was cut, or that JSON cannot hold."""
    if isinstance(value, str) and value.endswith("…"):
        return _ANY
    return _ANY if isinstance(value, dict) and "$unencodable" in value else value


def _matched(
    wanted: Sequence[_Event], found: Sequence[_Event]
) -> tuple[list[_Matched], list[_Event]]:
    """Give each event of one record its own of the next: an equal one, else one of its name.

    Returns:
        For each of `wanted`: the event found, and ``same``, ``other`` or ``none``; and what was
        found beyond these.
    """
    pairs: dict[int, tuple[_Event, str]] = {}
    rest = list(found)
    for how in ("same", "other"):
        for number, event in enumerate(wanted):
            if number in pairs or (how == "other" and event.payload is _ANY):
                continue
            for got in rest:
                if got.name == event.name and (how == "other" or _same(event, got)):
                    pairs[number] = got, how
                    rest.remove(got)
                    break
    return [(e, *pairs.get(n, (None, "none"))) for n, e in enumerate(wanted)], rest


def _places(found: Sequence[_Event], pairs: Iterable[_Matched]) -> list[int]:
    """Return where in `found` what was matched is, in the order of what it was matched with."""
    return [found.index(got) for _, got, _ in pairs if got is not None]


def _late(order: Sequence[tuple[int, _Event]], *, first: bool = False) -> Iterator[_Event]:
    """Yield the events whose places do not rise: the later of each two, or the `first`."""
    for (before, one), (after, other) in itertools.pairwise(order):
        if after < before:
            yield one if first else other


def _same(one: _Event, other: _Event) -> bool:
    return _equal(one.payload, other.payload) and _equal_headers(one.headers, other.headers)


def _equal(one: Any, other: Any) -> bool:
    return one is _ANY or other is _ANY or differ(one, other) is None


def _equal_headers(one: Any, other: Any) -> bool:
    if one is _ANY or other is _ANY:
        return True
    one, other = one or {}, other or {}
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return _equal(one, other)
    return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)


def _keys(headers: Any) -> Iterable[str]:
    return headers if isinstance(headers, Mapping) else ()


def _time(note: Note) -> float:
    when: float = note.get("t_ms", math.inf)
    return when


def _flat(lists: Iterable[Sequence[Note]]) -> Iterator[Note]:
    for each in lists:
        yield from each
