"""``check-client``: whether a team's own client program keeps the rules, seen from outside."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import socket
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ..catalog import JUDGES, load_peers, select
from ..check_client.check import WHY_NOT, ClientCheck, why_not
from ..check_client.door import ClientError, Door
from ..check_client.source import PATH, Awaited, Source, Started
from ..output import say
from ..places import CHECKOUT, command
from ..reports.causes import counted
from ..reports.findings import print_findings
from ..reports.results import Results
from ..run.runner import Bound, load_functions
from ..runtimes.git import current_commit
from ..signals import held, interruptible
from ..verdicts import deviations
from ..wire.certificate import certificate
from .options import (
    Commands,
    Stop,
    at_least,
    check_runnable,
    given_path,
    given_words,
    matching,
    seconds,
)
from .outputs import annotating, claimed_outputs, outputs_options, recorded_folder, write_outputs

__all__ = ["add"]

_PATIENCE = 5.0
_CONNECT_WITHIN = 30.0
_WITHIN = 600.0
_AT_ONCE = min(4, os.cpu_count() or 1)
_LOOPBACK = "127.0.0.1"

_EPILOG = """\
The program is started for each scenario with $ZAPTOOLS_URL in its environment, to which it
connects; {url} in COMMAND stands for that URL too. It needs to do no more than its usual work, and
stay connected. For example:

  check-client --echo echo -- python client.py
  check-client --echo echo -- dart run bin/client.dart
  check-client --echo echo --listen 8765          an app on a phone or in an emulator

exit status: 0 every must holds; 1 one does not; 2 the client could not be checked
"""


def add(commands: Commands) -> None:
    """Add the command."""
    check = commands.add_parser(
        "check-client", help="check a client program of your own, from outside",
        usage="%(prog)s [options] -- COMMAND...\n       %(prog)s [options] --listen HOST:PORT",
        epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    check.set_defaults(command=_check)
    option = check.add_argument
    option("program", nargs="*", metavar="COMMAND",
           help="what starts the client, behind a --; it connects to $ZAPTOOLS_URL")  # fmt: skip
    option("--listen", type=_address, metavar="HOST:PORT",
           help="start nothing, and wait there for an app; a port alone is one of "
                f"{_LOOPBACK}, 0.0.0.0:PORT lets other machines in")  # fmt: skip
    option("--echo", metavar="EVENT",
           help="an event that the client answers with the same payload")  # fmt: skip
    option("--reconnects", action="store_true",
           help="the client connects again by itself, soon: one start serves all "
                "scenarios, and that it connects again is checked")  # fmt: skip
    option("--tls", action="store_true",
           help="serve wss:// with a certificate of its own, which is in the file that "
                "$ZAPTOOLS_CA names")  # fmt: skip
    option("--scenario", action="append", default=[], metavar="GLOB", help="only these scenarios")
    option("--at-once", type=at_least(1), default=_AT_ONCE, metavar="N",
           help="how many scenarios run at the same time, each with a program of its own "
                f"(default: {_AT_ONCE}; 1 with --reconnects or --listen)")  # fmt: skip
    option("--patience", type=seconds, default=_PATIENCE, metavar="SECONDS",
           help="how long to wait for what must come (default: 5)")  # fmt: skip
    option("--connect-within", type=seconds, default=_CONNECT_WITHIN, metavar="SECONDS",
           help="how long the client may take to connect after its start "
                "(default: 30)")  # fmt: skip
    option("--timeout", type=seconds, metavar="SECONDS",
           help="how long a scenario may take at all, with the client's start "
                "(default: 6 times the patience and twice the start)")  # fmt: skip
    option("--within", type=seconds, default=_WITHIN, metavar="SECONDS",
           help="how long all of it may take (default: 600)")  # fmt: skip
    option("--known", type=given_path, metavar="FILE",
           help="expect what this file says of the client, in the form of "
                "deviations.toml")  # fmt: skip
    option("--uses", metavar="PEER/API",
           help="the library that the client uses, as dart@0.5.0/ZapConsumer, which the "
                "command list names: expect what is known of it")  # fmt: skip
    option("--strict", action="store_true", help="a should that fails is a failure too")
    outputs_options(check)


def _check(arguments: argparse.Namespace, console: Console) -> int:
    return annotating(arguments, console, lambda: _checked(arguments, console)).exit_status


def _checked(arguments: argparse.Namespace, console: Console) -> Results:
    """Check the client, and print and write what was found."""
    if bool(arguments.program) == (arguments.listen is not None):
        raise Stop("name the client: either its COMMAND behind a --, or --listen for an app")
    timeout = arguments.timeout or 6 * arguments.patience + 2 * arguments.connect_within
    whole = load_functions(timeout)
    chosen = {name: whole[name] for name in matching(whole, arguments.scenario, "--scenario")}
    can = _can(arguments)
    check_runnable(arguments.scenario, chosen, lambda facts: why_not(facts, can), WHY_NOT)
    known = arguments.known
    with _ca_file(arguments) as ca, claimed_outputs(arguments), held():
        check = ClientCheck(
            _name(arguments),
            _source(arguments, console, ca),
            shared=arguments.reconnects or arguments.listen is not None,
            patience=arguments.patience,
            can=can,
            echo=arguments.echo,
            at_once=arguments.at_once,
            within=arguments.within,
            known=deviations.known_to_check(known, list(whole), "client") if known else (),
            of_library=_of_library(arguments.uses) if arguments.uses else (),
            strict=arguments.strict,
            again=lambda name: _again(arguments, name),
        )
        with console.status(f"checking {escape(check.name)}") as status:
            results = _interruptible(
                check, chosen, lambda name: status.update(f"checking {escape(check.name)}: {name}")
            )
        results.commit = current_commit(CHECKOUT)
        results.folder = recorded_folder(arguments)
        _print(check, console)
        write_outputs(results, arguments, console)
    return results


def _print(check: ClientCheck, console: Console) -> None:
    print_findings(check.results, console)
    if check.ends:
        say(console, f"it ended {counted(check.ends, 'time')}, and was started anew")
    if check.restarts:
        say(console, f"{counted(check.restarts, 'time')} it did not connect again within "
                     f"{check.patience:g} s, and was started anew: if it waits longer before it "
                     "connects again, give it --patience")  # fmt: skip
    if check.results.broken and check.last_printed is not None:
        say(console, "it printed:" if check.last_printed else "it printed nothing")
        for line in check.last_printed:
            say(console, f"   {escape(line)}")


def _can(arguments: argparse.Namespace) -> set[str]:
    """Return which of the needs of scenarios the client meets."""
    given = {
        "echo": arguments.echo is not None,
        "reconnects": arguments.reconnects,
        "url": bool(arguments.program),
    }
    return {need for need, there in given.items() if there}


def _of_library(pattern: str) -> list[deviations.Deviation]:
    """Return what is known of the clients that a pattern names.

    Raises:
        CatalogError: it names none.
    """
    apis = [api for peer in load_peers().values() for api in peer.apis]
    chosen = select(apis, "client", [pattern], what="--uses")
    judge = JUDGES["server"]
    return [
        entry
        for entry in deviations.load()
        if entry.role == "client" and any(entry.concerns(judge, api) for api in chosen)
    ]


def _name(arguments: argparse.Namespace) -> str:
    if arguments.listen is not None:
        return f"the app at port {arguments.listen[1]}"
    return shlex.join(arguments.program)


def _ca_file(arguments: argparse.Namespace) -> AbstractContextManager[str]:
    """Return a temporary folder for the certificate's file; an empty name without TLS."""
    return tempfile.TemporaryDirectory() if arguments.tls else nullcontext("")


