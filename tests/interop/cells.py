"""Results for tests: a passed cell, changed as the test says; frames that name what matters."""

from __future__ import annotations

from typing import Any

import msgspec

from interop.records import CellResult, Culprit, FlakyRecord, FrameRecord, Verdict
from interop.reports.results import Results


def cell(verdict: Verdict = "passed", **more: Any) -> CellResult:
    """Return a cell; `more` are its fields, as records or as JSON data."""
    data = {
        "server": "python/ZapServer",
        "client": "dart@0.5.0/ZapConsumer",
        "scenario": "echo.null",
        "rule": "A payload comes back.",
        "severity": "must",
        "verdict": verdict,
        "reason": "" if verdict == "passed" else f"why it {verdict}",
        "duration_ms": 12.5,
        **more,
    }
    return msgspec.convert(msgspec.to_builtins(data), CellResult)


def blamed(cell: CellResult) -> Culprit:
    """Return the culprit of a cell that must have one."""
    assert cell.culprit is not None
    return cell.culprit


def frame(
    author: str, text: str = "", connection: int = 1, kind: str = "text", **more: Any
) -> FrameRecord:
    data = {
        "t_ms": 1.0,
        "connection": connection,
        "author": author,
        "to": "server" if author == "client" else "client",
        "kind": kind,
        "length": len(text.encode("utf-8", "surrogatepass")),
        "text": text,
        **more,
    }
    return msgspec.convert(data, FrameRecord)


def results(*cells: CellResult, **more: Any) -> Results:
    return Results(
        started="2026-01-02T03:04:05+00:00",
        engine="local",
        servers=["python/ZapServer", "dart@0.3.0/ZapServer"],
        clients=["python/ZapConsumer", "dart@0.5.0/ZapConsumer"],
        not_run={"pypi@0.5.2/ZapClient": "no network"},
        cells=list(cells),
        **more,
    )


def flaky(**more: Any) -> FlakyRecord:
    data = {
        "server": "*",
        "client": "dart",
        "scenarios": ["echo.*"],
        "cause": "a race",
        "until": "2026-12-31",
        "over": False,
        "cells": 3,
        "failed": [],
        **more,
    }
    return msgspec.convert(data, FlakyRecord)
