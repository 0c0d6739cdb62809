from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from interop.catalog import Api
from interop.records import Culprit, Role
from interop.verdicts.deviations import Deviation
from interop.verdicts.flaky import KnownFlaky
from interop.verdicts.verdict import Case, Outcome, decide

LACKS = {"rooms": "it has none", "drop code": "close() takes none"}
SERVER = Api("dart", "server", "ZapServer", "0.3.0", lacks=LACKS)
CLIENT = Api("python", "client", "ZapConsumer")
KNOWN = Deviation("dart", "server", ("x",), "its cause", ("no echo", "late"))
FLAKY = KnownFlaky(("x",), "a race", "2026-12-31")
OTHER = Deviation("python", "client", ("x",), "another cause", ("never",))


def verdict(outcome: Outcome, text: str = "", **more: Any) -> tuple[str, str]:
    ruling = decide(Case(SERVER, CLIENT, outcome, text, **more))
    return ruling.verdict, ruling.reason


def test_an_engines_unsupported_needs_no_declaration() -> None:
    assert verdict("unsupported", "engine x does nothing") == (
        "unsupported", "engine x does nothing",
    )  # fmt: skip


def test_an_outcome_without_deviations_stands() -> None:
    assert verdict("passed") == ("passed", "")
    assert verdict("failed", "no echo") == ("failed", "no echo")
    assert verdict("failed", "no echo", should=True) == ("warned", "no echo")


@pytest.mark.parametrize("known", [[], [KNOWN]])
def test_an_error_is_never_excused(known: list[Deviation]) -> None:
    assert verdict("error", "PeerDied: no echo", known=known)[0] == "error"


def test_a_deviation_shows_with_its_cause_and_what_was_seen() -> None:
    found = verdict("failed", "there was no echo", known=[KNOWN])
    assert found == ("deviating", "dart (server): its cause [seen: there was no echo]")


def test_one_of_several_entries_must_describe_the_failure() -> None:
    kind, reason = verdict("failed", "too late", known=[OTHER, KNOWN])
    assert (kind, reason) == ("deviating", "dart (server): its cause [seen: too late]")
    kind, reason = verdict("failed", "crash", known=[OTHER, KNOWN])
    assert kind == "failed"
    assert "deviation of python (client) describes another failure: never; the" in reason
    assert "deviation of dart (server) describes another failure: no echo | late" in reason


def test_what_an_entry_describes_is_told_without_escapes() -> None:
    entry = replace(KNOWN, seen=(r"still there\?", r"got \['slow'\]"))
    _, reason = verdict("failed", "crash", known=[entry])
    assert "describes another failure: still there? | got ['slow']" in reason


@pytest.mark.parametrize("should", [True, False])
def test_another_failure_of_a_known_deviation_is_red(should: bool) -> None:
    assert verdict("failed", "crash", known=[KNOWN], should=should)[0] == "failed"


@pytest.mark.parametrize(
    ("side", "expected"), [("server", "deviating"), ("unknown", "deviating"), ("client", "failed")]
)
def test_a_deviation_blames_the_side_that_is_at_fault(side: Any, expected: str) -> None:
    culprit = Culprit(side, "the client wrote []", "frame")
    kind, reason = verdict("failed", "no echo", known=[KNOWN], culprit=culprit)
    assert kind == expected
    assert ("blames the server, but the client wrote []" in reason) is (side == "client")


def test_a_deviation_that_does_not_show_is_stale() -> None:
    kind, reason = verdict("passed", known=[KNOWN], should=True)
    assert kind == "failed"
    assert reason.startswith("expected to fail, but passed; remove its entry: dart (server): its")
    ruling = decide(Case(SERVER, CLIENT, "passed", known=[KNOWN]))
    assert (ruling.unshown, ruling.better) == ([KNOWN.excuse], "server")


def test_a_deviation_that_is_a_race_need_not_show() -> None:
    race = replace(KNOWN, racy=True)
    assert verdict("passed", known=[race]) == ("passed", "")
    kind, reason = verdict("failed", "no echo", known=[race])
    assert (kind, reason) == ("tolerated", "dart (server): its cause [seen: no echo]")
    assert verdict("failed", "crash", known=[race])[0] == "failed"
    always = replace(KNOWN, seen=("late",))
    assert verdict("failed", "late", known=[race, always])[0] == "deviating"
    assert verdict("passed", known=[race, always])[0] == "failed"


def test_unsupported_must_be_declared() -> None:
    text = "server dart@0.3.0/ZapServer: no rooms"
    features: dict[Role, frozenset[str]] = {
        "server": frozenset({"serve", "rooms"}),
        "client": frozenset({"open"}),
    }
    declared = verdict("unsupported", text, unsupported_by="server", features=features)
    assert declared == ("unsupported", text)
    kind, reason = verdict("unsupported", "no", unsupported_by="client", features=features)
    assert kind == "failed"
    ruling = decide(
        Case(SERVER, CLIENT, "unsupported", "no", unsupported_by="client", features=features)
    )
    assert ruling.undeclared == "client"
    assert (
        "python/ZapConsumer was asked for: open; its peer.toml says that it lacks: noth" in reason
    )
    assert "asked for: nothing" in verdict("unsupported", text, unsupported_by="server")[1]


def test_a_declared_lack_that_works_is_stale() -> None:
    kind, reason = verdict("passed", features={"server": frozenset({"drop code"})})
    assert kind == "failed"
    assert reason.startswith("server dart@0.3.0/ZapServer is declared to lack drop code, but it")
    features: dict[Role, frozenset[str]] = {"server": frozenset({"drop code"})}
    assert decide(Case(SERVER, CLIENT, "passed", features=features)).better == "server"
    assert verdict("failed", "x", features={"server": frozenset({"drop code"})}) == ("failed", "x")


def test_a_cell_that_is_known_to_be_flaky_may_fail_or_pass() -> None:
    assert verdict("passed", flaky=FLAKY) == ("passed", "")
    tolerated = "known to be flaky until 2026-12-31: a race [seen: no echo]"
    assert verdict("failed", "no echo", flaky=FLAKY) == ("tolerated", tolerated)
    assert verdict("failed", "no echo", flaky=FLAKY, should=True) == ("tolerated", tolerated)


def test_its_known_deviation_need_not_show() -> None:
    assert verdict("failed", "no echo", flaky=FLAKY, known=[KNOWN])[0] == "deviating"
    kind, reason = verdict("passed", flaky=FLAKY, known=[KNOWN])
    assert kind == "tolerated"
    assert "[seen: expected to fail, but passed" in reason


def test_neither_an_error_nor_an_undeclared_lack_is_flaky() -> None:
    assert verdict("error", "PeerDied", flaky=FLAKY) == ("error", "PeerDied")
    lack = verdict("unsupported", "no rooms", unsupported_by="client", flaky=FLAKY)
    assert lack[0] == "failed"
