"""The rows of the table, and choosing some of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import catalog
from bench.catalog import MEASURES, PEERS, ROWS, Row, choose
from bench.errors import UsageError


def test_every_row_has_a_measure_and_peers_of_one_kind() -> None:
    assert len(set(ROWS)) == len(ROWS)
    for row in ROWS:
        clients = MEASURES[row.measure].load is None
        for name in filter(None, (row.ours, row.theirs)):
            assert (PEERS[name].wire is None) == clients


def test_every_measure_and_every_peer_is_in_a_row() -> None:
    assert {row.measure for row in ROWS} == set(MEASURES)
    assert {name for row in ROWS for name in (row.ours, row.theirs) if name} == set(PEERS)


def test_every_peer_has_its_program_and_every_program_its_peer() -> None:
    programs = Path(catalog.__file__).parent / "peers"
    found = {path.name for path in programs.glob("[a-z]*.py")}
    assert {peer.program for peer in PEERS.values()} == found


def test_the_targets_are_those_that_were_set() -> None:
    targets = {(row.measure, row.ours, row.theirs): row.target for row in ROWS if row.target}
    assert targets == {
        ("echo", "zaptools", "websockets"): 2.5,
        ("echo", "zaptools", "published"): 5,
        ("echo", "zaptools", "socketio"): 10,
        ("echo", "zaptools", "picows"): 0.8,
        ("echo", "zaptools-fastapi", "published"): 1.6,
        ("ping-pong", "zaptools", "websockets"): 1.4,
        ("broadcast", "zaptools", "websockets"): 0.75,
        ("connect", "zaptools", "websockets"): 1.5,
        ("cost", "zaptools", "websockets-json"): 4,
        ("memory", "zaptools", None): 10,
        ("memory", "zaptools", "websockets"): 0.7,
    }


def test_all_rows_are_chosen_by_default() -> None:
    assert choose() == list(ROWS)


def test_measures_are_chosen() -> None:
    assert {row.measure for row in choose(["64k", "connect"])} == {"64k", "connect"}


@pytest.mark.parametrize(
    ("peers", "rows"),
    [
        (["picows"], [Row("echo", "zaptools", "picows", 0.8)]),
        (
            ["published"],
            [
                Row("echo", "zaptools", "published", 5),
                Row("echo", "zaptools-fastapi", "published", 1.6),
                Row("echo", "zaptools-asgi", "published"),
            ],
        ),
        (["zaptools-fastapi", "published"], [Row("echo", "zaptools-fastapi", "published", 1.6)]),
        (["zaptools-asgi"], [Row("echo", "zaptools-asgi", "published")]),
    ],
)
def test_peers_are_chosen(peers: list[str], rows: list[Row]) -> None:
    assert choose(["echo"], peers) == rows


def test_a_row_about_one_peer_is_chosen_with_it() -> None:
    assert choose(["memory"], ["zaptools", "websockets"]) == [
        Row("memory", "zaptools", None, 10),
        Row("memory", "zaptools", "websockets", 0.7),
    ]
    assert choose(["memory"], ["websockets"]) == [Row("memory", "zaptools", "websockets", 0.7)]


@pytest.mark.parametrize(
    ("measures", "peers", "words"),
    [
        (["ecko"], [], "no measure 'ecko'; there are: echo, ping-pong"),
        ([], ["picow"], "no peer 'picow'; there are: zaptools, "),
        (["receive"], ["picows"], "there is no row of receive with picows"),
        ([], ["zaptools-asgi", "picows"], "no row of any measure with zaptools-asgi, picows"),
    ],
)
def test_what_there_is_not_is_refused(measures: list[str], peers: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        choose(measures, peers)
