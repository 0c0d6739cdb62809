"""``python -m interop``: run the matrix, and look at what it found."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from . import deviations
from .catalog import CatalogError
from .commands import Stop, check, compare, known, look, replay, run
from .errors import TestbedError

__all__ = ["main"]

_EPILOG = """\
A row or column is named peer[@version]/Api, as in dart@0.5.0/ZapConsumer; a peer's
name alone chooses all its APIs. Options that choose take globs and may be repeated.

exit status: 0 all as expected; 1 an unexpected result, a stale known deviation
included; 2 the testbed failed, a peer asked for by name cannot run, or nothing was chosen.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0, 1 or 2."""
    arguments = _parser().parse_args(argv)
    console = Console(width=None if sys.stdout.isatty() else 140)
    try:
        status: int = arguments.command(arguments, console)
    except (Stop, CatalogError, deviations.DeviationError, TestbedError) as exc:
        print(f"interop: {exc}", file=sys.stderr)  # noqa: T201  # a command line's own error
        return 2
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m interop", description=__doc__, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run.add(commands, _EPILOG)
    look.add(commands)
    known.add(commands)
    compare.add(commands)
    check.add(commands)
    replay.add(commands)
    return parser
