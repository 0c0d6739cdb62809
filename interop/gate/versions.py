"""Which versions of which clients are asked about, and how they are named in a sentence. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..catalog import Api, select
from ..reports.answer import joined

__all__ = ["chosen", "family", "named"]

_GENERATION = re.compile(r"-\d[\d.]*$")


def family(peer: str) -> str:
    """Return what a peer and its older generations have in common: ``dart-0.3`` → ``dart``."""
    return _GENERATION.sub("", peer)


def chosen(apis: Iterable[Api], patterns: Sequence[str]) -> list[Api]:
    """Return the clients that the patterns name, all versions; without any, all published ones.

    A pattern may name a peer's older generations by its own name: ``dart@*`` is of ``dart-0.3``
    too.

    Raises:
        CatalogError: a pattern names none.
    """
    clients = [api for api in apis if api.role == "client"]
    if not patterns:
        return _ordered(api for api in clients if api.version and not api.control)
    found: dict[str, Api] = {}
    for pattern in patterns:
        fits = [api for api in clients if _fits(api, pattern)]
        if not fits:
            select(clients, "client", [pattern], what="--clients")
        found |= {api.id: api for api in fits}
    return _ordered(found.values())


def _fits(api: Api, pattern: str) -> bool:
    return api.matches(pattern) or replace(api, peer=family(api.peer)).matches(pattern)


def _ordered(apis: Iterable[Api]) -> list[Api]:
    return sorted(apis, key=lambda api: (family(api.peer), api.name, _numbers(api.version)))


def _numbers(version: str | None) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version or "")]


def named(apis: Sequence[Api], among: Sequence[Api]) -> str:
    """Return the names of some clients: ``dart ZapConsumer 0.2.0 to 0.3.0 and node Client``.

    Args:
        among: all that were asked about, of which versions in a row become a range.
    """
    rows: dict[str, list[Api]] = {}
    for api in _ordered(among):
        rows.setdefault(_row(api), []).append(api)
    alike: dict[str, list[str]] = {}  # the rows of the same versions
    for row, there in rows.items():
        if words := _ranges([api in apis for api in there], there):
            alike.setdefault(words, []).append(row)
    names = [f"{joined(_short(rows))}{words}".rstrip() for words, rows in alike.items()]
    return joined(names)


def _row(api: Api) -> str:
    return f"{family(api.peer)} {api.name}"


def _short(rows: Sequence[str]) -> list[str]:
    """Return the rows' names, each peer named once."""
    peers: dict[str, list[str]] = {}
    for row in rows:
        peer, _, name = row.partition(" ")
        peers.setdefault(peer, []).append(name)
    return [f"{peer} {joined(names)}" for peer, names in peers.items()]


def _ranges(taken: Sequence[bool], there: Sequence[Api]) -> str:
    """Return the versions that were taken, with a space before; an empty text stands for none."""
    runs: list[list[str]] = []
    last = False
    for is_taken, api in zip(taken, there, strict=True):
        if is_taken:
            if not last:
                runs.append([])
            runs[-1].append(api.version or "")
        last = is_taken
    if not runs:
        return ""
    words = [run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return f" {joined(words)}"
