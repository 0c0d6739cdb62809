"""Plays to a running server what old clients write, and keeps everything that it writes itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..check.endpoint import Endpoint, EndpointError
from ..check.remote import Pace, Remote
from ..check.uncontrolled import parsed
from ..errors import Violation
from ..wire.frames import BINARY, CLOSE, NO_CODE, TEXT, RawFrame
from ..wire.http import KEY, Head, accept_key
from ..wire.raw import RawConnection
from ..wire.rules import differ
from ..wire.tap import agreed_inflater
from ..wire.vectors import Vectors
from .judgement import Cause, Seen
from .traits import parse

__all__ = ["Asked", "Heard", "Played", "Player", "name_of"]

_ECHO = re.compile(r'("eventName"\s*:\s*)"echo"')

_MOST_FAILURES = 3
"""Texts of a version that the server fails at, after which the rest is not played: each may cost
the whole patience."""

_SETTLE = 0.2
"""Seconds to wait for more answers to an event, behind the first."""

_WAITS = 2
"""How many times the patience an answer may take in all."""

_SHOWN = 200

_NO_SERVER = (502, 503, 504)
"""Statuses of a proxy whose server is down."""


@dataclass
class Heard:
    """What was heard on a connection.

    Attributes:
        closed: the code with which the server closed it by itself; None where it did not.
    """

    seen: list[Seen] = field(default_factory=list)
    closed: int | None = None


@dataclass
class Asked(Heard):
    """What the server answered to the events of ``--ask``.

    Attributes:
        answered: the texts that it answered, and `silent`: those that it did not, each with what
            came instead, in words.
        ended: the text after which it ended the connection; empty where it did not.
    """

    answered: list[str] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)
    ended: str = ""


@dataclass
class Played(Heard):
    """What became of the texts of a version.

    Attributes:
        texts: how many were played.
        compared: how many of them were echoed, so that their values could be compared.
        notes: what differs and is no fault, in words.
    """

    causes: list[Cause] = field(default_factory=list)
    texts: int = 0
    compared: int = 0
    notes: list[str] = field(default_factory=list)


class Player:
    """Connects to the server as often as there are versions, one connection at a time.

    Args:
        echo: the event that the application answers with its payload, or None.
        shoulds: the scenarios whose rule is a *should*: what differs there is no fault.

    Attributes:
        answer_name: the name of the events that its echoes come in; set by `begin`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        patience: float,
        echo: str | None,
        pace: Pace,
        shoulds: frozenset[str] = frozenset(),
    ) -> None:
        self.endpoint = endpoint
        self.patience = patience
        self.echo = echo
        self.pace = pace
        self.shoulds = shoulds
        self.answer_name = ""

    async def begin(self) -> None:
        """Check that there is a server.

        Raises:
            EndpointError: there is none, or it echoes nothing.
        """
        remote = self._remote()
        try:
            await remote.check_reachable()
            self.answer_name = remote.answer_name
        finally:
            await remote.close()

    async def check_there(self) -> None:
        """Check that something still answers a handshake, whatever it answers.

        Raises:
            EndpointError: nothing does, or a proxy says so.
        """
        remote = self._remote()
        try:
            head = (await remote.ask()).head
        except Violation as exc:
            raise EndpointError(str(exc), self.endpoint.shown) from None
        finally:
            await remote.close()
        if head.status in _NO_SERVER:
            raise EndpointError(f"it answers {head.line[:_SHOWN]!r}", self.endpoint.shown)

    def _remote(self) -> Remote:
        remote = Remote(self.endpoint, self.patience, self.echo, self.pace)
        remote.answer_name, remote.pongs = self.answer_name, True
        return remote

    # --- What it pushes, and what it answers --------------------------------------------------

    async def listen(self, seconds: float) -> Heard:
        """Return what it writes by itself in this time after the handshake."""
        heard, remote = Heard(), self._remote()
        try:
            connection = await _connected(remote)
            until = time.monotonic() + seconds
            await _quiet(connection, until - time.monotonic())
            heard.closed = _closed(connection)
            heard.seen = [Seen(f.opcode, f.payload, "push") for f in _messages(connection)]
        finally:
            await remote.close()
        return heard

    async def ask(self, events: Sequence[str], pushed: frozenset[str] = frozenset()) -> Asked:
        """Send these events, one after the other, and return what it answers.

        Args:
            pushed: the names of the events that it writes by itself: one of these is no answer.
        """
        asked, remote = Asked(), self._remote()
        try:
            connection = await _connected(remote)
            for text in events:
                at = len(connection.frames)
                connection.send(TEXT, text)
                answered = await self._answered(connection, at, pushed)
                found = _messages(connection, at)
                asked.seen += [
                    Seen(f.opcode, f.payload, "push" if _event(f) in pushed else "answer", text)
                    for f in found
                ]
                if answered:
                    asked.answered.append(text)
                else:
                    names = ", ".join(dict.fromkeys(map(_event, found)))
                    beside = f" (only {names}, which it pushes by itself too)" if names else ""
                    asked.silent[text] = beside
                if connection.ended.is_set() or _closed(connection) is not None:
                    asked.ended, asked.closed = text, _closed(connection)
                    break
        finally:
            await remote.close()
        return asked

    async def _answered(self, connection: RawConnection, at: int, pushed: frozenset[str]) -> bool:
        """Wait for a message that is not `pushed`, and for more behind it; False if none comes."""
        try:
            async with asyncio.timeout(self.patience):
                while True:
                    at = await connection.find(at, TEXT, BINARY) + 1
                    if _event(connection.frames[at - 1]) not in pushed:
                        break
        except (Violation, TimeoutError):
            return False
        await _quiet(connection, _SETTLE)
        return True

    # --- What a version writes ----------------------------------------------------------------

    async def play(self, client: Vectors) -> Played:
        """Play all that a version was recorded to write, over a connection like its own."""
        played, remote = Played(), self._remote()
        texts = {text: scenario for scenario, texts in client.texts.items() for text in texts}
        connection: RawConnection | None = None
        try:
            for text, scenario in texts.items():
                if len(played.causes) == _MOST_FAILURES:
                    played.notes.append(f"{len(texts) - played.texts} of its texts were not played")
                    break
                if connection is None and (connection := await self._open(remote, client, played)):
                    at = 0
                if connection is None:
                    break
                played.texts += 1
                at, ended = await self._exchange(remote, connection, at, text, scenario, played)
                if ended:
                    connection = None
        finally:
            await remote.close()
        return played

    async def _open(self, remote: Remote, client: Vectors, played: Played) -> RawConnection | None:
        """Return a connection with the handshake of that version; None where it fails."""
        offer = [("Sec-WebSocket-Extensions", client.extensions)] if client.extensions else []
        try:
            connection = await remote.ask(extra=offer)
        except Violation as exc:
            words = f"does not answer its handshake ({exc})"
            played.causes.append(Cause("writes", "handshake", words, "the app is offline"))
            return None
        cause = _refused(connection.head, client, self.endpoint.subprotocols)
        if cause is not None:
            if all(known.key != cause.key for known in played.causes):
                played.causes.append(cause)
            return None
        connection.start(agreed_inflater("server", connection.head), pongs=True)
        return connection

    async def _exchange(
        self,
        remote: Remote,
        connection: RawConnection,
        at: int,
        text: str,
        scenario: str,
        played: Played,
    ) -> tuple[int, bool]:
        """Play one text; return the index behind the frames seen, and whether to connect anew."""
        echoes = self.echo is not None and _ECHO.search(text) is not None
        sent = _ECHO.sub(rf"\1{json.dumps(self.echo)}", text, count=1) if echoes else text
        connection.send(TEXT, sent.encode("utf-8", "surrogatepass"))
        why = ""
        try:
            # Each wait has its own limit; a server that goes on writing something else has this.
            async with asyncio.timeout(_WAITS * self.patience):
                if echoes:
                    why = await self._echoed(connection, at, sent)
                    played.compared += 1
                else:
                    await remote.works(connection)
        except Violation as exc:
            why = _brief(connection, exc.what)
        except TimeoutError:
            why = _brief(connection, "it writes something else")
        frames = _messages(connection, at)
        played.seen += [Seen(f.opcode, f.payload, "echo", sent) for f in frames]
        if why:
            words = f"{why} when it is sent {_shown(sent)}"
            if scenario in self.shoulds:
                played.notes.append(words)
            else:
                answer = next((f.payload.decode("utf-8", "replace") for f in frames), sent)
                played.causes.append(
                    Cause(
                        "writes",
                        f"{scenario}.{name_of(text)}",
                        words,
                        "that is how the app writes it",
                        answer,
                    )
                )
        return len(connection.frames), bool(why)

    async def _echoed(self, connection: RawConnection, at: int, sent: str) -> str:
        """Wait for the echo of a text, and return what is wrong with it; empty if nothing is."""
        while True:
            at = await connection.find(at, TEXT, BINARY) + 1
            message = parsed(connection.frames[at - 1].payload)
            if message.get("eventName") == self.answer_name:
                break
        expected = json.loads(sent)
        if difference := differ(expected.get("payload"), message.get("payload")):
            return f"echoes another value at {difference}"
        return ""


