"""The files that a run depends on, and how they are told to have changed.

They are looked at again and again, which needs no library and no watch of the operating system:
all states of before a run are kept, so that what changes during the run is seen after it. Names
are listed anew only where a folder changed, since listing costs more than looking.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import TestbedError
from ..runtimes.git import listed

__all__ = ["Files", "States"]

POLL = 0.25
"""Seconds between two looks: 2,000 files cost some 10 ms each time."""

QUIET = 0.2
"""Seconds without a change after which a run begins: an editor, or git, writes several files."""

_MOST = 20_000
"""Files from which on something else is watched than a project."""

_IGNORED = frozenset(
    {".git", ".hg", ".svn", ".cache", ".venv", ".dart_tool", ".tox", ".idea", ".mypy_cache"}
    | {".pytest_cache", ".ruff_cache", "__pycache__", "node_modules", "results"}
)
"""Folders that no run depends on, or that runs write."""

States = Mapping[Path, object]
"""Of each file and folder what changes with its content."""


class Files:
    """All files below some folders, but those that git ignores.

    Args:
        roots: the folders, or single files.
        ignored: folders and files that are not watched, below those.
        outputs: further files that are not watched, by device and number: one has several names.

    Raises:
        TestbedError: there are too many.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        ignored: Iterable[Path] = (),
        *,
        outputs: Sequence[tuple[int, int]] = (),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._roots = [path.resolve() for path in roots]
        self._ignored = [path.resolve() for path in ignored]
        self._outputs = outputs
        self._sleep = sleep
        self._files: list[Path] = []
        self._folders: States = {}
        self._list()

    @property
    def count(self) -> int:
        return len(self._files)

    def states(self) -> States:
        """Return the states of the files now."""
        folders = _states(self._folders)
        if folders != self._folders:
            self._list()
        return _states(self._files)

    def changed(self, before: States) -> list[Path]:
        """Wait until files differ from what they were, and have come to rest; return which do."""
        now = self.states()
        while True:
            if now == before:
                self._sleep(POLL)
                now = self.states()
                continue
            self._sleep(QUIET)
            last, now = now, self.states()
            if last == now:
                return sorted(path for path in {*before, *now} if before.get(path) != now.get(path))

    def _list(self) -> None:
        """List files and folders anew.

        The folders' states are of between two lists that are equal, so that no file that comes
        meanwhile is missed.
        """
        names = self._names()
        while True:
            self._folders = _states(self._all_folders())
            again = self._names()
            if again == names:
                break
            names = again
        self._files = names

    def _names(self) -> list[Path]:
        files: dict[Path, None] = {}
        for root in self._roots:
            for path in _below(root) if root.is_dir() else [root]:
                if not self._is_ignored(path):
                    files[path] = None
                    if len(files) > _MOST:
                        raise TestbedError(
                            f"--watch: there are more than {_MOST:,} files below {root}: run it "
                            "in the folder of your project"
                        )
        return list(files)

    def _all_folders(self) -> Iterator[Path]:
        """Yield the folders in which a file may come; one that has none yet is among them."""
        for root in self._roots:
            for folder, folders, _ in os.walk(root):
                folders[:] = [name for name in folders if name not in _IGNORED]
                if not self._is_ignored(Path(folder)):
                    yield Path(folder)

    def _is_ignored(self, path: Path) -> bool:
        if any(path.is_relative_to(each) for each in self._ignored):
            return True
        if not self._outputs:
            return False
        try:
            state = os.stat(path)
        except OSError:
            return False
        return (state.st_dev, state.st_ino) in self._outputs


def _states(paths: Iterable[Path]) -> States:
    return {path: _state(path) for path in paths}


def _state(path: Path) -> object:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _below(root: Path) -> Iterator[Path]:
    """Yield the files below a folder: those that git knows or would add, else all."""
    names = listed(root)
    if names is not None:
        for name in names:
            if _IGNORED.isdisjoint(Path(name).parts):
                yield root / name
        return
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _IGNORED]
        for name in files:
            yield Path(folder, name)
