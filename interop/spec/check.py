"""What is wrong with the rules, with the wire versions, and with what scenarios cite. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from ..control.operations import is_lack
from ..scenarios.scenario import Scenario
from .rules import NUMBER, Rule, Rules, Versions

__all__ = ["cited", "problems"]

_SOURCE = re.compile(
    r"""
      RFC\ \d+,\ section\ \d+(\.\d+)*(:\ .+)?
    | (zaptools(_server|_client|-go)?)\ \d+\.\d+\.\d+,\ [\w/.-]+(\.dart|\.py|\.go):\d.*
    | IANA:\ .+
    | decision:\ .+
    | contract:\ .+
    """,
    re.X,
)
"""A source: an RFC with its section, an implementation's version, file and line, a registry, this
project's decision with its reason, or a section of the peer contract."""

_WORDS = {"must": ("MUST", "SHOULD"), "should": ("SHOULD", "MUST")}
"""For each level, the word of RFC 2119 that a rule's text has, and the one that it has not."""


def problems(rules: Rules, versions: Versions, scenarios: Mapping[str, Scenario]) -> list[str]:
    """Return what is wrong, each with what to do.

    Args:
        scenarios: all of them, by id.
    """
    return [
        *_numbers(rules),
        *(problem for number, rule in rules.rule.items() for problem in _form(number, rule, rules)),
        *_frozen(rules, versions),
        *(problem for name, facts in scenarios.items() for problem in _cites(name, facts, rules)),
        *_apart(scenarios),
        *_unseen(rules, cited(scenarios)),
    ]


def cited(scenarios: Mapping[str, Scenario]) -> dict[str, list[str]]:
    """Return the ids of the scenarios that cite each rule, by its number."""
    found: dict[str, list[str]] = {}
    for name, facts in scenarios.items():
        for number in facts.rules:
            found.setdefault(number, []).append(name)
    return found


def _numbers(rules: Rules) -> Iterator[str]:
    for number in rules.rule:
        if NUMBER.fullmatch(number) is None or number[0] not in rules.letter:
            yield f"{number}: a rule's number is a letter of [letter], a hyphen and a number from 1"
    for letter, field in rules.letter.items():
        for match in NUMBER.finditer(field.intro):
            if match[0] not in rules.rule:
                yield f"the introduction of {letter} refers to {match[0]}, which is no rule"
        given = {int(number[2:]) for number in rules.of_letter(letter)}
        for n in sorted(set(range(1, field.last + 1)) - given):
            yield f"{letter}-{n} is gone: write it again, and retire it if it no longer holds"
        for n in sorted(given):
            if n > field.last:
                yield f"{letter}-{n} is above the last number of {letter}: raise `last` to {n}"


def _form(number: str, rule: Rule, rules: Rules) -> Iterator[str]:
    word, other = _WORDS[rule.level]
    if word not in rule.text or other in rule.text:
        yield f"{number} is a {rule.level}: its text has to say {word}, and not {other}"
    if not rule.source:
        yield f"{number} has no source"
    for source in rule.source:
        if _SOURCE.fullmatch(source) is None:
            yield f"{number}: {source!r} is no source; see the top of rules.toml"
    for feature in rule.where:
        if not is_lack(feature):
            yield f"{number}: {feature!r} in `where` is nothing that a peer can lack"
    for text in (rule.text, rule.unseen, rule.retired, *rule.source):
        for match in NUMBER.finditer(text):
            if match[0] not in rules.rule:
                yield f"{number} refers to {match[0]}, which is no rule"


def _frozen(rules: Rules, versions: Versions) -> Iterator[str]:
    for version, digests in versions.items():
        for number, digest in digests.items():
            rule = rules.rule.get(number)
            if rule is None:
                yield f"{number} is of wire version {version}, and is gone: it can only be retired"
            elif rule.digest != digest:
                yield (
                    f"{number} is of wire version {version}, with the digest {digest}, and has "
                    f"{rule.digest} now: put its words back, and write another rule with a new "
                    "number (where no meaning changes, see docs/spec/README.md)"
                )


def _cites(name: str, facts: Scenario, rules: Rules) -> Iterator[str]:
    if not facts.rules:
        yield f"{name} cites no rule: @scenario(…, rules=[…]), with a number of rules.toml"
    for number in facts.rules:
        rule = rules.rule.get(number)
        if rule is None:
            yield f"{name} cites {number}, which is no rule"
        elif rule.retired:
            yield f"{name} cites {number}, which is retired: {rule.retired}"
        elif rule.level != facts.severity:
            yield f"{name} is a {facts.severity}, and {number}, which it cites, a {rule.level}"
        elif rule.of is not None and facts.side not in ("pair", "each", rule.of):
            yield f"{name} looks at the {facts.side}, and {number} binds the {rule.of} alone"


def _apart(scenarios: Mapping[str, Scenario]) -> Iterator[str]:
    """Yield the globs of `Scenario.rules_of` that name no parameter."""
    known: dict[str, tuple[Scenario, set[str]]] = {}
    for name, facts in scenarios.items():
        parameters = known.setdefault(facts.id, (facts, set()))[1]
        rest = name.removeprefix(f"{facts.id}.")
        parameters |= {rest, *rest.split(".")}  # a parameter's id may have a dot
    for id, (facts, parameters) in known.items():
        for glob in facts.rules_of:
            if not any(fnmatchcase(parameter, glob) for parameter in parameters):
                yield f"{id}: {glob!r} of rules_of names no parameter"


def _unseen(rules: Rules, cited: Mapping[str, list[str]]) -> Iterator[str]:
    for number, rule in rules.rule.items():
        if rule.unseen and number in cited:
            yield f"{cited[number][0]} cites {number}: remove its `unseen`"
        if not (rule.unseen or rule.everywhere or rule.retired or number in cited):
            yield f"no scenario cites {number}: write one, or say why not by `unseen`"
