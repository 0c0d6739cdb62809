"""Changes of the library in the peer's process, against two cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interop.errors import TestbedError
from interop.mutate.cells import Red, Seen
from interop.mutate.launch import LATER
from interop.mutate.operators import Change
from interop.mutate.population import population
from interop.mutate.processes import Ended, Processes
from interop.mutate.run import Found, Outcome, Runner, blame, verdict
from interop.mutate.stages import Stage, all_stages
from interop.records import Culprit, CulpritSide, Verdict
from interop.scenarios.scenario import Scenario
from tests.interop.strays import strays
from tests.support import PATIENCE


def scenarios(**sides: str) -> dict[str, Scenario]:
    """Return scenarios of these names, with _ for the dot, and sides."""
    return {
        (name := key.replace("_", ".")): Scenario(name, "", side=side)  # type: ignore[arg-type]  # a str
        for key, side in sides.items()
    }


def change(module: str, id: str) -> Change:
    (found,) = (each for each in population([module]) if each.id == f"zaptools.{module} {id}")
    return found


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, what does not hang is not late."""
    for name in ("SILENCE", "LEAST_LIMIT"):
        monkeypatch.setattr(f"interop.mutate.run.{name}", PATIENCE)


def runner(folder: Path, count: int = 2, **options: Any) -> Runner:
    stages = all_stages(scenarios(echo_null="pair"))[:count]
    return Runner(folder, stages, patience=2.0, at_once=2, **options)


def look(folder: Path, *changes: Change) -> list[Found]:
    with runner(folder) as run:
        found = {each.change: each for each in run.run(changes)}
    return [found[each] for each in changes]


ENCODED = change("protocol.codec", "encode_event: return data -> return None")
CODE = change("protocol.close", ": TOO_BIG: Final = 1009 -> TOO_BIG: Final = 1010")
REMOVED = change("rooms.rooms", "RoomManager.remove_room: del self._rooms[name] -> pass")
NAMED = change("rooms.rooms", "Room.name: return self._name -> return None")
HANGS = change("dispatch.dispatcher", "Dispatcher.drain: break -> continue")
NO_IMPORT = change(
    "protocol.jsonpath",
    ': _NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))'
    ' -> _NO_BRACKETS = bytes(set(range(257)) - set(b"[{]}"))',
)


def test_a_change_is_caught_or_survives(tmp_path: Path) -> None:
    with runner(tmp_path) as run:
        found = {each.change: each for each in run.run([ENCODED, CODE, REMOVED])}
    assert run.cells == 2
    caught, survived, unreached = (found[each] for each in (ENCODED, CODE, REMOVED))
    assert (caught.outcome, caught.caught) == ("red", True)
    (stage,) = caught.stages
    assert stage in BOTH
    assert caught.by in {
        "python@changed/ZapServer python/ZapConsumer echo.null",
        "python/ZapServer python@changed/ZapConsumer echo.null",
    }
    assert caught.reason
    assert caught.blame == "right"
    assert len(caught.confirmed) == (3 if "changed ZapServer" in stage else 5)
    assert (survived.outcome, survived.caught) == ("survived", False)
    assert sorted(survived.stages) == BOTH
    assert (unreached.outcome, unreached.caught, unreached.stages) == ("unreached", False, [])


BOTH = ["ZapServer with changed ZapConsumer", "changed ZapServer with ZapConsumer"]


def test_a_change_that_cannot_be_imported_is_told_apart(tmp_path: Path) -> None:
    (found,) = look(tmp_path, NO_IMPORT)
    assert (found.outcome, found.caught) == ("start", True)
    assert found.reason.startswith("ValueError")


