"""``python -m interop replay FILE``: the client's half of a recording, against another server."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from rich.console import Console
from rich.markup import escape

from ..check.endpoint import parse_endpoint
from ..signals import interruptible
from ..traffic.forms import Difference
from ..traffic.masks import PLACEHOLDER
from ..traffic.playback import Options, Playback
from ..traffic.recording import Asked, Lost, Recording, load
from .access import certificate_options
from .options import Stop, given_path
from .outputs import check_file

__all__ = ["named", "options", "run"]

_SHOWN = 40
"""Differences shown, and notes."""


def options(replay: argparse.ArgumentParser) -> None:
    """Add the options that concern a recording alone."""
    of_recording = replay.add_argument_group("of a recording")
    option = of_recording.add_argument
    values = of_recording.add_mutually_exclusive_group()
    values.add_argument("--values", action="store_true", help="compare values too")
    values.add_argument("--ignore-values", dest="values", action="store_false",
                        help="compare forms alone (the default)")  # fmt: skip
    option("--strict", action="store_true",
           help="take what applications usually ignore for a difference too: new members, new "
                "events, a number that has a fraction for the first time")  # fmt: skip
    option("--order", action="store_true",
           help="the events of each connection must come in the recorded order")  # fmt: skip
    option("--ignore", action="append", default=[], metavar="EVENT[.MEMBER]",
           help="do not compare this, a glob: 'tick', 'price.payload.debug*'")  # fmt: skip
    option("--connection", type=int, action="append", default=[], metavar="N",
           help="play this connection alone")  # fmt: skip
    option("--secret", action="append", default=[], metavar="NAME=env:VARIABLE",
           help="put the variable's value where <masked:NAME:…> was recorded")  # fmt: skip
    option("--header", action="append", default=[], metavar="'NAME: VALUE'",
           help="a header of every handshake, in the place of the recorded one")  # fmt: skip
    certificate_options(option)
    option("--json", type=given_path, metavar="FILE", help="write the findings there too")


def named(words: list[str]) -> Path | None:
    """Return the recording that the command's words name; None where they name a cell."""
    if len(words) == 1 and (words[0].endswith(".jsonl") or Path(words[0]).is_file()):
        return Path(words[0])
    return None


def run(file: Path, arguments: argparse.Namespace, console: Console) -> int:
    """Replay a recording; return the exit status.

    Raises:
        Stop: the command's words do not fit together.
        TestbedError: it cannot be read, the file of ``--json`` cannot be written, or the server
            is not reached.
    """
    if arguments.client or arguments.half or not arguments.server:
        raise Stop(f"{file} is a recording, of which the client's half is played: --server URL")
    if arguments.json:
        check_file(f"--json {arguments.json}", arguments.json)
    endpoint = parse_endpoint(
        arguments.server, headers=arguments.header, ca=arguments.ca, insecure=arguments.insecure
    )
    recording = load(file)
    secrets = dict(map(_secret, arguments.secret))
    _check_names(recording, secrets, arguments.connection)
    chosen = Options(
        patience=arguments.patience,
        values=arguments.values,
        order=arguments.order,
        ignore=arguments.ignore,
        secrets=secrets,
        connections=frozenset(arguments.connection),
    )
    playback = Playback(recording, endpoint, chosen)
    with interruptible() as interrupts, asyncio.Runner() as runner:
        interrupts.run(runner, playback.run())
    if not playback.refused and (unmatched := playback.unmatched()):
        words = "matches no event and no member, in the recording or now"
        raise Stop(f"--ignore {unmatched[0]}: {words}")
    found = _each_once(playback.differences)
    wrong = [each for each in found if arguments.strict or each.level == "difference"]
    notes = [each for each in found if each not in wrong]
    if playback.refused or not ((playback.played and playback.telling) or wrong):
        status = 2
    else:
        status = int(bool(wrong))
    _report(playback, recording, endpoint.shown, wrong, notes, status, console)
    if arguments.json:
        _write(arguments.json, playback, wrong, notes, status)
    return status


def _secret(text: str) -> tuple[str, str]:
    found = re.fullmatch(r"([\w.:-]+)=env:(\w+)", text)
    if found is None:  # a value on the command line would be in the shell's history
        raise Stop(f"--secret {text.partition('=')[0]}: not of the form NAME=env:VARIABLE")
    if found[2] not in os.environ:
        raise Stop(f"--secret {found[1]}: the variable {found[2]} is not set")
    return found[1].lower(), os.environ[found[2]]


