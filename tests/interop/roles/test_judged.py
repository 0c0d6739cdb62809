"""The one side under test, by cells of the python peer, and by a peer that does nothing."""

from __future__ import annotations

import sys

from interop.catalog import JUDGES, Api

from ..runs import CLIENT, SERVER, fake, run


def test_a_scenario_of_each_side_runs_for_each_side_with_the_judge() -> None:
    cells, broken = run(scenarios=("frames.split-each-byte",))
    assert broken == ""
    assert [c.reason for c in cells] == ["", ""]
    assert [(c.server, c.client, c.verdict) for c in cells] == [
        ("python/ZapServer", "judge/Raw", "passed"),
        ("judge/Raw", "python/ZapConsumer", "passed"),
    ]


def test_a_scenario_of_one_side_runs_for_it_alone() -> None:
    cells, _ = run(scenarios=("frames.any-mask.zeros", "frames.new-masks"))
    assert {(c.server, c.client) for c in cells} == {
        (SERVER.id, JUDGES["client"].id),
        (JUDGES["server"].id, CLIENT.id),
    }


def test_its_frames_and_notifications_are_evidence() -> None:
    cells, _ = run(scenarios=("frames.ping.1",))
    for cell in cells:
        judged = "server" if cell.client == "judge/Raw" else "client"
        frames = [(f.author, f.kind) for f in cell.frames]
        assert ("judge", "ping") in frames
        assert (judged, "pong") in frames
    of_server, of_client = (cell.notifications for cell in cells)
    assert of_server is not None
    assert of_server.server[0]["conn"] == "1"
    assert of_client is not None
    assert of_client.clients[0]


def test_a_side_that_does_nothing_fails() -> None:
    chosen = ("frames.ping.1", "handshake.key.empty", "request.form", "response.fails.no-accept")
    cells, _ = run(commands=fake("deaf"), scenarios=chosen, patience=0.1)
    assert {c.verdict for c in cells} == {"failed"} or {c.verdict for c in cells} == {
        "failed",
        "error",
    }


def test_what_a_side_has_to_refuse_and_does() -> None:
    chosen = ("handshake.key.empty", "response.fails.no-accept", "response.redirect")
    cells, _ = run(scenarios=chosen)
    assert [c.verdict for c in cells] == ["passed"] * 3


def test_a_server_that_resets_a_head_in_single_bytes_fails() -> None:
    """It may do so while the judge writes: that is no error of the testbed's."""
    mutant = Api("mutant", "server", "request-in-one-segment")
    command = {"mutant": [sys.executable, "-m", "interop.peers.mutant"]}
    chosen = ("handshake.byte-by-byte",)
    ((cell,), _) = run(scenarios=chosen, servers=(mutant,), clients=(), commands=command)
    assert cell.verdict == "failed"
    assert "the server reset the connection" in cell.reason
