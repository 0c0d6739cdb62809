"""The command line: run the matrix, and look at what it found."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from .catalog import CatalogError, did_you_mean
from .commands import (
    check,
    check_client,
    compare,
    deviations,
    explain,
    gate,
    listing,
    merge,
    model,
    mutate,
    peer_check,
    record,
    replay,
    report,
    run,
    show,
    spec,
)
from .commands.options import Stop
from .descriptors import raise_limit
from .errors import TestbedError, in_words
from .output import Terminal, outputs, printable
from .places import CHECKOUT, DISTRIBUTION, PROGRAM, REPOSITORY, command, version
from .verdicts.deviations import DeviationError

__all__ = ["main"]

_EXAMPLES = """\
examples:
  {0} check ws://127.0.0.1:8000/ws
  {0} run --server dart --client python
  {0} run --peers ./my-peer --server my-peer
  {0} COMMAND --help

"""

_EPILOG = """\
A row or column is named peer[@version]/Api, as in dart@0.5.0/ZapConsumer; a peer's
name alone selects all its APIs. Options that select take globs and may be repeated.

exit status: 0 all as expected; 1 an unexpected result, a stale known deviation
included; 2 the testbed failed, a peer asked for by name cannot run, or nothing was selected.
"""


_OF_A_CHECKOUT = ("dart-packages", "record-vectors", "mutate", "model", "spec")
"""The commands that change the repository, or run what an installed testbed has not."""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are two lines: what is wrong, and where the command's options are."""

    def parse_known_args(  # type: ignore[override]  # its overloads are for other namespaces
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse, and refuse what is unknown here: the command above knows no more of it."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            name = unknown[0].partition("=")[0]
            options = [name for each in self._actions for name in each.option_strings]
            close = did_you_mean(name, options) if name.startswith("-") else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{close}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\nsee: {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Returns:
        0, 1 or 2, as the command says; 2 for a failure of the testbed itself, with one line on
        stderr that names it; 130 after Ctrl-C where there was nothing to keep.
    """
    with outputs() as (out, err):
        status = _status(argv)
        out.flush()
        if out.failure is not None:
            _complain(f"stdout: {out.failure.strerror}")
        err.flush()
        return 2 if out.failure or err.failure else status


def _status(argv: Sequence[str] | None) -> int:
    words = sys.argv[1:] if argv is None else argv
    if CHECKOUT is None and words and words[0] in _OF_A_CHECKOUT:
        _complain(f"{words[0]} works in a checkout of the repository alone: {REPOSITORY}")
        return 2
    arguments = _parser().parse_args(words)
    arguments.words = [*words]
    out = sys.stdout
    # Output of unknown width is read in an editor or a browser.
    width_known = out.isatty() or "COLUMNS" in os.environ
    console = Terminal(file=out, width=None if width_known else 140)
    if not __debug__:
        _complain("python -O leaves out the asserts that scenarios are made of: run it without -O")
        return 2
    raise_limit()
    try:
        status: int = arguments.command(arguments, console)
    except (Stop, CatalogError, DeviationError, TestbedError) as exc:
        _complain(str(exc))
        return 2
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError:
        raise  # `interop.needed` says what makes the environment
    except Exception as exc:
        if sys.flags.dev_mode:
            raise
        _complain(f"the testbed failed: {in_words(exc)}; python -X dev shows the traceback")
        return 2
    return status


def _complain(words: str) -> None:
    print(f"{PROGRAM}: {printable(words)}", file=sys.stderr)  # noqa: T201  # a command line's own error


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=command(), description="Check zaptools servers and clients, and run them in a matrix.",
        epilog=_EXAMPLES.format(command()) + _EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"{DISTRIBUTION} {version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run.add(commands, _EPILOG)
    listing.add(commands)
    if CHECKOUT:
        listing.add_of_checkout(commands)
    deviations.add(commands)
    merge.add(commands, _EPILOG)
    compare.add(commands)
    check.add(commands)
    check_client.add(commands)
    gate.add(commands)
    peer_check.add(commands)
    show.add(commands)
    explain.add(commands)
    report.add(commands)
    record.add(commands)
    replay.add(commands)
    if CHECKOUT:
        mutate.add(commands)
        model.add(commands)
        spec.add(commands)
    return parser