def _source(
    arguments: argparse.Namespace, console: Console, folder: str
) -> Callable[[], Awaitable[Source]]:
    """Return what makes the source of the client's connections."""
    host, port = arguments.listen or (_LOOPBACK, 0)
    tls, variables = None, {}
    if arguments.tls:
        shown = certificate(_LOOPBACK if host == "0.0.0.0" else host)
        tls, file = shown.for_server(), Path(folder, "ca.pem")
        file.write_text(shown.pem, "ascii")
        variables["ZAPTOOLS_CA"] = str(file)

    async def started() -> Source:
        return Started(
            await Door(host, port, tls).open(),
            arguments.program,
            within=arguments.connect_within,
            reconnects=arguments.reconnects,
            variables=variables,
        )

    async def awaited() -> Source:
        door = await Door(host, port, tls).open()
        _invite(door, console)
        return Awaited(
            door,
            within=arguments.connect_within,
            at_most=arguments.within,
            tell=lambda words: say(console, words),
        )

    return awaited if arguments.listen is not None else started


def _invite(door: Door, console: Console) -> None:
    """Say where the app has to connect."""
    everywhere = door.host in ("0.0.0.0", "::")
    say(console, f"waiting for the app at {door.url(PATH, _LOOPBACK if everywhere else '')}")
    if everywhere and (own := _own_address()):
        say(console, f"   from another machine, or a phone in the same network: "
                     f"{door.url(PATH, own)}")  # fmt: skip
    if everywhere or door.host == _LOOPBACK:
        say(console, f"   from an Android emulator: {door.url(PATH, '10.0.2.2')}")
        say(console, f"   from an Android phone on USB, after adb reverse tcp:{door.port} "
                     f"tcp:{door.port}: {door.url(PATH, _LOOPBACK)}")  # fmt: skip
    say(console, "each connection is the next scenario: let the app connect again after each end")


def _own_address() -> str:
    """Return this machine's address in its network; empty if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it chooses the interface
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def _address(text: str) -> tuple[str, int]:
    """Return an option's value that is a host and a port, or a port alone."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is neither HOST:PORT nor a port")
    return host.strip("[]") or _LOOPBACK, int(port)


def _interruptible(
    check: ClientCheck, chosen: Mapping[str, Bound], progress: Callable[[str], None]
) -> Results:
    """Return the findings: those so far if it was interrupted, none if there is no such client.

    Raises:
        KeyboardInterrupt: it came before there were any.
    """
    try:
        with interruptible() as interrupts, asyncio.Runner() as runner:
            interrupts.run(runner, check.run(chosen, progress))
    except ClientError as exc:
        check.results.broken, check.last_printed = str(exc), exc.printed
    except KeyboardInterrupt:
        if not check.begun:
            raise
    return check.results


def _again(arguments: argparse.Namespace, scenario: str) -> str:
    """Return the command that runs a scenario again, with the other options that were given."""
    words = ["check-client", "--scenario", scenario]
    words += given_words(
        arguments, "echo", "known", "uses", "timeout", "reconnects", "tls", "strict"
    )
    for option, usual in (("patience", _PATIENCE), ("connect_within", _CONNECT_WITHIN)):
        if (value := getattr(arguments, option)) != usual:
            words += [f"--{option.replace('_', '-')}", f"{value:g}"]
    if arguments.listen is not None:
        host, port = arguments.listen
        return command(*words, "--listen", f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return command(*words, "--", *arguments.program)
