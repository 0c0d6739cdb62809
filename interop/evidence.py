"""What is kept of a cell: frames, notifications, and what breaks the wire's rules, as JSON data."""

from __future__ import annotations

import json
from typing import Any

from .control import Session
from .scenario import Scenario
from .tap import Tap

__all__ = ["KEPT", "frames", "notes", "violations", "words"]

KEPT = 60
"""Frames and notifications kept for one cell, of each kind: a burst of 1,000 is cut."""

_CLIP = 400


def frames(tap: Tap) -> dict[str, Any]:
    """Return the frames that the tap saw, and how many there were."""
    kept = [frame.to_json() for frame in tap.frames[:KEPT]]
    return {"frames": kept, "frames_total": len(tap.frames)}


def violations(facts: Scenario, tap: Tap) -> list[dict[str, Any]]:
    """Return what breaks the wire's rules, with its author."""
    found: list[dict[str, Any]] = [
        {"author": author, "violation": f"bytes that are no WebSocket frame: {fault}"}
        for author, fault in tap.faults
    ]
    found += [
        {"author": frame.author, "violation": violation, "frame": index}
        for index, frame in enumerate(tap.frames)
        if frame.author != "judge"
        for violation in frame.violations()
    ]
    return [{**each, "excused": each["author"] in facts.faults} for each in found]


def notes(session: Session, opened: float) -> list[dict[str, Any]]:
    """Return what a peer reported; `opened` is when the tap was made."""
    timed = zip(session.notifications[:KEPT], session.times, strict=False)
    return [
        {**clipped(note.to_json()), "t_ms": round((when - opened) * 1000, 1)}
        for note, when in timed
    ]


def clipped(members: dict[str, Any]) -> dict[str, Any]:
    """Return an object whose long values are cut, and end with ``…``."""
    return {
        key: value if len(json.dumps(value)) <= _CLIP else json.dumps(value)[:_CLIP] + "…"
        for key, value in members.items()
    }


def words(raised: str) -> str:
    """Return an exception's text without pytest's account of where a value came from.

    That account holds the addresses of objects: no two runs would fail with the same text.
    """
    return "\n".join(line for line in raised.split("\n") if not line.lstrip().startswith("+"))
