"""The testbed as users install it: what its distributions hold, and that it runs from anywhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from interop import cli
from interop.catalog import load_peers
from interop.commands import run as run_command
from interop.runtimes.copies import copied

from .servers import app, background

ROOT = Path(__file__).parents[2]
OWN = tomllib.loads((ROOT / "interop" / "pyproject.toml").read_text("utf-8"))["project"]
WHOLE = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
NAME = "zaptools_interop"

OF_A_CHECKOUT = {
    "LICENSE", "README.md", "action.py", "action.yml", "entrypoint.sh", "pyproject.toml"
}  # fmt: skip
"""The files of the folder that a wheel has not, or has in its metadata."""

Result = subprocess.CompletedProcess[str]


def run(*command: object, cwd: Path, env: dict[str, str] | None = None) -> Result:
    return subprocess.run(
        [str(each) for each in command], cwd=cwd, env=env, text=True, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def built(project: Path, kind: str, target: Path) -> Path:
    """Return the distribution that hatchling makes of a project."""
    command = (sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", target)
    done = run(*command, cwd=project)
    assert done.returncode == 0, done.stdout
    (made,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built(ROOT / "interop", "sdist", folder)) as tar:
        tar.extractall(folder, filter="data")
    (unpacked,) = folder.glob(f"{NAME}-*/")
    return unpacked


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made of the source distribution."""
    return built(sdist, "wheel", tmp_path_factory.mktemp("wheel"))


@dataclass
class Tool:
    """An environment that has the testbed, and a folder that has nothing."""

    bin: Path
    package: Path
    home: Path
    here: Path
    _before: dict[str, tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self._before = self._files()

    def __call__(self, *words: object, **more: str) -> Result:
        """Run the command there."""
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "XDG", "GITHUB"))
        }
        env = {
            **kept,
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.cache.parent),
            "COLUMNS": "200",
            **more,
        }
        return run(self.bin / "zaptools-interop", *words, cwd=self.here, env=env)

    @property
    def cache(self) -> Path:
        return self.home / "caches" / "zaptools-interop"

    def written(self) -> list[str]:
        """Return the files of the installed package that are not as they were."""
        now = self._files()
        names = now.keys() | self._before.keys()
        return sorted(name for name in names if now.get(name) != self._before.get(name))

    def _files(self) -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in self.package.rglob("*")
            if path.is_file()
        }


