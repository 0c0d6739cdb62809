"""``python -m interop run``: run the matrix and write its results."""

from __future__ import annotations

import argparse
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ..catalog import JUDGES, Api, Peer, did_you_mean, peer_of
from ..control.contract import Address
from ..engines.compose import CONTROL_PORT
from ..engines.registry import ENGINES, engine_kind
from ..errors import CannotRun, TestbedError
from ..places import CACHE_DIR, CHECKOUT
from ..records import AddedApi, CellResult, FlakyRecord, Role, Shard
from ..reports.durations import print_durations
from ..reports.files import write_reports
from ..reports.hints import Hints, again_folder
from ..reports.history import read_history
from ..reports.live import Live
from ..reports.progress import Progress
from ..reports.provenance import other_sources
from ..reports.results import Results, claimed
from ..reports.terminal import print_plan, print_report
from ..run.plan import Plan
from ..run.runner import load_catalogue, run_plan
from ..run.shards import dealt_scenarios, digest
from ..runtimes import dart
from ..runtimes.dart_download import DECLINED
from ..runtimes.git import current_commit
from ..runtimes.prepare import Preparer
from ..scenarios.scenario import Scenario
from ..signals import held
from ..verdicts import deviations, flaky
from .failed import failed_cells
from .options import (
    RESULTS,
    SUBSET,
    Commands,
    Stop,
    at_least,
    catalogue,
    chosen_apis,
    deviations_option,
    given_path,
    history_option,
    known_deviations,
    known_peers,
    named,
    open_page,
    peers_option,
    seconds,
    selection,
    shard,
    shown,
)
from .outputs import annotating, format_option
from .watch import watch

__all__ = ["add"]

_FAULTS = "which inject faults into whole peers: only --engine {} can".format(
    " or ".join(name for name, kind in ENGINES.items() if kind.faults)
)


_KEPT = (
    "--engine",
    "--versions",
    "--dart",
    "--patience",
    "--timeout",
    "--repeat",
    "--strict",
    "--no-deviations",
    "--known-flaky",
    "--peers",
    "--deviations",
)
"""The options that change how a cell runs, or what is expected of it."""


