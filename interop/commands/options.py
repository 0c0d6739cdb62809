"""Shared by the commands: options, the catalogue, the results folders."""

from __future__ import annotations

import argparse
import os
import re
import webbrowser
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from ..catalog import JUDGES, Api, Peer, did_you_mean, load_peers, select
from ..places import RESULTS, command
from ..run.runner import Bound, load_catalogue
from ..scenarios.scenario import Scenario
from ..verdicts import deviations

__all__ = [
    "RESULTS",
    "SUBSET",
    "Commands",
    "Stop",
    "at_least",
    "catalogue",
    "check_runnable",
    "chosen_apis",
    "deviations_option",
    "given_path",
    "given_words",
    "history_option",
    "known_deviations",
    "known_peers",
    "matching",
    "named",
    "open_page",
    "peers_option",
    "rate",
    "recorded_option",
    "results_argument",
    "seconds",
    "selection",
    "shard",
    "shown",
]

SUBSET = RESULTS / "subset"
"""The default folder of the results of a run of chosen rows, columns or scenarios, so that the
results of the last whole run stay."""

_ON_HOST = "INTEROP_RESULTS"
"""The variable that says, in a container, what folder of the host `RESULTS` is."""

Commands = Any
"""The type that `argparse` returns for adding commands, which has no public name there."""


class Stop(Exception):
    """Ends the program with status 2 and this message."""


def seconds(text: str) -> float:
    """Return an option's value that is a time.

    Raises:
        ArgumentTypeError: it is not a number, or out of bounds.
    """
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 < value < 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 3600")
    return value


def rate(text: str) -> float:
    """Return an option's value that is a number of connections a second.

    Raises:
        ArgumentTypeError: it is not a number, or out of bounds.
    """
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of connections") from None
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0 and at most 1000")
    return value


def at_least(least: int) -> Callable[[str], int]:
    """Return a converter of an option's value to an integer of at least `least`."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return value

    return number


def shard(text: str) -> tuple[int, int]:
    """Return an option's value that is a shard: its number, from 1, and how many there are.

    Raises:
        ArgumentTypeError: it is none.
    """
    found = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N, from 1/N to N/N")
    return int(found[1]), int(found[2])


def given_path(text: str) -> Path:
    """Return an option's value that is a path.

    Raises:
        ArgumentTypeError: it is empty, as where a shell's variable is not set: `Path` takes that
            for the current folder.
    """
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def named(folder: Path) -> Path:
    """Return a folder as a command names it that is given in the same place."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def shown(path: Path) -> str:
    """Return a path of results as the host names it, if this runs in a container."""
    on_host = os.environ.get(_ON_HOST)
    if not on_host or not path.is_relative_to(RESULTS):
        return str(path)
    return str(Path(on_host) / path.relative_to(RESULTS))


