"""The house: which part of it may import which, and whose private names are used where."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = {
    "zaptools": (
        "testing",
        "server client",
        "connectors",
        "rooms",
        "transport",
        "dispatch",
        "handlers",
        "connection",
        "protocol",
        "exceptions limits",
        "_arguments _tasks _text",
    ),
    "interop": (
        "cli",
        "commands",
        "check_client gate traffic",
        "check model mutate peercheck replay spec watch",
        "run",
        "scenarios",
        "roles",
        "engines reports runtimes verdicts",
        "wire",
        "control",
        "errors schemas",
        "catalog spec.rules",
        "control.lines",
        "control.contract control.operations",
        "descriptors locks output places records signals",
    ),
}
"""The parts of each package, folders and modules, the top first. Each may import the parts of the
lines below its own, and no other; the parts of one line do not import each other. Of a folder and a
module in it that are both here, the folder stands for its other modules."""

FACES = {
    "zaptools": (
        "__init__ adapters asgi connection_router core handshake protocols reconnect registry "
        "tools zap_logger"
    ),
    "interop": "__init__ __main__ action needed peers",
}
"""Parts that hand on the names of others, or are programs: no layer imports them."""

FOREIGN = {"_context", "_empty", "_exit", "_get", "_getframe", "_idlist", "_replace", "_transport"}
"""Underscored names of other packages that are used: of asyncio's handles and processes, `inspect`,
`os`, Sanic's router, `sys`, pytest's calls and every NamedTuple."""


def modules(package: str) -> dict[str, Path]:
    """Return the modules of a package by name."""
    found = {}
    for path in (ROOT / package).rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(package: str) -> dict[str, set[str]]:
    """Return which modules of a package each of its modules imports, for type checkers too."""
    known = modules(package)
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for target in _targets(name, path.name == "__init__.py", node):
                while target not in known and "." in target:  # a name in a module
                    target = target.rpartition(".")[0]
                if target in known and target != name:
                    found[name].add(target)
    return found


def _targets(name: str, is_package: bool, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (each.name for each in node.names)
    elif isinstance(node, ast.ImportFrom):
        folder = name.split(".")
        if node.level:
            up = node.level - is_package
            folder = folder[: len(folder) - up]
        else:
            folder = []
        where = [*folder, *(node.module or "").split(".")]
        yield from (".".join(filter(None, [*where, each.name])) for each in node.names)


def part(module: str) -> str:
    """Return the part of its package that a module belongs to."""
    package, *rest = module.split(".")
    name = ".".join(rest[:2])
    return name if name in parts(package) else rest[0] if rest else "__init__"


def parts(package: str) -> list[str]:
    """Return all parts of a package."""
    return " ".join((*LAYERS[package], FACES[package])).split()


@pytest.mark.parametrize("package", LAYERS)
def test_every_part_has_its_layer(package: str) -> None:
    assert sorted(parts(package)) == sorted({part(name) for name in modules(package)})


@pytest.mark.parametrize("package", LAYERS)
def test_imports_run_down(package: str) -> None:
    levels = {name: n for n, line in enumerate(LAYERS[package]) for name in line.split()}
    wrong = [
        f"{importer} imports {imported}"
        for importer, targets in imports(package).items()
        for imported in targets
        if part(importer) != part(imported)
        and part(importer) in levels
        and levels.get(part(imported), -1) <= levels[part(importer)]
    ]
    assert sorted(wrong) == []


@pytest.mark.parametrize("package", LAYERS)
def test_no_imports_in_a_circle(package: str) -> None:
    left = imports(package)
    while ends := [
        name
        for name, targets in left.items()
        # It imports none of the others, or none of them imports it.
        if targets.isdisjoint(left) or not any(name in each for each in left.values())
    ]:
        left = {name: targets for name, targets in left.items() if name not in ends}
    assert {name: sorted(targets & left.keys()) for name, targets in left.items()} == {}


@pytest.mark.parametrize("package", LAYERS)
def test_private_names_stay_in_their_folder(package: str) -> None:
    """The peer of the published package reaches into that one, which is no folder of this."""
    made: dict[Path, set[str]] = {}
    used: list[tuple[Path, str, str]] = []
    for path in modules(package).values():
        # A module beside the folders is a place of its own.
        place = path if path.parent.name == package else path.parent
        names = made.setdefault(place, set())
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names.update(_names_made(node))
            for name, line in _private_names_used(node):
                used.append((place, name, f"{path.relative_to(ROOT)}:{line} uses {name}"))
    wrong = [
        words
        for place, name, words in used
        if name not in made[place] | FOREIGN and place.name != "pypi"
    ]
    assert wrong == []


def _names_made(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_own(node):
        yield node.attr


def _private_names_used(node: ast.AST) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Attribute) and not _is_own(node) and _is_private(node.attr):
        yield node.attr, node.lineno
    elif isinstance(node, ast.ImportFrom):
        yield from ((each.name, node.lineno) for each in node.names if _is_private(each.name))


def _is_own(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("package", LAYERS)
def test_the_drawing_shows_the_layers(package: str) -> None:
    page = (ROOT / "docs" / "design.md").read_text("utf-8")
    drawing = page.split("```")[1 + 2 * list(LAYERS).index(package)]
    rows = [row.partition("#")[0].split() for row in drawing.splitlines()]
    above = 0
    for line in LAYERS[package]:
        drawn = [n for name in line.split() for n, row in enumerate(rows) if name in row]
        assert len(drawn) == len(line.split()), line
        assert all(n >= above for n in drawn), line
        above = max(drawn, default=above)


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