def add(commands: Commands, epilog: str) -> None:
    """Add the command."""
    run = commands.add_parser("run", help="run the matrix", epilog=epilog,
                              formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    run.set_defaults(command=_run, default=run.get_default)
    selection(run)
    option = run.add_argument
    option("--require", action="append", default=[], metavar="PEER",
           help="a peer that must be able to run: exit 2 if it cannot")  # fmt: skip
    option("--engine", choices=list(ENGINES), default="local",
           help="processes of this machine (default), containers that are started "
                "for the run, or running services")  # fmt: skip
    option("-n", "--workers", type=at_least(0), default=os.cpu_count() or 1,
           help="worker processes, each with peers of its own; 0 for none "
                "(default: one a core: %(default)s)")  # fmt: skip
    option("--at-once", type=at_least(1), default=20, metavar="N",
           help="cells that each worker runs at the same time "
                "(default: 20; 1 with --verbose)")  # fmt: skip
    option("--results", type=given_path, metavar="DIR",
           help="where to write the reports (default: results; results/subset for a run of "
                "chosen rows, columns or scenarios)")  # fmt: skip
    option("--open", action="store_true", help="show the report in a browser at the end")
    option("--serve", type=at_least(0), nargs="?", const=0, metavar="PORT",
           help="show the report on this machine while the run goes on, and until Ctrl-C "
                "(default port: any)")  # fmt: skip
    format_option(run)
    history_option(run)
    option("--patience", type=seconds, default=5.0, metavar="SECONDS",
           help="how long a scenario waits for what must come (default: 5)")  # fmt: skip
    option("--timeout", type=seconds, metavar="SECONDS",
           help="how long a scenario may take at all (default: each one's own)")  # fmt: skip
    option("--repeat", type=at_least(1), default=1, metavar="N",
           help="run every cell N times; one whose runs differ is flaky")  # fmt: skip
    option("--failed", action="store_true",
           help="only the cells that were not green in the last run, as results or --results "
                "has it; their results go into the folder again in it")  # fmt: skip
    option("--shard", type=shard, metavar="I/N",
           help="only the Ith of N parts of the chosen cells, for N machines; "
                "the command merge makes one run of their results")  # fmt: skip
    option("--watch", action=argparse.BooleanOptionalAction, default=False,
           help="run again whenever a file of this repository, or of --peers, has changed, and "
                "say which verdicts did; Ctrl-C ends it")  # fmt: skip
    option("--fail-fast", action="store_true",
           help="end the run at the first result that is not as expected; "
                "the results so far are written")  # fmt: skip
    option("--strict", action="store_true", help="a should that fails is a failure too")
    option("--no-deviations", action="store_true",
           help="expect no failure: show every deviation as what it is")  # fmt: skip
    option("--known-flaky", type=given_path, metavar="FILE",
           help="cells that may fail or pass, each with a cause and a date after which that is "
                "a failure of the run")  # fmt: skip
    peers_option(run)
    deviations_option(run)
    option("--durations", action="store_true", help="show where the time went")
    option("-v", "--verbose", action="store_true", help="show pytest's own output")
    option("--dart", metavar="PATH",
           help="the Dart VM or SDK (default: $DART, then PATH, then one that is "
                "downloaded; DART=none declines that)")  # fmt: skip


def _run(arguments: argparse.Namespace, console: Console) -> int:
    if arguments.watch:
        if arguments.failed:
            folder = again_folder(arguments.results or RESULTS)
        else:
            folder = arguments.results or _default_results(arguments)
        return watch(arguments, folder, console)
    return annotating(arguments, console, lambda: _run_here(arguments, console)).exit_status


def _run_here(arguments: argparse.Namespace, console: Console) -> Results:
    with ExitStack() as served:
        return _run_served(arguments, console, served)


def _run_served(arguments: argparse.Namespace, console: Console, served: ExitStack) -> Results:
    if CHECKOUT is None and engine_kind(arguments.engine).takes != "command":
        raise Stop(
            f"--engine {arguments.engine} works in a checkout of the repository alone, which has "
            "what the peers' images are made of; --engine local runs them on this machine"
        )
    peers = known_peers(arguments)
    chosen, cells = _chosen(arguments, peers, console)
    scenarios = _possible(arguments, chosen)
    known_flaky = _known_flaky(arguments.known_flaky, peers)
    today = datetime.now(UTC).date()
    servers, clients = chosen_apis(arguments, peers)
    _check_dart_argument(arguments)
    if arguments.results is None:
        arguments.results = _default_results(arguments)
    if arguments.history is not None:
        read_history(arguments.history)  # one that cannot be read is told before the run
    with claimed(arguments.results), ExitStack() as stack:
        plan, not_run = _plan(arguments, peers, servers, clients, console)
        live_flaky = tuple(each for each in known_flaky if not each.has_passed(today))
        plan = replace(plan, cells=cells, flaky=live_flaky)
        counts = {
            name: sum(plan.wants(name, pair) for pair in plan.pairs(facts.side))
            for name, facts in scenarios.items()
        }
        _check_cells(arguments.scenario, counts)
        part = None
        if arguments.shard:
            part, names = _shard(arguments, servers, clients, scenarios)
            plan = replace(plan, cells=_cells_of(plan, {n: scenarios[n] for n in names}))
            counts = {name: counts[name] for name in names}
        total = sum(counts.values())
        if not (total or not_run):
            raise Stop("the chosen rows and columns have no cell with each other")
        results = Results(
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            engine=arguments.engine,
            servers=_with_judge(plan.servers, plan.clients, "server", scenarios.values()),
            clients=_with_judge(plan.clients, plan.servers, "client", scenarios.values()),
            not_run=not_run,
            repeat=plan.repeat,
            strict=plan.strict,
            commit=current_commit(CHECKOUT),
            options=list(_kept_options(arguments)),
            shard=part,
            added=_added(peers),
            folder=named(arguments.results),
        )
        print_plan(not_run, total * plan.repeat, arguments.workers, console)
        stack.enter_context(held())  # until all is written; `run_plan` can still be interrupted
        hints = Hints(options=results.options, folder=results.folder)
        live = _live(arguments, results, total, console)
        if live is not None:
            served.enter_context(live)
        progress = Progress(total * plan.repeat, console, hints, live)
        _run_cells(plan, results, total * plan.repeat, progress, arguments)
        results.known_flaky = list(_flaky_records(known_flaky, results.cells, plan, today))
        results.sort()
        unwritten = _write(results, arguments)
    if live is not None:
        live.end()
    if unwritten is not None:
        results.broken = "; ".join(part for part in (results.broken, "no results written") if part)
    _print(results, plan, len(chosen) - len(scenarios), arguments, console)
    if unwritten is not None:
        raise unwritten
    where = shown(arguments.results)
    if arguments.results == SUBSET and (RESULTS / "results.json").exists():
        where += f" (of what was chosen; those of the last whole run are in {shown(RESULTS)})"
    console.print(f"results: {escape(where)}", highlight=False, soft_wrap=True)
    if live is not None and not results.broken:  # as an interrupted run is: it is to end
        console.print(f"report: {live.url} until Ctrl-C", highlight=False)
        live.wait()
    elif live is None and arguments.open:
        open_page(arguments.results / "report.html", console)
    return results


def _chosen(
    arguments: argparse.Namespace, peers: Mapping[str, Peer], console: Console
) -> tuple[dict[str, Scenario], Mapping[str, Mapping[str, Sequence[str]]] | None]:
    """Return the chosen scenarios, and of ``--failed`` the cells, as `Plan.cells`.

    Of ``--failed`` it also replaces the options that choose rows, columns, scenarios and folder.
    """
    known = not arguments.no_deviations
    chosen = catalogue(arguments.scenario, peers, known=known, added=arguments.deviations)
    if not arguments.failed:
        return chosen, None
    if arguments.shard:
        raise Stop("--failed and --shard do not go together")
    failed = failed_cells(arguments, peers, chosen, console)
    arguments.server, arguments.client = failed.servers, failed.clients
    arguments.scenario, arguments.results = failed.scenarios, failed.results
    return {name: chosen[name] for name in failed.scenarios}, failed.cells


def _run_cells(
    plan: Plan, results: Results, runs: int, progress: Progress, arguments: argparse.Namespace
) -> None:
    """Run the cells into the results, and note there why some have none.

    Args:
        runs: how many runs of cells there have to be.
    """
    with progress, engine_kind(plan.engine).swept(plan.run) as left:
        results.cells, results.duration_s, results.broken = run_plan(
            plan,
            workers=arguments.workers,
            progress=progress,
            verbose=arguments.verbose,
            peers=results.peers,
        )
    problems = [results.broken, *left]
    had = sum(len(cell.runs) or 1 for cell in results.cells)
    if had != runs:
        lacking = f"{had} of {runs} runs of cells have a result"
        if plan.fail_fast and not any(problems) and results.exit_status:
            results.stopped = f"{lacking}: --fail-fast ended the run at the first unexpected one"
        else:
            problems.append(lacking)
    results.broken = "; ".join(part for part in problems if part)


def _live(
    arguments: argparse.Namespace, results: Results, total: int, console: Console
) -> Live | None:
    """Return the server of the run's page, if it was asked for.

    Args:
        total: how many cells there will be.

    Raises:
        TestbedError: its port cannot be had.
    """
    if arguments.serve is None:
        return None
    live = Live(results, total, arguments.serve)
    console.print(f"report: {live.url}", highlight=False)
    if arguments.open:
        open_page(live.url, console)
    return live


def _print(
    results: Results, plan: Plan, left_out: int, arguments: argparse.Namespace, console: Console
) -> None:
    """Print the results.

    Args:
        left_out: how many of the chosen scenarios the engine cannot run.
    """
    patterns = [*arguments.server, *arguments.client]
    print_report(results, console, versions=any("@" in pattern for pattern in patterns))
    recorded = deviations.load_recorded(*plan.deviations)
    if others := other_sources(recorded, results.peers):
        text = f"[yellow]sources changed since recorded:[/] {escape(others)}"
        console.print(text, highlight=False, soft_wrap=True)
    if left_out:
        text = f"[dim]not run: {left_out} scenarios, {_FAULTS}[/]"
        console.print(text, highlight=False, soft_wrap=True)
    if arguments.durations:
        print_durations(results, console)


def _possible(arguments: argparse.Namespace, chosen: Mapping[str, Scenario]) -> dict[str, Scenario]:
    """Return the scenarios that the engine supports.

    Raises:
        Stop: it supports none, or none that one of the patterns names.
    """
    can_fault = engine_kind(arguments.engine).faults
    possible = {name: facts for name, facts in chosen.items() if can_fault or not facts.isolated}
    for pattern in arguments.scenario or ["*"]:
        if not any(fnmatchcase(name, pattern) for name in possible):
            option = f"--scenario {pattern!r}: " if arguments.scenario else ""
            raise Stop(
                f"{option}--engine {arguments.engine} can run none of the scenarios, {_FAULTS}"
            )
    return possible


def _check_cells(patterns: Sequence[str], cells: Mapping[str, int]) -> None:
    """Check that each pattern chose scenarios with cells: cells of the other patterns do not count.

    Args:
        cells: the number of each scenario's cells between the chosen rows and columns.

    Raises:
        Stop: one did not.
    """
    for pattern in patterns:
        if not any(count for name, count in cells.items() if fnmatchcase(name, pattern)):
            raise Stop(f"--scenario {pattern!r} has no cell between the chosen rows and columns")


def _known_flaky(path: Path | None, peers: Mapping[str, Peer]) -> list[flaky.KnownFlaky]:
    """Return the entries of the file of cells that may fail or pass, if there is one.

    Raises:
        DeviationError: one is malformed, or can match no cell.
    """
    if path is None:
        return []
    entries = flaky.load(path)
    apis = [*(api for peer in peers.values() for api in peer.apis), *JUDGES.values()]
    sides = {name: facts.side for name, facts in load_catalogue().items()}
    flaky.check(path, entries, apis, sides)
    return entries


def _flaky_records(
    entries: Sequence[flaky.KnownFlaky], cells: Iterable[CellResult], plan: Plan, today: date
) -> Iterator[FlakyRecord]:
    """Yield what came of each entry: of those that have cells in this run, or are over."""
    apis = {api.id: api for api in (*plan.servers, *plan.clients)}
    servers = {**apis, JUDGES["server"].id: JUDGES["server"]}
    clients = {**apis, JUDGES["client"].id: JUDGES["client"]}
    named: dict[flaky.KnownFlaky, list[CellResult]] = {}
    for cell in cells:
        found = flaky.find(plan.flaky, servers[cell.server], clients[cell.client], cell.scenario)
        if found is not None:
            named.setdefault(found, []).append(cell)
    for entry in entries:
        of_entry, over = named.get(entry, []), entry.has_passed(today)
        if of_entry or over:
            failed = sorted(cell.key for cell in of_entry if cell.verdict == "tolerated")
            yield FlakyRecord(
                entry.server,
                entry.client,
                [*entry.scenarios],
                entry.cause,
                entry.until,
                over,
                len(of_entry),
                failed,
            )


def _kept_options(arguments: argparse.Namespace, *, but: str = "") -> Iterator[str]:
    """Yield the options that a command for one cell of this run needs too."""
    for option in _KEPT:
        if option == but:
            continue
        name = option.removeprefix("--").replace("-", "_")
        value = getattr(arguments, name)
        if value == arguments.default(name):
            continue
        for each in value if isinstance(value, list) else [value]:
            yield option
            if not isinstance(each, bool):
                yield f"{each:g}" if isinstance(each, float) else str(each)


def _default_results(arguments: argparse.Namespace) -> Path:
    if arguments.shard:
        number, of = arguments.shard
        return RESULTS / f"shard-{number}-of-{of}"
    return SUBSET if arguments.server or arguments.client or arguments.scenario else RESULTS


def _shard(
    arguments: argparse.Namespace,
    servers: Sequence[Api],
    clients: Sequence[Api],
    scenarios: Mapping[str, Scenario],
) -> tuple[Shard, list[str]]:
    """Return the shard that this run is, and its scenarios.

    Which these are, the choice decides alone, and not what can run on this machine.

    Raises:
        Stop: there are more shards than scenarios.
    """
    number, of = arguments.shard
    chosen = Plan(arguments.engine, tuple(servers), tuple(clients))
    counts = {name: len(list(chosen.pairs(facts.side))) for name, facts in scenarios.items()}
    counts = {name: count for name, count in counts.items() if count}
    if of > len(counts):
        raise Stop(f"--shard {number}/{of}: there are only {len(counts)} scenarios to share out")
    options = list(_kept_options(arguments, but="--dart"))
    part = Shard(number, of, digest(servers, clients, list(counts), options))
    return part, dealt_scenarios(counts, of)[number - 1]


def _cells_of(
    plan: Plan, scenarios: Mapping[str, Scenario]
) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Return the cells of scenarios, as `Plan.cells`."""
    cells: dict[str, dict[str, list[str]]] = {}
    for name, facts in sorted(scenarios.items()):
        for server, client in plan.pairs(facts.side):
            cells.setdefault(server.id, {}).setdefault(client.id, []).append(name)
    return cells


def _write(results: Results, arguments: argparse.Namespace) -> TestbedError | None:
    """Write the reports, or return the error: the terminal can still show the results."""
    try:
        write_reports(results, arguments.results, arguments.history)
    except TestbedError as exc:
        return exc
    return None


def _with_judge(
    apis: Sequence[Api], others: Sequence[Api], role: Role, chosen: Iterable[Scenario]
) -> list[str]:
    """Return the ids of the rows or columns, the judge among them where it has cells."""
    sides = {"each", "client" if role == "server" else "server"}
    judged = others and any(facts.side in sides for facts in chosen)
    return [api.id for api in (*apis, *([JUDGES[role]] if judged else []))]


def _plan(
    arguments: argparse.Namespace,
    peers: dict[str, Peer],
    servers: Sequence[Api],
    clients: Sequence[Api],
    console: Console,
) -> tuple[Plan, dict[str, str]]:
    """Return the plan of the APIs that can run, and the reasons why the others cannot."""
    kind = engine_kind(arguments.engine)
    apis = (*servers, *clients)
    made: dict[str, list[str]] = {}
    addresses: dict[str, Address] = {}
    if kind.takes == "service":
        own = {api.program for api in apis if not peers[api.peer].added}
        addresses = _services(arguments, peers, own)
        runnable = set(addresses)
        reason = "its service was not selected (INTEROP_PEERS)"
        not_run = {api.id: reason for api in apis if api.program not in runnable}
        not_run |= {api.id: _is_added(arguments) for api in apis if peers[api.peer].added}
    else:
        made, missing = _prepare(arguments, peers, apis, console)
        runnable = set(made)
        not_run = {api.id: missing[api.program] for api in apis if api.program in missing}
    _check_patterns(arguments, apis, not_run)
    plan = Plan(
        engine=arguments.engine,
        servers=tuple(api for api in servers if api.program in runnable),
        clients=tuple(api for api in clients if api.program in runnable),
        commands=made if kind.takes == "command" else {},
        addresses=addresses,
        images={n: i for n, (i,) in made.items()} if kind.takes == "image" else {},
        run=uuid.uuid4().hex,
        scenarios=tuple(arguments.scenario),
        deviations=_deviations(arguments),
        peers=tuple(folder.resolve() for folder in arguments.peers),
        logs=_logs(arguments),
        patience=arguments.patience,
        timeout=arguments.timeout,
        repeat=arguments.repeat,
        strict=arguments.strict,
        fail_fast=arguments.fail_fast,
        at_once=1 if arguments.verbose else arguments.at_once,
        faults=kind.faults,
    )
    return plan, not_run


def _deviations(arguments: argparse.Namespace) -> tuple[Path, ...]:
    """Return the files of the failures to expect."""
    if arguments.no_deviations:
        return ()
    return tuple(path.resolve() for path in known_deviations(arguments))


def _is_added(arguments: argparse.Namespace) -> str:
    """Return why an added peer cannot run with an engine of images or services."""
    return (
        f"it is of --peers, and --engine {arguments.engine} has the images of this repository "
        "alone; --engine local runs it"
    )


def _added(peers: Mapping[str, Peer]) -> list[AddedApi]:
    """Return the rows and columns of the added peers, as the results keep them."""
    return [
        AddedApi(role=api.role, id=api.id, lacks=dict(api.lacks), older=api.older)
        for peer in peers.values()
        if peer.added
        for api in peer.apis
    ]


def _check_patterns(
    arguments: argparse.Namespace, apis: Sequence[Api], not_run: Mapping[str, str]
) -> None:
    """Check that each pattern chose APIs that can run: those of the other patterns do not count.

    Raises:
        Stop: one did not; says why.
    """
    for role in ("server", "client"):
        for pattern in getattr(arguments, role):
            found = [api.id for api in apis if api.role == role and api.matches(pattern)]
            if not found or any(id not in not_run for id in found):
                continue
            reasons: dict[str, list[str]] = {}
            for id in found:
                reasons.setdefault(not_run[id], []).append(id)
            why = "".join(f"\n  {', '.join(ids)}: {why}" for why, ids in reasons.items())
            raise Stop(f"nothing that --{role} {pattern!r} asked for ran:{why}")


def _logs(arguments: argparse.Namespace) -> Path | None:
    places = {"cache": CACHE_DIR / "logs", "results": arguments.results.resolve() / "logs"}
    kept = engine_kind(arguments.engine).logs
    return None if kept is None else places[kept]


def _by_name(arguments: argparse.Namespace, api: Api) -> bool:
    """Whether an API was asked for by name, not by a glob or by default."""
    patterns = arguments.server if api.role == "server" else arguments.client
    named = [p for p in [*patterns, *arguments.require] if not set(p) & set("*?[")]
    return any(api.matches(pattern) for pattern in named)


def _check_required(arguments: argparse.Namespace, peers: Sequence[str]) -> None:
    for name in arguments.require:
        if name not in peers:
            close = did_you_mean(name, peers)
            raise Stop(f"--require {name!r} is not among the peers{close}: {', '.join(peers)}")


def _prepare(
    arguments: argparse.Namespace, peers: dict[str, Peer], apis: Sequence[Api], console: Console
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the commands or images of the programs that can run, and why the others cannot."""
    _check_required(arguments, list(peers))
    names = list(dict.fromkeys([api.program for api in apis] + arguments.require))
    make = _maker(arguments, peers, names, console)
    made: dict[str, list[str]] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            with console.status(f"preparing {name}"):
                made[name] = make(name)
        except CannotRun as exc:
            if name in arguments.require or any(
                api.program == name and _by_name(arguments, api) for api in apis
            ):
                raise Stop(f"{name} was asked for and cannot run: {exc}") from exc
            missing[name] = str(exc)
    return made, missing


def _maker(
    arguments: argparse.Namespace,
    peers: dict[str, Peer],
    programs: Sequence[str],
    console: Console,
) -> Callable[[str], list[str]]:
    """Return the function that prepares a program and returns its command, or its image alone."""
    if engine_kind(arguments.engine).takes == "image":
        from ..engines.docker import connect
        from ..runtimes.images import build

        client = connect()

        def image(program: str) -> list[str]:
            if peers[peer_of(program)].added:
                raise CannotRun(_is_added(arguments))
            return [build(program, client)]

        return image
    if any(peers[peer_of(program)].runtime == "dart" for program in programs):
        _check_dart_environment(arguments.dart)
    preparer = Preparer(
        dart_vm=arguments.dart,
        tell=lambda words: console.print(escape(words), highlight=False, soft_wrap=True),
    )

    def command(program: str) -> list[str]:
        peer, _, version = program.partition("@")
        return preparer.command(peers[peer], version or None)

    return command


def _check_dart_argument(arguments: argparse.Namespace) -> None:
    """Check ``--dart``: it must be right even if no Dart peer was chosen.

    Raises:
        Stop: it is not a Dart, or the engine does not use it.
    """
    if arguments.dart is None:
        return
    if engine_kind(arguments.engine).takes != "command":
        raise Stop(f"--dart goes with --engine local; {arguments.engine} has its images' own")
    if not arguments.dart:
        raise Stop("--dart is empty: name a Dart VM or leave it out")
    try:
        dart.find_dart(arguments.dart)
    except CannotRun as exc:
        raise Stop(str(exc)) from exc


def _check_dart_environment(vm: str | None) -> None:
    """Check the variables that concern Dart, for a run with a Dart peer: a mistyped path must
    not turn its peers into "not run". Where `vm` is given, ``$DART`` is not used."""
    if not vm and os.environ.get("DART") not in (None, "", DECLINED):
        try:
            dart.find_dart()
        except CannotRun as exc:
            raise Stop(str(exc)) from exc
    packages = os.environ.get("ZAPTOOLS_DART_PACKAGES")
    if packages and not Path(packages).is_dir():
        raise Stop(f"$ZAPTOOLS_DART_PACKAGES is {packages!r}, which is not a folder")


def _services(
    arguments: argparse.Namespace, peers: Mapping[str, Peer], wanted: set[str]
) -> dict[str, Address]:
    """Return the control addresses of the services that take part."""
    chosen = os.environ.get("INTEROP_PEERS", "").replace(",", " ").split() or sorted(wanted)
    if unknown := sorted(set(chosen) - set(peers)):
        close = did_you_mean(unknown[0], peers)
        raise Stop(f"INTEROP_PEERS names {unknown[0]!r}, which is not a peer{close}")
    _check_required(arguments, chosen)
    return {name: Address(name, CONTROL_PORT) for name in chosen if name in wanted}
