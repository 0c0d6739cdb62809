"""``python -m interop peer-check``: whether a peer keeps the control contract, before any cell."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from ..catalog import PEERS_DIR, Peer, did_you_mean, load_peers, program_of
from ..errors import CannotRun
from ..output import say
from ..peercheck.order import steps
from ..peercheck.peercheck import Finding, PeerCheck, Status, Subject
from ..peercheck.program import CHECKS
from ..peercheck.skeleton import write_skeleton
from ..places import CACHE_DIR, command, page
from ..records import ROLES
from ..run.runner import load_functions, own_arguments_only
from ..runtimes.prepare import Preparer
from ..signals import interruptible
from ..verdicts import deviations
from .options import Commands, Stop, deviations_option, seconds

__all__ = ["add"]

_PAGE = page("peer-contract.md")

_EPILOG = """\
PEER is the name of a peer of this testbed (node, pypi@0.4.6) or of one of its APIs
(python/ZapServer), a folder as --peers takes it, with a peer.toml, or a program with its arguments:

  %(prog)s node
  %(prog)s ~/ours/interop
  %(prog)s --new ~/ours/interop/our-client
  %(prog)s --check 'released.*' ./our-peer
  %(prog)s -- dart run bin/peer.dart

exit status: 0 ready for the matrix; 1 a rule of the contract does not hold; 2 the peer
could not be run.
"""

_MARKS: dict[Status, tuple[str, str]] = {
    "holds": ("ok", "green"),
    "lacks": ("--", "dim"),
    "known": ("~~", "yellow"),
    "broken": ("XX", "bold red"),
    "waits": ("..", "dim"),  # of several, in one line
}


def add(commands: Commands) -> None:
    """Add the command."""
    peer_check = commands.add_parser(
        "peer-check", help="check that a peer keeps the control contract, before its first cell",
        epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    peer_check.set_defaults(command=_peer_check)
    _options(peer_check)
    option = peer_check.add_argument
    option("peer", metavar="PEER", help="a name, a folder or a program, before which options come")
    option("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="of the program")


def _options(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--check", action="append", default=[], metavar="GLOB",
           help="look at no checks but these, and what they need; may be repeated")  # fmt: skip
    option("--new", action="store_true",
           help="first write a peer that does nothing yet into the folder PEER, which must not "
                "be there; its name is the peer's")  # fmt: skip
    option("--json", action="store_true", help="print one JSON object, for programs")
    option("--patience", type=seconds, default=5.0, metavar="SECONDS",
           help="how long to wait for an answer, and for what must come (default: 5)")  # fmt: skip
    option("--start", type=seconds, default=60.0, metavar="SECONDS",
           help="how long the program may take to print READY (default: 60)")  # fmt: skip
    deviations_option(parser, "of PEER")


def _peer_check(arguments: argparse.Namespace, console: Console) -> int:
    _take_options(arguments)
    if arguments.new:
        write_skeleton(Path(arguments.peer))
    subjects = _subjects(arguments.peer, arguments.arguments)
    scenarios = load_functions()
    known = deviations.load()
    for path in arguments.deviations:
        known += deviations.load(path)
    names = {check.name for check in CHECKS}
    names |= {step.name for role in ROLES for step in steps(role, scenarios)}
    for pattern in arguments.check:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise Stop(f"--check {pattern!r} names no check{did_you_mean(pattern, sorted(names))}")
    checks = []
    with own_arguments_only():
        for subject in subjects:
            with console.status(escape(f"checking {subject.name}")) as status:
                check = PeerCheck(
                    subject,
                    scenarios,
                    patience=arguments.patience,
                    start_within=arguments.start,
                    logs=CACHE_DIR / "logs",
                    known=known,
                    only=arguments.check,
                    progress=lambda name: status.update(f"checking {name}"),
                )
                with interruptible() as interrupts, asyncio.Runner() as runner:
                    interrupts.run(runner, check.run())
            checks.append(check)
    if arguments.json:
        told = [_as_json(check) for check in checks]
        console.print_json(json.dumps(told[0] if len(told) == 1 else told))
    else:
        for number, check in enumerate(checks):
            if number:
                say(console, "")
            _print(check, console)
    return max(map(_status, checks))


def _status(check: PeerCheck) -> int:
    return int(any(finding.status == "broken" for finding in check.findings))


# --- The peer -----------------------------------------------------------------------------


def _take_options(arguments: argparse.Namespace) -> None:
    """Take the options after a peer or a folder, which has no arguments, as this command's."""
    rest = arguments.arguments
    if not rest or not rest[0].startswith("-") or "--" in arguments.words:
        return
    name = program_of(arguments.peer).partition("@")[0]
    if arguments.new or Path(arguments.peer).is_dir() or name in load_peers():
        parser = argparse.ArgumentParser(
            prog=command("peer-check"), add_help=False, exit_on_error=False, allow_abbrev=False
        )
        _options(parser)
        try:
            _, unknown = parser.parse_known_args(rest, arguments)
        except argparse.ArgumentError as exc:
            raise Stop(str(exc)) from None
        if unknown:
            raise Stop(
                f"{unknown[0]!r} after {arguments.peer!r} is no option of peer-check; for a "
                f"program and its arguments: {command('peer-check', '--', arguments.peer, *rest)}"
            )
        arguments.arguments = []


