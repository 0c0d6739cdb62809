"""Cells that may fail or pass, until a date. Pure, but for reading the file.

``run --known-flaky FILE`` reads entries of this form; `server`, `client` and `scenario` take the
patterns of ``--server``, ``--client`` and ``--scenario``, and the first two may be left out::

    [[flaky]]
    server = "dart@0.3.0"
    client = "python/ZapConsumer"
    scenario = ["reconnect.*", "many.ids"]
    cause = "the close code is lost when the socket is reset at the same time"
    until = 2026-12-31

A cell that fails so is *tolerated*, and listed; an error of the testbed is not. After its date an
entry tolerates nothing, and makes the run fail by itself.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..catalog import JUDGE_IDS, Api, did_you_mean
from .deviations import DeviationError

__all__ = ["KnownFlaky", "check", "find", "load", "parse"]

_KEYS = ("server", "client", "scenario", "cause", "until")


@dataclass(frozen=True, slots=True)
class KnownFlaky:
    """One entry.

    Attributes:
        until: the last day on which it holds, as ``2026-12-31``.
    """

    scenarios: tuple[str, ...]
    cause: str
    until: str
    server: str = "*"
    client: str = "*"

    def matches(self, server: Api, client: Api, scenario: str) -> bool:
        return (
            _names(self.server, server)
            and _names(self.client, client)
            and any(fnmatchcase(scenario, pattern) for pattern in self.scenarios)
        )

    def has_passed(self, today: date) -> bool:
        """Whether its date has passed."""
        return self.until < today.isoformat()

    def __str__(self) -> str:
        return f"known to be flaky until {self.until}: {self.cause}"


def load(path: Path) -> list[KnownFlaky]:
    """Read a file of known flaky cells.

    Raises:
        DeviationError: it cannot be read, is not TOML, or an entry is malformed; names the file,
            and the entry.
    """
    try:
        return parse(path.read_text("utf-8"))
    except OSError as exc:
        raise DeviationError(f"--known-flaky {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise DeviationError(f"--known-flaky {path}: not UTF-8: {exc}") from exc
    except DeviationError as exc:
        raise DeviationError(f"--known-flaky {path}: {exc}") from exc


def parse(text: str) -> list[KnownFlaky]:
    """Parse the text of such a file.

    Raises:
        DeviationError: it is not TOML, or an entry lacks a key, has an unknown one or a bad value.
    """
    try:
        data = tomllib.loads(text)
    except ValueError as exc:
        raise DeviationError(str(exc)) from exc
    if unknown := set(data) - {"flaky"}:
        raise DeviationError(f"unknown table {sorted(unknown)[0]!r}; entries are [[flaky]]")
    found = data.get("flaky", [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise DeviationError("'flaky' must be tables: each begins with [[flaky]]")
    return [_entry(f"entry {number}", entry) for number, entry in enumerate(found, 1)]


def check(
    path: Path, entries: Iterable[KnownFlaky], apis: Sequence[Api], scenarios: Mapping[str, str]
) -> None:
    """Check that every entry can match a cell of the whole catalogue.

    Args:
        apis: the judge's among them.
        scenarios: the side of each, as `Scenario.side`.

    Raises:
        DeviationError: one of its patterns names nothing, or no cell has all that they name.
    """
    for number, entry in enumerate(entries, 1):
        where = f"--known-flaky {path}: entry {number}"
        for role, pattern in (("server", entry.server), ("client", entry.client)):
            concerned = [api for api in apis if api.role == role]
            if not any(_names(pattern, api) for api in concerned):
                close = did_you_mean(pattern, (api.peer for api in concerned))
                raise DeviationError(f"{where}: {pattern!r} names no {role}{close}")
        for pattern in entry.scenarios:
            if not any(fnmatchcase(scenario, pattern) for scenario in scenarios):
                close = did_you_mean(pattern, scenarios)
                raise DeviationError(f"{where}: {pattern!r} names no scenario{close}")
            sides = {side for name, side in scenarios.items() if fnmatchcase(name, pattern)}
            if not any(
                _names(entry.server, server) and _names(entry.client, client)
                for server, client in _pairs(sides, apis)
            ):
                raise DeviationError(
                    f"{where}: {pattern!r} has no cell between {entry.server!r} and "
                    f"{entry.client!r}"
                )


def _pairs(sides: set[str], apis: Sequence[Api]) -> Iterator[tuple[Api, Api]]:
    """Yield the pairs that scenarios of these sides have cells of."""
    for server in (api for api in apis if api.role == "server"):
        for client in (api for api in apis if api.role == "client"):
            judged = "client" if server.id in JUDGE_IDS else "server"
            match (server.id in JUDGE_IDS) + (client.id in JUDGE_IDS):
                case 0 if "pair" in sides:
                    yield server, client
                case 1 if sides & {judged, "each"}:
                    yield server, client


def find(
    entries: Iterable[KnownFlaky], server: Api, client: Api, scenario: str
) -> KnownFlaky | None:
    """Return the first entry that names this cell."""
    return next((entry for entry in entries if entry.matches(server, client, scenario)), None)


def _names(pattern: str, api: Api) -> bool:
    return pattern == "*" or api.matches(pattern)


def _entry(where: str, entry: dict[str, Any]) -> KnownFlaky:
    if unknown := sorted(set(entry) - set(_KEYS)):
        close = did_you_mean(unknown[0], _KEYS)
        raise DeviationError(f"{where}: unknown key {unknown[0]!r}{close}")
    scenarios = entry.get("scenario")
    scenarios = [scenarios] if isinstance(scenarios, str) else scenarios
    if not (
        isinstance(scenarios, list) and scenarios and all(isinstance(s, str) for s in scenarios)
    ):
        raise DeviationError(f"{where}: 'scenario' must be an id or a list of ids")
    for key in ("server", "client", "cause"):
        value = entry.get(key, "" if key == "cause" else "*")
        if not isinstance(value, str) or not value.strip():
            raise DeviationError(f"{where}: {key!r} must be a non-empty string")
    return KnownFlaky(
        scenarios=tuple(scenarios),
        cause=" ".join(entry["cause"].split()),
        until=_day(where, entry.get("until")),
        server=entry.get("server", "*"),
        client=entry.get("client", "*"),
    )


def _day(where: str, until: object) -> str:
    if isinstance(until, str):
        try:
            until = date.fromisoformat(until)
        except ValueError as exc:
            raise DeviationError(f"{where}: 'until' {until!r}: {exc}") from exc
    if not isinstance(until, date) or isinstance(until, datetime):
        raise DeviationError(f"{where}: 'until' must be a date, as 2026-12-31")
    return until.isoformat()
