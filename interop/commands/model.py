"""``python -m interop model``: what there is to see, and where the scenarios look at it."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from ..catalog import load_peers
from ..model import contract, coverage, lacking
from ..model.model import contradicted, load, problems
from ..places import ROOT
from ..reports.results import read
from ..run.runner import load_catalogue
from .options import Commands, given_path
from .pages import report_pages

__all__ = ["add", "pages"]

DOCS = ROOT / "docs"


def add(commands: Commands) -> None:
    """Add the command."""
    model = commands.add_parser(
        "model", help="check the model of what the scenarios look at, and the pages made from it"
    )
    model.set_defaults(command=_model)
    model.add_argument("--write", action="store_true", help="write the pages anew")
    model.add_argument("--results", type=given_path, metavar="RESULTS",
                       help="also hold its claims against the results of a run of the python peer "
                            "with itself")  # fmt: skip


def pages() -> dict[Path, str]:
    """Return the text of each page that is made from the model and from the peers' files."""
    return {
        DOCS / "coverage.md": coverage.page(load()),
        DOCS / "unsupported.md": lacking.page(load_peers().values()),
    }


def _model(arguments: argparse.Namespace, console: Console) -> int:
    items = contract.items((DOCS / "peer-contract.md").read_text("utf-8"))
    model = load()
    found = problems(model, scenarios=[*load_catalogue()], items=items)
    if arguments.results is not None:
        found += contradicted(model, read(arguments.results), items)
    return report_pages(pages(), found, "model", console, write=arguments.write)
