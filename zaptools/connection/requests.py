"""Requests, replies and waiters: what a connection needs to wait for one event.

A request is an event with ``requestId`` in its headers; its reply is an event of the same name
with that id as ``replyTo``, and with ``replyError`` when it is an error. For a peer that does not
know these headers they are ordinary events.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias

from .._arguments import check_function, check_seconds
from ..exceptions import CodecError, NoRequestError, RemoteError
from ..protocol.close import CloseInfo
from ..protocol.codec import EventData

__all__ = [
    "REPLY_TO",
    "REQUEST_ID",
    "EventSource",
    "OpenRequests",
    "Predicate",
    "Waiter",
    "check_reply",
    "error_headers",
    "new_request_id",
    "reply_headers",
    "request_headers",
    "waiting",
]

Predicate: TypeAlias = Callable[[EventData], object]
"""A plain function that returns whether an event is the expected one."""

REQUEST_ID = "requestId"
REPLY_TO = "replyTo"
_REPLY_ERROR = "replyError"

_prefix = secrets.token_hex(4)
_numbers = itertools.count(1)


def new_request_id() -> str:
    """Return an id that no other request of this process has."""
    return f"{_prefix}-{next(_numbers)}"


def request_headers(headers: Mapping[str, Any] | None, request_id: str) -> dict[str, Any]:
    """Return the headers of a request: `headers`, which may be those of another event, and its id.

    Raises:
        CodecError: `headers` is no mapping.
    """
    request = _with(headers, REQUEST_ID, request_id)
    request.pop(_REPLY_ERROR, None)
    return request


def reply_headers(event: EventData, headers: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the headers of a reply to `event`. With ``replyError`` among `headers` it is an error.

    Raises:
        NoRequestError: the event is no request.
        CodecError: `headers` is no mapping.
    """
    request_id = event.headers.get(REQUEST_ID)
    if request_id is None:
        raise NoRequestError(event.event_name)
    return _with(headers, REPLY_TO, request_id)


def _with(headers: Mapping[str, Any] | None, name: str, value: Any) -> dict[str, Any]:
    if headers is None:
        return {name: value}
    if not isinstance(headers, Mapping):
        kind = type(headers).__name__
        raise CodecError("headers", where="$.headers", detail=f"headers of type {kind}")
    kept = {key: headers[key] for key in headers if key not in (REQUEST_ID, REPLY_TO)}
    return {**kept, name: value}


def error_headers(request_id: str, text: str) -> dict[str, Any]:
    """Return the headers of an error reply; `text` describes the error."""
    return {REPLY_TO: request_id, _REPLY_ERROR: text}


class OpenRequests(dict[str, list[EventData]]):
    """A peer's requests whose handlers run and that have no reply yet, by request id.

    Nothing stops a peer from using an id again while a request with it is open. A reply then
    counts for the oldest of them, as the peer itself takes it.
    """

    __slots__ = ()

    def open(self, request_id: str, request: EventData) -> None:
        """Add a request: its handler begins."""
        self.setdefault(request_id, []).append(request)

    def close(self, request_id: str, request: EventData) -> None:
        """Remove a request: its handler is done. Does nothing if it has a reply."""
        rest = [each for each in self.get(request_id, ()) if each is not request]
        if rest:
            self[request_id] = rest
        else:
            self.pop(request_id, None)

    def is_open(self, request: EventData) -> bool:
        """Whether a request has no reply yet."""
        request_id = request.headers.get(REQUEST_ID)
        same = self.get(request_id, ()) if isinstance(request_id, str) else ()
        return any(each is request for each in same)

    def note_reply(self, headers: Mapping[str, Any]) -> None:
        """Remove the request to which an event with these headers replies, if it is one."""
        request_id = headers.get(REPLY_TO)
        if isinstance(request_id, str) and request_id in self:
            self.close(request_id, self[request_id][0])


def check_reply(reply: EventData) -> EventData:
    """Return a reply, unless it is an error.

    ``replyError`` should be a string. Null and false count as absent, and any other value that is
    no string as an error.

    Raises:
        RemoteError: it is an error.
    """
    error = reply.headers.get(_REPLY_ERROR)
    if error is None or error is False:
        return reply
    text = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    raise RemoteError(text, reply=reply)


class Waiter:
    """A pending wait for one event.

    Args:
        name: the event's name.
        reply_to: the id of the request to whose reply it is limited; None for any event with that
            name.
        predicate: returns whether an event is the expected one. Default None: any is.
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
        # Its result is the event, or the error for `event` to raise: an exception that is never
        # retrieved would be logged.
        self._future: asyncio.Future[EventData | Exception]
        self._future = asyncio.get_running_loop().create_future()

    @property
    def done(self) -> bool:
        """Whether the wait is over: with an event, an error, or a cancelled task."""
        return self._future.done()

    def look(self, event: EventData) -> bool:
        """Take an event if it is the expected one; return whether it was taken."""
        if event.event_name != self.name or self.done:
            return False
        try:
            if self._predicate is not None and (not self._predicate(event) or self.done):
                return False  # done: the predicate itself has ended the connection
        except Exception as exc:  # for the caller that gave the predicate
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


class EventSource(Protocol):
    """The source of the events of a connection's waiters: the mailbox of its dispatcher."""

    @property
    def end_info(self) -> CloseInfo | None:
        """How the connection ends: set while earlier messages are still being handled."""

    def expect(self, waiter: Waiter) -> None:
        """Show events to `waiter` from now on.

        Raises:
            ConnectionClosedError: the connection has ended, and all its events have been shown.
        """

    def forget(self, waiter: Waiter) -> None:
        """Show no more events to `waiter`."""


@asynccontextmanager
async def waiting(
    source: EventSource, waiter: Waiter, seconds: float | None, failure: str
) -> AsyncIterator[None]:
    """Register `waiter` at `source` for the time of the block, which `seconds` bound.

    Raises:
        TimeoutError: the time is over; its text begins with `failure`.
        TypeError, ValueError: `seconds` is no number, negative or not finite.
    """
    check_seconds(seconds)
    source.expect(waiter)
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            yield
    except TimeoutError:
        if not scope.expired():
            raise
        raise TimeoutError(f"{failure} within {seconds:g} s") from None
    finally:
        source.forget(waiter)
