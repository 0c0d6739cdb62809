"""Those who wait for an event of a connection: for a reply, or for the next of a name.

A request is an event with ``requestId`` in its headers; its reply is an event of the same name
with that id as ``replyTo``, and with ``replyError`` when it is an error. To a peer that does not
know this they are events as any other.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias

from .._arguments import check_function, check_seconds
from ..exceptions import CodecError, ConnectionClosedError, NoRequestError, RemoteError
from ..protocol.close import CloseInfo
from ..protocol.codec import EventData

__all__ = [
    "REPLY",
    "REQUEST_ID",
    "Exchange",
    "Inbox",
    "Message",
    "Predicate",
    "Taken",
    "Waiter",
    "check_reply",
    "error_headers",
    "event_of",
    "new_request_id",
    "note_reply",
    "reply_headers",
    "request_headers",
    "waiting",
]

Predicate: TypeAlias = Callable[[EventData], object]
"""A plain function that says whether an event is the one."""

REQUEST_ID = "requestId"
_REPLY_TO = "replyTo"
_REPLY_ERROR = "replyError"

_prefix = secrets.token_hex(4)
_numbers = itertools.count(1)


def new_request_id() -> str:
    """Return an id that no other request of this process has."""
    return f"{_prefix}-{next(_numbers)}"


def request_headers(headers: Mapping[str, Any] | None, request_id: str) -> dict[str, Any]:
    """Return the headers of a request: `headers`, which may be those of another event, and its id.

    Raises:
        CodecError: `headers` are no mapping.
    """
    request = _with(headers, REQUEST_ID, request_id)
    request.pop(_REPLY_ERROR, None)
    return request


def reply_headers(event: EventData, headers: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the headers of a reply to `event`. With ``replyError`` among `headers` it is an error.

    Raises:
        NoRequestError: the event asks for no reply.
        CodecError: `headers` are no mapping.
    """
    request_id = event.headers.get(REQUEST_ID)
    if request_id is None:
        raise NoRequestError(event.event_name)
    return _with(headers, _REPLY_TO, request_id)


def _with(headers: Mapping[str, Any] | None, name: str, value: Any) -> dict[str, Any]:
    if headers is None:
        return {name: value}
    if not isinstance(headers, Mapping):
        kind = type(headers).__name__
        raise CodecError("headers", where="$.headers", detail=f"headers of type {kind}")
    kept = {key: headers[key] for key in headers if key not in (REQUEST_ID, _REPLY_TO)}
    return {**kept, name: value}


def error_headers(request_id: str, text: str) -> dict[str, Any]:
    """Return the headers of a reply that is an error; `text` says in words what went wrong."""
    return {_REPLY_TO: request_id, _REPLY_ERROR: text}


def note_reply(unanswered: set[str], headers: Mapping[str, Any]) -> None:
    """Take the request that an event with these headers replies to out of `unanswered`."""
    request_id = headers.get(_REPLY_TO)
    if isinstance(request_id, str):
        unanswered.discard(request_id)


def check_reply(reply: EventData) -> EventData:
    """Return a reply, unless it is an error.

    By the rule ``replyError`` is a string; null and false are taken for none, and what else a peer
    may write there is an error all the same.

    Raises:
        RemoteError: it is one.
    """
    error = reply.headers.get(_REPLY_ERROR)
    if error is None or error is False:
        return reply
    text = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    raise RemoteError(text, reply=reply)


