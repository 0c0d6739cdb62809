from __future__ import annotations

from interop.spec.pages import linked, names, page

from .small import SCENARIOS, TEXT, rules

FROZEN = {"1": {"A-1": "x"}, "2": {"A-1": "x", "A-2": "y"}}


def test_a_page_has_each_rule_with_its_facts() -> None:
    text = page("A", rules(), FROZEN, SCENARIOS)
    assert text.startswith("# A: Alpha\n\nWhat [A-1](alpha.md#a-1) is for.\n\n")
    assert (
        "## A-1\n\n"
        "A server MUST answer, as [A-2](alpha.md#a-2) says.\n\n"
        '```json\n{"eventName":"a"}\n```\n\n'
        "- **must**, of a server, since version 1\n"
        "- Source: [RFC 6455, section 5.5](https://www.rfc-editor.org/rfc/rfc6455#section-5.5); "
        "zaptools 0.5.2, core/events.py:7\n"
        "- Looked at by `a.one`\n\n"
    ) in text
    assert (
        "- **should**, where it has `rooms`, `request`, since version 2\n"
        "- Source: this project's decision: it is polite\n"
        "- Looked at by `b.*`\n"
    ) in text
    assert "- **must**, draft\n" in text
    assert "- Held in every cell: `check_text` reads it\n" in text
    assert text.endswith("- No scenario looks at it: no clock\n")


def test_a_rule_that_is_not_of_the_wire_has_no_version() -> None:
    assert "- **must**\n" in page("P", rules(), FROZEN, SCENARIOS)


def test_a_retired_rule_says_so() -> None:
    text = TEXT.replace('unseen = "no clock"', 'retired = "replaced by A-3"')
    found = page("A", rules(text), FROZEN, SCENARIOS)
    assert "## A-4\n\n*Retired: replaced by [A-3](alpha.md#a-3)*\n\nA side MUST" in found


def test_an_example_that_is_no_message_is_text() -> None:
    found = page("A", rules(TEXT.replace('\'{"eventName":"a"}\'', "'GET /'")), {}, SCENARIOS)
    assert "```text\nGET /\n```" in found


def test_what_is_a_link_in_a_text() -> None:
    here = "UTF-8 and SHA-1 of RFC 2119 are no rules, nor is B-1; A-2 is"
    assert linked(here, rules()) == (
        "UTF-8 and SHA-1 of [RFC 2119](https://www.rfc-editor.org/rfc/rfc2119) are no rules, "
        "nor is B-1; [A-2](alpha.md#a-2) is"
    )


def test_scenarios_in_short() -> None:
    many = {f"c.{n}": SCENARIOS["b.x"].__class__("c", "C.") for n in range(6)}
    every = {**SCENARIOS, **many}
    assert names(["b.x"], every) == "`b.x`"
    assert names(["a.one", "b.x", "b.y"], every) == "`a.one`, `b.*`"
    assert names(["c.0", "c.1", "c.2"], every) == "`c.0`, `c.1`, `c.2`"
    assert names(["c.0", "c.1", "c.2", "c.3"], every) == "`c.*` (4 of 6)"
    assert names([], every) == ""
