"""What the records of a cell show that its scenario used: capabilities, under which conditions.

A *use* is a capability, as ``interop/scenarios/model.toml`` names them, with a condition, which is
a dimension and one of its values: ``("push", "payload.null")``. Uses are read from frames,
requests and notifications alone, so that a claim of the model can be held against a run. They are
what the records of one cell hold: a long burst is cut, and bytes that the judge wrote without a
frame of its own are not in them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..catalog import JUDGES
from ..records import CellResult, FrameRecord, RequestRecord, Role

__all__ = ["Sends", "Use", "contract_items", "uses"]

Use = tuple[str, str]

_CUT = "…"
_NAME = re.compile(r'"eventName": ?"((?:[^"\\]|\\.)*)"')
_PAYLOAD = re.compile(r'"payload": ?(.)')
_HANDLER_ENDS = {"slow": "slow"}
"""The events of the interop app whose handler takes time, with the event that it sends last."""


@dataclass(frozen=True, slots=True)
class Sends:
    """How a capability's events are recognized among those that a side writes.

    Attributes:
        side: the side that writes them.
        names: the names of events that it sends in that way alone.
        asked: operations, and events of the interop app, whose argument ``event`` names them.
        header: a header that they have.
    """

    side: Role
    names: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    header: str = ""


@dataclass
class _State:
    """What has happened in a cell so far.

    Attributes:
        open: the connections that are open, by the server's application, or else by the clients'.
        opened: how many were ever opened.
        again: whether a client has connected again.
        handling: the slow handlers that run.
        closing: whether a side was asked to close, or has written a close frame.
        ended: whether an application was told of an end.
        wire: how the connections differ from plain ones.
        asked: the names of events that were asked for, by the operation or event that asked.
    """

    open: set[object] = field(default_factory=set)
    opened: int = 0
    again: bool = False
    handling: int = 0
    closing: bool = False
    ended: bool = False
    wire: set[str] = field(default_factory=lambda: {"wire.plain"})
    asked: dict[str, set[str]] = field(default_factory=dict)

    def conditions(self) -> Iterator[str]:
        """Yield what holds of everything that is done now."""
        second = "connection.second" if self.opened > 1 else "connection.first"
        yield "connection.reconnected" if self.again else second
        yield (
            "peers.fifty"
            if len(self.open) >= 50
            else ("peers.two" if len(self.open) > 1 else "peers.one")
        )
        if self.handling:
            yield "during.handler"
        if self.ended and not self.open:
            yield "during.ended"
        elif self.closing:
            yield "during.closing"
        elif not self.handling:
            yield "during.idle"
        yield from self.wire


def contract_items(cell: CellResult) -> set[str]:
    """Return what of the contract a cell used, as `interop.model.contract.items` names it."""
    found: set[str] = set()
    for request in _requests(cell):
        found.add(f"op {request.op}")
        given = {name for name, value in request.args.items() if value not in (None, False)}
        found |= {f"op {request.op} {name}" for name in given}
    for side, _, notes in _notes(cell):
        for note in notes:
            on = note["on"]
            found.add(f"on {on}")
            found |= {f"on {on} {key}" for key in note if key not in ("on", "t_ms")}
            if on == "event" and side == "server" and isinstance(note.get("name"), str):
                found.add(f"app {note['name']}")
                if isinstance(note.get("payload"), dict):
                    found |= {f"app {note['name']} {key}" for key in note["payload"]}
    return found


def uses(cell: CellResult, sends: Mapping[str, Sends], marks: Mapping[str, str]) -> set[Use]:
    """Return what a cell used.

    Args:
        sends: the capabilities that are ways to send an event.
        marks: the capabilities that an item of the contract shows, by that item.
    """
    state, found = _State(), set[Use]()
    getters = _getters(cell, marks)
    counted = "client" if cell.server == JUDGES["server"].id else "server"
    for place, record in _in_order(cell):
        if isinstance(record, FrameRecord):
            found |= _of_frame(record, state, sends)
            found |= _of_frame_got(record, getters)
        elif isinstance(record, RequestRecord):
            found |= _of_request(record, state, sends, marks)
        elif place is not None:
            found |= _of_note(place, record, state, marks, place[0] == counted)
    return found


_Place = tuple[Role, int]
"""A side, and the number of its session."""


def _in_order(cell: CellResult) -> list[tuple[_Place | None, Any]]:
    """Return frames, requests and notifications in the order of their times."""
    timed: list[tuple[float, _Place | None, Any]] = [(f.t_ms, None, f) for f in cell.frames]
    timed += [(r.t_ms, None, r) for r in _requests(cell)]
    timed += [(n["t_ms"], (side, number), n) for side, number, ns in _notes(cell) for n in ns]
    return [(place, record) for _, place, record in sorted(timed, key=lambda each: each[0])]


def _requests(cell: CellResult) -> Iterator[RequestRecord]:
    if cell.requests is not None:
        for session in (cell.requests.server, *cell.requests.clients):
            yield from session


def _notes(cell: CellResult) -> Iterator[tuple[Role, int, list[dict[str, Any]]]]:
    if cell.notifications is not None:
        yield "server", 0, cell.notifications.server
        for number, notes in enumerate(cell.notifications.clients):
            yield "client", number, notes


def _getters(cell: CellResult, marks: Mapping[str, str]) -> dict[tuple[Role, str], set[str]]:
    """Return the capabilities by which each side's application got the events of each name."""
    found: dict[tuple[Role, str], set[str]] = {}
    for side, _, notes in _notes(cell):
        for note in notes:
            item = f"on {side} event {note.get('via')}"
            if note["on"] == "event" and item in marks:
                found.setdefault((side, str(note["name"])), set()).add(marks[item])
    return found


