"""Programs that break one rule each are found out, in words; sound ones are not."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from interop.check.uncontrolled import NO_HEADERS
from interop.check_client.check import WHY_NOT, ClientCheck, why_not
from interop.check_client.door import Door
from interop.check_client.source import Started
from interop.records import CellResult
from interop.run.runner import Bound, load_functions

from .programs import odd

ZAPTOOLS = """
import asyncio, os
from zaptools import ReconnectPolicy, ZapConsumer

async def main():
    policy = ReconnectPolicy(initial_delay=0.01, factor=1)
    client = ZapConsumer(os.environ["ZAPTOOLS_URL"], reconnect=policy)

    @client.on_event("echo")
    async def echo(context):
        await client.send_event("echo", context.payload)

    await client.connect()
    await asyncio.Event().wait()

asyncio.run(main())
"""

WEBSOCKET_CLIENT = """
import json, os, websocket

def echo(app, text):
    try:
        event = json.loads(text)
        name = event["eventName"]
    except (ValueError, TypeError, KeyError):
        return
    if name == "echo":
        app.send(json.dumps({**event, "headers": {}}))

websocket.WebSocketApp(os.environ["ZAPTOOLS_URL"], on_message=echo).run_forever()
"""


@pytest.fixture(scope="module")
def whole() -> dict[str, Bound]:
    return load_functions(30)


async def checked(
    command: Sequence[str],
    whole: dict[str, Bound],
    *names: str,
    patience: float = 5,
    echo: str | None = "echo",
    reconnects: bool = False,
    restarts: int = 0,
) -> list[CellResult]:
    async def make() -> Started:
        door = await Door("127.0.0.1").open()
        return Started(door, command, within=10, reconnects=reconnects)

    can = {"echo", "url", *(["reconnects"] if reconnects else [])}
    check = ClientCheck(
        "ours", make, shared=reconnects, patience=patience, can=can, echo=echo, at_once=2
    )
    results = await check.run({name: whole[name] for name in names})
    assert check.restarts + check.ends == restarts
    return results.cells


SOUND = [
    *("request.form", "request.target.query", "response.accepts.connection-list"),
    *("response.fails.wrong-accept", "response.rejected.401", "frames.reserved-bit.rsv1"),
    *("frames.control-between-fragments", "frames.not-utf8.surrogate", "frames.close-code.4000"),
    *("form.client.payload-absent", "form.number.big-integers", "headers.from-handler.text"),
    *("malformed.to-client.not-json", "malformed.client-unheard.no-name", "frames.ping.125"),
]


async def test_a_sound_program_holds_every_rule(whole: dict[str, Bound]) -> None:
    cells = await checked(odd("good"), whole, *SOUND)
    assert {cell.scenario: cell.reason for cell in cells} == dict.fromkeys(sorted(SOUND), "")
    assert {(cell.server, cell.client) for cell in cells} == {("judge/Raw", "ours")}


async def test_headers_are_not_judged_where_the_echo_returns_none(whole: dict[str, Bound]) -> None:
    async def make() -> Started:
        door = await Door("127.0.0.1").open()
        return Started(door, odd("no-headers"), within=10)

    check = ClientCheck("ours", make, shared=False, patience=5, can={"echo"}, echo="echo")
    name = "headers.from-handler.text"
    results = await check.run({name: whole[name]})
    assert (results.cells, results.unjudged) == ([], [f"1 scenario because {NO_HEADERS}"])


async def test_this_librarys_client_connects_again_for_each_scenario(
    whole: dict[str, Bound],
) -> None:
    names = [
        *("request.form", "response.first-moment", "response.ended.half-an-answer"),
        *("frames.masking", "frames.new-masks", "form.escapes", "order.large-first.600-kb"),
        *("reconnect.by-itself.reset", "reconnect.by-itself.close"),
    ]
    cells = await checked([sys.executable, "-c", ZAPTOOLS], whole, *names, reconnects=True)
    assert {cell.scenario: cell.reason for cell in cells} == dict.fromkeys(sorted(names), "")


async def test_another_librarys_client_does_what_it_is_known_for(whole: dict[str, Bound]) -> None:
    """websocket-client answers a masked frame as any other."""
    names = ["request.form", "frames.ping.1", "frames.split-in-two", "frames.masking"]
    program = [sys.executable, "-c", WEBSOCKET_CLIENT]
    cells = await checked(program, whole, *names, patience=2)
    reasons = {cell.scenario: cell.reason for cell in cells}
    masking = reasons.pop("frames.masking")
    assert masking.startswith("the client wrote no close frame within 2 s")
    assert set(reasons.values()) == {""}


@pytest.mark.parametrize(
    ("mode", "scenario", "words"),
    [
        ("old-version", "request.form", "expected head.one('Sec-WebSocket-Version') == '13'"),
        ("other-host", "request.form", "expected Host '127.0.0.1:"),
        ("same-key", "request.key", "expected 3 different keys, got 1"),
        ("ignores-accept", "response.fails.wrong-accept",
         "the client connected where it has to fail the connection"),
        ("unmasked", "frames.unasked-pong", "an unmasked frame of a client"),
        ("same-mask", "frames.new-masks", "the client's masking keys repeat"),
        ("empty-pong", "frames.ping.1", "connection.next(PONG)"),
        ("lenient", "frames.reserved-bit.rsv1", "the client wrote no close frame within"),
        ("no-close", "frames.close-empty", "the client wrote no close frame within"),
        ("loses-null", "form.client.payload-absent", "no event 'echo' but the next one"),
        ("rounds", "form.number.big-integers", "9007199254740993 was read as 9007199254740992.0"),
        ("greets-wrongly", "frames.unasked-pong", 'the client wrote no eventName: b\'{"event"'),
        ("writes-no-event", "frames.empty-fragments", "the client wrote not an object"),
        ("dies-of-malformed", "malformed.to-client.no-name",
         "wrote no close frame; it ended TCP; the program ended with status 1"),
        ("dies-of-unknown", "events.unknown-to-client",
         "ended the connection and wrote no text frame; it wrote nothing"),
        ("crashes", "frames.ping.1", "; the program was ended by SIGSEGV"),
    ],
)  # fmt: skip
async def test_a_broken_program_is_told_what_is_wrong(
    mode: str, scenario: str, words: str, whole: dict[str, Bound]
) -> None:
    echo = None if mode == "writes-no-event" else "echo"  # it would not pass the first probe
    (cell,) = await checked(odd(mode), whole, scenario, patience=0.5, echo=echo)
    assert cell.verdict == "failed"
    told = cell.reason + (cell.culprit.why if cell.culprit is not None else "")
    assert words in told
    assert cell.culprit is None or cell.culprit.side == "client"
    if mode == "dies-of-malformed":
        assert cell.printed[0] == "connected"
        assert cell.printed[-1].startswith("KeyError: 'eventName'")


@pytest.mark.parametrize("reconnects", [False, True])
async def test_a_program_that_dies_where_nothing_is_echoed_is_red(
    reconnects: bool, whole: dict[str, Bound]
) -> None:
    name = "malformed.client-unheard.no-name"
    program = odd("dies-of-malformed")
    # It connects no second time: it is started again after the first probe.
    (cell,) = await checked(program, whole, name, reconnects=reconnects, restarts=int(reconnects))
    assert (cell.verdict, cell.reason) == ("failed", "the program ended with status 1")
    assert cell.printed[-1] == "KeyError: 'eventName'"


async def test_the_close_of_a_program_that_dies_is_answered(whole: dict[str, Bound]) -> None:
    name = "malformed.client-unheard.no-name"
    (cell,) = await checked(odd("closes-then-dies"), whole, name, patience=0.5)
    assert (cell.verdict, cell.reason) == ("failed", "the program ended with status 1")
    assert cell.printed[-1] == "KeyError: 'eventName'"


def test_each_reason_for_not_running_has_words(whole: dict[str, Bound]) -> None:
    found = {why_not(bound.facts, set()) for bound in whole.values()}
    assert found == {"", *WHY_NOT}


def test_no_scenario_of_a_foreign_client_puts_load_on_it(whole: dict[str, Bound]) -> None:
    can = {"echo", "reconnects", "url"}
    chosen = [name for name, bound in whole.items() if not why_not(bound.facts, can)]
    assert len(chosen) > 150
    assert [name for name in chosen if name.startswith(("amount.", "many.", "slow."))] == []
