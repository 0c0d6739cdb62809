"""``docs/spec/conformance.md``: each rule's scenarios, and what each peer is known to do. Pure.

What is known is in ``deviations.toml`` and in ``lacks`` of each ``peer.toml``; of each
implementation it is the newest version that is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..catalog import Api
from ..control.operations import OPERATIONS
from ..records import ROLES, Role
from ..scenarios.scenario import Scenario, Scope
from ..verdicts.deviations import Deviation
from .check import cited
from .pages import files, names
from .rules import Rule, Rules

__all__ = ["page"]

_HEAD = """\
# Conformance

For each rule the scenarios that look at it, and what the newest version of each implementation is \
known to do:

- ✓: no deviation is known.
- A number: it deviates in one of these scenarios at least, and [the cause](#causes) has that \
number; where an implementation has several APIs, one of them does.
- \\-: it has no such thing, as [what is unsupported](../unsupported.md) says, so that the rule \
does not bind it.
- ·: no scenario looks at it on that side.
- Nothing: the rule does not bind that side.

The columns are:

{columns}

This page is made from `interop/scenarios/rules.toml`, `interop/deviations.toml` and the \
`peer.toml` of each peer, by `python -m interop spec --write`. What is so today, a run says: \
[the testbed](../interop.md).
"""

_OF_SERVER = {
    *("serve", "push", "drop", "stop", "ask", "rooms"),
    *(name for name, operation in OPERATIONS.items() if operation.of_app),
}
"""The first words of the features that a server's library may lack."""


@dataclass(frozen=True, slots=True)
class _Column:
    """The APIs of one implementation on one side, in their newest version."""

    name: str
    role: Role
    apis: tuple[Api, ...]


def page(
    rules: Rules,
    scenarios: Mapping[str, Scenario],
    apis: Sequence[Api],
    deviations: Sequence[Deviation],
) -> str:
    """Return the page, in Markdown.

    Args:
        apis: all of the catalogue.
    """
    newest = [api for api in apis if not api.older and not api.control]
    columns = _columns(newest)
    known = _Known(newest, deviations)
    tables = [
        _table(letter, rules, scenarios, columns, known)
        for letter, field in rules.letter.items()
        if field.wire
    ]
    named = [f"- {each.name}: {', '.join(f'`{api.id}`' for api in each.apis)}" for each in columns]
    return "\n".join([_HEAD.format(columns="\n".join(named)), *tables, known.page()])


def _table(
    letter: str,
    rules: Rules,
    scenarios: Mapping[str, Scenario],
    columns: Sequence[_Column],
    known: _Known,
) -> str:
    lines = [f"## {letter}: {rules.letter[letter].title}", ""]
    lines.append(_row("rule", "scenarios", *(column.name for column in columns)))
    lines.append(_row(*["---"] * (len(columns) + 2)))
    by = cited(scenarios)
    for number, rule in rules.of_letter(letter).items():
        if rule.retired:
            continue
        ids = by.get(number, [])
        sides = {scenarios[each].side for each in ids}
        marks = [_mark(rule, ids, sides, column, known) for column in columns]
        link = f"[{number}]({files(rules)[letter]}#{number.lower()})"
        should = "" if rule.level == "must" else " *should*"
        lines.append(_row(link + should, names(ids, scenarios) or "none", *marks))
    return "\n".join(lines) + "\n"


class _Known:
    """The known deviations of the newest versions, and the numbers of their causes."""

    def __init__(self, apis: Sequence[Api], deviations: Sequence[Deviation]) -> None:
        self._apis = apis
        self._deviations = [each for each in deviations if self._shows(each)]
        self._numbers: dict[str, int] = {}
        self._peers: dict[int, dict[str, None]] = {}

    def numbers(self, ids: Sequence[str], column: _Column) -> list[int]:
        """Return the numbers of the causes for which a column deviates in these scenarios."""
        found = set()
        for each in self._deviations:
            if each.role != column.role:
                continue
            concerned = [api for api in column.apis if api.matches(each.peer)]
            if concerned and any(each.names(id) for id in ids):
                number = self._numbers.setdefault(each.cause, len(self._numbers) + 1)
                self._peers.setdefault(number, {}).update(
                    dict.fromkeys(f"{api.role} `{api.id}`" for api in concerned)
                )
                found.add(number)
        return sorted(found)

    def page(self) -> str:
        """Return the list of the causes that the tables name."""
        lines = ["## Causes", ""]
        for cause, number in self._numbers.items():
            lines.append(f"{number}. {', '.join(self._peers[number])}: {cause}")
        return "\n".join(lines) + "\n"

    def _shows(self, entry: Deviation) -> bool:
        """Whether an entry holds with a newest version on the other side."""
        return entry.other == "*" or any(
            api.role != entry.role and api.matches(entry.other) for api in self._apis
        )


def _columns(apis: Sequence[Api]) -> list[_Column]:
    found: dict[tuple[str, Role], list[Api]] = {}
    for role in ROLES:
        for api in apis:
            if api.role == role:
                found.setdefault((api.peer, role), []).append(api)
    return [_Column(f"{peer} {role}", role, tuple(each)) for (peer, role), each in found.items()]


def _mark(rule: Rule, ids: Sequence[str], sides: set[Scope], column: _Column, known: _Known) -> str:
    if rule.of not in (None, column.role):
        return ""
    asked = [feature for feature in rule.where if _role(feature) == column.role]
    if asked and all(set(asked) <= set(api.lacks) for api in column.apis):
        return "-"
    if numbers := known.numbers(ids, column):
        return ", ".join(map(str, numbers))
    looked = rule.everywhere or sides & {"pair", "each", column.role}
    return "✓" if looked else "·"


def _role(feature: str) -> Role:
    """Return the side whose library has a feature of the contract."""
    return "server" if feature.split()[0] in _OF_SERVER else "client"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
