"""Plays one half of a recorded cell to a live implementation, and reports the differences."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..catalog import Api
from ..control.contract import Notification, Reply
from ..control.patience import Patience
from ..control.session import Session
from ..errors import TestbedError, Violation
from ..records import Role
from ..wire.diff import IDS, canonical, differences, masked
from ..wire.frames import BINARY, CLOSE, NO_CODE, PING, PONG, TEXT, close_payload
from ..wire.http import answer, request
from ..wire.log import Log
from ..wire.raw import MAX_HEAD, RawConnection, RawServer
from ..wire.rules import OPCODES, event_text
from .recording import Answer, Ask, Connect, Expect, Play, Step, Told

__all__ = ["Replay"]

_OPCODES = {name: code for code, name in OPCODES.items()}
_REQUEST_ID = re.compile(r'"requestId"\s*:\s*"([^"\\]+)"')
_REQUEST_IDS = re.compile(r'"(requestId|replyTo)"\s*:\s*"([^"\\]+)"')
"""Compared after ids made by a library were replaced by the recorded ones: `differences` ignores
them all."""

_WORDS_DIFFER = ("error", "uncaught")
"""Notifications whose content is up to the library: only their arrival is compared."""

_COUNTED: Mapping[Role, Sequence[str]] = {
    "server": ("connected", "event", "disconnected", "uncaught"),
    "client": ("event", "uncaught"),
}
"""Notifications that must not come more often than recorded. Not every client sends the others."""

_OPTIONAL = ("code", "reason")
"""Keys that a library may leave out of a notification."""

_IDENTIFYING = ("conn", "name", "state", "stream")
"""Keys that identify a notification among those of its kind."""


class _OutOfStep(Exception):
    """The live side departed from the record, so that the remaining steps make no sense."""


class Replay:
    """Plays steps to the peers of the live side.

    Args:
        live: which side is live; `api` is its row or column.
        sessions: the live side's peers, one for each recorded.
        patience: seconds to wait for what must come.

    Attributes:
        differences: what differed from the record, in words. After one that makes the remaining
            steps pointless, those are not taken.
        same: how many frames, notifications and answers were as recorded.
        log: records what passes.
    """

    def __init__(
        self, live: Role, api: Api, sessions: Sequence[Session], *, host: str, patience: float
    ) -> None:
        self.live = live
        self.api = api
        self.differences: list[str] = []
        self.same = 0
        self.log = Log()
        self._sessions = sessions
        self._patience = Patience(patience, sessions)
        self._host = host
        self._listener: RawServer | None = None  # set by `run` where the client is live
        self._port = 0  # the live server's, from its answer to ``serve``
        self._connections: dict[int, RawConnection] = {}  # by their number in the record
        self._seen: defaultdict[int, int] = defaultdict(int)  # frames compared, by connection
        # Pending and answered requests, by the peer's number and the request's.
        self._asked: dict[tuple[int, int], asyncio.Future[Reply]] = {}
        self._ids: dict[str, str] = {}  # ids that a library made: recorded to live

    async def run(self, steps: Sequence[Step]) -> None:
        """Take all steps, then look for events and frames that are not in the record.

        Raises:
            TestbedError: the live side's peer failed, or its library cannot do what is asked.
        """
        if self.live == "client":
            self._listener = await RawServer(self._host, self.log, self._patience).start()
        try:
            for step in steps:
                await self._take(step)
            await self._find_extra(steps)
        except _OutOfStep as exc:
            self.differences.append(str(exc))
        finally:
            for connection in self._connections.values():
                await connection.close()
            if self._listener is not None:
                await self._listener.close()

    async def _take(self, step: Step) -> None:
        match step:
            case Ask():
                await self._ask(step)
            case Answer():
                await self._answered(step)
            case Connect():
                await (self._accept(step) if self._listener else self._dial(step))
            case Play():
                self._play(step)
            case Expect():
                await self._expect(step)
            case Told():
                await self._told(step)
            case _:  # `Ended`
                if connection := self._connections.get(step.connection):
                    connection.end_tcp()

    # --- What the live side is asked ----------------------------------------------------------

    async def _ask(self, step: Ask) -> None:
        args = dict(step.args)
        if "api" in args:
            args["api"] = self.api.name
        if step.op == "open" and self._listener is not None:
            parts = urlsplit(args["url"])
            if parts.port != 1:  # where nothing listens, as the scenario intends
                args["url"] = parts._replace(netloc=f"{self._host}:{self._listener.port}").geturl()
        self._asked[step.peer, step.number] = self._sessions[step.peer].start(step.op, args)

    async def _answered(self, step: Answer) -> None:
        session, future = self._sessions[step.peer], self._asked[step.peer, step.number]
        try:
            async with self._patience.limit():
                reply = await asyncio.shield(future)
        except TimeoutError:
            await session.check_alive()
            raise _OutOfStep(
                f"{step.op!r} was not done within {self._patience}; recorded: {step.outcome}"
            ) from None
        if reply.unsupported is not None and step.outcome != "unsupported":
            raise TestbedError(f"{session.api} cannot do {step.op!r}: {reply.unsupported}")
        if step.op == "serve":
            self._port = (reply.ok or {}).get("port", 0)
        shown = reply.outcome
        if reply.error is not None:
            shown += f" ({reply.error.get('message')})"
        self._compare(f"{step.op!r}", step.outcome, reply.outcome, shown)

    async def _told(self, step: Told) -> None:
        note, session = step.note, self._sessions[step.peer]
        keys = [key for key in _IDENTIFYING if key in note and note["on"] not in _WORDS_DIFFER]

        def fits(got: Notification) -> bool:
            return all(got.data.get(key) == note[key] for key in keys)

        shown = " ".join([note["on"], *(str(note[key]) for key in keys)])
        try:
            got = await session.wait(note["on"], fits, within=self._patience, what=shown)
        except Violation as exc:
            raise _OutOfStep(f"recorded, and not reported: {shown}: {exc}") from None
        if note["on"] in _WORDS_DIFFER:
            self.same += 1
            return
        told = {k: v for k, v in note.items() if k in got.data or k not in ("on", *_OPTIONAL)}
        recorded = _words(told)
        live = _words({key: value for key, value in got.data.items() if key in told})
        self._compare(f"what {shown!r} reported", recorded, self._learned(recorded, live))

    # --- Connections and frames ---------------------------------------------------------------

    async def _dial(self, step: Connect) -> None:
        what = f"connection {step.connection}"
        try:
            streams = await asyncio.open_connection(self._host, self._port, limit=MAX_HEAD)
        except OSError as exc:
            if step.status:
                raise _OutOfStep(f"{what}: {exc}") from None
            self.same += 1
            return
        connection = RawConnection(self.log, "client", streams, self._patience)
        self._connections[step.connection] = connection
        host = f"{self._host}:{self._port}"
        connection.write(request(host=host, path=step.target, extra=step.headers))
        status = 0
        try:
            status = (await connection.read_head()).status
        except Violation as exc:
            if step.status:
                raise _OutOfStep(f"{what}: {exc}") from None
        self._compare(f"the answer to {what}", step.status, status)
        if status == 101:
            connection.start()
        if status != step.status:
            raise _OutOfStep("the remaining steps need the connection to be as recorded")

    async def _accept(self, step: Connect) -> None:
        assert self._listener is not None
        try:
            connection = await self._listener.accept()
        except Violation as exc:
            raise _OutOfStep(f"connection {step.connection}: {exc}") from None
        self._connections[step.connection] = connection
        if not step.status:  # to a client, as a server that is gone
            connection.abort()
            return
        self._compare("the target asked for", step.target, connection.head.target)
        if step.status == 101:
            chosen = [("Sec-WebSocket-Protocol", step.protocol)] if step.protocol else []
            connection.write(answer(connection.head, extra=chosen))
            connection.start()
        else:
            plain = {"Upgrade": None, "Connection": "close", "Sec-WebSocket-Accept": None}
            headers = {**plain, "Content-Length": "0"}
            connection.write(answer(connection.head, status=f"{step.status} No", headers=headers))
            connection.end_tcp()

    def _play(self, step: Play) -> None:
        text = step.text
        for recorded, live in self._ids.items():
            text = text.replace(recorded, live)
        data = text.encode()
        if step.kind == "close":
            data = b"" if step.code in (None, NO_CODE) else close_payload(step.code, data)
        self._connections[step.connection].send(_OPCODES[step.kind], data)

    async def _expect(self, step: Expect) -> None:
        connection = self._connections[step.connection]
        wanted = _shown(step.kind, step.text, step.code)
        try:
            kind, text, code = await self._next(step.connection, connection)
        except Violation as exc:
            raise _OutOfStep(f"frame {step.index}: recorded {wanted}, but {exc}") from None
        got = _shown(kind, text, code)
        if kind != step.kind:
            raise _OutOfStep(f"frame {step.index}: recorded {wanted}, came {got}")
        if kind == "close":
            self._compare(f"frame {step.index}, close", step.code, code)
            return
        text = self._learned(step.text, text)
        how = "; ".join(differences(step.text, text)) if kind == "text" else ""
        same = canonical(step.text) == canonical(text) if kind == "text" else step.text == text
        recorded, live = _REQUEST_IDS.findall(step.text), _REQUEST_IDS.findall(text)
        for (name, was), (_, now) in zip(recorded, live, strict=False):
            if was != now:
                same, how = False, f"another {name}: {now!r}, not {was!r}"
        if same:
            self.same += 1
        else:
            how = how or "other bytes"
            self.differences.append(
                f"frame {step.index}: {how}\n   recorded {wanted}\n   came     {got}"
            )

    async def _next(self, number: int, connection: RawConnection) -> tuple[str, str, int | None]:
        """Return kind, text and close code of the next frame; pings are answered on the way."""
        while True:
            at = await connection.find(self._seen[number], TEXT, BINARY, CLOSE, PING, PONG)
            self._seen[number] = at + 1
            found = connection.frames[at]
            if found.opcode == PING:
                connection.send(PONG, found.payload)
                continue
            close = found.opcode == CLOSE
            data = found.payload[2:] if close else found.payload
            code = (found.code or NO_CODE) if close else None
            return OPCODES[found.opcode], data.decode("utf-8", "backslashreplace"), code

    def _learned(self, recorded: str, live: str) -> str:
        """Return the live text with the recorded ids in place of those that the library made."""
        for pattern in (IDS, _REQUEST_ID):
            theirs, ours = pattern.findall(recorded), pattern.findall(live)
            for was, now in zip(theirs, ours, strict=False):
                own = self.live == "client" or pattern is _REQUEST_ID
                if own and was != now and self._generated(was):
                    self._ids[was] = now
                    live = live.replace(now, was)
        return live

    def _generated(self, id: str) -> bool:
        """Whether a library made that id: no request had it."""
        return not any(id in str(session.requests) for session in self._sessions)

    async def _find_extra(self, steps: Sequence[Step]) -> None:
        """Report events and frames that came and are not in the record."""
        for session in self._sessions:
            await session.check_alive()
        for number, connection in self._connections.items():
            for found in connection.frames[self._seen[number] :]:
                if found.opcode in (TEXT, BINARY):
                    text = found.payload.decode("utf-8", "backslashreplace")
                    self.differences.append(f"not recorded, and came: {_shown('text', text, None)}")
        for peer, session in enumerate(self._sessions):
            notes = [step.note for step in steps if isinstance(step, Told) and step.peer == peer]
            for on in _COUNTED[self.live]:
                recorded, came = sum(note["on"] == on for note in notes), session.count(on)
                if came > recorded:
                    self.differences.append(f"{on!r} was reported {came} times, not {recorded}")

    def _compare(self, what: str, recorded: object, live: object, shown: str = "") -> None:
        if recorded == live:
            self.same += 1
        else:
            self.differences.append(f"{what}: recorded {recorded}, came {shown or live}")


def _shown(kind: str, text: str, code: int | None) -> str:
    return " ".join(part for part in (kind, str(code or ""), text[:200]) if part)


def _words(data: Mapping[str, Any]) -> str:
    return masked(event_text(**dict(sorted(data.items()))))
