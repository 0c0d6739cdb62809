"""``python -m interop model``: what there is to see, and where the scenarios look at it."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from ..catalog import load_peers
from ..model import lacking
from ..runtimes.prepare import ROOT
from .options import Commands

__all__ = ["add", "pages"]


def add(commands: Commands) -> None:
    """Add the command."""
    model = commands.add_parser(
        "model", help="compare the pages on what is looked at with what they are made from"
    )
    model.set_defaults(command=_model)
    model.add_argument("--write", action="store_true", help="write the pages anew")


def pages() -> dict[Path, str]:
    """Return the text of each page that is made from the model and from the peers' files."""
    return {ROOT / "docs" / "unsupported.md": lacking.page(load_peers().values())}


def _model(arguments: argparse.Namespace, console: Console) -> int:
    stale = {
        path: text
        for path, text in pages().items()
        if not path.exists() or path.read_text("utf-8") != text
    }
    for path, text in stale.items():
        if arguments.write:
            path.write_text(text, "utf-8")
        console.print(f"{'wrote' if arguments.write else 'stale'}: {path}", soft_wrap=True)
    return 1 if stale and not arguments.write else 0
