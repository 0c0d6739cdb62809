"""Tests mirror modules: a module without a test file fails here, and so does the reverse."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Peers and scenarios are run by whole runs of the matrix, the benchmark's peers by the tests of its
# loads, and errors.py only names errors.
WITHOUT = (
    "interop/peers/",
    "interop/scenarios/",
    "interop/errors.py",
    "bench/peers/",
    "bench/errors.py",
)

# Tests of the whole, which no one module has.
WHOLE = {"tests/test_layout.py", "tests/test_readme.py", "tests/test_exports.py",
         "tests/test_logging.py", "tests/interop/test_mutants.py", "tests/test_peer_python.py",
         "tests/test_published.py", "tests/test_docs.py", "tests/test_names.py",
         "tests/test_packaging.py", "tests/test_cost.py", "tests/interop/test_skeleton.py",
         "tests/interop/commands/test_check_hostile.py"}  # fmt: skip


def expected() -> set[str]:
    """Return the test file of each module: ``zaptools/_a.py`` has ``tests/test_a.py``."""
    files = set()
    for module in (
        *ROOT.glob("zaptools/**/*.py"),
        *ROOT.glob("interop/**/*.py"),
        *ROOT.glob("bench/**/*.py"),
        *ROOT.glob("interop/*.sh"),
    ):
        name = module.relative_to(ROOT).as_posix()
        if module.stem.startswith("__") or name.startswith(WITHOUT):
            continue
        folder = module.parent.relative_to(ROOT).as_posix().removeprefix("zaptools")
        test = Path("tests", folder.lstrip("/"), f"test_{module.stem.lstrip('_')}.py")
        files.add(test.as_posix())
    return files


def actual() -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/**/test_*.py")}


def test_every_module_has_its_tests() -> None:
    assert sorted(expected() - actual()) == []


def test_every_test_file_has_its_module() -> None:
    assert sorted(actual() - expected() - WHOLE) == []


def test_the_protocols_core_does_no_io() -> None:

    allowed = {"__future__", "itertools", "json", "math", "re", "collections", "typing", "msgspec"}
    allowed |= {"array", "bisect", "contextlib", "functools", "gc", "operator", "random", "sys"}
    for name in ("protocol.py", "_jsonpath.py", "_text.py", "exceptions.py"):
        tree = ast.parse((ROOT / "zaptools" / name).read_text("utf-8"))
        found: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add((node.module or "").split(".")[0])
        assert found <= allowed | {"dataclasses", "enum"}, name


def test_only_the_python_peer_knows_the_library() -> None:
    """The judge never shares a codec with the judged."""
    for path in ROOT.glob("interop/**/*.py"):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(
            ("interop/peers/python/", "interop/peers/pypi/", "interop/peers/mutant/")
        ):
            continue
        text = path.read_text("utf-8")
        assert "import zaptools" not in text, name
        assert "from zaptools" not in text, name
