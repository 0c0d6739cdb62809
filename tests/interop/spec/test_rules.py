from __future__ import annotations

from pathlib import Path

import pytest

from interop.spec.rules import RuleError, load, load_versions, quoted

from .small import TEXT, rules


def test_a_digest_is_of_what_a_rule_requires() -> None:
    before = rules().rule["A-2"]

    def digest(old: str, new: str) -> str:
        assert old in TEXT
        return rules(TEXT.replace(old, new)).rule["A-2"].digest

    assert digest('"A side SHOULD ask."', '"""A side\n  SHOULD ask."""') == before.digest
    assert digest("it is polite", "it is kind") == before.digest
    assert digest("SHOULD ask", "SHOULD always ask") != before.digest
    assert digest('"rooms", "request"', '"rooms"') != before.digest
    assert digest('level = "should"', 'level = "must"') != before.digest
    assert digest('where = ["rooms", ', 'of = "server"\nwhere = ["rooms", ') != before.digest


def test_what_is_in_force_on_the_wire() -> None:
    assert [*rules().of_the_wire()] == ["A-1", "A-2", "A-3", "A-4"]
    retired = TEXT.replace('unseen = "no clock"', 'retired = "replaced by A-3"')
    assert [*rules(retired).of_the_wire()] == ["A-1", "A-2", "A-3"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[rule.A-1]\n[rule.A-1]\n", "A-1"),
        (TEXT.replace('level = "should"', 'level = "may"'), "may"),
        (TEXT + 'sauce = "x"\n', "sauce"),
        ("rule = 1", "rule"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(RuleError, match=says):
        load(path)


def test_there_may_be_no_version_yet(tmp_path: Path) -> None:
    assert load_versions(tmp_path / "none.toml") == {}


def test_rules_are_quoted_by_number() -> None:
    first, unknown = quoted(["W-2", "W-9999"])
    assert first == f"W-2: {load().rule['W-2'].text}"
    assert unknown == "W-9999"
