"""``python -m interop gate``: whether a server may be deployed while old clients are in use."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ..catalog import Peer
from ..check.endpoint import Endpoint, EndpointError
from ..errors import CannotRun
from ..gate.answer import advice, evidence, paragraph, results
from ..gate.gate import Gate, Settings, Version
from ..gate.play import name_of
from ..gate.versions import chosen, named
from ..output import say
from ..places import CACHE_DIR, CHECKOUT, command
from ..reports.causes import counted
from ..reports.results import Results, read, shortened
from ..run.runner import load_catalogue, own_arguments_only
from ..runtimes.git import current_commit
from ..runtimes.prepare import Preparer
from ..signals import held, interruptible
from ..wire import vectors
from .access import access_options, given_endpoint
from .options import (
    Commands,
    Stop,
    given_path,
    given_words,
    known_peers,
    peers_option,
    rate,
    seconds,
)
from .outputs import annotating, claimed_outputs, outputs_options, recorded_folder, write_outputs

__all__ = ["add"]

_PATIENCE = 5.0

_SHOWN = 5
"""The frames that are shown of one form of cause: one for each event."""

_STYLES = {0: "bold green", 1: "bold red", 2: "bold magenta"}

_EPILOG = """\
For example, before a server is deployed to which apps with any version of the Dart client connect:

  {command} gate --server wss://staging.example.org/ws --clients 'dart@*' --echo echo \\
      --header 'Authorization: Bearer ${TOKEN}' --ask events.jsonl --baseline production.json