# --- Frames ---------------------------------------------------------------------------------------


def _of_frame(frame: FrameRecord, state: _State, sends: Mapping[str, Sends]) -> set[Use]:
    if frame.kind == "close":
        state.closing = True
    if frame.kind != "text" or (name := _NAME.search(frame.text)) is None:
        return set()
    event, whole = _event(frame.text, name[1])
    author: Role | None = None if frame.author == "judge" else frame.author
    conditions = {*state.conditions(), *_of_event(event, whole), *_sizes(frame.length, event)}
    found = {
        (capability, condition)
        for capability in _senders(event, author, state, sends)
        for condition in conditions
    }
    if author == "server" and event["eventName"] in _HANDLER_ENDS.values():
        state.handling = max(0, state.handling - 1)
    _note_asked(event, frame.to, state)
    return found


def _of_frame_got(frame: FrameRecord, getters: Mapping[tuple[Role, str], set[str]]) -> set[Use]:
    """Return what is seen on the wire alone of an event that an application got."""
    if frame.kind != "text" or (name := _NAME.search(frame.text)) is None:
        return set()
    event, whole = _event(frame.text, name[1])
    conditions = {*_sizes(frame.length, event)}
    if whole and "headers" not in event:
        conditions.add("headers.absent")
    return {
        (g, each) for g in getters.get((frame.to, event["eventName"]), ()) for each in conditions
    }


def _event(text: str, name: str) -> tuple[dict[str, Any], bool]:
    """Return an event, and whether its text is whole; else its name and the kind of its payload."""
    try:
        event = json.loads(text)
    except ValueError:
        begins = _PAYLOAD.search(text)
        cut = {'"': "cut", "{": {"cut": _CUT}, "[": [_CUT]}.get(begins[1] if begins else "", 0)
        return {"eventName": name, "payload": cut}, False
    return event, True


def _senders(
    event: Mapping[str, Any], author: Role | None, state: _State, sends: Mapping[str, Sends]
) -> list[str]:
    """Return the capabilities by which an event was sent: by a header, or as asked, or its name."""
    headers, name = event.get("headers") or {}, event["eventName"]
    mine = {key: each for key, each in sends.items() if each.side == author}
    return (
        [k for k, s in mine.items() if s.header and s.header in headers][:1]
        or [k for k, s in mine.items() if any(name in state.asked.get(a, ()) for a in s.asked)]
        or [k for k, s in mine.items() if name in s.names]
    )


def _note_asked(event: Mapping[str, Any], to: Role, state: _State) -> None:
    """Remember the name of an event that the interop app was asked to send."""
    payload = event.get("payload")
    if to == "server" and isinstance(payload, dict) and isinstance(payload.get("event"), str):
        state.asked.setdefault(event["eventName"], set()).add(payload["event"])


