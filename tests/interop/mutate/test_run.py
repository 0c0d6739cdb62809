"""Changes of the library in the peer's process, against two cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.errors import TestbedError
from interop.mutate.operators import Change
from interop.mutate.population import population
from interop.mutate.run import Runner, all_stages, together
from interop.scenarios.scenario import Scenario


def scenarios(**sides: str) -> dict[str, Scenario]:
    """Return scenarios of these names, with _ for the dot, and sides."""
    return {
        (name := key.replace("_", ".")): Scenario(name, "", side=side)  # type: ignore[arg-type]  # a str
        for key, side in sides.items()
    }


def change(module: str, id: str) -> Change:
    (found,) = (each for each in population([module]) if each.id == f"zaptools.{module} {id}")
    return found


def runner(folder: Path, count: int = 1) -> Runner:
    stages = all_stages(scenarios(echo_null="pair"))[:count]
    return Runner(folder, stages, patience=2.0, at_once=2)


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


async def test_a_change_is_caught_or_survives(tmp_path: Path) -> None:
    run = runner(tmp_path)
    caught, survived, unreached = await together(
        [run.look(each) for each in (ENCODED, CODE, REMOVED)]
    )
    assert (caught.outcome, caught.caught) == ("red", True)
    assert caught.by == "python/ZapServer python/ZapConsumer echo.null"
    assert caught.reason
    assert (survived.outcome, survived.caught) == ("survived", False)
    assert survived.stages == ["ZapServer with ZapConsumer"]
    assert (unreached.outcome, unreached.caught, unreached.stages) == ("unreached", False, [])
    assert await run.cells() == 1


async def test_a_change_that_cannot_be_imported_is_told_apart(tmp_path: Path) -> None:
    (found,) = await together([runner(tmp_path).look(NO_IMPORT)])
    assert (found.outcome, found.caught) == ("import", True)
    assert found.reason.startswith("ValueError")


async def test_a_peer_that_hangs_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit is short here; a peer that does not answer is an error only after 15 s."""
    monkeypatch.setattr("interop.mutate.run.LEAST_LIMIT", 4.0)
    (found,) = await together([runner(tmp_path).look(HANGS)])
    assert (found.outcome, found.caught) == ("time", True)


async def test_what_is_red_with_nothing_changed_is_an_error(tmp_path: Path) -> None:
    stages = all_stages(scenarios(no_such="pair"))[:1]
    with pytest.raises(TestbedError, match="with nothing changed, ZapServer with ZapConsumer is"):
        await Runner(tmp_path, stages, patience=2.0, at_once=1).look(ENCODED)


async def test_unit_tests_find_a_change_or_not(tmp_path: Path) -> None:
    (tests := tmp_path / "tests" / "rooms").mkdir(parents=True)
    (tests / "test_name.py").write_text(
        "from zaptools.rooms.rooms import Room\n\n\n"
        "def test_a_name() -> None:\n    assert Room('a').name == 'a'\n"
    )
    stages = all_stages(scenarios(echo_null="pair"))
    (files := tmp_path / "files").mkdir()
    run = Runner(files, stages, patience=2.0, at_once=2, tests=tests.parent)
    assert await together([run.test(NAMED), run.test(REMOVED)]) == [True, False]


async def test_unit_tests_that_fail_with_nothing_changed_are_an_error(tmp_path: Path) -> None:
    run = Runner(tmp_path, [], patience=2.0, at_once=2, tests=tmp_path)
    with pytest.raises(TestbedError, match="with nothing changed"):
        await run.test(NAMED)


def test_stages_share_out_the_scenarios() -> None:
    chosen = scenarios(a_b="pair", c_d="server", e_f="client", g_h="each")
    first, *others = all_stages(chosen)
    assert first.name == "ZapServer with ZapConsumer"
    assert set(map(tuple, first.only.values())) == {("a.b", "c.d", "e.f", "g.h")}
    assert [stage.name for stage in others] == [
        "FastApiConnector with ZapConsumer",
        "AsgiApp with ZapConsumer",
        "AioHttpConnector with ZapConsumer",
        "SanicConnector with ZapConsumer",
        "ZapServer with ZapSubscriber",
        "ZapServer with ZapClient",
    ]
    assert others[0].only["python/ZapConsumer"] == ["a.b"]
    assert len(others[0].only["python/FastApiConnector"]) == 4