async def _connected(remote: Remote) -> RawConnection:
    """Return a plain connection.

    Raises:
        EndpointError: the server does not accept it, although it accepted one before.
    """
    try:
        return await remote.open()
    except Violation as exc:
        raise EndpointError(str(exc), remote.endpoint.shown) from None


def _refused(head: Head, client: Vectors, offered: Sequence[str]) -> Cause | None:
    """Return why a version cannot connect after this answer; None if it can."""
    if head.status != 101:
        return Cause("writes", "handshake", f"answers its handshake with {head.line[:_SHOWN]!r}",
                     "the app is offline")  # fmt: skip
    if head.one("Sec-WebSocket-Accept") != accept_key(KEY):
        return Cause("writes", "handshake.accept", "answers with a wrong Sec-WebSocket-Accept",
                     "the app is offline")  # fmt: skip
    offered_alone = "choose one that was offered, or none"
    # A rule that a version keeps is to fail such a connection.
    protocol = head.one("Sec-WebSocket-Protocol")
    unasked = "response.subprotocol-not-offered.none-offered"
    if protocol is not None and protocol not in offered and client.kept.get(unasked) == "":
        words = f"chooses the subprotocol {protocol!r}, not offered"
        return Cause("reads", "subprotocol", words, "the client ends the connection", "",
                     offered_alone)  # fmt: skip
    chosen = ", ".join(head.all("Sec-WebSocket-Extensions"))
    if chosen and not client.extensions:
        return Cause("reads", "extension", f"chooses the extension {chosen!r}, not offered",
                     "the client ends the connection", "", offered_alone)  # fmt: skip
    if chosen and (rule := _deflate_rule(chosen)) and (why := client.kept.get(rule)):
        return Cause("reads", f"deflate.{rule}", f"compresses by {chosen!r}",
                     f"it was seen not to read that ({why})", "",
                     "serve without permessage-deflate")  # fmt: skip
    return None


