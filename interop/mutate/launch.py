"""Runs a program with one module of a package replaced, or with every statement watched.

::

    python -m interop.mutate.launch replace MODULE FILE MARK PROGRAM [ARGUMENT…]
    python -m interop.mutate.launch watch PACKAGE FOLDER PROGRAM [ARGUMENT…]

``replace`` reads the source of MODULE from FILE; tracebacks and warnings name the place of the
original. If PROGRAM, a module, ends with an exception, the file MARK holds it, after a line that
says whether it had printed anything by then: a peer prints that it is ready. ``watch`` leaves a
file for each module of PACKAGE in FOLDER: a byte for each of `statements`, 1 where it ran, in
whatever process.

Only this process is changed. It imports nothing of the testbed but `operators`.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import mmap
import os
import runpy
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TextIO

from .operators import REACHED, instrumented, statements

__all__ = ["AT_START", "LATER"]

AT_START, LATER = "at start", "later"
"""The first line of MARK."""

_MEMORY = 4 << 30
"""Bytes of addresses for a program with a replaced module; the peer takes 0.5 GiB."""

_PROCESSOR_S = 60
"""Seconds of a processor for such a program; a stage ends within seconds."""


class _Uncached(SourceFileLoader):
    """Loads a module from its source alone, and writes no bytecode."""

    def path_stats(self, path: str) -> Any:
        raise OSError  # no date: nothing is looked up or kept


class _Replaced(_Uncached):
    source: bytes

    def get_data(self, path: str) -> bytes:
        return self.source


class _Watched(_Uncached):
    """Loads a module that marks the statements that run."""

    folder: Path

    def get_code(self, fullname: str) -> CodeType:
        tree = instrumented(ast.parse(self.get_data(self.path), self.path))
        return compile(tree, self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        count = len(statements(ast.parse(self.get_data(self.path))))
        with (self.folder / self.name).open("a+b") as file:
            file.truncate(count + 1)  # no file of no bytes can be mapped
            vars(module)[REACHED] = mmap.mmap(file.fileno(), count + 1)
        super().exec_module(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules as usual, and gives those that it is asked for another loader."""

    def __init__(self, load: Callable[[str, str], SourceFileLoader | None]) -> None:
        self._load = load

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
            spec.loader = self._load(name, spec.origin) or spec.loader
        return spec


def _replacing(module: str, file: Path) -> Callable[[str, str], SourceFileLoader | None]:
    def load(name: str, origin: str) -> SourceFileLoader | None:
        if name != module:
            return None
        loader = _Replaced(name, origin)
        loader.source = file.read_bytes()
        return loader

    return load


def _watching(package: str, folder: Path) -> Callable[[str, str], SourceFileLoader | None]:
    def load(name: str, origin: str) -> SourceFileLoader | None:
        if not name.startswith(package + "."):
            return None
        loader = _Watched(name, origin)
        loader.folder = folder
        return loader

    return load


def _bound_loops() -> None:
    """Let no endless loop take all memory, or outlive a run that was killed.

    The program gets an exception instead, or is ended: one that loops does not see its stdin's end.
    """
    with suppress(ImportError):  # not on Windows
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, hard))
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (_PROCESSOR_S, hard))


class _Heard:
    """A stream that notes whether anything was written to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.something = False

    def write(self, text: str) -> int:
        self.something = True
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _leave(mark: Path, text: str) -> None:
    """Write a file that nothing ever sees half-written."""
    part = mark.with_suffix(".part")
    part.write_text(text, "utf-8")
    os.replace(part, mark)


def _main() -> None:
    _, how, name, path, *rest = sys.argv
    if how == "replace":
        _bound_loops()
        mark, program, *arguments = rest
        load = _replacing(name, Path(path))
    else:
        program, *arguments = rest
        load = _watching(name, Path(path))
    sys.meta_path.insert(0, _Finder(load))
    sys.argv = [program, *arguments]
    sys.stdout = heard = _Heard(sys.stdout)
    try:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    except Exception:  # whatever the changed module raises while the program starts or serves
        if how == "replace":
            when = LATER if heard.something else AT_START
            _leave(Path(mark), f"{when}\n{traceback.format_exc()}")
        raise


if __name__ == "__main__":
    _main()
