"""``python -m interop check``: whether a running server keeps the rules, seen from outside."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Iterable, Mapping

from rich.console import Console
from rich.markup import escape

from ..catalog import did_you_mean
from ..check.check import WHY_NOT, Check, why_not
from ..check.endpoint import Endpoint, EndpointError
from ..places import CHECKOUT, command
from ..reports.findings import print_findings
from ..reports.results import Results
from ..run.runner import Bound, load_functions
from ..runtimes.git import current_commit
from ..signals import held, interruptible
from ..verdicts import deviations
from .access import access_options, given_endpoint
from .options import (
    Commands,
    Stop,
    check_runnable,
    given_path,
    given_words,
    matching,
    rate,
    seconds,
)
from .outputs import annotating, claimed_outputs, outputs_options, recorded_folder, write_outputs

__all__ = ["add"]

_PATIENCE = 5.0

_EPILOG = """\
example: check 'wss://staging.example.org/ws' --echo echo \\
           --header 'Authorization: Bearer ${TOKEN}' --junit junit.xml

exit status: 0 every must holds; 1 one does not; 2 the server could not be checked
"""

_CONNECTIONS = 10
"""More connections than any scenario without control makes."""


def add(commands: Commands) -> None:
    """Add the command."""
    check = commands.add_parser(
        "check", help="check any running server, from outside",
        epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    check.set_defaults(command=_check)
    option = check.add_argument
    option(
        "url",
        metavar="URL",
        help="ws:// or wss://, with path and query, in which ${NAME} "
        "is an environment variable's value, percent-encoded",
    )
    option("--echo", metavar="EVENT",
           help="an event that the server answers with the same payload")  # fmt: skip
    access_options(check)
    option("--scenario", action="append", default=[], metavar="GLOB", help="only these scenarios")
    option("--patience", type=seconds, default=_PATIENCE, metavar="SECONDS",
           help="how long to wait for what must come (default: 5)")  # fmt: skip
    option("--timeout", type=seconds, metavar="SECONDS",
           help="how long a scenario may take at all "
                "(default: 6 times the patience, 30 at least)")  # fmt: skip
    option("--within", type=seconds, default=300.0, metavar="SECONDS",
           help="how long all of it may take, but for what --rate makes it wait "
                "(default: 300)")  # fmt: skip
    option("--rate", type=rate, metavar="N",
           help="make at most N connections a second, for a server that limits them")  # fmt: skip
    option("--known", type=given_path, metavar="FILE",
           help="expect what this file says of the server, in the form of "
                "deviations.toml")  # fmt: skip
    option("--framework", metavar="NAME",
           help="expect what is known of this framework, or of 'none' "
                "(default: the one that the server's answers name)")  # fmt: skip
    option("--strict", action="store_true", help="a should that fails is a failure too")
    outputs_options(check)


def _check(arguments: argparse.Namespace, console: Console) -> int:
    return annotating(arguments, console, lambda: _checked(arguments, console)).exit_status


def _checked(arguments: argparse.Namespace, console: Console) -> Results:
    """Check the server, and print and write what was found."""
    endpoint = given_endpoint(arguments.url, arguments)
    # What a scenario waits for has its own limits; a server that keeps it going has this one.
    pause = _CONNECTIONS / arguments.rate if arguments.rate else 0.0
    whole = load_functions((arguments.timeout or max(30.0, 6 * arguments.patience)) + pause)
    chosen = {name: whole[name] for name in matching(whole, arguments.scenario, "--scenario")}
    check_runnable(
        arguments.scenario, chosen, lambda facts: why_not(facts, arguments.echo), WHY_NOT
    )
    frameworks = [entry for entry in deviations.load() if entry.framework]
    check = Check(
        endpoint,
        patience=arguments.patience,
        echo=arguments.echo,
        within=arguments.within,
        rate=arguments.rate,
        strict=arguments.strict,
        known=deviations.known_to_check(arguments.known, list(whole)) if arguments.known else (),
        frameworks=frameworks,
        framework=_framework(arguments.framework, frameworks),
        again=_again(arguments, endpoint),
    )
    with claimed_outputs(arguments), held():
        what = f"checking {escape(endpoint.shown)}"
        with console.status(what) as status:
            results = _interruptible(check, chosen, lambda name: status.update(f"{what}: {name}"))
        results.commit = current_commit(CHECKOUT)
        results.folder = recorded_folder(arguments)
        print_findings(results, console)
        write_outputs(results, arguments, console)
    return results


def _interruptible(
    check: Check, chosen: Mapping[str, Bound], progress: Callable[[str], None]
) -> Results:
    """Return the findings: those so far if it was interrupted, none if there is no such server.

    Raises:
        KeyboardInterrupt: it came before there were any.
    """
    try:
        with interruptible() as interrupts, asyncio.Runner() as runner:
            interrupts.run(runner, check.run(chosen, progress))
    except EndpointError as exc:
        check.checked.results.broken = exc.why
    except KeyboardInterrupt:
        if not check.begun:
            raise
    return check.checked.results


def _framework(given: str | None, entries: Iterable[deviations.Deviation]) -> str | None:
    """Return the framework that was named: None for the server's own word, ``""`` for none.

    Raises:
        Stop: it has no known deviations.
    """
    names = sorted({entry.framework for entry in entries})
    if given is not None and given not in (*names, "none"):
        close = did_you_mean(given, names)
        raise Stop(f"--framework {given!r}: what is known is of {', '.join(names)}, or none{close}")
    return "" if given == "none" else given


def _again(arguments: argparse.Namespace, endpoint: Endpoint) -> str:
    """Return the given command without its scenarios; ``…`` stands for secrets."""
    words = ["check", *endpoint.words]
    words += given_words(
        arguments, "subprotocol", "echo", "ca", "rate", "known", "framework", "timeout",
        "insecure", "strict",
    )  # fmt: skip
    if arguments.patience != _PATIENCE:
        words += ["--patience", f"{arguments.patience:g}"]
    return command(*words)
