"""``python -m interop replay``: one half of what was recorded, against one live implementation.

What was recorded is a cell of a run, or what a real application and a real server said.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack

from rich.console import Console
from rich.markup import escape

from ..catalog import Api, Peer, select
from ..engines.local import LocalEngine
from ..errors import CannotRun
from ..places import CACHE_DIR, command
from ..records import CellResult, Role
from ..replay.recording import Step, find, steps
from ..replay.replay import Replay
from ..reports.hints import Hints
from ..reports.results import load
from ..run.pool import Pool
from ..run.runner import own_arguments_only
from ..runtimes.prepare import Preparer
from . import replay_recording
from .options import Commands, Stop, known_peers, named, peers_option, recorded_option, seconds

__all__ = ["add"]

_EPILOG = """\
examples:
  {command} replay python/ZapServer dart@0.5.0/ZapConsumer echo.null
  {command} replay day.jsonl --server ws://127.0.0.1:8000/ws

exit status: 0 as recorded; 1 otherwise; 2 it could not be replayed
"""


def add(commands: Commands) -> None:
    """Add the command."""
    replay = commands.add_parser(
        "replay", help="play one half of a recorded cell, or of a recording, again",
        epilog=_EPILOG.format(command=command()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    replay.set_defaults(command=_replay)
    option = replay.add_argument
    option("cell", nargs="+", metavar="CELL",
           help="the cell's server, client and scenario, or parts that only it has; or a file "
                "that the command record made")  # fmt: skip
    recorded_option(replay, "cell")
    peers_option(replay)
    live = replay.add_mutually_exclusive_group()
    live.add_argument("--server", metavar="API",
                      help="play the client's half to this server; of a recording, to this "
                           "URL")  # fmt: skip
    live.add_argument("--client", metavar="API", help="play the server's half to this client")
    live.add_argument("--half", choices=["client", "server"],
                      help="play this half to the recorded other (default: client)")  # fmt: skip
    option("--patience", type=seconds, default=5.0, metavar="SECONDS",
           help="how long to wait for what must come (default: 5)")  # fmt: skip
    replay_recording.options(replay)


def _replay(arguments: argparse.Namespace, console: Console) -> int:
    if (file := replay_recording.named(arguments.cell)) is not None:
        return replay_recording.run(file, arguments, console)
    recorded = load(arguments.results)
    cell = find(recorded.cells, arguments.cell)
    live: Role = "client" if arguments.client or arguments.half == "server" else "server"
    peers = known_peers(arguments)
    api = _api(arguments.client or arguments.server, cell, live, peers)
    hints = Hints(recorded.cells, recorded.run.options, named(arguments.results))
    todo = steps(cell, live, api.id, again=hints.again(cell))
    half = "server" if live == "client" else "client"
    name = f"{cell.server} <-> {cell.client}, {cell.scenario}"
    _line(console, f"the {half}'s half of {name}, to {api.id}")
    command = _command(peers[api.peer], api)
    with own_arguments_only():
        replay = asyncio.run(_played(api, cell, todo, command, arguments.patience))
    for difference in replay.differences:
        _line(console, difference)
    count = len(replay.differences)
    _line(console, f"{replay.same} as recorded, {count} not" if count else
                   f"all {replay.same} as recorded")  # fmt: skip
    return bool(count)


def _api(pattern: str | None, cell: CellResult, live: Role, peers: dict[str, Peer]) -> Api:
    """Return the implementation to run.

    Raises:
        Stop: the pattern names several.
        CatalogError: it names none.
    """
    what = f"--{live}" if pattern else "the recorded"
    apis = [api for peer in peers.values() for api in peer.apis]
    found = select(apis, live, [pattern or cell.api(live)], what=what)
    if len(found) > 1:
        names = ", ".join(api.id for api in found)
        raise Stop(f"{what} {pattern!r} names several: {names}")
    return found[0]


def _command(peer: Peer, api: Api) -> list[str]:
    try:
        return Preparer().command(peer, api.version if api.older else None)
    except CannotRun as exc:
        raise Stop(f"{api.id} cannot run: {exc}") from exc


async def _played(
    api: Api, cell: CellResult, todo: list[Step], command: list[str], patience: float
) -> Replay:
    """Return the replay once it is done."""
    count = 1 if api.role == "server" or cell.requests is None else len(cell.requests.clients)
    async with AsyncExitStack() as stack:
        engine = LocalEngine({api.program: command}, CACHE_DIR / "logs")
        stack.push_async_callback(engine.close)
        pool, sessions = Pool(engine), []
        for _ in range(count):
            sessions.append(session := await pool.open(api))
            stack.push_async_callback(session.close)
        host = (await engine.address(api.program)).host
        replay = Replay(api.role, api, sessions, host=host, patience=patience)
        await replay.run(todo)
    return replay


def _line(console: Console, line: str) -> None:
    console.print(escape(line), highlight=False, soft_wrap=True)
