"""A recorded cell as a qlog file: draft-ietf-quic-qlog-main-schema, with events of WebSocket. Pure.

qlog has no events for WebSocket. Their names and data here are of this testbed, in the form of the
others: ``websocket:frame_sent`` and ``websocket:frame_received``; and of the application's side,
``peer:request`` and ``peer:notification``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..catalog import JUDGE_IDS
from ..records import ROLES, CellResult, FrameRecord, RequestRecord, Role
from .capture import is_whole, missing
from .timeline import public_members

__all__ = ["qlog"]


def qlog(cell: CellResult, *, started: str) -> dict[str, Any]:
    """Return a cell's frames, requests and notifications, a trace for each side that has a peer.

    Args:
        started: when the run began, in ISO 8601; times are in milliseconds since the cell's own
            beginning, which was not recorded.
    """
    about = [f"{cell.verdict}, of a run that began {started}", *missing(cell)]
    return {
        "file_schema": "urn:ietf:params:qlog:file:contained",
        "serialization_format": "application/qlog+json",
        "title": f"{cell.server} <-> {cell.client}, {cell.scenario}",
        "description": "; ".join(about),
        "traces": [_trace(cell, side) for side in ROLES if cell.api(side) not in JUDGE_IDS],
    }


def _trace(cell: CellResult, side: Role) -> dict[str, Any]:
    events = [*_frames(cell.frames, side), *_application(cell, side)]
    return {
        "title": cell.api(side),
        "vantage_point": {"name": cell.api(side), "type": side},
        "common_fields": {
            "time_format": "relative_to_epoch",
            "reference_time": {"clock_type": "monotonic", "epoch": "unknown"},
        },
        "event_schemas": ["urn:zaptools:qlog:events:websocket", "urn:zaptools:qlog:events:peer"],
        "events": sorted(events, key=lambda event: event["time"]),
    }


def _frames(frames: Sequence[FrameRecord], side: Role) -> Iterator[dict[str, Any]]:
    for each in frames:
        sent = each.to != side
        if each.author == "judge" and sent:
            continue  # the judge wrote it in this side's place
        data: dict[str, Any] = {
            "connection": each.connection,
            "opcode": each.kind,
            "payload_length": each.length,
            "payload": each.text,
        }
        if each.code is not None:
            data["close_code"] = each.code
        if not is_whole(each):
            data["payload_is_cut"] = True
        yield _event(each.t_ms, f"websocket:frame_{'sent' if sent else 'received'}", data)


def _application(cell: CellResult, side: Role) -> Iterator[dict[str, Any]]:
    """Yield what the application was asked to do, and told."""
    if cell.requests is not None:
        asked = [cell.requests.server] if side == "server" else cell.requests.clients
        for number, requests in enumerate(asked, 1):
            for request in requests:
                yield _event(request.t_ms, "peer:request", _request(request, number))
    if cell.notifications is not None:
        told = [cell.notifications.server] if side == "server" else cell.notifications.clients
        for number, notes in enumerate(told, 1):
            for note in notes:
                data = {key: value for key, value in note.items() if key != "t_ms"}
                data = {"session": number, **public_members(data)}
                yield _event(note.get("t_ms", 0.0), "peer:notification", data)


def _request(request: RequestRecord, number: int) -> dict[str, Any]:
    data: dict[str, Any] = {"session": number, "op": request.op}
    data["args"] = public_members(request.args)
    if request.done_ms is not None:
        data |= {"done": request.done_ms, "outcome": request.outcome}
    return data


def _event(time: float, name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {"time": time, "name": name, "data": data}
