"""The public names of the libraries, each read from the library itself or from its page."""

from __future__ import annotations

import enum
import inspect
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import zaptools
from interop.catalog import PEERS_DIR
from zaptools import asgi, connectors

__all__ = ["SURFACES", "adapters"]

NAMES = Path(__file__).parents[3] / "docs" / "names.md"
"""Has every public name of the Dart packages and of the published package."""

PEERS: Mapping[str, tuple[str, ...]] = {
    "python": ("python",),
    "zaptools (pypi)": ("pypi",),
    "zaptools_server (Dart)": ("dart", "dart_shared"),
    "zaptools_client (Dart)": ("dart", "dart-0.3", "dart_shared"),
    "zaptools-go": ("go",),
}
"""The libraries, each with the folders of the peers that use it."""

_SOURCES = (".py", ".dart", ".go")


def _python() -> list[str]:
    """Return the public names of this library: classes, their members, and their arguments."""
    found: list[str] = []
    for module in (zaptools, connectors, asgi):
        front = "" if module is zaptools else module.__name__.partition(".")[2] + "."
        for name in module.__all__:
            found += [front + each for each in (name, *_of_class(module, name))]
    return found


def _of_class(module: ModuleType, name: str) -> list[str]:
    value = getattr(module, name)
    if not inspect.isclass(value) or issubclass(value, BaseException):
        return []
    members = [f"{name}.{member}" for member in dir(value) if not member.startswith("_")]
    if issubclass(value, enum.Enum) or value is zaptools.Transport:
        return members  # made by no application
    return members + [f"{name}({argument})" for argument in inspect.signature(value).parameters]


def _of_page(title: str) -> list[str]:
    """Return the names that a table of docs/names.md has in its first column."""
    table = NAMES.read_text("utf-8").split(f"## {title}")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \| `", table, re.M)
    return [name for row in rows for name in _of_row(re.findall(r"`([^`]+)`", row))]


def _of_row(words: list[str]) -> Iterator[str]:
    """Yield the names of a row, in which a class or module stands once for several."""
    front = ""
    for word in words:
        name, _, arguments = word.partition("(")
        if "." not in name and front:
            name = f"{front}.{name}"
        if arguments:
            yield name
            yield from (f"{name}({each})" for each in arguments.rstrip(")").split(", "))
            front = name
        else:
            yield name
            front = front or name.rpartition(".")[0]
            if re.search(r"^[A-Z]\w*\.|\.[A-Z]\w*\.", name):
                front = name.rpartition(".")[0]


def _go() -> list[str]:
    """Return the public names of the Go module, where this machine has it; else none."""
    proxy = os.environ.get("GOPROXY", "")
    places = [Path(proxy.removeprefix("file://"))] if proxy.startswith("file://") else []
    places.append(Path(os.environ.get("GOMODCACHE", Path.home() / "go/pkg/mod")) / "cache/download")
    found: list[str] = []
    for place in places:
        for module in place.glob("github.com/!nathan!draco22/zaptools-go/@v/v0.2.3.zip"):
            with zipfile.ZipFile(module) as archive:
                for file in archive.namelist():
                    if file.endswith(".go"):
                        found += _of_go(archive.read(file).decode())
    return [*dict.fromkeys(found)]


def _of_go(source: str) -> Iterator[str]:
    package = source.split()[1]
    for name in re.findall(r"^func ([A-Z]\w*)\(", source, re.M):
        yield f"{package}.{name}"
    for receiver, name in re.findall(r"^func \(\w+ \*?(\w+)\) ([A-Z]\w*)\(", source, re.M):
        yield f"{package}.{receiver}.{name}"
    for name, body in re.findall(r"^type ([A-Z]\w*) struct \{(.*?)^\}", source, re.M | re.S):
        yield f"{package}.{name}"
        yield from (
            f"{package}.{name}.{each}" for each in re.findall(r"^\s+([A-Z]\w*) ", body, re.M)
        )
    for name in re.findall(r"^type ([A-Z]\w*) interface", source, re.M):
        yield f"{package}.{name}"


SURFACES: Mapping[str, Callable[[], list[str]]] = {
    "python": _python,
    "zaptools (pypi)": lambda: _of_page("zaptools 0.5.2 (Python)"),
    "zaptools_server (Dart)": lambda: _of_page("zaptools_server 0.3.0 (Dart)"),
    "zaptools_client (Dart)": lambda: _of_page("zaptools_client 0.5.0 and 0.3.0 (Dart)"),
    "zaptools-go": _go,
}


def adapters(library: str) -> str:
    """Return the source text of the peers that use a library."""
    folders = [PEERS_DIR / name for name in PEERS[library]]
    files = [path for folder in folders for path in folder.iterdir() if path.suffix in _SOURCES]
    return "\n".join(path.read_text("utf-8") for path in [*files, *PEERS_DIR.glob("_*.py")])
