"""Badges that shields.io draws: one for the whole matrix, one for each pair. Pure.

Their form: https://shields.io/badges/endpoint-badge.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .causes import counted
from .pairs import PAIR_VERDICTS, Pair, PairVerdict

__all__ = ["badges"]

_COLORS: Mapping[PairVerdict, str] = {
    "works": "brightgreen",
    "deviates": "yellowgreen",
    "broken": "red",
    "not run": "lightgrey",
}


def badges(pairs: Sequence[Pair]) -> dict[str, dict[str, Any]]:
    """Return the badges by folder and file: ``badge.json``, and each pair's in ``badges``."""
    counts = Counter(pair.verdict for pair in pairs)
    ran = counts.total() - counts["not run"]
    works = counts["works"] + counts["deviates"]
    worst = next((verdict for verdict in PAIR_VERDICTS if counts[verdict]), PAIR_VERDICTS[-1])
    of_pairs = {
        f"{_name(pair.server)}--{_name(pair.client)}.json": _badge(
            f"{pair.server} ↔ {pair.client}", _words(pair), pair.verdict
        )
        for pair in pairs
    }
    message = f"{works} of {ran} pairs work"
    return {".": {"badge.json": _badge("interop", message, worst)}, "badges": of_pairs}


def _words(pair: Pair) -> str:
    if pair.verdict == "deviates":
        return f"works, {counted(len(pair.deviations), 'deviation')}"
    return pair.verdict


def _badge(label: str, message: str, verdict: PairVerdict) -> dict[str, Any]:
    return {"schemaVersion": 1, "label": label, "message": message, "color": _COLORS[verdict]}


def _name(api: str) -> str:
    return re.sub(r"[^\w.@-]", "-", api)
