"""From what happened to a cell's result: by facts, whatever words tell them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import interop
from interop.catalog import Api
from interop.errors import Escaped, PeerDied, PeerFailure, TestbedError, Unsupported, Violation
from interop.records import CellResult, Evidence, Missing, ViolationRecord
from interop.run.cell import Ran
from interop.run.record import record
from interop.scenarios.scenario import Scenario
from interop.verdicts.deviations import Deviation
from interop.verdicts.suggest import suggestions

SERVER = Api("a", "server", "S", lacks={"rooms": "it has none"})
CLIENT = Api("b", "client", "C")
FACTS = Scenario("x", "A rule.")


def result(ran: Ran, known: Deviation | None = None, facts: Scenario = FACTS) -> CellResult:
    return record(facts, "x.y", (SERVER, CLIENT), ran, known=[known] if known else [])


def raised(error: BaseException, **more: object) -> Ran:
    features = {"server": frozenset({"rooms"}), "client": frozenset({"open"})}
    return Ran(error=error, begun=True, **{"features": features, **more})  # type: ignore[arg-type]  # its fields


def binary(side: str) -> Evidence:
    return Evidence(violations=[ViolationRecord(side, "a binary message", False)])  # type: ignore[arg-type]  # a side


CASES: list[tuple[Callable[[], Ran], str, tuple[str, str] | None]] = [
    (lambda: Ran(), "passed", None),
    (lambda: raised(Unsupported("no", api=SERVER, op="join")), "unsupported", None),
    (lambda: raised(Unsupported("no", api=CLIENT)), "failed", ("client", "unsupported")),
    (lambda: raised(Unsupported("it does nothing")), "unsupported", None),
    (lambda: raised(PeerDied("it ended", api=SERVER)), "error", None),
    (lambda: raised(TestbedError("no engine")), "error", None),
    (lambda: raised(KeyError("x")), "error", None),
    (lambda: raised(Violation("no echo", api=CLIENT)), "failed", None),
    (lambda: raised(PeerFailure("open", "No", "why", api=CLIENT)), "failed", None),
    (lambda: raised(Violation("no"), seen=binary("client")), "failed", ("client", "frame")),
]


@pytest.fixture(params=["as they are", "reworded"])
def words(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each error tell its facts in its own words, or all in the same ones."""
    if request.param == "reworded":
        for error in (PeerDied, Unsupported, Violation):
            monkeypatch.setattr(error, "__str__", lambda _: "something else")


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize(("ran", "verdict", "culprit"), CASES)
def test_no_verdict_depends_on_words(
    ran: Callable[[], Ran], verdict: str, culprit: tuple[str, str] | None
) -> None:
    cell = result(ran())
    assert cell.verdict == verdict
    found = (cell.culprit.side, cell.culprit.basis) if cell.culprit else None
    assert found == culprit


@pytest.mark.parametrize(
    ("folder", "text", "verdict"),
    [
        ("scenarios", "{}['headers']", "failed"),
        ("scenarios", "dict().get(1)[:60]", "failed"),
        ("scenarios", "1 / 0", "error"),
        ("roles", "{}['headers']", "error"),
    ],
)
def test_data_of_another_shape_is_no_error_of_the_testbed(
    folder: str, text: str, verdict: str
) -> None:
    file = Path(interop.__file__).parent / folder / "test_x.py"
    with pytest.raises((LookupError, TypeError, ArithmeticError)) as info:
        eval(compile(text, file, "eval"), {})
    cell = result(raised(info.value))
    assert cell.verdict == verdict
    assert cell.reason.startswith("what was got has another shape: ") == (verdict == "failed")


@pytest.mark.usefixtures("words")
def test_a_suggested_pattern_is_about_the_defect_alone() -> None:
    late = Violation("no event", api=SERVER, within="0.2 s", seen="last it reported: nothing")
    (text,) = suggestions([result(raised(late))])
    assert "seen = 'no event'" in text
    escaped = raised(Escaped("boom", api=SERVER), escaped=[("server", "boom")])
    (text,) = suggestions([result(escaped)])
    assert "seen = 'boom'" in text


def test_what_a_scenario_waited_for_in_vain_is_missing() -> None:
    told = Violation("no event", api=SERVER, within="0.2 s", missing="event 'echo'")
    wrote = Violation("the client wrote no pong frame", missing="pong frame", author="client")
    waited = [result(Ran(error=e, begun=True, duration_ms=7.0)).missing for e in (told, wrote)]
    assert waited == [
        [Missing("server", "event 'echo', waited for 0.2 s", 7.0)],
        [Missing("wire", "pong frame", 7.0, "client")],
    ]
    assert result(raised(Violation("no", api=SERVER))).missing == []
    assert result(Ran()).missing == []


def test_what_else_escaped_is_told_once() -> None:
    escaped = [("server", "boom"), ("client", "crash")]
    cell = result(raised(Escaped("boom", api=SERVER), escaped=escaped))
    assert cell.reason == "server a/S: let an exception escape: boom; uncaught in the client: crash"
    assert cell.raised == cell.reason


def test_a_known_deviation_is_kept_as_a_record() -> None:
    known = Deviation("a", "server", ("x.*",), "its cause", ("no echo",))
    cell = result(raised(Violation("no echo", api=CLIENT)), known)
    assert (cell.verdict, cell.excuses) == ("deviating", [known.excuse])
    assert result(Ran(), known).excuses == []


def test_the_rules_are_those_that_the_scenario_cites() -> None:
    assert result(Ran(), facts=Scenario("x", "A rule.", rules=("W-1", "W-2"))).rules == [
        "W-1",
        "W-2",
    ]


def test_a_should_warns() -> None:
    facts = Scenario("x", "A rule.", severity="should")
    assert result(raised(Violation("no")), facts=facts).verdict == "warned"


def test_an_assertion_without_words_says_so() -> None:
    assert result(raised(AssertionError())).reason == "it does not hold"