class Waiter:
    """One who waits for an event.

    Args:
        name: the event's name.
        reply_to: the id of the request whose reply it is; None for any event with that name.
        predicate: tells whether the event is the one. Default None: it is.
    """

    __slots__ = ("_future", "_predicate", "name", "reply_to")

    def __init__(
        self, name: str, *, reply_to: str | None = None, predicate: Predicate | None = None
    ) -> None:
        if predicate is not None:
            check_function(predicate, "predicate")
        self.name = name
        self.reply_to = reply_to
        self._predicate = predicate
        self._future: asyncio.Future[EventData | Exception]
        self._future = asyncio.get_running_loop().create_future()

    @property
    def done(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self._future.done()

    def look(self, event: EventData) -> bool:
        """Take an event, if it is the one."""
        if event.event_name != self.name or self.done:
            return False
        try:
            if self._predicate is not None and (not self._predicate(event) or self.done):
                return False  # done: the predicate itself has ended the connection
        except Exception as exc:  # for whoever gave the predicate
            self.fail(exc)
            return False
        self._future.set_result(event)
        return True

    def fail(self, error: Exception) -> None:
        """Make `event` raise `error`."""
        if not self.done:  # its task may have been cancelled in this turn of the loop
            self._future.set_result(error)

    async def event(self) -> EventData:
        """Wait for the event."""
        found = await self._future
        if isinstance(found, Exception):
            raise found
        return found


class Taken:
    """An event that somebody waited for, and that waits for its handlers itself now."""

    __slots__ = ("event",)

    def __init__(self, event: EventData) -> None:
        self.event = event


REPLY = Taken(EventData(""))
"""In place of a reply: nothing of it is left to be handled."""


Message: TypeAlias = str | bytes | EventData | Taken | CodecError
"""What stands in a queue: a text, a binary message, or what has been made of a text."""


def event_of(message: Message) -> EventData:
    """Return the event of what stands in a queue in place of a text.

    Raises:
        CodecError: it is none, or a binary message.
    """
    if isinstance(message, CodecError):
        raise message
    if isinstance(message, EventData):
        return message
    if isinstance(message, Taken):
        return message.event
    assert not isinstance(message, str)
    raise CodecError("binary", text=repr(message[:40]), detail="a binary message")


class Inbox(Protocol):
    """Where a connection's events are: its dispatcher."""

    @property
    def end_info(self) -> CloseInfo | None:
        """How the connection ends: known here while what came before is still handled."""

    def expect(self, waiter: Waiter) -> None:
        """Show events to `waiter` from now on.

        Raises:
            ConnectionClosedError: none will come.
        """

    def forget(self, waiter: Waiter) -> None:
        """Show it no more."""


@asynccontextmanager
async def waiting(
    inbox: Inbox, waiter: Waiter, seconds: float | None, failure: str
) -> AsyncIterator[None]:
    """Let `waiter` see what comes, and bound the time for all that is done here.

    Raises:
        TimeoutError: the time is over; `failure` says in words what did not happen.
        TypeError, ValueError: no time has that many `seconds`.
    """
    check_seconds(seconds)
    inbox.expect(waiter)
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            yield
    except TimeoutError:
        if not scope.expired():
            raise
        raise TimeoutError(f"{failure} within {seconds:g} s") from None
    finally:
        inbox.forget(waiter)


class Exchange:
    """Those who wait for events of one connection. It is false when there are none.

    Attributes:
        unseen: what came and has not been shown to them.
        is_resting: whether what is unseen will be shown in a later turn of the loop.
    """

    __slots__ = ("_events", "_replies", "is_resting", "unseen")

    def __init__(self) -> None:
        self.unseen: deque[Message] = deque()
        self.is_resting = False
        self._replies: dict[str, Waiter] = {}
        self._events: list[Waiter] = []

    def __bool__(self) -> bool:
        return bool(self._replies or self._events)

    def add(self, waiter: Waiter) -> None:
        """Show events to `waiter` too."""
        if waiter.reply_to is not None:
            self._replies[waiter.reply_to] = waiter
        else:
            self._events.append(waiter)

    def discard(self, waiter: Waiter) -> None:
        """Show it no more; it may be gone already."""
        if waiter.reply_to is not None:
            self._replies.pop(waiter.reply_to, None)
        elif waiter in self._events:
            self._events.remove(waiter)

    def is_reply(self, event: EventData) -> bool:
        """Whether `event` is a reply that was waited for; whoever did has it now."""
        reply_to = event.headers.get(_REPLY_TO)
        waiter = self._replies.get(reply_to) if type(reply_to) is str else None
        if waiter is None or not waiter.look(event):
            return False
        self.discard(waiter)
        return True

    def show(self, event: EventData) -> bool:
        """Show an event to all who wait for one of its name; whether anybody took it."""
        taken = False
        for waiter in [each for each in self._events if each.name == event.event_name]:
            taken |= waiter.look(event)
            if waiter.done:
                self.discard(waiter)
        return taken

    def fail(self, info: CloseInfo) -> None:
        """The connection has ended: nobody needs to wait any longer."""
        for waiter in [*self._replies.values(), *self._events]:
            waiter.fail(ConnectionClosedError(*info))