def selection(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose rows, columns and scenarios."""
    for option, what in (("server", "rows"), ("client", "columns"), ("scenario", "scenarios")):
        parser.add_argument(f"--{option}", action="append", default=[], metavar="GLOB",
                            help=f"only these {what}")  # fmt: skip
    parser.add_argument("--versions", choices=["latest", "all"], default="latest",
                        help="of each implementation; a pattern with an @ chooses "
                             "older ones too (default: latest)")  # fmt: skip


def peers_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that adds peers of other repositories."""
    parser.add_argument("--peers", type=given_path, action="append", default=[], metavar="DIR",
                        help="add the peers in this folder, each a folder with a peer.toml and "
                             "its program; or the one that it is itself")  # fmt: skip


def deviations_option(
    parser: argparse.ArgumentParser, of: str = "of the peers that --peers adds too"
) -> None:
    """Add the option that adds the known deviations of added peers; `of` is for its help."""
    parser.add_argument("--deviations", type=given_path, action="append", default=[],
                        metavar="FILE",
                        help=f"expect these known deviations {of}")  # fmt: skip


def known_peers(arguments: argparse.Namespace) -> dict[str, Peer]:
    """Return the peers of this repository, and those that ``--peers`` adds.

    Raises:
        CatalogError: as `load_peers` does.
    """
    return load_peers(added=arguments.peers)


def known_deviations(arguments: argparse.Namespace) -> list[Path]:
    """Return the files of known deviations: this repository's, and those of ``--deviations``."""
    return [deviations.DEVIATIONS_FILE, *arguments.deviations]


def results_argument(parser: argparse.ArgumentParser) -> None:
    """Add the optional argument that names the results to read."""
    parser.add_argument("results", type=given_path, nargs="?", default=RESULTS, metavar="RESULTS",
                        help="results.json, or its folder (default: results)")  # fmt: skip


def recorded_option(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the option that names the results in which a cell or a pair is looked for."""
    parser.add_argument("--results", type=given_path, default=RESULTS, metavar="DIR",
                        help=f"where the {what} was recorded (default: results)")  # fmt: skip


def history_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the folder of the history."""
    parser.add_argument("--history", type=given_path, metavar="DIR",
                        help="keep a small record of the run there, and show in the report what "
                             "changed since the runs before")  # fmt: skip


def open_page(page: Path | str, console: Console) -> None:
    """Show a page, a file or a URL, in the user's browser; without one, print its URL."""
    url = page if isinstance(page, str) else page.resolve().as_uri()
    if not webbrowser.open(url):
        console.print(
            f"--open: no browser was found; the page is {escape(url)}",
            highlight=False,
            soft_wrap=True,
        )


def catalogue(
    patterns: Sequence[str],
    peers: Mapping[str, Peer],
    *,
    known: bool = True,
    added: Sequence[Path] = (),
) -> dict[str, Scenario]:
    """Return the chosen scenarios, after checking that every pattern and deviation names one.

    Args:
        known: whether to look at the known deviations at all.
        added: the files of the known deviations of added peers.

    Raises:
        Stop: a pattern names none.
        DeviationError: a deviation can match nothing.
    """
    whole = load_catalogue()
    chosen = matching(whole, patterns, "--scenario")
    if known:
        apis = [*(api for peer in peers.values() for api in peer.apis), *JUDGES.values()]
        deviations.check(deviations.load(), apis, list(whole))
        of_added = [api for peer in peers.values() if peer.added for api in peer.apis]
        for path in added:
            deviations.check_added(path, apis, of_added, list(whole))
    return {name: whole[name] for name in chosen}


def matching(
    names: Sequence[str] | Mapping[str, Any], patterns: Sequence[str], option: str
) -> list[str]:
    """Return the names that a pattern fits; all if there are no patterns.

    Raises:
        Stop: a pattern fits none, so that a mistyped one cannot pass as success.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            topics = {topic: f"{topic}.*" for topic in (name.partition(".")[0] for name in names)}
            close = did_you_mean(pattern, names, topics)
            raise Stop(f"{option} {pattern!r} names no scenario{close}; see: {command('list')}")
    return [n for n in names if not patterns or any(fnmatchcase(n, p) for p in patterns)]


def check_runnable(
    patterns: Sequence[str],
    chosen: Mapping[str, Bound],
    why_not: Callable[[Scenario], str],
    words: Mapping[str, str],
) -> None:
    """Check that each pattern names a scenario that can run: those of the others do not count.

    Args:
        chosen: the scenarios that the patterns name; all if there are no patterns.
        why_not: returns why a scenario cannot run, a key of `words`; ``""`` if it can.

    Raises:
        Stop: one does not; says why.
    """
    for pattern in patterns or ["*"]:
        why = Counter(
            why_not(bound.facts) for name, bound in chosen.items() if fnmatchcase(name, pattern)
        )
        if "" not in why:
            reasons = "; ".join(f"{count} {words[reason]}" for reason, count in why.items())
            raise Stop(f"--scenario {pattern!r}: none of these can be run: {reasons}")


def given_words(arguments: argparse.Namespace, *names: str) -> list[str]:
    """Return these options as a command that repeats them has them, without those not given."""
    words: list[str] = []
    for name in names:
        option, value = f"--{name.replace('_', '-')}", getattr(arguments, name)
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            for each in value if isinstance(value, list) else [value]:
                words += [option, f"{each:g}" if isinstance(each, float) else str(each)]
    return words


def chosen_apis(
    arguments: argparse.Namespace, peers: Mapping[str, Peer]
) -> tuple[list[Api], list[Api]]:
    """Return the rows and the columns that ``--server`` and ``--client`` choose.

    The judge's own is neither; choosing it chooses the scenarios that concern one side.
    """
    apis = [*(api for peer in peers.values() for api in peer.apis), *JUDGES.values()]
    older = arguments.versions == "all"
    servers = select(apis, "server", arguments.server, older=older)
    clients = select(apis, "client", arguments.client, older=older)
    return (
        [api for api in servers if api != JUDGES["server"]],
        [api for api in clients if api != JUDGES["client"]],
    )
