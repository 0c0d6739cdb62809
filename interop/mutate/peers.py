"""Runs the changes of `texts`, each in a copy of the peers' folder, until cells are red.

::

    control     a stage with nothing changed: has to be as expected
    change      copied, changed, built; the stages of its rows and columns, until cells are red
    again       those cells alone, with this library's rows or columns beside the changed one ──>
                whether they are red once more, and which side is named as the culprit

A stage is one row or column of the changed peer with `python/ZapConsumer` or `python/ZapServer`,
and with the judge. The changed side is a program of its own, also where both sides are `python`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from ..catalog import PEERS_DIR, Api, load_peers
from ..places import CACHE_DIR
from ..records import OTHER, Role
from ..runtimes.prepare import Preparer
from ..scenarios.scenario import Scenario
from .cells import Red
from .run import (
    CONFIRMING_PATIENCE,
    CONTROL_PATIENCE,
    SOUND,
    Blame,
    Once,
    Outcome,
    StageRunner,
    blame,
    some,
    verdict,
)
from .stages import Stage
from .texts import Text, apply_text

__all__ = ["PeerFound", "PeerRunner"]

_SOUND_PEER = "python"

LEAST_LIMIT = 40.0
LEAST_SILENCE = 15.0
"""Seconds for a stage, and without a finished cell; a change's may take five times the control's,
and be silent for twice as long as that took."""

_ROUNDS = 2
"""How often a stage goes on after what was not so the second time."""

_NO_COPY = shutil.ignore_patterns("node_modules", ".dart_tool", "vendor", "__pycache__", "mutant")


@dataclass(frozen=True, slots=True)
class PeerFound:
    """What became of one change.

    Attributes:
        by: the red cell, or what else tells; empty if nothing did.
        reason: why that cell is red.
        confirmed: the cells that were red twice.
        unconfirmed: cells, or what else told, that were not so the second time.
        blame: which side the failed cells of `confirmed` name; None if none of these failed.
    """

    change: Text
    outcome: Outcome
    seconds: float = 0.0
    by: str = ""
    reason: str = ""
    confirmed: Sequence[Red] = ()
    unconfirmed: Sequence[str] = ()
    blame: Blame | None = None

    @property
    def caught(self) -> bool:
        return self.outcome != "survived"


@dataclass(frozen=True, slots=True)
class _Stage(Stage):
    """A row or column of any peer, with this library on the other side."""

    @property
    def api(self) -> Api:
        """The changed side's API: under its own name, for which deviations are known; only where
        the other side is the same peer it has another version, and so another program."""
        api = self.server if self.changed == "server" else self.client
        return replace(api, version="changed", older=True) if api.peer == _SOUND_PEER else api

    @property
    def twin(self) -> Api:
        return _sound(self.changed)


class PeerRunner(StageRunner):
    """Runs changes of peers, and the stages without them.

    Args:
        folder: an empty folder for copies and plans.
        scenarios: those to run, by their ids.
        prepare: makes a preparer of peers with this folder for what it builds.
        patience: seconds that a scenario waits for what must come.
        at_once: how many changes run at the same time.
    """

    def __init__(
        self,
        folder: Path,
        scenarios: Mapping[str, Scenario],
        prepare: Callable[[Path], Preparer],
        *,
        patience: float,
        at_once: int,
    ) -> None:
        super().__init__(folder, at_once)
        self._scenarios = scenarios
        self._prepare = prepare
        self._patience = patience
        self._control = Once(self._run_control)  # by API

    @property
    def cells(self) -> int:
        """How many cells were as expected with nothing changed."""
        return sum(cells for _, cells in self._control.all())

    def run(self, changes: Sequence[Text]) -> Iterator[PeerFound]:
        """Look for changes; yield what becomes of each as soon as it is known.

        Raises:
            CannotRun: a changed peer cannot be built.
            TestbedError: a cell is not as expected with nothing changed.
        """
        begun = [self._threads.submit(self._look, change) for change in changes]
        for each in as_completed(begun):
            yield each.result()

    def _look(self, change: Text) -> PeerFound:
        command = self._build(change)
        seconds, unconfirmed = 0.0, list[str]()
        for api in change.apis:
            found = self._in_stage(change, self._stage(api), command, self._control(api)[0])
            seconds += found.seconds
            unconfirmed += found.unconfirmed
            if found.caught:
                return replace(found, seconds=seconds, unconfirmed=unconfirmed)
        return PeerFound(change, "survived", seconds, unconfirmed=unconfirmed)

    def _in_stage(
        self, change: Text, stage: _Stage, command: Sequence[str], takes: float
    ) -> PeerFound:
        """Return what becomes of a change in one stage: `survived` if nothing tells twice."""
        limit, silence = max(LEAST_LIMIT, 5 * takes), max(LEAST_SILENCE, 2 * takes)
        seconds, unconfirmed, without = 0.0, list[str](), set[str]()
        for _ in range(_ROUNDS):
            plan = stage.plan(command, SOUND, patience=self._patience, without=without)
            ended = self._run_plan(plan, limit, silence)
            seconds += ended.seconds
            first, by, reason, seen = verdict(stage, ended)
            if first == "survived":
                break
            red = some(seen.red) if seen is not None else []
            again = list(dict.fromkeys(each.scenario for each in red))
            options = []
            if again:
                patience = max(CONFIRMING_PATIENCE, self._patience)
                plan = stage.confirming(again, command, SOUND, patience=patience)
                options = ["all"]
            ended = self._run_plan(plan, limit, silence, *options)
            seconds += ended.seconds
            outcome, _, _, seen = verdict(stage, ended)
            names = {each.name for each in red}
            confirmed = [each for each in seen.red if each.name in names] if seen else []
            if confirmed:
                by, reason = confirmed[0].name, confirmed[0].reason
            if confirmed or outcome == first != "red":
                return PeerFound(
                    change, outcome, seconds, by, reason, confirmed, unconfirmed,
                    blame(stage, confirmed),
                )  # fmt: skip
            unconfirmed.append(by)
            without |= set(again)
            if without.issuperset([*stage.shared, *stage.own]):
                break
        return PeerFound(change, "survived", seconds, unconfirmed=unconfirmed)

    def _run_control(self, api: Api) -> tuple[float, int]:
        """Return how long the stage took with nothing changed, and how many cells it had."""
        command = self._prepare(CACHE_DIR).command(load_peers()[api.peer])
        stage = self._stage(api)
        plan = stage.plan(command, SOUND, patience=CONTROL_PATIENCE)
        seconds, seen = self._run_unchanged(api.id, plan)
        return seconds, seen.cells

    def _stage(self, api: Api) -> _Stage:
        other = _sound(OTHER[api.role])
        return _Stage(
            api if api.role == "server" else other,
            api if api.role == "client" else other,
            api.role,
            tuple(name for name, facts in self._scenarios.items() if facts.side == "pair"),
            tuple(n for n, facts in self._scenarios.items() if facts.side in (api.role, "each")),
        )

    def _build(self, change: Text) -> list[str]:
        """Copy the peers, make the change, and return the command that runs the changed peer."""
        top = self._processes.new_folder()
        peers = _copy(top / "interop", change.peer.name)
        target = peers / change.file
        target.write_text(apply_text(target.read_text("utf-8"), change), "utf-8")
        peer = replace(change.peer, folder=peers / change.peer.name)
        if peer.runtime == "here":
            run = f"runpy.run_module({peer.entry_point!r}, run_name='__main__', alter_sys=True)"
            return [
                sys.executable,
                "-c",
                f"import runpy, sys; sys.path[:0] = [{str(top)!r}]; {run}",
            ]
        # What is built from the changed sources goes with them; an environment is the peer's own.
        cache = CACHE_DIR if peer.runtime == "venv" else top / "cache"
        return self._prepare(cache).command(peer)


def _sound(role: Role) -> Api:
    return next(api for api in load_peers()[_SOUND_PEER].apis if api.role == role)


def _copy(package: Path, peer: str) -> Path:
    """Make a package `interop` with the peers copied and the rest linked; return its peers.

    Of packages that npm or pub have put into peers' folders, only `peer` has its own.
    """
    here = PEERS_DIR.parent
    package.mkdir()
    for path in here.iterdir():
        if path.name not in (PEERS_DIR.name, "__pycache__"):
            (package / path.name).symlink_to(path)
    peers = package / PEERS_DIR.name
    shutil.copytree(PEERS_DIR, peers, ignore=_NO_COPY)
    for name in ("node_modules", ".dart_tool"):
        if (fetched := PEERS_DIR / peer / name).is_dir():
            if name == "node_modules":
                (peers / peer / name).symlink_to(fetched)
            else:  # its configuration is written anew where packages come from a folder
                shutil.copytree(fetched, peers / peer / name)
    return peers
