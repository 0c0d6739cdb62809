"""Recording, and the replay of everything that any version was seen to write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interop.catalog import load_peers
from interop.errors import TestbedError
from interop.records import CellResult, FrameRecord
from interop.wire.rules import check_text, differ
from interop.wire.vectors import Read, Vectors, load, record, write
from zaptools.protocol import decode_event, encode_event

from .. import cells

RECORDED = load()


def frame(text: str, author: str = "server", **more: Any) -> FrameRecord:
    return cells.frame(author, text, **more)


def cell(*frames: FrameRecord, **more: Any) -> CellResult:
    sides = {"server": "dart@1/S", "client": "python/ZapConsumer"}
    return cells.cell(frames=list(frames), **{**sides, **more})


def test_each_side_is_recorded_opposite_its_partner() -> None:
    found = [
        cell(frame("b"), frame("b"), frame("c", "client"), frame("a")),
        cell(frame("d"), scenario="echo.arrays"),
        cell(frame("x"), client="dart/C"),
        cell(frame("y"), scenario="malformed.reported"),
        cell(frame("s"), frame("c", "client"), server="python/ZapServer", client="dart@2/C"),
        cell(scenario="headers.none-given"),
    ]
    assert record(found) == [
        Vectors("dart@1/S", "server", {"echo.arrays": ["d"], "echo.null": ["b", "a"]}),
        Vectors("dart@2/C", "client", {"echo.null": ["c"]}),
    ]


def test_texts_that_were_cut_short_are_left_out() -> None:
    cut = frame("cut", length=500)
    binary = frame("binary", kind="binary")
    found = record([cell(cut, binary, frame("judge", "judge"), frame("whole é"))])
    assert found == [Vectors("dart@1/S", "server", {"echo.null": ["whole é"]})]


@pytest.mark.parametrize("found", [[], [cell()], [cell(frame("a"), client="dart/C")]])
def test_nothing_to_record_is_an_error(found: list[CellResult]) -> None:
    with pytest.raises(TestbedError, match="needs cells with python/ZapConsumer and python/ZapS"):
        record(found)


TEXT = '{"eventName":"echo","payload":1,"headers":{}}'
PROBE = '{"eventName":"echo","payload":"still there?","headers":{}}'


def judged(
    texts: list[str],
    *notes: dict[str, Any],
    scenario: str = "form.client.x",
    raised: str = "why",
    **more: Any,
) -> CellResult:
    """Return a cell in which the judge wrote these texts to a client, which told of that."""
    frames = [frame(text, "judge") for text in texts]
    sides = {"server": "judge/Raw", "client": "dart@2/C", "scenario": scenario}
    told = {"server": [], "clients": [list(notes)]}
    return cells.cell(
        "failed", **{"frames": frames, **sides, "raised": raised, "notifications": told, **more}
    )


def event(payload: Any, **more: Any) -> dict[str, Any]:
    return {"on": "event", "name": "echo", "payload": payload, "headers": {}, **more}


def read_in(found: CellResult) -> list[Read]:
    wrote = cell(frame("c", "client"), server="python/ZapServer", client="dart@2/C")
    (vectors,) = record([wrote, found])
    (reads,) = vectors.reads.values()
    return list(reads)


@pytest.mark.parametrize(
    ("notes", "outcome"),
    [
        ([event(1), event("still there?")], "delivered"),
        ([event(2)], "altered"),
        ([event(1, headers=None)], "altered"),
        ([event({"$unencodable": "inf"})], "delivered"),
        ([event("still there?")], "ignored"),
        ([{"on": "state", "state": "offline"}], "ended"),
        ([], "deaf"),
    ],
)
def test_what_became_of_a_message(notes: list[dict[str, Any]], outcome: str) -> None:
    (read,) = read_in(judged([TEXT, PROBE], *notes))
    assert (read.text, read.outcome, bool(read.got)) == (TEXT, outcome, outcome == "altered")


def test_an_exception_that_escaped_is_that_of_the_last_message() -> None:
    notes = [event(1), {"on": "uncaught", "message": "Oh"}]
    found = read_in(judged([TEXT, TEXT, TEXT], *notes))
    assert found == [Read(TEXT, "delivered"), Read(TEXT, "ignored", escaped="Oh")]


def test_a_scenario_that_passed_has_compared_the_values() -> None:
    one = judged([TEXT.replace("1", "1e2")], event(100), scenario="form.number.x", raised="")
    assert [read.outcome for read in read_in(one)] == ["delivered"]
    other = judged([TEXT.replace("1", "1e2")], event(100), scenario="malformed.to-client.x")
    assert [read.outcome for read in read_in(other)] == ["altered"]


def test_what_a_client_offers_the_rules_that_it_keeps_and_the_size_that_it_reads() -> None:
    connections = [{"t_ms": 1, "target": "/", "headers": [], "status": 101, "extensions": "x"}]
    sides = {"server": "python/ZapServer", "client": "dart@2/C"}
    large = frame("x", "judge", length=5000)
    kept = "response.subprotocol-not-offered.none-offered"
    (found,) = record(
        [
            cell(frame("c", "client"), **sides, connections=connections),
            judged([], scenario=kept, raised=""),
            judged([], scenario="response.deflate.plain", defect="what"),
            judged([], scenario="amount.declared-limit", raised="", frames=[large]),
            judged([], scenario="amount.16-mebibytes", frames=[frame("x", "judge", length=9000)]),
        ]
    )
    assert (found.extensions, found.longest) == ("x", 5000)
    assert found.kept == {"response.deflate.plain": "what", kept: ""}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    reads = {"malformed.to-client.empty": [Read("", "deaf"), Read("a", "altered", "x", "y")]}
    vectors = [Vectors("dart@1/S", "server", {"echo.null": ["é\ud800"]}, reads, {"r": ""}, 5, "x")]
    (path,) = write(vectors, tmp_path / "new")
    assert path.name == "dart@1-S.server.json"
    assert load(path.parent) == vectors
    write([Vectors("dart@1/S", "server", {})], path.parent)
    assert load(path.parent) == [Vectors("dart@1/S", "server", {})]


@pytest.mark.parametrize("text", ["{", "[]", '{"api": "x"}'])
def test_another_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text, "utf-8")
    with pytest.raises(TestbedError, match=r"bad\.json: not recorded vectors"):
        load(tmp_path)


def test_every_published_version_has_been_recorded() -> None:
    recorded = {each.api for each in RECORDED}
    published = {api.id for peer in load_peers().values() for api in peer.apis if api.version}
    assert published <= recorded


def test_what_is_recorded_is_of_peers_that_there_are() -> None:
    apis = {(api.id, api.role) for peer in load_peers().values() for api in peer.apis}
    assert {(each.api, each.role) for each in RECORDED} <= apis


@pytest.mark.parametrize("vectors", RECORDED, ids=lambda vectors: vectors.file_name)
def test_the_codec_reads_what_every_version_wrote_and_writes_it_again(vectors: Vectors) -> None:
    for text in [text for texts in vectors.texts.values() for text in texts]:
        assert check_text(text.encode()) == [], text
        expected = json.loads(text)
        event = decode_event(text)
        assert event.event_name == expected["eventName"], text
        assert differ(expected.get("payload"), event.payload) is None, text
        assert differ(expected.get("headers") or {}, event.headers) is None, text
        again = json.loads(encode_event(event.event_name, event.payload, event.headers))
        expected = {"payload": None, **expected, "headers": expected.get("headers") or {}}
        assert differ(expected, again) is None, text