def _subjects(name: str, arguments: Sequence[str]) -> list[Subject]:
    """Return the peers that a command line names.

    Raises:
        Stop: it names none, or one that cannot run here.
        CatalogError: its ``peer.toml`` is wrong.
    """
    folder, peers = Path(name), load_peers()
    if folder.is_dir() and not arguments:
        whole = folder.resolve()
        if whole.parent == PEERS_DIR:
            return [_of_catalogue(peers[whole.name])]
        return [_of_catalogue(peer) for peer in load_peers(added=[folder]).values()
                if peer.added]  # fmt: skip
    if folder.is_dir():
        raise Stop(f"{name!r} is a folder, which takes no {arguments[0]!r}")
    peer, _, version = program_of(name).partition("@")
    if peer in peers and not arguments:
        return [_of_catalogue(peers[peer], version, name.partition("/")[2])]
    if (program := shutil.which(name)) is None:
        if folder.is_file():
            raise Stop(f"{name!r} is not an executable file")
        close = did_you_mean(name, peers)
        raise Stop(f"{name!r} is no peer, no folder and no program{close}")
    # It is started elsewhere.
    words = [str(Path(program).absolute())]
    words += [str(Path(each).absolute()) if Path(each).exists() else each for each in arguments]
    scripts = [each for each in arguments if Path(each).is_file()]
    return [Subject(name=Path([name, *scripts][-1]).name, command=words, apis=None)]


def _of_catalogue(peer: Peer, version: str = "", name: str = "") -> Subject:
    program = f"{peer.name}@{version}" if version else peer.name
    apis = [api for api in peer.apis if api.program == program]
    if not apis:  # the newest has a version too
        apis = [api for api in peer.apis if api.version == version and not api.older]
        version = "" if apis else version
    apis = [api for api in apis if name in ("", api.name)]
    if not apis:
        chosen = f"{program}/{name}" if name else program
        raise Stop(f"{chosen} is not here: {', '.join(api.id for api in peer.apis)} are")
    try:
        words = Preparer().command(peer, version or None)
    except CannotRun as exc:
        raise Stop(f"{program} cannot run: {exc}") from exc
    return Subject(name=program, command=words, apis=apis)


# --- The answer ---------------------------------------------------------------------------


def _verdict(check: PeerCheck) -> str:
    name, counts = check.subject.name, Counter(each.status for each in check.findings)
    total = len(check.findings)
    rest = [
        f"{counts['lacks']} {'is' if counts['lacks'] == 1 else 'are'} about what it lacks",
        f"{counts['known']} {'deviates' if counts['known'] == 1 else 'deviate'} as is known",
        f"{counts['waits']} {'waits' if counts['waits'] == 1 else 'wait'} for others",
    ]
    statuses: tuple[Status, ...] = ("lacks", "known", "waits")
    told = [words for status, words in zip(statuses, rest, strict=True) if counts[status]]
    if broken := counts["broken"]:
        verb = "does" if broken == 1 else "do"
        first = f"not yet: {broken} of {total} checks of {name} {verb} not hold"
    else:
        first = f"ready for the matrix: {counts['holds']} of {total} checks of {name} hold"
    return ", ".join([first, *told])


def _print(check: PeerCheck, console: Console) -> None:
    style = "bold red" if _status(check) else "bold green"
    say(console, f"[{style}]{escape(_verdict(check))}[/]")
    waited_for = {each.words for each in check.findings if each.status == "waits"}
    for finding in check.findings:
        # What is next: the first that does not hold, or that others wait for.
        if finding.status == "broken" or (finding.status == "lacks" and finding.name in waited_for):
            say(console, f"next: {escape(_whole_name(finding))}: {escape(finding.words)}")
            break
    for api, of_api in groupby(check.findings, key=lambda each: each.api):
        say(console, f"\n[bold]{escape(str(api)) if api else 'the program'}[/]")
        for finding in (findings := list(of_api)):
            if finding.status != "waits":
                _print_one(finding, console)
        for words in dict.fromkeys(each.words for each in findings if each.status == "waits"):
            names = [each.name for each in findings if each.status == "waits"]
            say(console, f" [dim].. these wait for {escape(words)}: {escape(', '.join(names))}[/]")
    say(console, f"\n[dim]ok holds; -- unsupported; (#…) is a section of {_PAGE}[/]")


def _print_one(finding: Finding, console: Console) -> None:
    mark, style = _MARKS[finding.status]
    where = f"[dim](#{_anchor(finding.section)})[/]"
    say(console, f" [{style}]{mark}[/] {escape(f'{finding.name}: {finding.rule}')} {where}")
    for line in finding.words.splitlines():
        say(console, f"    [{style}]{escape(line)}[/]" if style == "dim" else f"    {escape(line)}")


def _whole_name(finding: Finding) -> str:
    return f"{finding.api} {finding.name}" if finding.api else finding.name


def _anchor(section: str) -> str:
    return section.lower().replace(" ", "-")


def _as_json(check: PeerCheck) -> dict[str, Any]:
    return {
        "peer": check.subject.name,
        "ready": not _status(check),
        "verdict": _verdict(check),
        "checks": [
            {
                "name": each.name,
                "api": each.api.id if each.api else None,
                "role": each.api.role if each.api else None,
                "section": f"{_PAGE}#{_anchor(each.section)}",
                "rule": each.rule,
                "status": each.status,
                "words": each.words,
            }
            for each in check.findings
        ],
    }