def _deflate_rule(chosen: str) -> str:
    """Return the scenario in which the judge answered like that."""
    for parameter, form in (
        ("server_no_context_takeover", "server-no-takeover"),
        ("client_no_context_takeover", "client-no-takeover"),
        ("server_max_window_bits", "server-bits"),
        ("client_max_window_bits", "client-bits"),
        ("permessage-deflate", "plain"),
    ):
        if parameter in chosen:
            return f"response.deflate.{form}"
    return ""


async def _quiet(connection: RawConnection, seconds: float) -> None:
    """Let the server write for so long, or until it ends the connection."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await connection.ended.wait()


def _messages(connection: RawConnection, start: int = 0) -> list[RawFrame]:
    return [found for found in connection.frames[start:] if found.opcode in (TEXT, BINARY)]


def _closed(connection: RawConnection) -> int | None:
    """Return the code with which the server ended a connection; None where it goes on."""
    for found in connection.frames:
        if found.opcode == CLOSE:
            return found.code or NO_CODE
    return 1006 if connection.ended.is_set() else None


def name_of(text: str) -> str:
    """Return the name of the event in a text."""
    try:
        return str(json.loads(text)["eventName"])[:60]
    except (ValueError, KeyError, TypeError):
        return "?"


def _event(message: RawFrame) -> str:
    return parse(message.opcode, message.payload).event


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _brief(connection: RawConnection, why: str) -> str:
    if connection.flood:
        return connection.flood.removeprefix("the server ")
    code = _closed(connection)
    if code is not None:
        return f"ends the connection ({code})"
    return f"does not answer ({why})"
