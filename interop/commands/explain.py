"""``python -m interop explain``: in plain words, how a server and a client go together."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from ..errors import TestbedError
from ..places import command
from ..replay.recording import chosen
from ..reports.explain import Point, explain
from ..reports.files import judged_pairs, known_apis
from ..reports.results import Results, load
from .options import Commands, named, recorded_option

__all__ = ["add"]

_SHOWN = 4


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "explain", help="say in plain words whether a client works with a server, but for what"
    )
    parser.set_defaults(command=_explain)
    option = parser.add_argument
    option("pair", nargs="+", metavar="PAIR",
           help="the server and the client, or parts that only this pair has")  # fmt: skip
    recorded_option(parser, "pair")


def _explain(arguments: argparse.Namespace, console: Console) -> int:
    try:
        recorded = load(arguments.results)
    except TestbedError as exc:
        raise TestbedError(f"{exc}; to have results: {command('run')}") from exc
    _print_explanation(recorded.results(named(arguments.results)), arguments.pair, console)
    return 0


def _print_explanation(results: Results, words: list[str], console: Console) -> None:
    """Print what is known of one pair of a run.

    Raises:
        TestbedError: the words name no pair of the run, or several.
    """
    found = judged_pairs(results)
    if not found and results.engine == "check":
        raise TestbedError(f"no pair: one side alone was checked; see: {command('show')}")
    pair = chosen(found, lambda each: (each.server, each.client), words, "pair")
    apis = {(api.role, api.id): api for api in known_apis(results)}
    explained = explain(pair, results.cells, apis)
    console.print(f"[bold]{escape(explained.sentence)}[/]", highlight=False)
    for part in explained.parts:
        console.print(f"\n[bold]{escape(part.title)}[/]", highlight=False)
        for point in part.points:
            first, *details = _lines(point)
            _print_hanging(f"- {first}", 1, "", console)
            for line in details:
                _print_hanging(line, 3, "dim", console)


def _lines(point: Point) -> Iterator[str]:
    side = f"{point.role}: " if point.role is not None else ""
    yield f"{side}{point.says}"
    if point.cause:
        yield f"cause: {point.cause}"
    shown = [_some(point.rules, "rule"), _some(point.scenarios, "scenario")]
    if any(shown):
        yield "; ".join(filter(None, shown))


def _some(names: Sequence[str], noun: str) -> str:
    """Return the first names, and how many more there are."""
    if not names:
        return ""
    more = len(names) - _SHOWN
    title = noun if len(names) == 1 else f"{noun}s"
    return f"{title} {', '.join(names[:_SHOWN])}" + (f" and {more} more" if more > 0 else "")


def _print_hanging(words: str, by: int, style: str, console: Console) -> None:
    """Print an indented paragraph; the lines after the first of a bullet are indented more."""
    hang = by + 2 * words.startswith("- ")
    for number, line in enumerate(Text(words, style).wrap(console, max(console.width - hang, 20))):
        line.rstrip()
        console.print(Text(" " * (hang if number else by)) + line, soft_wrap=True)
