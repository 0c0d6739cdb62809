"""What the package offers is what its modules export, and nothing by accident."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import zaptools

MODULES = sorted(
    path.stem for path in Path(zaptools.__file__).parent.glob("*.py") if path.stem != "__init__"
)
OLD = {"adapters", "connection_router", "protocols", "tools", "zap_logger"}
"""Modules that are there for programs of zaptools 0.5: imported from where they are."""

PUBLIC = [name for name in MODULES if not name.startswith("_") and name not in OLD]

PARTS = {
    "asgi": {"AsgiApp", "AsgiCarrier", "handshake_of"},
    "connection": {"new_id"},
    "exceptions": {"CloseSide"},
    "protocol": {"MAX_DEPTH"},
    "reconnect": {"Backoff", "is_fatal"},
    "registry": {"HandlerBook"},
    "handshake": {"NO_HANDSHAKE", "are_lists_too_long", "choose_subprotocol", "header_block"},
    "testing": {"TestClient"},
    "transport": {"WebSocketTransport"},
}
"""What a public module exports for those who build a shell: not for the package's front. A
connector or an application is imported from its module, which says for what it is."""


@pytest.mark.parametrize("name", MODULES)
def test_all_exists(name: str) -> None:
    module = importlib.import_module(f"zaptools.{name}")
    assert module.__all__ == sorted(module.__all__, key=_isort)
    for exported in module.__all__:
        assert hasattr(module, exported)


def test_the_front_is_what_public_modules_export() -> None:
    offered = set()
    for name in PUBLIC:
        offered |= set(importlib.import_module(f"zaptools.{name}").__all__) - PARTS.get(name, set())
    assert set(zaptools.__all__) == offered
    assert len(zaptools.__all__) == len(set(zaptools.__all__))
    for exported in zaptools.__all__:
        assert hasattr(zaptools, exported)


def test_parts_exist() -> None:
    for name, parts in PARTS.items():
        assert parts <= set(importlib.import_module(f"zaptools.{name}").__all__)


@pytest.mark.parametrize("name", [*MODULES, "__init__"])
def test_every_module_says_what_it_is(name: str) -> None:
    source = Path(zaptools.__file__).with_name(f"{name}.py").read_text("utf-8")
    tree = ast.parse(source)
    assert ast.get_docstring(tree)
    assert "from __future__ import annotations" in source


def test_dependencies() -> None:
    """Importing the library imports no more than it says."""
    program = (
        "import sys; before = set(sys.modules)\n"
        "import zaptools, zaptools.asgi, zaptools.connectors\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(' '.join(sorted(new - set(sys.stdlib_module_names))))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    # No framework: connectors import theirs when they are used.
    # msgspec imports typing_extensions where it is installed.
    assert set(found) - {"typing_extensions"} == {"msgspec", "websockets", "zaptools"}


PRIVATE = {
    exported
    for name in MODULES
    if name.startswith("_")
    for exported in importlib.import_module(f"zaptools.{name}").__all__
} - {
    exported
    for name in MODULES
    if not name.startswith("_")
    for exported in importlib.import_module(f"zaptools.{name}").__all__
}


def quoted(text: str | None) -> set[str]:
    """Return the names of things that a text points to."""
    return set(re.findall(r"`+(?:zaptools\.)?([A-Za-z_][\w.]*)", text or ""))


def test_docstrings_point_to_nothing_private() -> None:
    assert "ClientCore" in PRIVATE
    # That of the transport has classes to derive from, and tells how they fit into the rest.
    public = {name for name in MODULES if not name.startswith("_")} - {"transport"}
    for name in sorted(public | {"connectors"}):
        module = importlib.import_module(f"zaptools.{name}")
        texts = {name: module.__doc__}
        for exported in module.__all__:
            thing = getattr(module, exported)
            texts[exported] = inspect.getdoc(thing)
            for member, value in inspect.getmembers(thing) if inspect.isclass(thing) else ():
                if not member.startswith("_"):
                    texts[f"{exported}.{member}"] = inspect.getdoc(value)
        for place, text in texts.items():
            for word in quoted(text):
                assert word.split(".")[0] not in PRIVATE, place
                assert not re.search(r"(^|\.)_[a-z]", word), place


def test_pages_point_to_nothing_private() -> None:
    root = Path(zaptools.__file__).parents[1]
    for page in (root / "README.md", *(root / "docs").glob("*.md")):
        text = page.read_text("utf-8")
        for word in quoted(text) if page.name != "from-0.5.md" else ():  # names what 0.5 had
            assert word not in PRIVATE or not word[0].isupper(), (page.name, word)
            assert not re.search(r"(^|\.)_[a-z]", word), (page.name, word)


def test_typed() -> None:
    assert Path(zaptools.__file__).with_name("py.typed").exists()


def _isort(name: str) -> tuple[int, str]:
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name