def test_a_peer_that_ends_later_is_told_apart(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    command = [
        "interop.mutate.launch",
        "replace",
        "no.such",
        "",
        str(mark),
        "tests.interop.mutate.dies",
    ]
    ended = Processes(tmp_path).run(command, limit=PATIENCE, silence=PATIENCE)
    assert ended.printed == "READY 60\n"  # a loop does not outlive a run that was killed
    assert mark.read_text("utf-8").splitlines()[0] == LATER


def test_a_peer_that_hangs_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And ended. The time limit is short here; a peer that does not answer is an error only after
    15 s."""
    monkeypatch.setattr("interop.mutate.run.SILENCE", 4.0)
    (found,) = look(tmp_path, HANGS)
    assert (found.outcome, found.caught) == ("time", True)
    assert strays(tmp_path) == []


def test_what_is_red_once_is_not_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run has no change here."""
    monkeypatch.setattr(Stage, "confirming", lambda stage, red, peer, sound, **more:
                        CONFIRMING(stage, red, sound, sound, **more))  # fmt: skip
    (found,) = look(tmp_path, ENCODED)
    assert (found.outcome, found.blame) == ("survived", None)
    assert len(found.unconfirmed) == 2
    assert all(each.endswith(" echo.null") for each in found.unconfirmed)


def test_what_is_red_only_after_a_time_limit_is_not_caught_by_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run counts as one that took too long; that of red cells has no change here."""
    monkeypatch.setattr(Stage, "confirming", lambda stage, red, peer, sound, **more:
                        CONFIRMING(stage, red, sound, sound, **more))  # fmt: skip
    slow: list[str] = []

    def slow_at_first(stage: Stage, ended: Ended) -> tuple[Outcome, str, str, Seen | None]:
        if stage.name not in slow:
            slow.append(stage.name)
            return "time", f"{stage.name}: took too long", "", None
        return verdict(stage, ended)

    monkeypatch.setattr("interop.mutate.run.verdict", slow_at_first)
    with runner(tmp_path, count=1) as run:
        (found,) = run.run([ENCODED])
    assert found.outcome == "survived"
    assert [each.endswith("took too long") for each in found.unconfirmed] == [True, False]


CONFIRMING = Stage.confirming


def test_what_is_red_and_then_late_is_not_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine explains the second."""
    seen: list[Outcome] = []

    def late_again(stage: Stage, ended: Ended) -> tuple[Outcome, str, str, Seen | None]:
        found = verdict(stage, ended)
        seen.append(found[0])
        return found if len(seen) == 1 else ("time", "late", "", None)

    monkeypatch.setattr("interop.mutate.run.verdict", late_again)
    with runner(tmp_path, count=1) as run:
        (found,) = run.run([ENCODED])
    assert (seen, found.outcome) == (["red", "red"], "survived")
    assert found.unconfirmed == ["python@changed/ZapServer python/ZapConsumer echo.null"]


def test_the_side_that_cells_name_is_scored() -> None:
    stage = all_stages(scenarios(a_b="pair"))[0]
    assert stage.changed == "server"

    def red(side: CulpritSide | None, verdict: Verdict = "failed") -> Red:
        culprit = None if side is None else Culprit(side, "")
        return Red(stage.api.id, "python/ZapConsumer", "a.b", verdict, "", culprit)

    right, wrong, unknown, none = map(red, ("server", "client", "unknown", None))
    assert blame(stage, [right, right]) == "right"
    assert blame(stage, [right, unknown]) == blame(stage, [none]) == "unknown"
    assert blame(stage, [right, unknown, wrong]) == "wrong"
    assert blame(stage, [red(None, "error")]) is None


def test_what_is_red_with_nothing_changed_is_an_error(tmp_path: Path) -> None:
    stages = all_stages(scenarios(no_such="pair"))[:1]
    with (
        Runner(tmp_path, stages, patience=2.0, at_once=1) as run,
        pytest.raises(TestbedError, match="with nothing changed, changed ZapServer with ZapCons"),
    ):
        list(run.run([ENCODED]))


def test_unit_tests_find_a_change_or_not(tmp_path: Path) -> None:
    (tests := tmp_path / "tests" / "rooms").mkdir(parents=True)
    (tests / "test_name.py").write_text(
        "from zaptools.rooms.rooms import Room\n\n\n"
        "def test_a_name() -> None:\n    assert Room('a').name == 'a'\n"
    )
    (files := tmp_path / "files").mkdir()
    with runner(files, tests=tests.parent) as run:
        found = {each.change: each.tests for each in run.run([NAMED, REMOVED], tests=True)}
    assert found == {NAMED: "caught", REMOVED: "survived"}


def test_unit_tests_that_fail_with_nothing_changed_are_an_error(tmp_path: Path) -> None:
    with (
        runner(tmp_path, count=0, tests=tmp_path) as run,
        pytest.raises(TestbedError, match="with nothing changed"),
    ):
        list(run.run([NAMED], tests=True))


def test_stages_share_out_the_scenarios() -> None:
    chosen = scenarios(a_b="pair", c_d="server", e_f="client", g_h="each")
    stages = all_stages(chosen)
    assert [stage.name for stage in stages] == [
        "changed ZapServer with ZapConsumer",
        "ZapServer with changed ZapConsumer",
        "changed FastApiConnector with ZapConsumer",
        "changed AsgiApp with ZapConsumer",
        "changed AioHttpConnector with ZapConsumer",
        "changed SanicConnector with ZapConsumer",
        "ZapServer with changed ZapSubscriber",
        "ZapServer with changed ZapClient",
    ]
    server, client, *_ = stages
    assert (server.shared, server.own) == (("a.b",), ("c.d", "g.h"))
    assert (client.shared, client.own) == (("a.b",), ("e.f", "g.h"))


def test_a_stage_has_one_changed_side() -> None:
    stage = all_stages(scenarios(a_b="pair", c_d="server"))[0]
    plan = stage.plan(["changed"], ["sound"], patience=1.0)
    assert plan.commands == {"python@changed": ["changed"], "python": ["sound"]}
    assert [api.program for api in (*plan.servers, *plan.clients)] == ["python@changed", "python"]
    assert plan.only == {
        "python@changed/ZapServer": ["a.b", "c.d"],
        "python/ZapConsumer": ["a.b"],
    }
    again = stage.confirming(["a.b"], ["changed"], ["sound"], patience=1.0)
    assert [api.id for api in again.servers] == ["python@changed/ZapServer", "python/ZapServer"]
    assert len(again.clients) == 3
