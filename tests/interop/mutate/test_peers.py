"""Changes of the `python` peer's adapter, against a few cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.errors import TestbedError
from interop.mutate.peers import PeerFound, PeerRunner
from interop.mutate.stages import Stage
from interop.mutate.texts import Text, parse_texts
from interop.run.runner import load_catalogue
from interop.runtimes.prepare import Preparer
from tests.support import PATIENCE


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, what does not hang is not late."""
    for name in ("LEAST_SILENCE", "LEAST_LIMIT"):
        monkeypatch.setattr(f"interop.mutate.peers.{name}", PATIENCE)


HERE = """
[[change]]
file = "_app.py"
peer = "python"
apis = ["ZapServer"]
before = '{}'
after = '{}'
"""
SLOW = HERE.format(
    'await connection.send("slow", payload, headers)', 'await connection.send("slow", payload)'
)
BOOM = HERE.format('raise RuntimeError("boom")', "return")
DIES = HERE.format("EVENTS = (", "EVENTS = (*None,")
CLIENT = """
[[change]]
file = "python/client.py"
apis = ["ZapConsumer"]
before = "client.on_connection_state_changed(self._on_state)"
after = "client.on_connection_state_changed(lambda state: None)"
"""


def look(folder: Path, *texts: str, scenarios: tuple[str, ...]) -> list[PeerFound]:
    whole = load_catalogue()
    chosen = {name: whole[name] for name in scenarios}
    changes: list[Text] = [change for text in texts for change in parse_texts(text)]

    def prepare(cache: Path) -> Preparer:
        return Preparer(cache=cache)

    with PeerRunner(folder, chosen, prepare, patience=2.0, at_once=2) as runner:
        found = {each.change.id: each for each in runner.run(changes)}
        assert runner.cells == len({api for c in changes for api in c.apis}) * len(scenarios)
    return [found[change.id] for change in changes]


def test_a_change_is_caught_and_named_or_survives(tmp_path: Path) -> None:
    slow, boom = look(tmp_path, SLOW, BOOM, scenarios=("contract.app.slow", "echo.null"))
    assert (slow.outcome, slow.caught, slow.blame) == ("red", True, "right")
    assert slow.by == "python@changed/ZapServer judge/Raw contract.app.slow"
    assert "the answer to slow is another" in slow.reason
    assert (boom.outcome, boom.caught, boom.blame) == ("survived", False, None)


def test_the_culprit_of_a_pair_is_named_beside_this_librarys_own_column(tmp_path: Path) -> None:
    (found,) = look(tmp_path, CLIENT, scenarios=("lifecycle.states",))
    assert (found.outcome, found.blame) == ("red", "right")
    assert found.by == "python/ZapServer python@changed/ZapConsumer lifecycle.states"


def test_a_peer_that_does_not_start_is_caught(tmp_path: Path) -> None:
    (found,) = look(tmp_path, DIES, scenarios=("echo.null",))
    assert found.caught
    assert "did not start" in found.reason


def test_what_is_red_once_is_not_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run has no change here."""
    confirming = Stage.confirming
    monkeypatch.setattr(Stage, "confirming", lambda stage, red, peer, sound, **more:
                        confirming(stage, red, sound, sound, **more))  # fmt: skip
    (found,) = look(tmp_path, SLOW, scenarios=("contract.app.slow",))
    assert (found.outcome, found.blame) == ("survived", None)
    assert found.unconfirmed == ["python@changed/ZapServer judge/Raw contract.app.slow"]


def test_what_is_red_with_nothing_changed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = tmp_path / "deviations.toml"
    nothing.write_text(
        '[[deviation]]\npeer = "python"\nrole = "server"\nscenario = "echo.null"\n'
        'seen = "no such thing"\ncause = "made up"\n'
    )
    monkeypatch.setattr("interop.mutate.stages.DEVIATIONS_FILE", nothing)
    (files := tmp_path / "files").mkdir()
    with pytest.raises(TestbedError, match="with nothing changed, python/ZapServer is not as"):
        look(files, SLOW, scenarios=("echo.null",))
