from __future__ import annotations

import re
from pathlib import Path

import pytest

from interop.cli import main
from interop.commands import spec
from interop.commands.options import Stop
from interop.run.runner import load_catalogue
from interop.spec.rules import load, load_versions
from interop.verdicts import deviations

from ..spec.small import TEXT, rules

ROOT = Path(__file__).parents[3]
TEST = re.compile(r"`(tests/[\w/.]+)(?:::(\w+))?`")


def test_the_pages_are_those_of_the_rules() -> None:
    for path, text in spec.pages(load(), load_versions(), load_catalogue()).items():
        assert path.read_text("utf-8") == text, f"stale: python -m interop spec --write ({path})"


def test_each_page_is_named_in_the_introduction() -> None:
    introduction = (spec.FOLDER / "README.md").read_text("utf-8")
    pages = {path.name for path in spec.FOLDER.glob("*.md")} - {"README.md"}
    assert pages == {path.name for path in spec.pages(load(), {}, {})}
    assert [name for name in pages if f"]({name})" not in introduction] == []


def test_the_tests_that_look_where_no_scenario_does_are_there() -> None:
    named = {match for rule in load().rule.values() for match in TEST.findall(rule.unseen)}
    assert len(named) > 5
    for path, name in named:
        assert (ROOT / path).exists(), path
        assert not name or f"def {name}(" in (ROOT / path).read_text("utf-8"), name


def test_this_library_keeps_what_its_page_says() -> None:
    page = (ROOT / "docs" / "wire.md").read_text("utf-8")
    assert "`ZapServer` and the clients keep all of wire version 1" in page
    frameworks = ("AsgiApp", "AioHttpConnector", "FastApiConnector", "SanicConnector")
    excused = {each.peer for each in deviations.load() if each.peer.startswith("python")}
    assert excused <= {f"python/{name}" for name in frameworks}


def test_a_stale_page_is_named_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    monkeypatch.setattr(spec, "pages", lambda *_: {page: "new"})
    assert main(["spec"]) == 1
    assert capsys.readouterr().out == f"{page} is stale: python -m interop spec --write\n"
    assert main(["spec", "--write"]) == 0
    assert page.read_text("utf-8") == "new"
    assert main(["spec"]) == 0


def test_rules_that_cannot_be_read_are_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreadable() -> object:
        return load(tmp_path / "none.toml")

    (tmp_path / "none.toml").write_text("rule =", "utf-8")
    monkeypatch.setattr(spec, "load", unreadable)
    assert main(["spec"]) == 2
    assert "none.toml" in capsys.readouterr().err


def test_a_version_is_made_of_the_rules_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = tmp_path / "wire-versions.toml"
    monkeypatch.setattr(spec, "VERSIONS", versions)
    monkeypatch.setattr(spec, "load_versions", lambda: load_versions(versions))
    monkeypatch.setattr(spec, "pages", lambda *_: {})
    assert main(["spec", "--freeze"]) == 0
    assert [*load_versions(versions)] == ["1"]
    assert {*load_versions(versions)["1"]} == {*load().of_the_wire()}
    assert not any(number[0] == "P" for number in load_versions(versions)["1"])
    capsys.readouterr()
    assert main(["spec", "--freeze"]) == 2
    assert "wire version 1 has just these rules" in capsys.readouterr().err


def test_a_second_version_leaves_the_first_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "wire-versions.toml"
    path.write_text(spec.frozen(rules(), {}), "utf-8")
    first = load_versions(path)
    with pytest.raises(Stop):
        spec.frozen(rules(), first)
    retired = rules(TEXT.replace('unseen = "no clock"', 'retired = "replaced by A-3"'))
    path.write_text(spec.frozen(retired, first), "utf-8")
    again = load_versions(path)
    assert again["1"] == first["1"]
    assert [*again["2"]] == ["A-1", "A-2", "A-3"]
