"""Copies of the peers' folders, for a testbed that is installed.

What makes a peer runnable writes beside its sources: npm its ``node_modules``, pub its
``.dart_tool``. An installed package's folder is no place for that.

The copy of a Python peer has of this package just what such a peer imports. In an environment of
its own it is to see nothing else of the environment that the testbed is installed in, a `zaptools`
least of all.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..catalog import Peer
from ..places import PACKAGE

__all__ = ["copied"]

_IMPORTED = ("__init__.py", "control/__init__.py", "control/contract.py", "control/lines.py")
"""What the modules that Python peers share import."""


def copied(peer: Peer, cache: Path, package: Path = PACKAGE) -> tuple[Peer, Path]:
    """Return `peer` in its copy below `cache`, and the folder that is this testbed's own there.

    Another version of the testbed has another folder. The caller holds a lock.
    """
    top = cache / f"peers-{_digest(package)}"
    if not top.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=cache) as temporary:
            new = Path(temporary, "peers")
            for path in _files(package):
                target = new / package.name / path.relative_to(package)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)  # the original may be read-only
            new.replace(top)
    return replace(peer, folder=top / package.name / "peers" / peer.name), top


def _files(package: Path) -> Iterator[Path]:
    yield from (package / name for name in _IMPORTED)
    for path in sorted(package.joinpath("peers").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


@functools.cache
def _digest(package: Path) -> str:
    digest = hashlib.sha256()
    for path in _files(package):
        content = path.read_bytes()
        name = path.relative_to(package).as_posix()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]