def _sizes(length: int, event: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(text := event.get("payload"), str) and len(text) < 2:
        yield f"size.text-{len(text)}"
    if length in (125, 126, 65_535, 65_536):
        yield f"size.{length}"
    if length > 1_000_000:
        yield "size.mebibyte"


def _of_event(event: Mapping[str, Any], whole: bool) -> Iterator[str]:
    yield f"payload.{_kind(event.get('payload'))}"
    if whole:
        yield from _headers(event.get("headers"))
    yield from _texts(event.get("payload"))


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer" if -(2**63) <= value < 2**63 else "big-integer"
        case float():
            return "float"
        case str():
            return "text"
        case list():
            return "array"
    return "object"


def _headers(headers: object) -> Iterator[str]:
    if not isinstance(headers, dict) or not headers:
        yield "headers.empty"
        return
    values = list(headers.values())
    if any(isinstance(value, str) for value in values):
        yield "headers.texts"
    if any(isinstance(value, (int, float, type(None))) for value in values):
        yield "headers.values"
    if any(isinstance(value, (dict, list)) for value in values):
        yield "headers.nested"


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
    if not isinstance(value, str):
        return
    if not value:
        yield "text.empty"
    if set(value) & set('"\\\n\r\t\b\f/'):
        yield "text.escapes"
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in value):
        yield "text.controls"
    if any(0x7F < ord(c) <= 0xFFFF for c in value if not 0xD800 <= ord(c) < 0xE000):
        yield "text.bmp"
    if any(ord(c) > 0xFFFF for c in value):
        yield "text.astral"
    if any(0xD800 <= ord(c) < 0xE000 for c in value):
        yield "text.lone-surrogate"


# --- Requests and notifications -------------------------------------------------------------------


def _of_request(
    request: RequestRecord,
    state: _State,
    sends: Mapping[str, Sends],
    marks: Mapping[str, str],
) -> set[Use]:
    op, arguments = request.op, request.args
    found: set[Use] = set()
    if isinstance(name := arguments.get("event"), str):
        state.asked.setdefault(op, set()).add(name)
        # Also an event that the library refuses, which is never on the wire.
        event = {**arguments, "payload": _uncut(arguments.get("payload"))}
        conditions = {*state.conditions(), *_of_event(event, "headers" in event)}
        if op in ("send", "push") and "headers" not in arguments:
            conditions.add("headers.absent")
        found |= {(key, c) for key, each in sends.items() if op in each.asked for c in conditions}
    for option, condition in (
        ("deflate", "wire.deflate"),
        ("protocols", "wire.subprotocol"),
        ("tls", "wire.tls"),
    ):
        if op in ("serve", "open") and arguments.get(option):
            state.wire = (state.wire | {condition}) - {"wire.plain"}
    items = [f"op {op}", *(f"op {op} {key}" for key, given in arguments.items() if given)]
    found |= {(marks[item], each) for item in items if item in marks for each in state.conditions()}
    if op in ("close", "drop", "stop"):
        state.closing = True
    if op in ("reconnect", "try-reconnect"):
        state.again = True
    return found


def _of_note(
    place: _Place, note: Mapping[str, Any], state: _State, marks: Mapping[str, str], counted: bool
) -> set[Use]:
    side, on = place[0], note["on"]
    items = [f"on {on}", f"on {side} {on}"]
    conditions: set[str] = set()
    if on == "event":
        items = [f"on {side} event {note.get('via')}"]
        items += [f"app {note['name']}"] if side == "server" else []
        event = {**note, "payload": _uncut(note.get("payload"))}
        conditions = {*_of_event(event, True)}
        if side == "server" and note["name"] in _HANDLER_ENDS:
            state.handling += 1
    opens = on == "connected" if side == "server" else note.get("state") == "online"
    ends = on == "disconnected" or note.get("state") in ("offline", "error")
    key = (*place, note.get("conn"))
    if opens and counted:
        state.open.add(key)
        state.opened += 1
        state.ended = state.closing = False
    conditions |= {*state.conditions()}
    if ends and counted:
        state.open.discard(key)
        state.ended = True
    return {(marks[item], each) for item in items if item in marks for each in conditions}


def _uncut(value: object) -> object:
    """Return a value of the kind that a cut one had: its text begins as JSON does, and ends cut."""
    if isinstance(value, str) and value.endswith(_CUT) and value[:1] in "[{":
        return [] if value[0] == "[" else {"cut": _CUT}
    return value