exit status: 0 no version breaks, or none but those that break in the baseline; 1 one does; 2 it
could not be found out: there is no such server, nothing is known of a version, or with
--require-real one could not be run.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    gate = commands.add_parser(
        "gate", help="say whether a server may be deployed to the users of old clients",
        epilog=_EPILOG.replace("{command}", command()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    gate.set_defaults(command=_gate)
    option = gate.add_argument
    server = gate.add_mutually_exclusive_group(required=True)
    server.add_argument("url", nargs="?", metavar="URL",
                        help="ws:// or wss://, with path and query, in which ${NAME} is an "
                             "environment variable's value, percent-encoded")  # fmt: skip
    server.add_argument("--server", metavar="URL", help="the same, as an option")
    option("--clients", action="append", default=[], metavar="GLOB",
           help="only these clients, as peer[@version][/Api], all their versions; dart names "
                "dart-0.3 too (default: all published ones)")  # fmt: skip
    peers_option(gate)
    option("--echo", metavar="EVENT",
           help="an event that the server answers with the same payload")  # fmt: skip
    option("--ask", type=given_path, metavar="FILE",
           help="events to send, one JSON object a line, such as the app's own: what the server "
                "answers is judged")  # fmt: skip
    option("--listen", type=seconds, default=1.0, metavar="SECONDS",
           help="how long to wait for what the server pushes (default: 1)")  # fmt: skip
    real = gate.add_mutually_exclusive_group()
    real.add_argument("--no-real", action="store_true",
                      help="judge by records alone, and run no client")  # fmt: skip
    real.add_argument("--require-real", action="store_true",
                      help="run each version itself: one that cannot run is status 2; what it "
                           "needs is made or downloaded")  # fmt: skip
    option("--baseline", type=given_path, metavar="RESULTS",
           help="what --json or --results wrote of the version in production: what breaks with "
                "that too is said, and breaks nothing")  # fmt: skip
    access_options(gate)
    option("--patience", type=seconds, default=_PATIENCE, metavar="SECONDS",
           help="how long to wait for what must come (default: 5)")  # fmt: skip
    option("--rate", type=rate, metavar="N",
           help="make at most N connections a second, for a server that limits them")  # fmt: skip
    outputs_options(gate)


def _gate(arguments: argparse.Namespace, console: Console) -> int:
    return annotating(arguments, console, lambda: _gated(arguments, console)).exit_status


def _gated(arguments: argparse.Namespace, console: Console) -> Results:
    """Take the evidence, and print and write what was found."""
    endpoint = given_endpoint(arguments.url or arguments.server, arguments)
    peers = known_peers(arguments)
    apis = chosen([api for peer in peers.values() for api in peer.apis], arguments.clients)
    known, answered = _baseline(arguments.baseline) if arguments.baseline else ({}, set())
    asked = _events(arguments.ask) if arguments.ask else []
    recorded = {each.api: each for each in vectors.load() if each.role == "client"}
    versions = [Version(api, recorded.get(api.id)) for api in apis]
    commands = _commands(arguments, versions, peers)
    severities = {name: facts.severity for name, facts in load_catalogue().items()}
    gate = Gate(
        endpoint,
        versions,
        Settings(arguments.patience, arguments.echo, asked, arguments.listen, arguments.rate),
        commands=commands,
        known=known,
        answered=answered,
        shoulds=frozenset(name for name, severity in severities.items() if severity == "should"),
        logs=CACHE_DIR / "logs",
    )
    with claimed_outputs(arguments), held():
        broken = _run(gate, console)
        if arguments.require_real and not broken:
            broken = _not_run(versions)
        broken = broken or _too_little(gate, compared=arguments.baseline is not None)
        words = endpoint.redacted(
            paragraph(endpoint.shown, versions, broken, gate.asked.silent, gone=bool(gate.gone))
        )
        found = results(endpoint, versions, _again(arguments, endpoint), broken, gate.asked)
        found.answer = words
        found.commit = current_commit(CHECKOUT)
        found.folder = recorded_folder(arguments)
        _report(gate, found, console)
        write_outputs(found, arguments, console)
    return found


def _run(gate: Gate, console: Console) -> str:
    """Run it, and return why it broke off; empty if it did not.

    Raises:
        EndpointError: there is no such server.
    """
    shown = gate.endpoint.shown
    with console.status(f"asking {shown}") as status:

        def progress(what: str) -> None:
            status.update(escape(f"asking {shown}: {what}"))

        try:
            with (
                own_arguments_only(),
                interruptible() as interrupts,
                asyncio.Runner() as runner,
            ):
                interrupts.run(runner, gate.run(progress))
        except KeyboardInterrupt:
            if not any(version.done for version in gate.versions):
                raise
            return "it was interrupted"
        except EndpointError as exc:
            raise EndpointError(str(gate.endpoint.redacted(str(exc)))) from None
    return str(gate.endpoint.redacted(gate.gone))


def _too_little(gate: Gate, *, compared: bool) -> str:
    """Return why nothing follows from what was seen; empty if something does.

    Args:
        compared: whether there is a baseline, which tells what was never answered.
    """
    if any(version.causes or version.already for version in gate.versions):
        return ""
    if gate.settings.asked and not gate.asked.answered and not compared:
        return "it answered no event of --ask FILE"
    pushed = gate.heard.seen or any(v.run is not None and v.run.pushed for v in gate.versions)
    if gate.settings.echo is None and not gate.settings.asked and not pushed:
        return "it pushed nothing, and was asked nothing; pass --echo EVENT or --ask FILE"
    return ""


def _not_run(versions: Sequence[Version]) -> str:
    missing = [v for v in versions if v.run is None or v.run.error]
    if not missing:
        return ""
    why = (missing[0].run.error if missing[0].run else missing[0].not_run).partition("\n")[0]
    names = named([v.api for v in missing], [v.api for v in versions])
    return f"--require-real: {names} could not be run ({why})"


# --- What is given ----------------------------------------------------------------------------


def _commands(
    arguments: argparse.Namespace, versions: Sequence[Version], peers: Mapping[str, Peer]
) -> dict[str, list[str]]:
    """Return the commands of the real clients, and note of the others why they are not run."""
    if arguments.no_real:
        for version in versions:
            version.not_run = "--no-real"
        return {}
    preparer = Preparer()
    found: dict[str, list[str]] = {}
    for version in versions:
        api = version.api
        pinned = api.version if api.older else None
        try:
            if not arguments.require_real and not preparer.at_hand(peers[api.peer], pinned):
                raise CannotRun("its runtime is not at hand: --require-real gets it")
            found[api.id] = preparer.command(peers[api.peer], pinned)
        except CannotRun as exc:
            version.not_run = str(exc).partition("\n")[0]
    return found


def _events(path: Path) -> list[str]:
    """Return the events of ``--ask``.

    Raises:
        Stop: it cannot be read, or a line is no event; names it.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as exc:
        raise Stop(f"--ask {path}: {getattr(exc, 'strerror', None) or exc}") from exc
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError as exc:
            raise Stop(f"--ask {path}:{number}: not JSON: {exc}") from None
        if not isinstance(event, dict) or not isinstance(event.get("eventName"), str):
            raise Stop(f"--ask {path}:{number}: not an event: an object with eventName, a text")
        found.append(line.strip())
    if not found:
        raise Stop(f"--ask {path}: no event in it")
    return found


def _baseline(path: Path) -> tuple[dict[str, frozenset[tuple[str, str]]], set[str]]:
    """Return what breaks in an earlier gate's results, by the client, and what was answered.

    Raises:
        Stop: they are none of a gate.
    """
    cells = read(path)
    if not cells or not all(cell.scenario.startswith("gate.") for cell in cells):
        raise Stop(f"--baseline {path}: not the results of a gate")
    found: dict[str, set[tuple[str, str]]] = {}
    answered: set[str] = set()
    for cell in cells:
        _, kind, *key = cell.scenario.split(".", 2)
        if key and cell.verdict in ("failed", "deviating"):
            found.setdefault(cell.client, set()).add((kind, key[0]))
        elif key and kind == "answers" and cell.verdict == "passed":
            answered.add(key[0])
    return {client: frozenset(keys) for client, keys in found.items()}, answered


def _again(arguments: argparse.Namespace, endpoint: Endpoint) -> str:
    """Return the given command; ``…`` stands for secrets."""
    words = ["gate", "--server", *endpoint.words]
    words += given_words(
        arguments, "clients", "subprotocol", "peers", "echo", "ask", "listen", "baseline", "ca",
        "rate", "patience", "insecure", "no_real", "require_real",
    )  # fmt: skip
    return command(*words)


# --- What is printed and written --------------------------------------------------------------


def _report(gate: Gate, found: Results, console: Console) -> None:
    told = gate.endpoint.redacted
    style, (word, colon, rest) = _STYLES[found.exit_status], found.answer.partition(":")
    say(console, f"[{style}]{escape(word)}[/]{escape(colon + rest)}")
    say(console, "")
    for version in gate.versions:
        say(console, escape(told(evidence(version))))
        for note in version.played.notes if version.played is not None else ():
            say(console, f"   [dim]no fault: {escape(told(note))}[/]")
    for causes, apis in advice(gate.versions):
        first = causes[0]
        say(console, "")
        words = first.with_events([cause.event for cause in causes])
        times = sum(cause.count for cause in causes)
        say(console, escape(told(f"the server {words}{f', {times} times' * (times > 1)}")))
        names = named(apis, [version.api for version in gate.versions])
        say(console, f"   {escape(told(f'{names}: {first.effect}'))}")
        for cause in causes[:_SHOWN]:
            if cause.frame:
                say(console, f"   frame: {escape(told(shortened(cause.frame, 400)))}")
        if first.advice:
            say(console, f"   change: {escape(first.advice)}")
    _facts(gate, console)


def _facts(gate: Gate, console: Console) -> None:
    """Print how much was seen, and what was not asked for."""
    pushed = f"{counted(len(gate.heard.seen), 'message')} within {gate.settings.listen:g} s"
    lines = [f"pushed: {pushed}"]
    if gate.heard.closed is not None:
        lines.append(f"it closed that connection by itself, with {gate.heard.closed}")
    if gate.settings.asked:
        answers = sum(each.when == "answer" for each in gate.asked.seen)
        lines.append(f"answered to --ask: {counted(answers, 'message')}")
        if gate.asked.silent:
            silent = (name_of(text) + beside for text, beside in gate.asked.silent.items())
            lines.append(f"no answer to: {', '.join(silent)}")
    else:
        lines.append("not seen: what it answers to the app's own events (--ask FILE)")
    if gate.settings.echo is None:
        lines.append("not seen: whether values get there and back (--echo EVENT)")
    say(console, "")
    for line in lines:
        say(console, f"[dim]{escape(gate.endpoint.redacted(line))}[/]")
