"""The command ``list``; in a checkout ``dart-packages`` and ``record-vectors`` too."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.markup import escape

from ..catalog import load_peers
from ..reports.results import read
from ..run.plan import Plan
from ..wire import vectors
from .options import (
    Commands,
    catalogue,
    chosen_apis,
    deviations_option,
    given_path,
    known_peers,
    peers_option,
    selection,
)

__all__ = ["add", "add_of_checkout"]


def add(commands: Commands) -> None:
    """Add the command ``list``."""
    listing = commands.add_parser("list", help="list rows, columns and scenarios")
    listing.set_defaults(command=_list)
    selection(listing)
    peers_option(listing)
    deviations_option(listing)


def add_of_checkout(commands: Commands) -> None:
    """Add the commands that write into the checkout."""
    packages = commands.add_parser(
        "dart-packages", help="let the Dart peers use a folder of unpacked packages"
    )
    packages.set_defaults(command=_dart_packages)
    packages.add_argument("folder", type=given_path, metavar="DIR",
                          help="a folder of folders that each hold a pubspec.yaml")  # fmt: skip

    recording = commands.add_parser(
        "record-vectors", help="keep what a run's peers wrote and read, in interop/vectors"
    )
    recording.set_defaults(command=_record_vectors)
    recording.add_argument("results", type=given_path, nargs="+", metavar="RESULTS",
                           help="results of a run with --versions all")  # fmt: skip


def _list(arguments: argparse.Namespace, console: Console) -> int:
    peers = known_peers(arguments)
    scenarios = catalogue(arguments.scenario, peers, added=arguments.deviations)
    servers, clients = chosen_apis(arguments, peers)
    for title, apis in (("servers", servers), ("clients", clients)):
        console.print(f"[bold]{title}[/]")
        for api in apis:
            lacks = f" (lacks: {', '.join(api.lacks)})" if api.lacks else ""
            control = " (control)" if api.control else ""
            console.print(f"  {api.id}{control}{lacks}", highlight=False, soft_wrap=True)
    console.print("[bold]scenarios[/]")
    for name, facts in scenarios.items():
        cites = ", ".join([facts.severity, *facts.rules])
        line = f"  {name} ({cites}): {escape(facts.rule)}"
        console.print(line, highlight=False, soft_wrap=True)
    plan = Plan("local", tuple(servers), tuple(clients))
    cells = sum(len(list(plan.pairs(facts.side))) for facts in scenarios.values())
    counts = f"{len(servers)} servers, {len(clients)} clients, {len(scenarios)} scenarios"
    console.print(f"{counts}: {cells} cells", style="dim")
    return 0


def _dart_packages(arguments: argparse.Namespace, console: Console) -> int:
    from ..runtimes.dart_packages import write_package_config

    for peer in load_peers().values():
        if peer.runtime == "dart" and (peer.folder / "pubspec.yaml").exists():
            path = write_package_config(arguments.folder, peer.folder)
            console.print(f"{peer.name}: wrote {path}", highlight=False, soft_wrap=True)
    return 0


def _record_vectors(arguments: argparse.Namespace, console: Console) -> int:
    cells = [cell for path in arguments.results for cell in read(path)]
    for written in vectors.write(vectors.record(cells), vectors.VECTORS_DIR):
        console.print(str(written), highlight=False, soft_wrap=True)
    return 0
