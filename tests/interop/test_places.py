"""Where the testbed lies and writes, in a checkout and installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from interop import places

TELLS = """
import json
from interop import places
folders = {"cache": places.CACHE_DIR, "results": places.RESULTS, "root": places.ROOT}
words = {"again": places.command("show", "a b"), "run": places.run_command(),
         "page": places.page("gate.md"), "program": places.PROGRAM}
print(json.dumps({**{name: str(path) for name, path in folders.items()}, **words,
                  "checkout": places.CHECKOUT and str(places.CHECKOUT),
                  "works in": str(places.working_folder())}))
"""


def told(package: Path, cwd: Path, home: Path) -> dict[str, str]:
    """Return what the module says of itself where it lies in `package`."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", TELLS],
        cwd=cwd,
        env={
            **os.environ,
            "PYTHONPATH": str(package.parent),
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "caches"),
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The package as a wheel holds it, as far as the module needs it."""
    folder = tmp_path / "lib" / "interop"
    folder.mkdir(parents=True)
    for name in ("__init__.py", "places.py"):
        shutil.copy(places.PACKAGE / name, folder)
    return folder


def test_in_a_checkout_all_lies_below_it(tmp_path: Path, package: Path) -> None:
    (package / "pyproject.toml").touch()
    (here := tmp_path / "elsewhere").mkdir()
    top = package.parent
    assert told(package, here, tmp_path / "home") == {
        "root": str(top),
        "checkout": str(top),
        "cache": str(top / ".cache" / "interop"),
        "results": str(top / "results"),
        "works in": str(top),
        "again": "python -m interop show 'a b'",
        "run": "make interop",
        "page": "docs/gate.md",
        "program": "interop",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have their own caches")
def test_installed_it_writes_to_the_users_folders(tmp_path: Path, package: Path) -> None:
    (here := tmp_path / "elsewhere").mkdir()
    cache = tmp_path / "home" / "caches" / "zaptools-interop"
    assert told(package, here, tmp_path / "home") == {
        "root": str(package.parent),
        "checkout": None,
        "cache": str(cache),
        "results": str(here / "results"),
        "works in": str(cache),
        "again": "zaptools-interop show 'a b'",
        "run": "zaptools-interop run",
        "page": "https://github.com/NathanDraco22/zaptools-python/blob/main/docs/gate.md",
        "program": "zaptools-interop",
    }
    assert cache.is_dir()


def test_this_is_a_checkout() -> None:
    assert Path(__file__).parents[2].resolve() == places.CHECKOUT
