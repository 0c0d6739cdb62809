"""What the repository tells contributors holds: links, paths, commands, the changelog's form."""

from __future__ import annotations

import configparser
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/**/*.md")])

CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.M | re.S)
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "page", [pytest.param(p, id=p.relative_to(ROOT).as_posix()) for p in PAGES]
)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def test_contributing_names_paths_that_exist() -> None:
    inline = re.findall(
        r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", CONTRIBUTING, flags=re.M | re.S)
    )
    block = " ".join(re.findall(r"^```sh\n(.*?)^```$", CONTRIBUTING, re.M | re.S)).split()
    paths = {
        each
        for each in (*inline, *block)
        if re.fullmatch(r"[\w.-]*(/[\w.-]*)+|[\w.-]+\.(md|toml|yaml|yml|ini|cfg)", each)
        and not each.startswith((".venv/", ".cache/", "results/"))  # made by a run
    }
    assert {"interop/scenarios/", "interop/peers/", "interop/engines/", ".ci/run"} <= paths
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_contributing_names_targets_of_make_that_exist() -> None:
    code = "\n".join(CODE.findall(CONTRIBUTING))
    named = {word for line in re.findall(r"\bmake((?: [a-z]+)+)", code) for word in line.split()}
    assert {"lint", "types", "test", "interop"} <= named
    assert named <= set(re.findall(r"^([a-z]+):", MAKEFILE, re.M))


def test_style_checks_are_listed_once() -> None:
    """Make, tox and the commit hook run one file, with the tools of one dependency group."""
    command = "pre-commit run --all-files"
    assert re.findall(r"^lint: .*\n((?:\t.+\n)+)", MAKEFILE, re.M) == [f"\t$(BIN)/{command}\n"]
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", "utf-8")
    assert tox["testenv:lint"]["commands"] == command
    assert tox["testenv:lint"]["dependency_groups"] == "lint"

    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    (repository,) = config["repos"]
    assert repository["repo"] == "local"
    group = {re.split("[>=]", each)[0] for each in PROJECT["dependency-groups"]["lint"]}
    tools = {"pre-commit"}
    for hook in repository["hooks"]:
        wrapper, tool = hook["entry"].split()[:2]
        assert (wrapper, hook["language"]) == (".ci/tool", "system"), hook["id"]
        tools.add(tool)
    assert tools == group


SECTIONS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
HEADING = re.compile(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)(?: \[YANKED\])?")


def faults(changelog: str, version: str) -> list[str]:
    """Return what departs from Keep a Changelog 1.1.0 in the changelog of `version`."""
    found = []
    preamble, *releases = re.split(r"^## ", changelog, flags=re.M)
    if not preamble.startswith("# Changelog\n"):
        found.append("the first line is not '# Changelog'")
    titles = [each.partition("\n")[0] for each in releases]
    if titles[:1] != ["[Unreleased]"]:
        found.append("the first release is not [Unreleased]")
    matches = {title: HEADING.fullmatch(title) for title in titles[1:]}
    found += [f"not '[X.Y.Z] - YYYY-MM-DD': {each}" for each, match in matches.items() if not match]
    known = [match for match in matches.values() if match]
    numbers = [tuple(map(int, match.groups()[:3])) for match in known]
    days = [date.fromisoformat(match[4]) for match in known]
    if numbers != sorted(set(numbers), reverse=True) or days != sorted(days, reverse=True):
        found.append("the releases are not in order, the newest first")

    base = tuple(map(int, re.findall(r"\d+", version)[:3]))
    if "dev" in version and base in numbers:
        found.append(f"{version} is under way, and is listed as released")
    if "dev" not in version and base not in numbers[:1]:
        found.append(f"the newest release is not {version}, which pyproject.toml names")

    for title, release in zip(titles, releases, strict=True):
        name = title.partition("]")[0].lstrip("[")
        if not re.search(rf"^\[{re.escape(name)}\]: https://\S+$", changelog, re.M):
            found.append(f"[{name}] has no link")
        body = re.sub(r"^\[.+\]: \S+$", "", release.partition("\n")[2], flags=re.M)
        before, *sections = re.split(r"^### ", body, flags=re.M)
        if before.strip():
            found.append(f"{title}: text outside of a section")
        names = [each.partition("\n")[0] for each in sections]
        if names != [each for each in SECTIONS if each in names]:
            found.append(f"{title}: sections are {names}, and not in this order: {SECTIONS}")
        for kind, section in zip(names, sections, strict=True):
            entries = [line for line in section.splitlines()[1:] if line]
            if not entries:
                found.append(f"{title}, {kind}: empty")
            for entry in entries:
                if not re.fullmatch(r"- .*\.", entry):
                    found.append(f"{title}, {kind}: not '- A sentence.': {entry[:60]}")
    return found


def test_the_changelog_keeps_its_form() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert faults(changelog, PROJECT["project"]["version"]) == []


SOUND = """\
# Changelog

Words.

## [Unreleased]

### Added

- A thing.

## [0.6.0] - 2026-12-01

### Added

- Another.

### Fixed

- A fault.

[Unreleased]: https://example.org/compare/v0.6.0...HEAD
[0.6.0]: https://example.org/releases/v0.6.0
"""


def test_a_sound_changelog_has_no_faults() -> None:
    assert faults(SOUND, "0.6.0") == faults(SOUND, "0.7.0.dev0") == []


@pytest.mark.parametrize(
    ("old", "new", "version", "fault"),
    [
        ("# Changelog", "# Changes", "0.6.0", "first line"),
        ("## [Unreleased]", "## [Next]", "0.6.0", "first release"),
        ("2026-12-01", "1 December", "0.6.0", "YYYY-MM-DD"),
        ("[0.6.0]:", "[0.5.9]:", "0.6.0", "[0.6.0] has no link"),
        ("### Fixed", "### Mended", "0.6.0", "sections are"),
        ("### Fixed", "### Added", "0.6.0", "sections are"),
        ("- A fault.", "", "0.6.0", "empty"),
        ("- A fault.", "A fault.", "0.6.0", "not '- A sentence.'"),
        ("- A thing.", "- A thing", "0.6.0", "not '- A sentence.'"),
        ("### Added\n\n- A thing.", "A thing.", "0.6.0", "outside of a section"),
        ("\n[Unrel", "\n## [0.7.0] - 2026-12-02\n\n[Unrel", "0.7.0", "not in order"),
        ("", "", "0.6.0.dev1", "under way"),
        ("", "", "0.6.1", "newest release is not 0.6.1"),
    ],
)
def test_a_fault_of_a_changelog_is_found(old: str, new: str, version: str, fault: str) -> None:
    assert any(fault in each for each in faults(SOUND.replace(old, new, 1), version))
