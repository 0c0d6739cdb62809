"""The house: which part of it may know which."""

from __future__ import annotations

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
