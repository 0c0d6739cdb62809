"""Plays the client's half of a recording to a server, and finds what that says in another form.

The client's frames are written in the recorded order over all connections, each after what the
server had said before it in the recording. What came within a second of a client's frame counts as
caused by it and is waited for. Else an event may come at any time, since servers push when they
like; it is waited for once, at the end of its connection, and missed if it does not come.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote, unquote

from ..check.endpoint import Endpoint
from ..control.patience import Patience
from ..errors import Violation
from ..wire.diff import IDS
from ..wire.frames import BINARY, CLOSE, NO_CODE, TEXT, close_payload
from ..wire.http import request
from ..wire.log import Log
from ..wire.raw import Bounds, RawConnection
from .forms import Difference, Form, Place, compared
from .masks import PLACEHOLDER, Masks, is_masked
from .recording import Answered, Asked, Closed, Ended, Line, Lost, Recording, Said

__all__ = ["Options", "Playback"]

_SOON = 1.0
"""Seconds within which what a server says counts as caused by the client's frame before it."""

_TURN = 0.05
"""Seconds at most, as many as in the recording, between what is said on different connections, so
that the handler of the one, which may answer nothing, is done before the other one's begins."""

_MORE = 10
_MORE_FRAMES = 1000
_MORE_BYTES = 16 << 20
"""A server may write so many times as much as in the recording, and that much more."""

_IMPATIENT = 0.2
"""Seconds to wait for an event that was missed before."""

_SHOWN = 60
"""Characters shown of a value."""

_BY_CHANCE = frozenset({1001, 1006, 1012, 1013})
"""Close codes of a server that stops or is busy: not to be expected of the next one."""

_ID_NAME = re.compile(
    r"(^|_|-)(id|key|token|cursor|nonce|ref)s?$|I[dD]$|Token$|Key$|requestId|replyTo"
)
"""Names of members whose values a server makes, and a client sends back."""

_Leaf = str | int


@dataclass(frozen=True, slots=True)
class Options:
    """How a recording is played and compared.

    Attributes:
        patience: seconds to wait for what must come.
        values: whether values are compared too.
        order: whether events must come in the recorded order on each connection.
        ignore: globs of events, or of events and members, that are not compared.
        secrets: real values, by the name in a placeholder.
        connections: the connections to play; all if there are none.
    """

    patience: float = 5.0
    values: bool = False
    order: bool = False
    ignore: Sequence[str] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    connections: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Event:
    """An event as the server said it; `key` is its name, and whether it is a reply."""

    key: str
    message: Any
    place: Place


@dataclass(slots=True)
class _Connection:
    """A connection in the recording, and, once it is open, the live one."""

    number: int
    raw: RawConnection | None = None
    over: bool = False  # nothing more is played on it
    taken: int = 0  # frames of the live one that were looked at
    recorded: defaultdict[str, list[_Event]] = field(default_factory=lambda: defaultdict(list))
    recorded_order: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    came: Counter[str] = field(default_factory=Counter)
    due: Counter[str] = field(default_factory=Counter)  # how many must have come by now
    caused: Counter[str] = field(default_factory=Counter)  # how many were due in the recording
    said: str = ""  # the client's last event
    since: float = 0.0  # when it was recorded that it opened
    lengths: list[int] = field(default_factory=list)  # of what the server said in the recording

    def bounds(self) -> Bounds:
        """Return the most that the live server may write."""
        return Bounds(
            frames=_MORE * len(self.lengths) + _MORE_FRAMES,
            bytes=_MORE * sum(self.lengths) + _MORE_BYTES,
        )


