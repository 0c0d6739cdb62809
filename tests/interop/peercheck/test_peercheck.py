"""What peer-check says of peers that are broken in one way each, and of one that is whole."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import jsonschema
import pytest

from interop.control.operations import OPERATIONS
from interop.engines import local
from interop.errors import TestbedError
from interop.peercheck import samples
from interop.peercheck.control import breach
from interop.peercheck.order import FIRST, ORDER, steps
from interop.peercheck.peercheck import Finding, PeerCheck, Subject
from interop.peercheck.program import CHECKS
from interop.records import ROLES
from interop.run.runner import Bound, load_functions
from interop.schemas import contract_schema

PAGE = Path(__file__).parents[3] / "docs" / "peer-contract.md"


@pytest.fixture(scope="module")
def scenarios() -> dict[str, Bound]:
    return load_functions()


async def check(
    scenarios: dict[str, Bound], fault: str, *only: str, patience: float = 5.0
) -> list[Finding]:
    """Return what is found of the peer with that fault."""
    command = [sys.executable, "-m", "tests.interop.peercheck.broken", fault]
    subject = Subject(name="broken", command=command, apis=None)
    checking = PeerCheck(
        subject,
        scenarios,
        patience=patience,
        start_within=1.0 if fault == "says nothing" else 20.0,
        only=only,
    )
    await checking.run()
    return checking.findings


@pytest.fixture(autouse=True)
def _stopped_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "STOP_TIMEOUT", 0.3)


def named(findings: list[Finding], name: str) -> Finding:
    return next(each for each in findings if each.name == name)


FAULTS = [
    ("says hello", "ready", "expected 'READY HOST PORT' on stdout: 'HELLO 127.0.0.1 1"),
    ("ends at once", "ready", "and it ended with exit status 1\n  no such option: --listen"),
    ("describes no close timeout", "describe", "the server's limits .* no close_timeout_s"),
    ("outlives its stdin", "start.ends", "it still runs 0.5 s after its stdin was closed"),
    ("replies with another id", "describe", "describe had the id 1, and its reply has 2"),
    ("tells another port", "serve", r"nothing listens at the port \d+ of serve's ok"),
    ("reports no headers", "contract.app.echo", "event has not its form .'headers' is a required"),
    ("says no kind", "contract.too-early", "reply has not its form at 'error' .*'kind'"),
    (
        "answers open early",
        "open",
        "open was answered before the server had|says that it connected, and did not",
    ),
    ("is out of order", "order", r"requests to send 0, 1, 2 … wrote the events \[1, 2"),
    ("dies", "open", "^at open: client broken/C: .*exit status 3\n  out of luck"),
    ("is killed", "open", "its process was ended by SIGKILL"),
    ("leaks its port", "released.*", "session has ended, and the server's connection has not"),
    ("leaks its connection", "released.*", "session has ended, and the client's connection has"),
    ("mixes sessions", "contract.sessions", "another session's end is reported"),
]


@pytest.mark.parametrize(("fault", "only", "words"), FAULTS, ids=[each[0] for each in FAULTS])
async def test_a_broken_peer_is_told_what_is_broken(
    scenarios: dict[str, Bound], fault: str, only: str, words: str
) -> None:
    patience = 0.5 if fault.startswith(("leaks", "outlives")) else 5.0
    findings = await check(scenarios, fault, only, patience=patience)
    broken = [each for each in findings if each.status == "broken"]
    assert re.search(words, broken[0].words), broken[0]
    assert broken[0].name.startswith(only.rstrip("*"))


async def test_a_peer_that_says_nothing_is_not_waited_for(scenarios: dict[str, Bound]) -> None:
    findings = await check(scenarios, "says nothing", "ready", patience=0.5)
    first = findings[0]
    assert (first.name, first.status) == ("ready", "broken")
    assert "printed no READY line" in first.words
    assert [each.words for each in findings[1:]] == ["ready"]


async def test_an_operation_without_an_answer_is_named(scenarios: dict[str, Bound]) -> None:
    findings = await check(scenarios, "does not close", "close", patience=0.5)
    assert named(findings, "close").words == "client broken/C: close not done within 0.5 s"


async def test_a_peer_that_blocks_is_hung_and_the_rest_waits(scenarios: dict[str, Bound]) -> None:
    findings = await check(scenarios, "blocks", "close", patience=0.5)
    assert (
        "at open: client broken/C: no reply to 'describe' within 0.5 s"
        in named(findings, "open").words
    )
    assert (named(findings, "close").status, named(findings, "close").words) == ("waits", "open")


async def test_a_whole_peer_passes(scenarios: dict[str, Bound]) -> None:
    only = ("lines.*", "unknown-op", "wrong-arguments", "order", "released.*", "contract.s*",
            "contract.unknown-api", "contract.too-early", "contract.one-each", "close", "send*",
            "stop", "subscribe", "reconnect", "open headers")  # fmt: skip
    findings = await check(scenarios, "none", *only)
    assert {each.name for each in findings if each.status not in ("holds", "lacks")} == set()
    lacks = {each.name for each in findings if each.status == "lacks"}
    assert {"stop", "reconnect", "open headers"} <= lacks
    assert "released.reset" in {each.name for each in findings if each.status == "holds"}


# --- What there is to check ---------------------------------------------------------------


def test_each_check_has_its_place_and_a_section_of_the_page(
    scenarios: dict[str, Bound], monkeypatch: pytest.MonkeyPatch
) -> None:
    headings = re.findall(r"(?m)^#+ (.*)$", PAGE.read_text("utf-8"))
    for role in ROLES:
        found = steps(role, scenarios)
        assert {each.section for each in found} <= set(headings)
        assert set(FIRST[role]) <= {each.name for each in found}
        for name, bound in scenarios.items():
            if name.startswith("contract.") and bound.facts.side in (role, "each"):
                assert name in [each.name for each in found]
        cut = [(section, names) for section, names in ORDER[role] if section != "Framing"]
        monkeypatch.setitem(ORDER, role, cut)
        with pytest.raises(TestbedError, match=r"no place for contract\.one-each"):
            steps(role, scenarios)
    assert {each.section for each in CHECKS} <= set(headings)


@pytest.mark.parametrize("op", ["serve", "open"])
def test_each_argument_has_a_value_of_its_form(op: str) -> None:
    forms = contract_schema()["$defs"]["request"]["oneOf"]
    form = next(each for each in forms if each["properties"]["op"] == {"const": op})
    arguments = samples.arguments_of(op)
    assert set(form["properties"]) == {"id", "op", *arguments, *OPERATIONS[op].basic}
    for name in arguments:
        asked = {"id": 1, "op": op, "api": "S", **({"url": "ws://x"} if op == "open" else {})}
        jsonschema.validate({**asked, **samples.samples_of(op, name)}, form)
        assert name in samples.CERTIFIED or name in samples.samples_of(op, name)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        (b'{"id":1,"ok":{}}', ""),
        (b'{"on":"state","state":"online"}', ""),
        (b'{"on":"error","message":"x"}', ""),
        (b"{not json", "a line that is no reply and no notification: not JSON"),
        (b'{"id":1,"error":{"kind":"x"}}', "a reply has not its form at 'error' ('message'"),
        (b'{"id":1,"ok":{},"more":1}', "a reply has not its form (Additional"),
        (b'{"on":"state","state":"up"}', "the notification state has not its form at 'state'"),
    ],
)
def test_a_line_is_held_to_its_form(line: bytes, wrong: str) -> None:
    assert breach(line).startswith(wrong)
    assert bool(breach(line)) == bool(wrong)
