"""``--repeat``: the runs of one cell become one cell, with each run's evidence. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["merge"]

_WORST_FIRST = ("error", "failed", "warned", "deviating", "unsupported", "passed")

_OF_CELL = ("server", "client", "scenario", "rule", "severity")


def merge(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one cell for each (server, client, scenario), in the order of their first records.

    A cell that ran once is as it was. One that ran more often has the evidence of its worst
    run, all of them in ``runs``, and the part of them that passed in ``pass_rate``. Its verdict
    is theirs if they agree, ``error`` if one was an error, else ``flaky``.
    """
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        key = (record["server"], record["client"], record["scenario"])
        groups.setdefault(key, []).append(record)
    return [_cell(sorted(group, key=lambda r: r.get("run", 1))) for group in groups.values()]


def _cell(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    worst = min(runs, key=lambda run: _WORST_FIRST.index(run["verdict"]))
    cell = {key: value for key, value in worst.items() if key != "run"}
    if len(runs) == 1:
        return cell
    counts = Counter(run["verdict"] for run in runs)
    if len(counts) > 1:
        said = ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common())
        cell["reason"] = f"{said} of {len(runs)} runs; run {worst['run']}: {worst['reason']}"
        cell["verdict"] = "error" if counts["error"] else "flaky"
    cell["pass_rate"] = round(counts["passed"] / len(runs), 3)
    cell["runs"] = [{k: v for k, v in run.items() if k not in _OF_CELL} for run in runs]
    return cell