@pytest.fixture(scope="module")
def tool(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tool]:
    """Both wheels, installed beside the packages that this Python has; read-only."""
    top = tmp_path_factory.mktemp("installed")
    (home := top / "home").mkdir()
    (here := top / "empty").mkdir()
    library = built(ROOT, "wheel", top)
    for command in (
        (sys.executable, "-m", "venv", "--without-pip", top / "venv"),
        (sys.executable, "-m", "pip", "--python", top / "venv", "install", "--quiet", "--no-deps",
         "--no-index", "--disable-pip-version-check", library, wheel),
    ):  # fmt: skip
        done = run(*command, cwd=top)
        assert done.returncode == 0, done.stdout
    (site,) = (top / "venv").glob("lib/python*/site-packages")
    # A folder that another file of this kind names is not searched for more of them, so an editable
    # installation of this repository stays unseen.
    (site / "dependencies.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n", "utf-8")
    package = site / "interop"
    made = Tool(top / "venv" / "bin", package, home, here)
    folders = [package, *(path for path in package.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield made
    for folder in folders:
        folder.chmod(0o755)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout says which files there are")
def test_distributions_hold_what_the_repository_has(sdist: Path, wheel: Path) -> None:
    listed = run(
        "git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT / "interop"
    )
    there = {name for name in listed.stdout.splitlines() if (ROOT / "interop" / name).is_file()}
    assert {"cli.py", "pytest.ini", "deviations.toml", "peers/go/go.sum"} <= there
    files = (path for path in sdist.rglob("*") if path.is_file())
    made = {".gitignore", "PKG-INFO"}
    assert {path.relative_to(sdist).as_posix() for path in files} - made == there
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == {f"interop/{name}" for name in there - OF_A_CHECKOUT}


def test_the_project_is_that_of_the_repository() -> None:
    version = WHOLE["project"]["version"]
    groups = WHOLE["dependency-groups"]
    assert OWN["version"] == version
    assert OWN["requires-python"] == WHOLE["project"]["requires-python"]
    assert OWN["dependencies"] == groups["interop"]
    assert OWN["optional-dependencies"]["python"] == [*groups["peer"], f"zaptools=={version}"]
    licence = (ROOT / "LICENSE").read_bytes()
    assert (ROOT / "interop" / "LICENSE").read_bytes() == licence


def test_the_page_on_an_index_stands_alone() -> None:
    page = (ROOT / "interop" / "README.md").read_text("utf-8")
    links = re.findall(r"\]\(([^)]*)\)", page)
    assert links
    for link in links:
        assert link.startswith("https://"), link
        _, blob, path = link.partition("/zaptools-python/blob/main/")
        assert not blob or (ROOT / path.partition("#")[0]).is_file(), link


def test_its_commands_name_themselves(tool: Tool) -> None:
    done = tool("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: zaptools-interop ")
    assert "python -m interop" not in done.stdout and "mutate" not in done.stdout
    done = tool("--version")
    assert done.stdout == f"zaptools-interop {OWN['version']}\n"


@pytest.mark.parametrize("words", ["mutate", "model --write", "spec", "record-vectors x"])
def test_what_needs_the_repository_says_so(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "CHECKOUT", None)
    assert cli.main(words.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{words.split()[0]} works in a checkout of the repository alone" in line


def test_images_need_the_repository(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_command, "CHECKOUT", None)
    assert cli.main(["run", "--engine", "docker"]) == 2
    said = capsys.readouterr().err
    assert "--engine docker works in a checkout of the repository alone" in said


def results(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_text("utf-8"))


def ran(tool: Tool, *words: object, workers: int = 0) -> Result:
    done = tool(
        "run", "-n", workers, "--server", "python/ZapServer", "--scenario", "echo.n*", *words
    )
    assert done.returncode == 0, done.stdout
    return done


def test_it_runs_from_an_empty_folder_and_writes_to_the_users(tool: Tool) -> None:
    done = ran(tool, "--client", "python/ZapConsumer", workers=1)
    assert f"results: {tool.here}/results/subset" in done.stdout
    found = results(tool.here / "results" / "subset")
    assert {cell["verdict"] for cell in found["cells"]} == {"passed"}
    assert (found["run"]["commit"], found["run"]["testbed"]) == (None, OWN["version"])
    assert {path.name for path in tool.here.iterdir()} == {"results"}
    assert (tool.cache / "compiled").is_dir()
    shown = tool("show", "python/ZapServer", "echo.null", "--results", "results/subset")
    assert shown.stdout.startswith("passed: python/ZapServer <-> python/ZapConsumer, echo.null")
    assert tool.written() == []


@pytest.mark.skipif(
    not (shutil.which("node") and (ROOT / "interop/peers/node/node_modules").is_dir()),
    reason="there is no Node.js, or its packages are not there",
)
def test_a_peer_that_is_prepared_runs_out_of_a_copy(tool: Tool) -> None:
    peers = load_peers(tool.package / "peers")
    copy, _ = copied(peers["node"], tool.cache, tool.package)
    packages = ROOT / "interop/peers/node/node_modules"
    shutil.copytree(
        packages, copy.folder / "node_modules"
    )  # in place of npm, which needs a network
    ran(tool, "--client", "node")
    assert tool.written() == []


def test_it_checks_a_server(tool: Tool) -> None:
    with background(app) as url:
        done = tool("check", url, "--scenario", "handshake.*", "--results", "checked")
    assert done.returncode == 0, done.stdout
    assert results(tool.here / "checked")["cells"]
    assert tool.written() == []
