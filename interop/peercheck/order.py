"""In which order the checks of an API run: that in which its adapter is built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ..errors import TestbedError
from ..records import Role
from ..run.runner import Bound
from ..scenarios.scenario import Scenario
from .samples import arguments_of
from .sides import ARGUMENTS, CHECKS

__all__ = ["FIRST", "ORDER", "SCENARIOS", "Step", "steps"]

SCENARIOS = "contract.*"
"""The scenarios that are checks too."""

FIRST: Mapping[Role, Sequence[str]] = {
    "server": ("serve", "contract.app.echo"),
    "client": ("open", "contract.received", "contract.sent-kinds"),
}
"""Checks without which no other of that side can hold: the others wait for them."""

_SESSIONS = ("Framing", ("contract.sessions", "released.*", "contract.one-each"))
_REQUESTS = (
    "Requests and replies",
    ("contract.too-early", "contract.unknown-api", "wrong-arguments", "order", "contract.limits"),
)
_NOTIFICATIONS = (
    "Notifications",
    ("contract.notifications.*", "contract.unencodable"),
)

ORDER: Mapping[Role, Sequence[tuple[str, Sequence[str]]]] = {
    "server": (
        ("Server role", ("serve",)),
        ("The interop app", ("contract.app.echo",)),
        ("Notifications", ("contract.conn",)),
        (
            "Server role",
            (
                *("contract.sent-kinds", "contract.sent.*", "contract.no-such-conn"),
                *("contract.drop", "contract.close", "stop"),
            ),
        ),
        ("The interop app", ("contract.app.*", "app.*", "contract.app-refuses.*")),
        ("Both roles", ("contract.describe",)),
        _REQUESTS,
        _NOTIFICATIONS,
        _SESSIONS,
        ("Server role", ("ask", "serve *")),
    ),
    "client": (
        ("Client role", ("open",)),
        ("Notifications", ("contract.received",)),
        (
            "Client role",
            (
                *("contract.sent-kinds", "contract.sent.*", "open-refused"),
                *("close", "contract.close", "subscribe", "contract.all"),
                *("reconnect", "try-reconnect", "clean"),
                *("handler.*", "contract.fail"),
            ),
        ),
        ("Both roles", ("contract.describe",)),
        _REQUESTS,
        _NOTIFICATIONS,
        _SESSIONS,
        ("Client role", ("request", "open *")),
    ),
}
"""The names of the checks (globs), of this folder and of scenarios, by the section of
``docs/peer-contract.md`` that has the rule."""


@dataclass(frozen=True, slots=True)
class Step:
    """A check of an API.

    Attributes:
        facts: what `interop.run.cell.Cell` and `interop.run.record.record` need to know of it.
        name: the scenario's id with its parameters, or the check's name.
        parameters: the arguments of its function that no cell gives.
        wants_connect: whether it takes the argument `connect`.
    """

    facts: Scenario
    name: str
    section: str
    function: Any
    parameters: Mapping[str, Any] = field(default_factory=dict)
    wants_connect: bool = False


def steps(role: Role, scenarios: Mapping[str, Bound]) -> list[Step]:
    """Return the checks of an API of that role, in their order.

    Raises:
        TestbedError: one has no place in `ORDER`.
    """
    named = dict(_own(role))
    for name, bound in scenarios.items():
        if fnmatchcase(name, SCENARIOS) and bound.facts.side in (role, "each"):
            named[name] = Step(bound.facts, name, "", bound.function, bound.parameters)
    found: dict[str, Step] = {}
    for section, patterns in ORDER[role]:
        for name in _matching(patterns, named):
            if name not in found:
                step = named[name]
                found[name] = Step(
                    step.facts, name, section, step.function, step.parameters, step.wants_connect
                )
    if missing := sorted(named.keys() - found.keys()):
        raise TestbedError(f"peer-check has no place for {missing[0]}")
    return list(found.values())


def _matching(patterns: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    for pattern in patterns:
        yield from (name for name in names if fnmatchcase(name, pattern))


def _own(role: Role) -> Iterator[tuple[str, Step]]:
    """Return the checks of this folder, those of arguments once for each argument."""
    op = ARGUMENTS[role]
    for template, check in CHECKS[role].items():
        of_arguments = "{argument}" in template
        for argument in arguments_of(op) if of_arguments else [""]:
            name = template.format(argument=argument)
            rule = check.rule.format(argument=argument) if of_arguments else check.rule
            facts = Scenario(name, rule, escapes=check.escapes, side=role)
            parameters: dict[str, Any] = {"argument": argument} if of_arguments else {}
            released = name.startswith("released.")
            if released:
                parameters["how"] = name.partition(".")[2]
            yield name, Step(facts, name, "", check.run, parameters, released)