class Playback:
    """One replay of a recording.

    Attributes:
        differences: in the order in which they were found; notes among them.
        unplayed: why a connection was not played to its end, by its number.
        refused: why the server could not be asked as the client did; empty if it could.
        played: how many connections were played to their end.
        events: how many events of the server's were compared.
        telling: whether the server says something in the recording that can be compared.
    """

    def __init__(self, recording: Recording, endpoint: Endpoint, options: Options) -> None:
        self.differences: list[Difference] = []
        self.unplayed: dict[int, str] = {}
        self.refused = ""
        self.played = 0
        self.events = 0
        self.telling = False
        self._recording = recording
        self._endpoint = endpoint
        self._options = options
        self._log = Log()
        self._masks = Masks()  # what is shown of the new server's values has its secrets masked too
        self._connections: dict[int, _Connection] = {}
        self._answers: dict[int, Answered] = {}  # the server's, by connection
        self._forms: tuple[dict[str, Form], dict[str, Form]] = ({}, {})  # recorded, live
        self._globs = dict.fromkeys(options.ignore, False)  # whether they have matched
        self._missed: Counter[str] = Counter()
        self._learned: dict[_Leaf, _Leaf] = {}  # ids and secrets of the server's: recorded to live
        self._last = 0.0  # when the client spoke last, in the recording
        self._spoken: _Connection | None = None  # the one that the client spoke on last

    async def run(self) -> None:
        """Play it, and compare.

        Raises:
            EndpointError: there is no server.
        """
        self._read()
        try:
            for number, line in self._recording.lines:
                connection = self._connections.get(getattr(line, "c", 0))
                if connection is None or connection.over:
                    continue
                await self._take(number, line, connection, soon=line.t - self._last <= _SOON)
                if isinstance(line, Asked | Said) and getattr(line, "author", "client") == "client":
                    self._last = line.t
            for connection in self._connections.values():
                if not connection.over:
                    await self._finish(connection)
        finally:
            for connection in self._connections.values():
                if connection.raw is not None:
                    await connection.raw.close()
        self._compare()

    def masked(self) -> list[str]:
        """Return the names for ``--secret`` of what the client's half has masked still.

        A name that several values have is followed by the digest of each.
        """
        found: dict[str, None] = {}
        for _, line in self._recording.lines:
            if getattr(line, "c", 0) not in self._connections:
                continue
            match line:
                case Asked():
                    found |= dict.fromkeys(self._request(line)[2])
                case Said(author="client", text=str(text)):
                    found |= dict.fromkeys(_placeholders(self._text(text)))
                case Closed(author="client"):
                    found |= dict.fromkeys(_placeholders(self._filled(line.reason)))
        names = Counter(each.partition(":")[0] for each in found)
        return [each if names[name] > 1 else name
                for each in found for name in (each.partition(":")[0],)]  # fmt: skip

    def unmatched(self) -> list[str]:
        """Return those globs of what is ignored that match nothing on either side."""
        for forms in self._forms:
            for key, form in forms.items():
                for path in form.paths():
                    self._ignored(key, path)
        return [glob for glob, matched in self._globs.items() if not matched]

    # --- The recording ------------------------------------------------------------------------

    def _read(self) -> None:
        """Collect what was recorded of each connection, and the forms."""
        chosen = self._options.connections
        for number, line in self._recording.lines:
            if isinstance(line, Asked):
                if not chosen or line.c in chosen:
                    self._connections[line.c] = _Connection(line.c, since=line.t)
                continue
            if isinstance(line, Answered):
                self._answers[line.c] = line
            if getattr(line, "c", 0) in self._connections:
                self.telling |= _tells(line)
            if (
                not isinstance(line, Said)
                or line.author != "server"
                or line.c not in self._connections
            ):
                continue
            connection = self._connections[line.c]
            connection.lengths.append(line.length)
            if line.text is None or line.cut:
                continue
            event = _event(line.text, Place(number, line.c))
            connection.recorded[event.key].append(event)
            connection.recorded_order.append(event.key)
            self._add(0, event)

    def _add(self, side: int, event: _Event) -> None:
        self._forms[side].setdefault(event.key, Form()).add(event.message, event.place)

    def _ignored(self, event: str, path: str = "") -> bool:
        name = event.removeprefix("event ").strip("'")
        names = (name, f"{name}.{path}") if path else (name,)
        found = [glob for glob in self._globs if any(fnmatchcase(each, glob) for each in names)]
        self._globs |= dict.fromkeys(found, True)
        return bool(found)

    # --- Steps --------------------------------------------------------------------------------

    async def _take(self, number: int, line: Line, connection: _Connection, *, soon: bool) -> None:
        match line:
            case Asked():
                await self._caught_up()
                await self._open(number, line, self._answers.get(line.c), connection)
            case Said(author="server", kind="text" | "binary"):
                if line.text is not None and not line.cut and soon:
                    key = _event(line.text, Place(number, line.c)).key
                    connection.due[key] += 1
                    connection.caused[key] += 1
            case Said(author="client", kind="text" | "binary"):
                await self._caught_up()
                await self._say(number, line, connection)
            case Closed(author="client"):
                await self._caught_up()
                await self._finish(connection, line)
            case Closed():
                await self._closes(number, line, connection, soon=soon)
            case Lost():
                await self._unplayable(connection, f"from line {number} on it is not recorded")
            case Ended():
                await self._caught_up()
                await self._finish(connection, abrupt=line.author == "client")

    async def _open(
        self, number: int, line: Asked, answer: Answered | None, connection: _Connection
    ) -> None:
        what = f"connection {line.c}"
        if answer is None or answer.proxy:
            connection.over = True
            self.unplayed[line.c] = "it has no answer of the server's in the recording"
            return
        target, headers, masked = self._request(line)
        streams = await self._endpoint.connect(self._options.patience)
        patience = Patience(self._options.patience)
        raw = RawConnection(self._log, "client", streams, patience, connection.bounds())
        connection.raw = raw
        raw.write(request(host=self._endpoint.authority, path=target, extra=headers))
        try:
            status = (await raw.read_head()).status
        except Violation as exc:
            status = 0
            self._differs(what, "", f"was answered with {answer.status}, and now {exc}", number)
        if status == 101:
            raw.start(pongs=True)
        else:
            connection.over = True
        if status and status != answer.status:
            if masked and not self.refused and status in (400, 401, 403) and answer.status == 101:
                of_it = {name for each in masked for name in (each, each.partition(":")[0])}
                names = " ".join(
                    f"--secret {name}=env:VARIABLE" for name in self.masked() if name in of_it
                )
                self.refused = (
                    f"the server refused {what} with {status}, and its handshake is masked in the "
                    f"recording: {names}, or --header, gives the real one"
                )
            self._differs(
                what, "", f"was answered with {answer.status}, is with {status} now", number
            )
        if status != 101 or answer.status != 101:
            self.played += status == answer.status
            connection.over = True
            return
        was, now = (
            _one(each, "Sec-WebSocket-Protocol") for each in (answer.headers, raw.head.headers)
        )
        if was != now and not is_masked(was):
            self._differs(what, "", f"had the subprotocol {was}, has {now} now", number)

    def _request(self, line: Asked) -> tuple[str, list[tuple[str, str]], list[str]]:
        """Return target and headers of a handshake, and what is still masked in it."""
        path, _, query = line.target.partition("?")
        own, _, extra = self._endpoint.target.partition("?")
        base = self._recording.begun.path.rstrip("/")
        if own != "/" and (path == base or path.startswith(f"{base}/")):
            path = own.rstrip("/") + path[len(base) :] or "/"
        replaced = {part.partition("=")[0] for part in extra.split("&") if part}
        parts = [
            part for part in query.split("&") if part and part.partition("=")[0] not in replaced
        ]
        parts = [self._in_query(part) for part in parts] + [
            part for part in extra.split("&") if part
        ]
        given = {name.lower() for name, _ in self._endpoint.headers}
        headers = [
            (name, self._filled(value)) for name, value in line.headers if name.lower() not in given
        ]
        headers += self._endpoint.headers
        texts = [value for _, value in headers] + [unquote(part) for part in (path, *parts)]
        masked = list(dict.fromkeys(each for text in texts for each in _placeholders(text)))
        return f"{path}?{'&'.join(parts)}" if parts else path, headers, masked

    def _in_query(self, part: str) -> str:
        name, equals, value = part.partition("=")
        given = unquote(value)
        return part if self._filled(given) == given else name + equals + quote(self._filled(given))

    def _filled(self, text: str) -> str:
        """Return a text with the real secrets in place of those placeholders that are known."""

        def real(found: re.Match[str]) -> str:
            label, digest = found.groups()
            secrets = self._options.secrets
            learned = self._learned.get(found[0], found[0])
            return secrets.get(f"{label}:{digest}", secrets.get(label, str(learned)))

        return PLACEHOLDER.sub(real, text)

    async def _say(self, number: int, line: Said, connection: _Connection) -> None:
        raw = connection.raw
        assert raw is not None
        if line.cut or line.text is None:
            why = "is cut in the recording" if line.cut else "is binary, and not in the recording"
            await self._unplayable(connection, f"line {number} {why}")
            return
        if raw.flood:
            await self._finish(connection)
            return
        if self._ended(connection):
            code = self._code(connection)
            how = f"with {code}" if code else "with no close frame"
            said = f" after {connection.said!r}" if connection.said else ""
            self._differs(f"connection {line.c}", "", f"is closed {how}{said}; it was not", number)
            connection.over = True
            return
        if self._spoken not in (None, connection):
            await asyncio.sleep(min(max(line.t - self._last, 0), _TURN))
        self._spoken = connection
        text = self._text(line.text)
        connection.said = _name(text)
        raw.send(TEXT if line.kind == "text" else BINARY, text)
        await asyncio.sleep(0)

    def _text(self, text: str) -> str:
        """Return the client's text with the live server's ids in the place of the recorded ones."""
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return self._filled(text)
        found = self._with_ids(message, "")
        return text if found == message else json.dumps(found, ensure_ascii=False)

    def _with_ids(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {key: self._with_ids(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._with_ids(item, name) for item in value]
        if isinstance(value, str):
            if IDS.fullmatch(value) or _ID_NAME.search(name):
                value = str(self._learned.get(value, value))
            return self._filled(value)
        if isinstance(value, int) and not isinstance(value, bool) and _ID_NAME.search(name):
            return self._learned.get(value, value)
        return value

    async def _unplayable(self, connection: _Connection, why: str) -> None:
        self.unplayed[connection.number] = why
        await self._finish(connection)

    async def _closes(
        self, number: int, line: Closed, connection: _Connection, *, soon: bool
    ) -> None:
        """Wait for a close of the server's, and compare its code."""
        raw = connection.raw
        assert raw is not None
        await self._caught_up()
        raw.patience = Patience(self._patience("close") if soon else _IMPATIENT)
        with contextlib.suppress(Violation):
            await raw.find(0, CLOSE)
        now = self._code(connection)
        if now is None and not self._ended(connection):
            if soon and line.code not in _BY_CHANCE:
                self._missed["close"] += 1
                words = f"was closed by the server with {line.code}, and stays open now"
                self._differs(f"connection {line.c}", "", words, number)
        elif (now or 1006) != line.code and line.code not in _BY_CHANCE and not raw.flood:
            words = (
                f"was closed by the server with {line.code}, is with {now or 'no close frame'} now"
            )
            self._differs(f"connection {line.c}", "", words, number)
        await self._finish(connection)

    async def _finish(
        self, connection: _Connection, closed: Closed | None = None, *, abrupt: bool = False
    ) -> None:
        """Wait for events that did not come yet, and end the connection."""
        connection.over = True
        raw = connection.raw
        if raw is None:
            return
        await self._wait_for_rest(connection)
        if raw.flood:
            words = raw.flood.removeprefix("the server ")
            self._differs(f"connection {connection.number}", "", words, 0)
        if not self._ended(connection) and not abrupt:
            code = closed.code if closed else 1000
            reason = self._filled(closed.reason) if closed else ""
            raw.send(CLOSE, b"" if code == NO_CODE else close_payload(code, reason))
            raw.patience = Patience(self._patience("answer to a close"))
            try:
                await raw.find(0, CLOSE)
            except Violation:
                self._missed["answer to a close"] += 1
        self._absorb(connection)
        if connection.number not in self.unplayed:
            self.played += 1
        if self._options.order and connection.order != connection.recorded_order:
            self._out_of_order(connection)
        await raw.close(reset=abrupt)

    async def _wait_for_rest(self, connection: _Connection) -> None:
        """Wait for each event that has not come at all, and for each reply."""
        for key, events in connection.recorded.items():
            least = len(events) if key.startswith("reply") else 1
            if not self._ignored(key):
                await self._come(connection, key, max(least, connection.due[key]))
                came, caused = connection.came[key], connection.caused[key]
                if came and came < max(least, caused):
                    words = (
                        f"came {_often(max(least, caused))} on a connection and comes "
                        f"{_often(came)} now"
                    )
                    self._differs(key, "", words, events[-1].place.line, note=came >= least)
                elif not came:
                    self._absent(connection, key, events[0])

    def _absent(self, connection: _Connection, key: str, event: _Event) -> None:
        after = self._time(event.place.line) - connection.since
        many = _often(len(connection.recorded[key]))
        if after <= self._options.patience:
            words = f"does not come; it came {many}"
            self._differs(key, "", words, event.place.line)
        else:
            words = f"has not come; it came {many}, after {after:.0f} s "
            words += f"(--patience {after + 1:.0f} waits so long)"
            self._differs(key, "", words, event.place.line, note=True)

    def _time(self, number: int) -> float:
        return self._recording.lines[number - 2][1].t  # the first line is not among them

    def _out_of_order(self, connection: _Connection) -> None:
        pairs = zip(connection.recorded_order, connection.order, strict=False)
        for at, (was, now) in enumerate(pairs, 1):
            if was != now:
                words = f"said {now} as event {at}, where {was} came"
                self._differs(f"connection {connection.number}", "", words, 0)
                return

    # --- What the server says -----------------------------------------------------------------

    async def _caught_up(self) -> None:
        """Wait until the server has said what it had said in the recording by now."""
        for connection in self._connections.values():
            if connection.raw is None or connection.over:
                continue
            for key, count in connection.due.items():
                if connection.came[key] < count and not self._ignored(key):
                    await self._come(connection, key, count)
            self._absorb(connection)

    async def _come(self, connection: _Connection, key: str, count: int) -> None:
        """Wait until an event has come so often on a connection; not again for what is missing."""
        raw = connection.raw
        assert raw is not None
        end = asyncio.get_running_loop().time() + self._patience(key)
        self._absorb(connection)
        while connection.came[key] < count and not self._ended(connection):
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                break
            raw.patience = Patience(left)
            with contextlib.suppress(Violation):
                await raw.find(connection.taken, TEXT, BINARY, CLOSE)
            self._absorb(connection)
        if connection.came[key] < count:
            self._missed[key] += 1
            connection.due[key] = min(connection.due[key], connection.came[key])

    def _patience(self, key: str) -> float:
        patience = self._options.patience
        return min(patience, _IMPATIENT) if self._missed[key] > 1 else patience

    def _absorb(self, connection: _Connection) -> None:
        """Look at the frames that have come on a connection since the last call."""
        raw = connection.raw
        if raw is None:
            return
        for found in raw.frames[connection.taken :]:
            if found.opcode not in (TEXT, BINARY):
                continue
            text = found.payload.decode("utf-8", "replace")
            event = _event(text, Place(0, connection.number))
            was = connection.recorded.get(event.key, [])
            index = connection.came[event.key]
            counterpart = was[min(index, len(was) - 1)] if was else None
            event.place = Place(counterpart.place.line if counterpart else 0, connection.number)
            connection.came[event.key] += 1
            connection.order.append(event.key)
            self.events += 1
            self._add(1, event)
            if counterpart is not None and index < len(was):
                self._learn(counterpart.message, event.message, "")
                if self._options.values:
                    self._compare_values(counterpart, event)
        connection.taken = len(raw.frames)

    def _learn(self, was: Any, now: Any, name: str) -> None:
        """Note the ids and secrets that the server made anew."""
        if isinstance(was, dict) and isinstance(now, dict):
            for key in was.keys() & now.keys():
                self._learn(was[key], now[key], key)
        elif isinstance(was, list) and isinstance(now, list):
            for one, other in zip(was, now, strict=False):
                self._learn(one, other, name)
        elif isinstance(was, str | int) and isinstance(now, str | int) and was != now:
            is_id = isinstance(was, str) and (IDS.fullmatch(was) or PLACEHOLDER.fullmatch(was))
            if not isinstance(was, bool) and (is_id or _ID_NAME.search(name)):
                self._learned.setdefault(was, now)

    def _compare_values(self, was: _Event, now: _Event) -> None:
        others = dict(_leaves(_comparable(now.message)))
        for path, recorded in _leaves(_comparable(was.message)):
            live = others.get(path, recorded)
            if is_masked(recorded) or type(live) is not type(recorded):
                continue
            if recorded != live and not self._ignored(was.key, path):
                words = f"was {self._shown(recorded)}, is {self._shown(live)} now"
                self._differs(was.key, path, words, was.place.line)

    def _shown(self, value: object) -> str:
        text = json.dumps(self._masks.json(value), ensure_ascii=False)
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

    def _ended(self, connection: _Connection) -> bool:
        raw = connection.raw
        return raw is None or raw.ended.is_set() or self._code(connection) is not None

    def _code(self, connection: _Connection) -> int | None:
        frames = connection.raw.frames if connection.raw else []
        return next((f.code or NO_CODE for f in frames if f.opcode == CLOSE), None)

    # --- What differs -------------------------------------------------------------------------

    def _differs(
        self, event: str, path: str, words: str, number: int, *, note: bool = False
    ) -> None:
        place = None
        if number:
            line = self._recording.lines[number - 2][1]
            place = Place(number, getattr(line, "c", 0))
        level: Any = "note" if note else "difference"
        self.differences.append(Difference(event, path, words, place, level))

    def _compare(self) -> None:
        recorded, live = (
            {key: form for key, form in forms.items() if not self._ignored(key)}
            for forms in self._forms
        )
        for key, form in live.items():
            if key in recorded:
                found = compared(key, recorded[key], form)
                self.differences += [each for each in found if not self._ignored(key, each.path)]
        gone = [key for key in recorded if key not in live]
        for key in live.keys() - recorded.keys():
            words, form = "is new", live[key]
            error = key.startswith("error reply")
            for each in gone:
                if form.members.get("payload", Form()).same(
                    recorded[each].members.get("payload", Form())
                ):
                    words += f", of the same form as {each}, which does not come: renamed?"
                    break
            place = next(iter(form.first.values()))
            level: Any = "difference" if error else "note"
            self.differences.append(
                Difference(key, "", words, place if place.line else None, level)
            )


def _event(text: str, place: Place) -> _Event:
    """Return what a text says; one that is no event goes by its type alone."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return _Event("text that is no JSON", "", place)
    if not isinstance(message, dict) or not isinstance(message.get("eventName"), str):
        return _Event("JSON that is no event", message, place)
    name, headers = message.pop("eventName"), message.get("headers")
    kind = "event"
    if isinstance(headers, dict) and "replyTo" in headers:
        kind = "error reply to" if "replyError" in headers else "reply to"
    return _Event(f"{kind} {name!r}", message, place)


def _placeholders(text: str) -> list[str]:
    """Return name and digest of each placeholder in a text."""
    return [":".join(found.groups()) for found in PLACEHOLDER.finditer(text)]


def _tells(line: Line) -> bool:
    """Whether a line is the server's, and says more than that there is a connection."""
    match line:
        case Answered():
            return line.status != 101 and not line.proxy
        case Said(author="server", kind="text" | "binary"):
            return line.text is not None and not line.cut
        case Closed(author="server"):
            return line.code not in (1000, *_BY_CHANCE)
    return False


def _name(text: str) -> str:
    return _event(text, Place(0, 0)).key.partition("'")[2].rstrip("'")


def _one(headers: Sequence[tuple[str, str]], name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name.lower()), None)


def _comparable(message: Any) -> Any:
    """Return a message without what each connection has anew."""
    if isinstance(message, dict):
        return {k: _comparable(v) for k, v in message.items() if not _ID_NAME.search(k)}
    if isinstance(message, list):
        return [_comparable(item) for item in message]
    return IDS.sub("<id>", message) if isinstance(message, str) else message


def _leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [
            leaf
            for key, item in value.items()
            for leaf in _leaves(item, f"{path}.{key}" if path else key)
        ]
    if isinstance(value, list):
        return [leaf for at, item in enumerate(value) for leaf in _leaves(item, f"{path}[{at}]")]
    return [(path, value)]


def _often(times: int) -> str:
    return "once" if times == 1 else f"{times} times"