def _check_names(recording: Recording, secrets: Iterable[str], connections: Iterable[int]) -> None:
    """Check that the recording has what the options name.

    Raises:
        Stop: it has not.
    """
    asked = {line.c for _, line in recording.lines if isinstance(line, Asked)}
    for number in connections:
        if number not in asked:
            has = "1 connection" if len(asked) == 1 else f"{len(asked)} connections"
            raise Stop(f"--connection {number}: the recording has {has}")
    names, values = set[str](), set[str]()
    for _, line in recording.lines:
        for found in PLACEHOLDER.finditer(unquote(str(line))):
            names.add(found[1])
            values.add(":".join(found.groups()))
    for each in secrets:
        if each not in names | values:
            has = ", ".join(sorted(names)) or "nothing"
            raise Stop(f"--secret {each}: the recording has it nowhere; masked are {has}")


def _each_once(differences: list[Difference]) -> list[Difference]:
    """Return each difference once, with how often it was found."""
    found: dict[tuple[str, str, str], Difference] = {}
    counts: Counter[tuple[str, str, str]] = Counter()
    on: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
    for each in differences:
        key = each.event, each.path, each.words
        counts[key] += 1
        on[key].add(each.place.connection if each.place else 0)
        found.setdefault(key, each)
    return [
        each
        if counts[key] == 1
        else replace(each, words=f"{each.words}, on {len(on[key])} connections")
        if len(on[key]) == counts[key]
        else replace(each, words=f"{each.words} ({counts[key]} times)")
        for key, each in found.items()
    ]


def _report(
    playback: Playback, recording: Recording, shown: str, wrong: list[Difference],
    notes: list[Difference], status: int, console: Console,
) -> None:  # fmt: skip
    connections = "1 connection" if playback.played == 1 else f"{playback.played} connections"
    events = "1 event" if playback.events == 1 else f"{playback.events} events"
    old = recording.begun.upstream
    if status == 2:
        why = playback.refused or "no connection was played to its end"
        if playback.played and not playback.telling:
            why = "in the recording the server says nothing that can be compared"
        first = f"could not be replayed: {why}"
    elif wrong:
        many = "1 difference" if len(wrong) == 1 else f"{len(wrong)} differences"
        first = f"{shown} speaks in another form than {old} did: {many}"
    else:
        first = f"{shown} speaks in the form that {old} did: {events} on {connections}"
    _line(console, first)
    for each in wrong[:_SHOWN]:
        _line(console, f"  {each}")
    if len(wrong) > _SHOWN:
        _line(console, f"  and {len(wrong) - _SHOWN} more (--json FILE has all)")
    for each in notes[:_SHOWN]:
        _line(console, f"note: {each}")
    if len(notes) > _SHOWN:
        _line(console, f"note: and {len(notes) - _SHOWN} more")
    for number, why in playback.unplayed.items():
        _line(console, f"connection {number} was not played to its end: {why}")
    if not recording.whole:
        last = recording.lines[-1][1] if recording.lines else None
        why = last.why if isinstance(last, Lost) else "the proxy was killed, or runs still"
        _line(console, f"the recording has no end: {why}")
    if masked := playback.masked():
        names = " ".join(f"--secret {name}=env:VARIABLE" for name in masked)
        _line(console, f"masked in the recording, with no real value given: {names}")
    if wrong or status == 2:
        _line(console, f"compared: {events} on {connections}; lines are those of the recording")


def _write(
    path: Path, playback: Playback, wrong: list[Difference], notes: list[Difference], status: int
) -> None:
    def rows(differences: list[Difference]) -> list[dict[str, object]]:
        return [
            {
                "event": each.event,
                "path": each.path,
                "words": each.words,
                "line": each.place.line if each.place else None,
                "connection": each.place.connection if each.place else None,
            }
            for each in differences
        ]

    found = {
        "verdict": {0: "same", 1: "different", 2: "not replayed"}[status],
        "reason": playback.refused,
        "events": playback.events,
        "connections": playback.played,
        "masked": playback.masked(),
        "differences": rows(wrong),
        "notes": rows(notes),
        "not_played": {str(number): why for number, why in playback.unplayed.items()},
    }
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _line(console: Console, line: str) -> None:
    console.print(escape(line), highlight=False, soft_wrap=True)
