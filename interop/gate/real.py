"""Runs a real client of a version against the server, as its application would use it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence, Set
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..catalog import Api
from ..check.endpoint import Endpoint
from ..check.remote import Pace
from ..control.contract import Notification
from ..control.patience import Patience
from ..control.session import Session
from ..engines.local import LocalEngine
from ..errors import PeerFailure, TestbedError, Unsupported, Violation
from ..reports.answer import joined
from ..roles.client import Client
from ..run.pool import Pool
from ..wire.frames import TEXT
from ..wire.rules import differ
from ..wire.vectors import Vectors
from .judgement import Cause, unread
from .relay import Relay
from .traits import Message, parse

__all__ = ["Course", "Run", "run_client", "same_value"]

_RESERVED = frozenset({"answer", "ask-back", "boom", "close-me", "fail", "mirror", "slow"})
"""Events at which the peers' programs of clients do something of their own, or answer."""


@dataclass
class Run:
    """What a real client did.

    Attributes:
        echoed: how many values went there and back.
        pushed: how many further events of the server reached its application.
        error: why the testbed could not run it; empty where it could.
    """

    causes: list[Cause] = field(default_factory=list)
    echoed: int = 0
    pushed: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a client is led through, and where.

    Attributes:
        echo: the event that the application answers with its payload, or None.
        answer_name: the name of the events that echoes come in.
        events: names of events that the server is known to send.
        asked: the texts of ``--ask``, which the client's application sends.
        listen: seconds to wait for pushes.
    """

    endpoint: Endpoint
    pace: Pace
    patience: float
    echo: str | None
    answer_name: str
    events: Sequence[str]
    asked: Sequence[str]
    listen: float


async def run_client(
    api: Api,
    command: Sequence[str],
    recorded: Vectors | None,
    logs: Path,
    course: Course,
) -> Run:
    """Run one client: echoes, pushes, answers, a close and a second connection.

    Args:
        recorded: what the version writes, from which the payloads are taken; None for a version
            that was never recorded, which is given a few.
        logs: the folder for the log of its program.
    """
    if why := _of_the_testbed({course.answer_name, *course.events}):
        return Run(error=why)
    run = Run()
    try:
        async with AsyncExitStack() as stack:
            engine = LocalEngine({api.program: list(command)}, logs)
            stack.push_async_callback(engine.close)
            session = await Pool(engine).open(api)
            stack.push_async_callback(session.close)
            relay = await stack.enter_async_context(
                Relay(course.endpoint, course.patience, course.pace)
            )
            conversation = _Conversation(session, relay, run, course)
            await conversation.hold(recorded)
            if why := _of_the_testbed({message.event for message in conversation.written()}):
                return Run(error=why)
    except (TestbedError, Unsupported) as exc:
        run.error = str(exc)
    return run


def _of_the_testbed(events: Set[str]) -> str:
    """Return why a client cannot be run with a server that sends these events; empty if it can."""
    if not (names := sorted(events & _RESERVED)):
        return ""
    said = joined([f"`{name}`" for name in names])
    return f"the server sends {said}, to which the testbed's own program of a client reacts"


class _Conversation:
    """What a client and the server say to each other, through the relay."""

    def __init__(self, session: Session, relay: Relay, run: Run, course: Course) -> None:
        self.session = session
        self.relay = relay
        self.run = run
        self.course = course
        self.client = Client(session, Patience(course.patience, [session]), None, None)
        self.names: set[str] = set()  # the events that its application listens to

    async def hold(self, recorded: Vectors | None) -> None:
        """Have it, to the first failure that ends it, and judge what reached the application."""
        if not await self._opened(recorded):
            return
        await self._echoes(recorded)
        await asyncio.sleep(self.course.listen)
        await self._ask()
        await self.client.settle()
        self._judge_pushes(recorded)
        self._judge_escapes()
        if not self.run.causes:
            await self._again()

    async def _opened(self, recorded: Vectors | None) -> bool:
        wanted = {self.course.answer_name or "echo", *self.course.events}
        self.names = wanted | {"echo"}
        try:
            offered = [*self.course.endpoint.subprotocols]
            more = {"protocols": offered} if offered else {}
            await self.client.dial(self.relay.url, *sorted(wanted - {"echo"}), **more)
        except (PeerFailure, Violation) as exc:
            why = self.relay.refused or " ".join(str(exc).split())
            self._fail("connect", f"lets it not connect ({why})", "the app is offline")
            return False
        return True

    # --- What it sends ------------------------------------------------------------------------

    async def _echoes(self, recorded: Vectors | None) -> None:
        if self.course.echo is None:
            return
        for payload, headers in _payloads(recorded):
            text = json.dumps({"eventName": self.course.echo, "payload": payload})
            if not await self._sent("echo", text, self.course.echo, payload, headers):
                return
            try:
                got = await self._event(self.course.answer_name)
            except Violation as exc:
                self._fail("echo", f"echoes {text} so that it does not arrive",
                           f"the app gets no event ({self._escaped() or exc.what})")  # fmt: skip
                return
            if difference := differ(payload, got.data.get("payload")):
                self._fail("value", f"echoes {text} so that another value arrives",
                           f"the app gets another value at {difference}")  # fmt: skip
            self.run.echoed += 1

    async def _sent(
        self, key: str, text: str, name: str, payload: Any, headers: dict[str, Any]
    ) -> bool:
        """Send an event; return whether that was possible."""
        try:
            await self.client.send(name, payload, headers)
        except PeerFailure as exc:
            self._fail(key, f"leaves it unable to send {text}", f"its send fails ({exc.what})")
            return False
        return True

    async def _event(self, name: str) -> Notification:
        """Wait for an event; an exception that escapes ends the wait."""
        before = self._uncaught()

        def ends(note: Notification) -> bool:
            return note.on == "event" and note.data["name"] == name

        waiting = asyncio.ensure_future(self.client.wait("event", ends, what=f"event {name!r}"))
        while not waiting.done() and self._uncaught() == before:
            await asyncio.wait([waiting], timeout=0.02)
        if not waiting.done():  # it may have come beside the exception
            await asyncio.wait([waiting], timeout=0.2)
        if waiting.done():
            return await waiting
        waiting.cancel()
        raise Violation(f"no event {name!r}", api=self.session.api)

    async def _ask(self) -> None:
        for text in self.course.asked:
            event = json.loads(text)
            before = len(self.written())
            headers = event.get("headers") or {}
            if not await self._sent("ask", text, event["eventName"], event.get("payload"), headers):
                return
            until = self.course.patience
            while len(self.written()) == before and until > 0:
                await asyncio.sleep(0.02)
                until -= 0.02

    async def _again(self) -> None:
        """Close, connect again, and have one more echo."""
        try:
            await self.client.close()
            await self.session.call("reconnect")
            if self.course.echo is not None:
                await self.client.send(self.course.echo, "again", {})
                await self._event(self.course.answer_name)
        except Unsupported:
            return  # what it can do has worked
        except (PeerFailure, Violation) as exc:
            self._fail("again", "does not take it back after a close",
                       f"the app stays offline ({self.relay.refused or exc})")  # fmt: skip

    # --- What reached the application ---------------------------------------------------------

    def _judge_pushes(self, recorded: Vectors | None) -> None:
        """Check that as many events of each name reached it as the server wrote."""
        told: dict[str, list[Mapping[str, Any]]] = {}
        for note in self.session.notifications:
            if note.on == "event":  # of which a library may take anything for the name
                told.setdefault(str(note.data["name"]), []).append(note.data)
        wrote: dict[str, list[Message]] = {}
        for message in self.written():
            if message.event in self.names:
                wrote.setdefault(message.event, []).append(message)
        for name, messages in wrote.items():
            got = told.get(name, [])
            missing = len(messages) - len(got)
            if name != self.course.answer_name:
                self.run.pushed += min(len(messages), len(got))
                if missing == 0:
                    self._judge_values(name, messages, got)
            if missing > 0:
                frame = _suspect(messages, recorded)
                words = f", of which {missing} of {len(messages)} do not arrive"
                why = self._escaped() or "no handler is called"
                effect = f"the app gets no event ({why})"
                self._fail(f"event.{name}", f"sends `{name}`{words}", effect, frame.text)

    def _judge_values(
        self, name: str, messages: Sequence[Message], got: Sequence[Mapping[str, Any]]
    ) -> None:
        for message, told in zip(messages, got, strict=True):
            sent = message.value or {}
            for what, wrote in (("payload", sent.get("payload")), ("headers", sent.get("headers"))):
                value = wrote or {} if what == "headers" else wrote
                if same_value(value, told.get(what)):
                    continue
                effect = f"the app gets another value ({what} {json.dumps(told.get(what))[:120]})"
                words = f"sends `{name}` so that another value arrives"
                self._fail(f"event.{name}", words, effect, message.text)
                return

    def _judge_escapes(self) -> None:
        if (escaped := self._escaped()) and not self.run.causes:
            frame = _suspect(self.written(), None)
            words = "sends what lets an exception escape the library"
            self._fail("escape", words, f"an app without a guard ends ({escaped})", frame.text)

    def written(self) -> list[Message]:
        """Return what the server has written to the client."""
        frames = self.relay.log.frames
        return [
            parse(f.opcode, f.data)
            for f in frames
            if f.author == "server" and f.kind in ("text", "binary")
        ]

    def _uncaught(self) -> int:
        return self.session.count("uncaught")

    def _escaped(self) -> str:
        notes = self.session.notifications
        found = [str(note.data["message"]) for note in notes if note.on == "uncaught"]
        return found[0].partition("\n")[0] if found else ""

    def _fail(self, key: str, server: str, effect: str, frame: str = "") -> None:
        written = self.written()
        shown = frame or (written[-1].text if written else "")
        self.run.causes.append(Cause("real", key, server, effect, shown))


def same_value(sent: Any, got: Any) -> bool:
    """Whether a payload is what was sent; a library may have one type for all numbers."""
    if isinstance(got, dict) and "$unencodable" in got:
        return True  # the peer's JSON cannot hold it
    if isinstance(sent, dict) and isinstance(got, dict):
        return sent.keys() == got.keys() and all(same_value(sent[key], got[key]) for key in sent)
    if isinstance(sent, list) and isinstance(got, list):
        return len(sent) == len(got) and all(map(same_value, sent, got))
    if isinstance(sent, float) and isinstance(got, int | float):
        return float(got) == sent and (sent != 0.0 or str(float(got)) == str(sent))
    return type(sent) is type(got) and bool(sent == got)


def _suspect(messages: Sequence[Message], recorded: Vectors | None) -> Message:
    """Return the message that a version most likely failed at."""
    if recorded is not None:
        for message in messages:
            if unread(recorded, message):
                return message
    return messages[-1]


def _payloads(recorded: Vectors | None) -> list[tuple[Any, dict[str, Any]]]:
    """Return the payloads and headers that a version was recorded to send to its echo.

    Those are left out that it cannot read itself, so that no server could give them back.
    """
    if recorded is None:
        return [(payload, {}) for payload in ("é🙂", 1, 1.5, True, [1, [2]], {"a": {"b": 1}})]
    texts = {text: None for texts in recorded.texts.values() for text in texts}
    found: dict[str, tuple[Any, dict[str, Any]]] = {}
    for text in texts:
        message = parse(TEXT, text.encode("utf-8", "surrogatepass"))
        own = [trait for trait, _ in unread(recorded, message) if trait.content]
        if message.event == "echo" and message.value is not None and not own:
            event = message.value
            key = json.dumps([event.get("payload"), event.get("headers")])
            found.setdefault(key, (event.get("payload"), event.get("headers") or {}))
    return list(found.values())
