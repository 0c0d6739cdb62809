"""What is made of the repository: distributions, and environments."""

from __future__ import annotations

import email
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def run(*command: str, cwd: Path, **environment: str) -> str:
    # Of a make that these tests run in, its options and variables are not for what they run.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**inherited, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder), cwd=ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (unpacked,) = folder.glob("zaptools-*/")
    return unpacked


def test_the_tests_of_a_source_distribution_have_what_they_need(sdist: Path) -> None:
    for folder in ("zaptools", "interop", "bench", "tests"):
        here = {each.relative_to(ROOT) for each in (ROOT / folder).rglob("*.py")}
        there = {each.relative_to(sdist) for each in sdist.joinpath(folder).rglob("*.py")}
        hidden = {each for each in here if not {".cache", "node_modules"}.isdisjoint(each.parts)}
        assert here - hidden == there
    assert not (sdist / ".venv").exists()
    # tox leaves out the tests in a browser, and does not install what they need.
    others = () if importlib.util.find_spec("playwright") else ("--ignore=tests/interop/browser",)
    out = run(
        *(sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"),
        *others,
        cwd=sdist,
        PYTHONPATH=str(sdist),
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert re.search(r"^\d{4,} tests collected", out, re.M), out[-2000:]


def test_what_an_index_shows(sdist: Path) -> None:
    """Its page stands alone, so links into the repository are whole."""
    shown = email.message_from_string((sdist / "PKG-INFO").read_text("utf-8"))
    urls = dict(each.split(", ", 1) for each in shown.get_all("Project-URL", []))
    assert {"Homepage", "Documentation", "Changelog", "Issues"} <= urls.keys()
    page = shown.get_payload()
    assert isinstance(page, str)
    links = re.findall(r"\]\(([^)]*)\)", page)
    assert f"{urls['Homepage']}/blob/main/docs/handlers.md" in links
    for link in links:
        assert link.startswith(("https://", "#")), link


def test_a_target_installs_the_group_that_it_needs() -> None:
    found = re.findall(r"^(\w+): \$\(WITH\)-(\w+)", MAKEFILE, re.M)
    assert ("interop", "matrix") in found and ("test", "test") in found
    assert {group for _, group in found} <= PROJECT["dependency-groups"].keys()


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_the_matrix_installs_only_what_it_needs(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    lines = run("make", "-n", "interop", cwd=tmp_path).splitlines()
    installs = [line for line in lines if "pip install" in line and "--group" in line]
    assert [line.partition("--group ")[2] for line in installs] == ["matrix"]
    said = next(n for n, line in enumerate(lines) if line.startswith("echo"))
    assert "MB" in lines[said] and said < lines.index(installs[0])
    (tmp_path / ".venv").mkdir()
    for made in (".new", ".with-matrix"):
        (tmp_path / ".venv" / made).touch()
    assert len(run("make", "-n", "interop", cwd=tmp_path).splitlines()) == 1


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_a_changed_project_is_installed_into_the_environment_that_is_there(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv").mkdir()
    for made in (".new", ".with-matrix"):
        (tmp_path / ".venv" / made).touch()
        os.utime(tmp_path / ".venv" / made, (0, 0))
    (tmp_path / "pyproject.toml").touch()
    lines = run("make", "-n", "interop", cwd=tmp_path)
    assert "--group matrix" in lines and "-m venv" not in lines


def test_the_testbed_is_given_nothing_that_it_does_not_import() -> None:
    text = "".join(path.read_text("utf-8") for path in (ROOT / "interop").rglob("*.py"))
    modules = {"pyyaml": "yaml", "pytest-xdist": "xdist"}
    for requirement in PROJECT["dependency-groups"]["interop"]:
        name = re.split("[>=]", requirement)[0]
        module = modules.get(name, name)
        assert re.search(rf'(import|from) {module}|"{module}\.plugin"', text), name


def test_the_lines_without_make() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    lines = readme.split("Without make")[1].split("```")[1]
    assert set(re.findall(r"--group (\w+)", lines)) <= PROJECT["dependency-groups"].keys()
    for target in ("-m interop run", "-m pytest -n auto"):
        assert target in lines and target in MAKEFILE
