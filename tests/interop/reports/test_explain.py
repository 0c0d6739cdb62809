from __future__ import annotations

from typing import Any

import pytest

from interop.catalog import Api, load_peers
from interop.records import CellResult, Excuse, Role, Verdict
from interop.reports.explain import FEATURES, Explanation, Point, explain, in_words
from interop.reports.pairs import CORE, Pair, pairs

from .. import cells

S, C = "a/S", "b/C"
NULL = Excuse("a", "server", "x.c:3 drops it", "An event with null is not read.")
TWICE = Excuse("b", "client", "y.c:4 keeps the first", "connect() leaks.")
APIS: dict[tuple[Role, str], Api] = {
    ("server", S): Api("a", "server", "S", lacks={"drop code": "close() takes nothing",
                                                  "drop reason": "close() takes nothing"}),
    ("client", C): Api("b", "client", "C", lacks={"request": "it has none"}),
}  # fmt: skip


def cell(scenario: str, verdict: Verdict = "passed", **more: Any) -> CellResult:
    return cells.cell(verdict, **{"server": S, "client": C, "scenario": scenario, **more})


def asked(op: str, **args: Any) -> dict[str, Any]:
    request = {"op": op, "args": args, "t_ms": 1.0, "outcome": "unsupported"}
    return {"server": [], "clients": [[request]]}


def explained(*more: CellResult) -> Explanation:
    found = [*(cell(name.replace("*", "bmp")) for name in CORE), *more]
    (pair,) = pairs(found, [S], [C], {})
    return explain(pair, found, APIS)


def points(told: Explanation, title: str) -> tuple[Point, ...]:
    return next((part.points for part in told.parts if part.title == title), ())


def test_a_pair_without_deviations_works() -> None:
    told = explained()
    assert told.sentence == "b/C works with a/S, and nothing is known to deviate."
    assert [part.title for part in told.parts] == ["unsupported"]


def test_exceptions_in_plain_use_are_told_in_the_sentence_and_first() -> None:
    told = explained(
        cell("echo.null", "deviating", excuses=[NULL], rules=["W-19"]),
        cell("headers.none-given", "deviating", excuses=[NULL], rules=["W-19", "W-20"]),
        cell("ends.connect-twice", "deviating", excuses=[TWICE], rules=["L-5"]),
    )
    assert told.sentence == "b/C works with a/S, except: an event with null is not read."
    assert [part.title for part in told.parts][:2] == [
        "exceptions in plain use", "other named deviations",
    ]  # fmt: skip
    (null,) = points(told, "exceptions in plain use")
    assert null == Point(NULL.means, "server", NULL.cause, ("W-19", "W-20"),
                         ("echo.null", "headers.none-given"))  # fmt: skip
    (twice,) = points(told, "other named deviations")
    assert (twice.says, twice.role, twice.rules) == (TWICE.means, "client", ("L-5",))


def test_a_deviation_beyond_plain_use_is_no_exception() -> None:
    told = explained(cell("ends.connect-twice", "deviating", excuses=[TWICE]))
    assert told.sentence == (
        "b/C works with a/S: there is no exception in plain use, and beyond it 1 named deviation."
    )


def test_a_deviation_whose_meaning_is_not_known_names_what_does_not_hold() -> None:
    bare = Excuse("a", "server", "x.c:3 drops it")
    told = explained(cell("closing.x", "deviating", excuses=[bare], rule="A close is answered."))
    (point,) = points(told, "other named deviations")
    assert point.says == "This does not hold: A close is answered."
    assert point.cause == "x.c:3 drops it"


def test_what_breaks_a_pair_is_told() -> None:
    culprit = {"side": "server", "why": "it wrote []", "basis": "frame", "api": S}
    told = explained(cell("echo.null", "failed", reason="no event", defect="none",
                          culprit=culprit, rules=["W-1"]))  # fmt: skip
    assert told.sentence == "b/C does not work with a/S: echo.null: none"
    (red,) = points(told, "not as expected")
    assert (red.role, red.cause, red.rules) == ("server", "no event", ("W-1",))


def test_what_is_lacking_is_told_once_a_reason_with_the_rules_that_it_concerns() -> None:
    told = explained(
        cell("request.reply", "unsupported", rules=["R-17"], requests=asked("request", event="x"))
    )
    code, request = points(told, "unsupported")
    assert code.says == "No close codes, no close reasons: close() takes nothing."
    assert code.scenarios == ()
    assert request == Point("No requests to the server: it has none.", "client", "", ("R-17",),
                            ("request.reply",))  # fmt: skip


def test_each_side_alone_has_a_part_of_its_own() -> None:
    told = explained(
        cell(
            "frames.x", "failed", client="judge/Raw", defect="no pong", rule="Pings are answered."
        ),
        cell("closing.y", "deviating", server="judge/Raw", excuses=[TWICE]),
    )
    assert told.sentence == (
        "b/C works with a/S, and nothing is known to deviate. "
        "Alone, a/S is not as expected: frames.x: no pong."
    )
    server, client = told.parts[-2:]
    assert server.title == "the server alone, a/S: broken: frames.x: no pong"
    assert [point.says for point in server.points] == ["This does not hold: Pings are answered."]
    assert client.title == "the client alone, b/C: works, with 1 named deviation"
    assert [point.says for point in client.points] == [TWICE.means]


def test_a_pair_that_did_not_run_says_what_to_do() -> None:
    pair = Pair(S, C, "not run", "a/S: Go: install it")
    assert in_words(pair) == "Whether b/C works with a/S is not known: a/S: Go: install it"


def test_each_thing_that_a_peer_lacks_has_words() -> None:
    lacks = {name for peer in load_peers().values() for api in peer.apis for name in api.lacks}
    assert sorted(lacks - set(FEATURES)) == []
    assert sorted(set(FEATURES) - lacks) == []


@pytest.mark.parametrize("op", ["open", "serve"])
def test_a_peer_that_pings_but_waits_for_no_answer_is_not_said_to_send_no_pings(op: str) -> None:
    assert FEATURES[f"{op} ping_timeout_s"] != FEATURES[f"{op} ping_interval_s"]
