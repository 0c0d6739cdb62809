"""``python -m interop spec``: the rules by number, held against the scenarios, and their pages."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from ..catalog import load_peers
from ..places import ROOT
from ..run.runner import load_catalogue
from ..scenarios.scenario import Scenario
from ..spec import conformance
from ..spec.check import problems
from ..spec.pages import files, page
from ..spec.rules import VERSIONS, RuleError, Rules, Versions, load, load_versions
from ..verdicts import deviations
from .options import Commands, Stop
from .pages import report_pages

__all__ = ["add", "frozen", "pages"]

FOLDER = ROOT / "docs" / "spec"

_HEAD = """\
# The wire versions: the rules of each, with a digest of what each requires. A version is frozen:
# nothing is added to it or taken from it. Made by `python -m interop spec --freeze`; what may be
# changed here by hand is in docs/spec/README.md.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    spec = commands.add_parser(
        "spec", help="check the rules by number, what scenarios cite of them, and their pages"
    )
    spec.set_defaults(command=_spec)
    spec.add_argument("--write", action="store_true", help="write the pages anew")
    spec.add_argument("--freeze", action="store_true",
                      help="make the next wire version of the rules that are in force")  # fmt: skip


def pages(rules: Rules, versions: Versions, scenarios: Mapping[str, Scenario]) -> dict[Path, str]:
    """Return the text of each page that is made from the rules."""
    apis = [api for peer in load_peers().values() for api in peer.apis]
    found = {
        FOLDER / name: page(letter, rules, versions, scenarios)
        for letter, name in files(rules).items()
    }
    found[FOLDER / "conformance.md"] = conformance.page(rules, scenarios, apis, deviations.load())
    return found


def frozen(rules: Rules, versions: Versions) -> str:
    """Return the file of wire versions with one more, of the rules in force.

    Raises:
        Stop: the last version has the same rules.
    """
    now = {number: rule.digest for number, rule in rules.of_the_wire().items()}
    if versions and {*now} == {*[*versions.values()][-1]}:
        raise Stop(
            f"wire version {[*versions][-1]} has just these rules: there is nothing to freeze"
        )
    lines = [_HEAD]
    for version, digests in {**versions, str(len(versions) + 1): now}.items():
        lines += [f"[{version}]", *(f'{n} = "{digest}"' for n, digest in digests.items()), ""]
    return "\n".join(lines)


def _spec(arguments: argparse.Namespace, console: Console) -> int:
    try:
        rules, versions = load(), load_versions()
    except RuleError as exc:
        raise Stop(str(exc)) from exc
    scenarios = load_catalogue()
    found = problems(rules, versions, scenarios)
    if arguments.freeze and not found:
        VERSIONS.write_text(frozen(rules, versions), "utf-8")
        console.print(f"wrote {VERSIONS}", soft_wrap=True)
        versions = load_versions()
    return report_pages(
        pages(rules, versions, scenarios), found, "spec", console, write=arguments.write
    )
