"""Each name and test that docs/names.md gives exists, and no published name is missing."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.published import wheel

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "names.md").read_text("utf-8")
ROWS = re.findall(r"^\| `(.+?) \| `([\w.]+)`.*? \| `([\w/]+\.py)::(\w+)` \|$", PAGE, re.M)


def find(dotted: str) -> Any:
    """Return what has this name below `zaptools`."""
    found: Any = importlib.import_module("zaptools")
    path = "zaptools"
    for name in dotted.split("."):
        path += f".{name}"
        if not hasattr(found, name):
            importlib.import_module(path)
        found = getattr(found, name)
    return found


def test_every_row_is_read() -> None:
    tables = PAGE.split("## What differs")[0]
    assert len(ROWS) == len(re.findall(r"^\| `", tables, re.M)) > 80


@pytest.mark.parametrize(("ours", "file", "name"), sorted({row[1:] for row in ROWS}))
def test_a_row(ours: str, file: str, name: str) -> None:
    assert find(ours) is not None
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def published() -> Iterator[tuple[str, list[str]]]:
    """Yield each public name of the published wheel, and the parameters if it can be called."""
    with zipfile.ZipFile(wheel()) as archive:
        for file in archive.namelist():
            if not file.endswith(".py"):
                continue
            module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            module = module.removeprefix("zaptools").lstrip(".")
            for node in ast.parse(archive.read(file)).body:
                for name, parameters in names(node, front=file.endswith("__init__.py")):
                    yield f"{module}.{name}".lstrip("."), parameters


def names(node: ast.stmt, *, front: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield what a statement of a module names; imports count in a package's front."""
    if isinstance(node, ast.Assign):
        yield from ((t.id, []) for t in node.targets if isinstance(t, ast.Name))
    elif isinstance(node, ast.ImportFrom) and front:
        yield from ((alias.name, []) for alias in node.names)
    elif isinstance(node, ast.ClassDef):
        yield node.name, []
        protocol = any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
        for each in node.body:
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if each.name == "__init__" and not protocol:
                    yield node.name, [arg.arg for arg in each.args.args[1:]]
                elif not each.name.startswith("_"):
                    yield f"{node.name}.{each.name}", [arg.arg for arg in each.args.args[1:]]


RENAMED = {"connection_adapter": "transport"}
"""What docs/from-0.5.md says of `WebSocketConnection`."""


def test_every_published_name_takes_the_same_calls() -> None:
    seen = 0
    for name, parameters in published():
        ours = find(name)
        seen += 1
        if parameters:
            taken = [p for p in inspect.signature(ours).parameters if p != "self"]
            assert taken[: len(parameters)] == [RENAMED.get(p, p) for p in parameters], name
    assert seen > 60, seen
