"""The pages of ``docs/spec/`` that are made from the rules: one for each letter. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..scenarios.scenario import Scenario
from .check import cited
from .rules import NUMBER, Letter, Rule, Rules, Versions

__all__ = ["files", "linked", "names", "page"]

_LISTED = 3
"""The most parameters of one scenario that are listed where not all of them are meant."""

_RFC = re.compile(r"\bRFC (\d+)(?:, section (\d+(?:\.\d+)*))?")

_NOTE = """\
The words MUST, SHOULD and MAY are those of RFC 2119; what *of*, *where* and *since* mean, and how \
rules change, is in [the introduction](README.md). This page is made from \
`interop/scenarios/rules.toml`, by `python -m interop spec --write`."""


def files(rules: Rules) -> dict[str, str]:
    """Return the name of each letter's page, by the letter."""
    return {letter: f"{field.page}.md" for letter, field in rules.letter.items()}


def page(letter: str, rules: Rules, versions: Versions, scenarios: Mapping[str, Scenario]) -> str:
    """Return the page of a letter, in Markdown."""
    field = rules.letter[letter]
    parts = [f"# {letter}: {field.title}", linked(field.intro.strip(), rules), _NOTE]
    for number, rule in rules.of_letter(letter).items():
        parts += [f"## {number}", *_rule(number, rule, rules, versions, scenarios)]
    return "\n\n".join(parts) + "\n"


def _rule(
    number: str,
    rule: Rule,
    rules: Rules,
    versions: Versions,
    scenarios: Mapping[str, Scenario],
) -> list[str]:
    parts = [f"*Retired: {linked(rule.retired, rules)}*"] if rule.retired else []
    parts.append(linked(rule.text, rules))
    if rule.example:
        parts.append(f"```json\n{rule.example}\n```" if rule.example[0] == "{" else _code(rule))
    field = rules.letter[number[0]]
    facts = [_facts(number, rule, field, versions)]
    sources = [source.replace("decision:", "this project's decision:") for source in rule.source]
    facts.append(f"Source: {linked('; '.join(sources), rules)}")
    if ids := cited(scenarios).get(number):
        facts.append(f"Looked at by {names(ids, scenarios)}")
    if rule.everywhere:
        facts.append(f"Held in every cell: {rule.everywhere}")
    if rule.unseen:
        facts.append(f"No scenario looks at it: {linked(rule.unseen, rules)}")
    return [*parts, "\n".join(f"- {fact}" for fact in facts)]


def _code(rule: Rule) -> str:
    return f"```text\n{rule.example}\n```"


def _facts(number: str, rule: Rule, field: Letter, versions: Versions) -> str:
    """Return the level, whom it binds, where, and since which wire version."""
    found = [f"**{rule.level}**"]
    if rule.of is not None:
        found.append(f"of a {rule.of}")
    if rule.where:
        found.append(f"where it has {_codes(rule.where)}")
    if field.wire:
        first = next((version for version, digests in versions.items() if number in digests), None)
        found.append("draft" if first is None else f"since version {first}")
    return ", ".join(found)


def linked(text: str, rules: Rules) -> str:
    """Return a text in which RFCs and the numbers of rules are links."""
    pages = files(rules)

    def rfc(match: re.Match[str]) -> str:
        section = f"#section-{match[2]}" if match[2] else ""
        return f"[{match[0]}](https://www.rfc-editor.org/rfc/rfc{match[1]}{section})"

    def rule(match: re.Match[str]) -> str:
        if match[0] not in rules.rule:
            return match[0]
        return f"[{match[0]}]({pages[match[1]]}#{match[0].lower()})"

    return NUMBER.sub(rule, _RFC.sub(rfc, text))


def names(ids: Sequence[str], scenarios: Mapping[str, Scenario]) -> str:
    """Return ids of scenarios in short, as code: those that differ in a parameter are one.

    All parameters of a scenario are ``form.server.*``, and many of them that with their number.
    """
    families: dict[str, list[str]] = {}
    for each, facts in scenarios.items():
        families.setdefault(facts.id, []).append(each)
    short: list[str] = []
    for stem in dict.fromkeys(scenarios[each].id for each in ids):
        here = [each for each in families[stem] if each in ids]
        if here == families[stem] and here != [stem]:
            short.append(f"`{stem}.*`")
        elif len(here) > _LISTED:
            short.append(f"`{stem}.*` ({len(here)} of {len(families[stem])})")
        else:
            short += [f"`{each}`" for each in here]
    return ", ".join(short)


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
