"""The house: which part of it may know which."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


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


def test_one_function_sets_how_a_connection_ended() -> None:
    """`mark_closed`, in `connection/connection.py`; the states are in `protocol/close.py`."""
    for path in ROOT.glob("zaptools/**/*.py"):
        name = path.relative_to(ROOT).as_posix()
        if name != "zaptools/connection/connection.py":
            assert not re.search(r"\.closed\s*=[^=]", path.read_text("utf-8")), name
