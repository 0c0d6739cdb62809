from __future__ import annotations

from typing import Any

import pytest

from interop.catalog import Api
from interop.records import CellResult, Excuse, PeerRecord
from interop.verdicts.advice import advise

from ..cells import blamed, cell

NEW, OLD = "dart@0.3.0/ZapServer", "dart@0.2.0/ZapServer"
APIS = [Api.parse(NEW, "server"), Api.parse(OLD, "server"), Api("node", "client", "Client")]
ENTRY = Excuse("dart@0.[23].0", "server", "its cause")
NARROW = Excuse("dart@0.3.0", "server", "its cause")
ECHO = {"on": "event", "name": "echo"}
CONNECTED = {"on": "connected"}


def peer(version: str = "0.3.0", digest: str = "aa", runtime: str = "3.7.3") -> PeerRecord:
    return PeerRecord("Dart", runtime, {"zaptools_server": version}, {"zaptools_server": digest})


def told(*notes: dict[str, Any]) -> dict[str, Any]:
    return {"server": list(notes), "clients": []}


def passed(excuse: Excuse = ENTRY, *notes: dict[str, Any], **more: Any) -> CellResult:
    data = {"server": NEW, "notifications": told(*(notes or (CONNECTED, ECHO))), "raised": ""}
    return cell("failed", unshown=[excuse], reason="", **{**data, **more})


def advised(
    one: CellResult,
    *others: CellResult,
    now: PeerRecord | None = None,
    before: PeerRecord | None = None,
) -> str:
    peers = {} if now is None else {NEW: now}
    recorded = {} if before is None else {"dart@0.3.0": before}
    advise([one, *others], peers, recorded, APIS)
    assert blamed(one).side == "server" and blamed(one).api == NEW
    assert blamed(one).basis == "expectation"
    assert one.reason == f"expected to fail, but passed; {blamed(one).why}: {one.unshown[0]}"
    return blamed(one).why


def test_an_entry_of_one_version_is_removed() -> None:
    one = passed(NARROW)
    assert advised(one) == "remove its entry"
    assert one.vanished == ""


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (peer("0.3.1"), "dart@0.3.0 changed: zaptools_server was 0.3.0 and is 0.3.1: "),
        (peer(digest="bb"), "zaptools_server calls itself 0.3.0 as before, and its sources are"),
        (peer(runtime="3.8.0"), "dart@0.3.0 changed: Dart was 3.7.3 and is 3.8.0: "),
    ],
)
def test_what_changed_is_named_and_what_the_entry_still_covers(now: PeerRecord, words: str) -> None:
    one = passed()
    advice = advised(one, now=now, before=peer())
    assert words in advice
    assert advice.endswith("narrow its peer 'dart@0.[23].0' to dart@0.2.0")
    assert one.vanished == ""


def test_sources_that_only_one_record_has_are_no_change() -> None:
    before = PeerRecord("Dart", "3.7.3", {"zaptools_server": "0.3.0"})
    assert advised(passed(), now=peer(), before=before).startswith(
        "the libraries of dart@0.3.0 are"
    )
    assert advised(passed(), now=before, before=peer()).startswith(
        "the libraries of dart@0.3.0 are"
    )


def test_other_failures_of_that_side_come_first() -> None:
    def red(side: str, api: str, **more: Any) -> CellResult:
        culprit = {"side": side, "why": "x", "basis": "row", "api": api}
        return cell("failed", server=NEW, culprit=culprit, **{"raised": "no event", **more})

    of_others = [red("client", "node/Client"), red("server", OLD), red("server", NEW, raised="")]
    assert advised(passed(NARROW), *of_others) == "remove its entry"
    one = passed(NARROW)
    found = advised(one, *of_others, red("server", NEW), red("server", NEW))
    assert found == "remove its entry, once its 2 other failures in this run are explained"
    assert one.vanished == found  # whether it is a repair is not known yet


def test_a_version_that_was_not_recorded_is_told_from_the_one_that_was() -> None:
    one = passed(Excuse("dart", "server", "x"), server="dart@0.3.1/ZapServer")
    advise([one], {"dart@0.3.1/ZapServer": peer("0.3.1")}, {"dart@0.3.0": peer()}, APIS)
    assert "the peer is dart@0.3.1, and this was recorded with dart@0.3.0: narrow" in one.reason
    assert "narrow its peer 'dart' to dart@0.2.0, dart@0.3.0" in one.reason


def test_of_an_older_version_that_was_not_recorded_nothing_is_said() -> None:
    older = Api("dart", "server", "ZapServer", "0.1.0", older=True)
    one = passed(Excuse("dart", "server", "x"), server=older.id)
    advise([one], {older.id: peer("0.1.0")}, {"dart@0.3.0": peer()}, [*APIS, older])
    assert "but passed; narrow its peer 'dart' to dart@0.2.0, dart@0.3.0: " in one.reason


def test_where_the_entry_still_shows_is_named() -> None:
    shows = cell("deviating", server=OLD, excuses=[ENTRY])
    assert advised(passed(), shows).endswith("to dart@0.2.0; it still shows at dart@0.2.0")


def test_a_peer_that_did_not_change_repaired_nothing() -> None:
    one = passed()
    advice = advised(one, now=peer(), before=peer())
    assert advice.startswith(
        "the libraries of dart@0.3.0 are as they were when this was recorded (zaptools_server 0.3.0"
    )
    assert "so they repaired nothing" in advice
    assert one.vanished == advice


def test_what_did_not_happen_at_all_is_no_repair() -> None:
    good = cell(notifications=told(CONNECTED, ECHO))
    one = passed(ENTRY, CONNECTED)
    advice = advised(one, good, now=peer("0.3.1"), before=peer())
    assert advice.startswith("this is no repair: the server reported no event 'echo'")
    assert one.vanished == advice


def test_a_callback_that_a_library_never_had_is_not_missed() -> None:
    good = cell(notifications=told(CONNECTED, ECHO))
    assert advised(passed(NARROW, ECHO), good) == "remove its entry"
    elsewhere = cell(server=NEW, scenario="other", notifications=told(CONNECTED))
    assert "no connected callback" in advised(passed(NARROW, ECHO), good, elsewhere)


def test_what_some_others_do_not_report_either_is_not_missed() -> None:
    others = [cell(notifications=told(CONNECTED, ECHO)), cell(notifications=told(CONNECTED))]
    assert advised(passed(NARROW, CONNECTED), *others) == "remove its entry"


def test_other_cells_are_left_alone() -> None:
    others = [cell(), cell("failed", raised="x", reason="y"), cell("deviating")]
    before = [each.reason for each in others]
    advise(others, {}, {}, APIS)
    assert [each.reason for each in others] == before
