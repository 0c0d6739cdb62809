"""The skeleton peer, and the guide that starts with it: what a newcomer copies works as it is."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from interop.catalog import PEERS_DIR, RUNTIMES, Api, load_peers
from interop.control.session import Session
from interop.engines.local import LocalEngine
from interop.errors import Unsupported
from interop.runtimes.prepare import Preparer

from .runs import run

GUIDE = Path(__file__).parents[2] / "docs" / "adding-a-peer.md"
LACKS = ("open", "send", "subscribe", "close", "reconnect", "try-reconnect", "clean", "request")
CLIENT = Api("mine", "client", "Client", lacks=dict.fromkeys(LACKS, "not written yet"))


def test_the_skeleton_is_no_peer_until_it_is_copied(tmp_path: Path) -> None:
    assert "_skeleton" not in load_peers()
    shutil.copytree(PEERS_DIR / "_skeleton", tmp_path / "mine")
    (peer,) = load_peers(tmp_path).values()
    command = Preparer(cache=tmp_path).command(peer)
    assert (peer.apis, command[0]) == ((CLIENT,), sys.executable)


def test_a_cell_of_the_skeleton_is_unsupported_by_its_own_word() -> None:
    commands = {
        "python": [sys.executable, "-m", "interop.peers.python"],
        "mine": [sys.executable, "-m", "interop.peers._skeleton"],
    }
    ((cell,), broken) = run(clients=(CLIENT,), commands=commands)
    assert (cell.verdict, broken) == ("unsupported", "")
    assert cell.reason == "client mine/Client: Client is not written yet"


async def test_the_skeleton_answers_what_it_cannot_do() -> None:
    engine = LocalEngine({"mine": [sys.executable, "-m", "interop.peers._skeleton"]})
    session = await Session.connect(CLIENT, await engine.address("mine"))
    try:
        with pytest.raises(Unsupported, match="no operation 'send'"):
            await session.call("send", event="x" * 100_000)
        with pytest.raises(Exception, match="open failed with TypeError"):
            await session.call("open", api="Client")
    finally:
        await session.close()
        await engine.close()


def test_the_guide_names_every_key_of_a_peer_file_and_every_runtime() -> None:
    guide = GUIDE.read_text("utf-8")
    keys = ("language", "runtime", "script", "module", "versions", "superseded", "lacks")
    for word in (*keys, *RUNTIMES):
        assert f"`{word}`" in guide, word


def test_every_file_that_the_guide_names_is_there() -> None:
    root = GUIDE.parents[1]
    named = re.findall(r"`((?:interop|docs|tests|\.ci)/[\w./-]+)`", GUIDE.read_text("utf-8"))
    assert len(named) > 5
    for name in named:
        assert (root / name).exists() or "mine" in name, name
