from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from interop.catalog import load_peers
from interop.places import PACKAGE
from interop.runtimes.copies import copied

MODULES = """
import json, pkgutil, sys
sys.path.insert(0, sys.argv[1])
print(json.dumps(sorted(m.name for m in pkgutil.iter_modules([sys.argv[1]]))))
import interop
print(json.dumps(sorted(m.name for m in pkgutil.iter_modules(interop.__path__))))
import interop.peers._control
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The package, installed beside another one, with what runs have made in it."""
    site = tmp_path / "site-packages"
    ignored = shutil.ignore_patterns("node_modules", ".dart_tool", "__pycache__")
    for name in ("peers", "control"):
        shutil.copytree(PACKAGE / name, site / "interop" / name, ignore=ignored)
    for name in ("__init__.py", "catalog.py"):
        shutil.copy(PACKAGE / name, site / "interop")
    (site / "zaptools.py").touch()
    (cached := site / "interop" / "peers" / "__pycache__").mkdir()
    (cached / "peer.pyc").touch()
    return site / "interop"


def test_a_copy_has_the_peers_and_what_they_import_alone(tmp_path: Path, package: Path) -> None:
    peers = load_peers(package / "peers")
    peer, top = copied(peers["pypi"], tmp_path / "cache", package)
    assert peer.folder == top / "interop" / "peers" / "pypi"
    assert (peer.folder / "peer.py").read_text("utf-8").startswith('"""The peer of the published')
    assert (peer.folder.parent / "dart_shared" / "app.dart").is_file()
    assert not list(top.rglob("*.pyc"))
    done = subprocess.run(
        [sys.executable, "-I", "-c", MODULES, str(top)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout == '["interop"]\n["control", "peers"]\n'


def test_a_copy_is_made_once_and_keeps_what_was_made_in_it(tmp_path: Path, package: Path) -> None:
    node = load_peers(package / "peers")["node"]
    peer, top = copied(node, tmp_path / "cache", package)
    (peer.folder / "node_modules").mkdir()
    assert copied(node, tmp_path / "cache", package) == (peer, top)
    assert (peer.folder / "node_modules").is_dir()
    assert os.listdir(tmp_path / "cache") == [top.name]


def test_other_sources_have_another_copy(tmp_path: Path, package: Path) -> None:
    other = tmp_path / "other" / "interop"
    shutil.copytree(package, other)
    (other / "peers" / "node" / "peer.mjs").write_text("// newer\n", "utf-8")
    node = load_peers(package / "peers")["node"]
    _, one = copied(node, tmp_path / "cache", package)
    peer, two = copied(node, tmp_path / "cache", other)
    assert one != two
    assert (peer.folder / "peer.mjs").read_text("utf-8") == "// newer\n"


def test_a_copy_of_what_is_read_only_can_be_written_to(tmp_path: Path, package: Path) -> None:
    (package / "peers" / "node" / "package.json").chmod(0o444)
    peer, _ = copied(load_peers(package / "peers")["node"], tmp_path / "cache", package)
    assert (peer.folder / "package.json").stat().st_mode & 0o200
