"""``python -m interop``: run the matrix, list what there is, prepare Dart packages."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from . import deviations, vectors
from .catalog import Api, CatalogError, Peer, load_peers, select
from .engines import Address
from .engines.compose import CONTROL_PORT
from .errors import TestbedError
from .plan import Plan
from .prepare import CACHE_DIR, ROOT, CannotRun, Preparer
from .reports.files import write_reports
from .reports.progress import Progress
from .reports.terminal import print_report
from .results import Cell, Results
from .runner import load_catalogue, run_plan
from .scenario import Scenario

__all__ = ["main"]

_EPILOG = """\
A row or column is named peer[@version]/Api, as in dart@0.5.0/ZapConsumer; a peer's
name alone chooses all its APIs. Options that choose take globs and may be repeated.

exit status: 0 all as expected; 1 an unexpected result, a stale known deviation
included; 2 the testbed failed, a peer asked for by name cannot run, or nothing was chosen.
"""


class _Stop(Exception):
    """Ends the program with status 2 and this message."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0, 1 or 2."""
    arguments = _parser().parse_args(argv)
    console = Console(width=None if sys.stdout.isatty() else 140)
    try:
        status: int = arguments.command(arguments, console)
    except (_Stop, CatalogError, deviations.DeviationError, TestbedError) as exc:
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

    run = commands.add_parser("run", help="run the matrix", epilog=_EPILOG,
                              formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    run.set_defaults(command=_run)
    _selection(run)
    run.add_argument("--require", action="append", default=[], metavar="PEER",
                     help="a peer that must be able to run: exit 2 if it cannot")  # fmt: skip
    run.add_argument("--engine", choices=["local", "docker", "compose"], default="local",
                     help="processes of this machine (default), containers that are started "
                          "for the run, or running services")  # fmt: skip
    run.add_argument("-n", "--workers", type=_count, default=2 * (os.cpu_count() or 1),
                     help="worker processes, 0 for none (default: two a core, "
                          "since cells also wait: %(default)s)")  # fmt: skip
    run.add_argument("--results", type=Path, default=ROOT / "results", metavar="DIR",
                     help="where to write the reports (default: results)")  # fmt: skip
    run.add_argument("--patience", type=_seconds, default=5.0, metavar="SECONDS",
                     help="how long a scenario waits for what must come (default: 5)")  # fmt: skip
    run.add_argument("--no-deviations", action="store_true",
                     help="expect no failure: show every deviation as what it is")  # fmt: skip
    run.add_argument("-v", "--verbose", action="store_true", help="show pytest's own output")
    _dart(run)

    listing = commands.add_parser("list", help="list rows, columns and scenarios")
    listing.set_defaults(command=_list)
    _selection(listing)

    packages = commands.add_parser(
        "dart-packages", help="let the Dart peers use a folder of unpacked packages"
    )
    packages.set_defaults(command=_dart_packages)
    packages.add_argument("folder", type=Path, metavar="DIR",
                          help="a folder of folders that each hold a pubspec.yaml")  # fmt: skip

    recording = commands.add_parser(
        "record-vectors", help="keep the wire text that a run's peers wrote, in interop/vectors"
    )
    recording.set_defaults(command=_record_vectors)
    recording.add_argument("results", type=Path, nargs="+", metavar="RESULTS",
                           help="results.json of a run with --versions all")  # fmt: skip
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 3600")
    return value


def _selection(parser: argparse.ArgumentParser) -> None:
    for option, what in (("server", "rows"), ("client", "columns"), ("scenario", "scenarios")):
        parser.add_argument(f"--{option}", action="append", default=[], metavar="GLOB",
                            help=f"only these {what}")  # fmt: skip
    parser.add_argument("--versions", choices=["latest", "all"], default="latest",
                        help="of each implementation; a pattern with an @ chooses "
                             "older ones too (default: latest)")  # fmt: skip


def _dart(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dart", metavar="PATH",
                        help="the Dart VM or SDK (default: $DART, then PATH)")  # fmt: skip


def _run(arguments: argparse.Namespace, console: Console) -> int:
    peers = load_peers()
    catalogue = _catalogue(arguments.scenario, peers)
    servers, clients = _select(arguments, peers)
    _check_writable(arguments.results)
    made: dict[str, list[str]] = {}
    addresses: dict[str, Address] = {}
    not_run: dict[str, str] = {}
    if arguments.engine == "compose":
        addresses = _services(arguments, {api.program for api in (*servers, *clients)})
        runnable = set(addresses)
        not_run = {
            api.id: "its service was not selected (INTEROP_PEERS)"
            for api in (*servers, *clients) if api.program not in runnable
        }  # fmt: skip
    else:
        make = _maker(arguments, peers)
        made, missing = _prepare(arguments, peers, [*servers, *clients], console, make)
        runnable = set(made)
        not_run = {a.id: missing[a.program] for a in (*servers, *clients) if a.program in missing}
    plan = Plan(
        engine=arguments.engine,
        servers=tuple(api for api in servers if api.program in runnable),
        clients=tuple(api for api in clients if api.program in runnable),
        commands=made if arguments.engine == "local" else {},
        addresses=addresses,
        images={n: i for n, (i,) in made.items()} if arguments.engine == "docker" else {},
        run=uuid.uuid4().hex,
        scenarios=tuple(arguments.scenario),
        deviations=None if arguments.no_deviations else deviations.DEVIATIONS_FILE,
        logs=_logs(arguments),
        patience=arguments.patience,
    )
    results = Results(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        engine=arguments.engine,
        servers=[api.id for api in plan.servers],
        clients=[api.id for api in plan.clients],
        not_run=not_run,
    )
    total = len(list(plan.pairs())) * sum(plan.wants(name) for name in catalogue)
    with Progress(total, console) as progress, _swept(plan):
        results.cells, results.duration_s, results.broken = run_plan(
            plan, workers=arguments.workers, progress=progress, verbose=arguments.verbose
        )
    if not results.broken and len(results.cells) != total:
        results.broken = f"{len(results.cells)} of {total} cells have a result"
    results.sort()
    results.write(arguments.results)
    write_reports(results, arguments.results)
    print_report(results, console)
    console.print(f"results: {escape(str(arguments.results))}", highlight=False, soft_wrap=True)
    return results.exit_status


def _list(arguments: argparse.Namespace, console: Console) -> int:
    peers = load_peers()
    catalogue = _catalogue(arguments.scenario, peers)
    servers, clients = _select(arguments, peers)
    for title, apis in (("servers", servers), ("clients", clients)):
        console.print(f"[bold]{title}[/]")
        for api in apis:
            console.print(f"  {api.id}", highlight=False)
    console.print("[bold]scenarios[/]")
    for name, facts in catalogue.items():
        line = f"  {name} ({facts.severity}): {escape(facts.rule)}"
        console.print(line, highlight=False, soft_wrap=True)
    console.print(
        f"{len(servers)} servers x {len(clients)} clients x {len(catalogue)} scenarios", style="dim"
    )
    return 0


def _dart_packages(arguments: argparse.Namespace, console: Console) -> int:
    from .dart_packages import write_package_config

    for peer in load_peers().values():
        if peer.runtime == "dart" and (peer.folder / "pubspec.yaml").exists():
            path = write_package_config(arguments.folder, peer.folder)
            console.print(f"{peer.name}: wrote {path}", highlight=False, soft_wrap=True)
    return 0


def _record_vectors(arguments: argparse.Namespace, console: Console) -> int:
    cells: list[Cell] = []
    for path in arguments.results:
        try:
            cells += json.loads(path.read_text("utf-8"))["cells"]
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise _Stop(f"{path}: not the results of a run ({exc!r})") from exc
    for written in vectors.write(vectors.record(cells), vectors.VECTORS_DIR):
        console.print(str(written), highlight=False, soft_wrap=True)
    return 0


def _catalogue(patterns: Sequence[str], peers: dict[str, Peer]) -> dict[str, Scenario]:
    """Return the chosen scenarios, after checking that every pattern and deviation names one."""
    whole = load_catalogue()
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in whole):
            raise _Stop(f"--scenario {pattern!r} names no scenario; see: python -m interop list")
    apis = [api for peer in peers.values() for api in peer.apis]
    deviations.check(deviations.load(), apis, list(whole))
    return {
        name: facts
        for name, facts in whole.items()
        if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def _select(arguments: argparse.Namespace, peers: dict[str, Peer]) -> tuple[list[Api], list[Api]]:
    apis = [api for peer in peers.values() for api in peer.apis]
    return (
        select(apis, "server", arguments.server, older=arguments.versions == "all"),
        select(apis, "client", arguments.client, older=arguments.versions == "all"),
    )


def _by_name(arguments: argparse.Namespace, api: Api) -> bool:
    """Whether an API was asked for by name, not by a glob or by default."""
    patterns = arguments.server if api.role == "server" else arguments.client
    named = [p for p in [*patterns, *arguments.require] if not set(p) & set("*?[")]
    return any(api.matches(pattern) for pattern in named)


def _check_writable(directory: Path) -> None:
    """Check before the run, not after it, that its results can be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as exc:
        raise _Stop(f"--results {directory}: {exc.strerror}") from exc


def _check_required(arguments: argparse.Namespace, peers: Sequence[str]) -> None:
    for name in arguments.require:
        if name not in peers:
            raise _Stop(f"--require {name!r} is not among the peers: {', '.join(peers)}")


def _maker(arguments: argparse.Namespace, peers: dict[str, Peer]) -> Callable[[str], list[str]]:
    """Return what makes a program runnable: into its command, or into its image alone."""
    if arguments.engine == "docker":
        from .engines.docker import connect
        from .images import build

        client = connect()
        return lambda program: [build(program, client)]
    packages = os.environ.get("ZAPTOOLS_DART_PACKAGES")
    preparer = Preparer(dart_vm=arguments.dart, packages=Path(packages) if packages else None)

    def command(program: str) -> list[str]:
        peer, _, version = program.partition("@")
        return preparer.command(peers[peer], version or None)

    return command


def _logs(arguments: argparse.Namespace) -> Path | None:
    places = {"local": CACHE_DIR / "logs", "docker": arguments.results.resolve() / "logs"}
    return places.get(arguments.engine)


@contextmanager
def _swept(plan: Plan) -> Iterator[None]:
    """Remove what workers of the docker engine leave behind, when they are interrupted too."""
    if plan.engine != "docker":
        yield
        return
    from .engines.docker import connect, sweep

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        sweep(plan.run, connect())


def _prepare(
    arguments: argparse.Namespace,
    peers: dict[str, Peer],
    apis: Sequence[Api],
    console: Console,
    make: Callable[[str], list[str]],
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return what `make` made of the programs that can run, and why the others cannot."""
    _check_required(arguments, list(peers))
    made: dict[str, list[str]] = {}
    missing: dict[str, str] = {}
    for name in dict.fromkeys([api.program for api in apis] + arguments.require):
        try:
            with console.status(f"preparing {name}"):
                made[name] = make(name)
        except CannotRun as exc:
            if name in arguments.require or any(
                api.program == name and _by_name(arguments, api) for api in apis
            ):
                raise _Stop(f"{name} was asked for and cannot run: {exc}") from exc
            missing[name] = str(exc)
    return made, missing


def _services(arguments: argparse.Namespace, wanted: set[str]) -> dict[str, Address]:
    """Return the control addresses of the services that shall take part."""
    chosen = os.environ.get("INTEROP_PEERS", "").replace(",", " ").split() or sorted(wanted)
    if unknown := sorted(set(chosen) - set(load_peers())):
        raise _Stop(f"INTEROP_PEERS names {unknown[0]!r}, which is no peer")
    _check_required(arguments, chosen)
    return {name: Address(name, CONTROL_PORT) for name in chosen if name in wanted}
