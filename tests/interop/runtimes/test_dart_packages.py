"""Packages from a folder: constraints, resolution, and what is said when one is missing."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interop.errors import CannotRun
from interop.runtimes.dart_packages import (
    GENERATOR,
    Version,
    allows,
    tree_digest,
    write_package_config,
)

from ..conftest import write_pubspec


def roots(config: Path) -> dict[str, str]:
    data = json.loads(config.read_text(encoding="utf-8"))
    return {entry["name"]: entry["rootUri"] for entry in data["packages"]}


@pytest.mark.parametrize(
    ("constraint", "version", "fits"),
    [
        ("any", "0.0.1", True),
        ("1.2.3", "1.2.3", True),
        ("1.2.3", "1.2.4", False),
        ("^1.2.3", "1.9.0", True),
        ("^1.2.3", "1.2.2", False),
        ("^1.2.3", "2.0.0", False),
        ("^1.2.3", "2.0.0-dev.1", False),
        ("^0.3.1", "0.3.9", True),
        ("^0.3.1", "0.4.0", False),
        (">=0.5.0 <2.0.0", "1.0.0", True),
        (">=0.5.0 <2.0.0", "2.0.0", False),
        (">=0.5.0 <2.0.0", "2.0.0-beta", False),
        (">=0.5.0<2.0.0", "1.1.1", True),
        (">1.0.0 <=1.1.0", "1.1.0", True),
        (">1.0.0", "1.0.0", False),
        ("<2.0.0-beta", "2.0.0-alpha", True),
    ],
)
def test_constraint(constraint: str, version: str, fits: bool) -> None:
    assert allows(constraint, Version.parse(version)) is fits


def test_versions_have_pubs_order() -> None:
    order = ["1.0.0-a.2", "1.0.0-a.10", "1.0.0-b", "1.0.0", "1.0.0+1", "1.0.0+2", "1.0.1", "1.10.0"]
    assert [str(v) for v in sorted(Version.parse(text) for text in reversed(order))] == order


@pytest.mark.parametrize("text", ["1.0", "^", ">=1.0.0 || 2.0.0", "latest"])
def test_what_is_no_constraint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        allows(text, Version.parse("1.0.0"))


def test_config_names_the_newest_fitting_versions(packages: Path, peer: Path) -> None:
    config = write_package_config(packages, peer)
    assert roots(config) == {
        "pinned": "../",
        "fixnum": "packages/fixnum-1.1.1/",
        "uuid": "packages/uuid-4.6.0/",
        "zap": "packages/zap-0.5.0/",
    }
    data = json.loads(config.read_text(encoding="utf-8"))
    assert (data["configVersion"], data["generator"]) == (2, GENERATOR)
    assert {entry["languageVersion"] for entry in data["packages"]} == {"3.5"}
    copied = peer / ".dart_tool" / "packages" / "zap-0.5.0"
    assert (copied / "lib" / "zap.dart").read_text(encoding="utf-8") == "// zap 0.5.0\n"
    assert (copied / "pubspec.yaml").is_file()


def test_constraints_of_all_askers_hold(packages: Path, tmp_path: Path) -> None:
    peer = write_pubspec(tmp_path / "old", "old", zap="0.3.0", uuid="<4.5.0")
    assert roots(write_package_config(packages, peer)) == {
        "old": "../",
        "any_one": "packages/any_one-0.1.0+2/",
        "uuid": "packages/uuid-4.4.0/",
        "zap": "packages/zap-0.3.0/",
    }


def test_writing_again_changes_nothing(packages: Path, peer: Path) -> None:
    config = write_package_config(packages, peer)
    text = config.read_text(encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in config.parent.rglob("*.dart")}
    assert write_package_config(packages, peer) == config
    assert config.read_text(encoding="utf-8") == text
    assert {path: path.stat().st_mtime_ns for path in config.parent.rglob("*.dart")} == before
    assert not list(config.parent.rglob(".new-*"))


def test_a_changed_package_is_copied_anew(packages: Path, peer: Path) -> None:
    write_package_config(packages, peer)
    (packages / "zap-0.5.0" / "lib" / "zap.dart").write_text("// new\n", encoding="utf-8")
    write_package_config(packages, peer)
    copied = peer / ".dart_tool" / "packages" / "zap-0.5.0" / "lib" / "zap.dart"
    assert copied.read_text(encoding="utf-8") == "// new\n"


def test_parallel_writers_leave_whole_packages(packages: Path, peer: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: write_package_config(packages, peer), range(16)))
    copies = peer / ".dart_tool" / "packages"
    assert sorted(path.name for path in copies.iterdir()) == [
        "fixnum-1.1.1",
        "uuid-4.6.0",
        "zap-0.5.0",
    ]
    assert tree_digest(copies / "uuid-4.6.0") == tree_digest(packages / "uuid-4.6.0")


def test_sdk_dependencies_and_examples_need_no_package(packages: Path, tmp_path: Path) -> None:
    peer = write_pubspec(tmp_path / "plain", "plain")
    (peer / "pubspec.yaml").write_text(
        "name: plain\nenvironment: {sdk: '>=3.4.0 <4.0.0'}\n"
        "dependencies:\n  flutter: {sdk: flutter}\n  fixnum: {version: ^1.0.0}\n  uuid:\n",
        encoding="utf-8",
    )
    write_pubspec(packages / "zap-0.5.0" / "example", "broken", "no version")
    data = json.loads(write_package_config(packages, peer).read_text(encoding="utf-8"))
    names = {entry["name"]: entry["languageVersion"] for entry in data["packages"]}
    assert names == {"plain": "3.4", "fixnum": "3.5", "uuid": "3.5"}


def test_a_missing_package_is_named_with_who_wants_it(packages: Path, peer: Path) -> None:
    shutil.rmtree(packages / "uuid-4.6.0")
    with pytest.raises(CannotRun) as caught:
        write_package_config(packages, peer)
    message = str(caught.value)
    assert "'uuid'" in message
    assert "^4.5.1 (for zap-0.5.0)" in message
    assert "found 4.4.0, 5.0.0" in message
    assert not (peer / ".dart_tool").exists()


def test_no_version_at_all_is_said(packages: Path, peer: Path) -> None:
    shutil.rmtree(packages / "more")
    with pytest.raises(CannotRun, match=r"'fixnum': wanted .*; found none"):
        write_package_config(packages, peer)


def test_the_same_version_twice_names_both_folders(packages: Path, peer: Path) -> None:
    write_pubspec(packages / "more" / "again", "uuid", "4.6.0")
    with pytest.raises(CannotRun, match=r"uuid 4\.6\.0 is there twice: .* and .*"):
        write_package_config(packages, peer)


@pytest.mark.parametrize(
    "text",
    [
        "- a list\n",
        "name: [\n",
        "version: 1.0.0\n",
        "name: x\nversion: one\n",
        "name: x\nversion: 1.0.0\ndependencies: {y: latest}\n",
        "name: x\nversion: 1.0.0\ndependencies: [y]\n",
    ],
)
def test_a_broken_pubspec_is_named(packages: Path, peer: Path, text: str) -> None:
    (packages / "broken").mkdir()
    (packages / "broken" / "pubspec.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(CannotRun, match=r"broken.pubspec\.yaml: "):
        write_package_config(packages, peer)


def test_a_package_without_lib_and_a_missing_folder_are_named(packages: Path, peer: Path) -> None:
    shutil.rmtree(packages / "zap-0.5.0" / "lib")
    with pytest.raises(CannotRun, match=r"zap-0\.5\.0: .*no lib"):
        write_package_config(packages, peer)
    with pytest.raises(CannotRun, match="nowhere: no such folder"):
        write_package_config(packages / "nowhere", peer)


def test_the_peers_overrides_stand_for_everybodys_constraints(packages: Path, peer: Path) -> None:
    write_pubspec(packages / "old", "old", "0.2.0", fixnum="^0.9.0")
    (peer / "pubspec.yaml").write_text(
        "name: pinned\ndependencies:\n  old: 0.2.0\ndependency_overrides:\n  fixnum: ^1.0.0\n",
        encoding="utf-8",
    )
    config = json.loads(write_package_config(packages, peer).read_text(encoding="utf-8"))
    assert {entry["name"] for entry in config["packages"]} == {"pinned", "old", "fixnum"}
