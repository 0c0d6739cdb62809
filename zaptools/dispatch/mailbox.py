"""A connection's messages between the socket and the handlers, and the waiters among them.

Messages go straight into the queue, undecoded, as long as no waiter is registered. While one is,
an `Exchange` stands in front of the queue: each message is decoded and shown to the waiters when
it arrives, so a handler can wait for an event that arrives behind its own::

    put ──────────────────────────────────────────────> queue ──> dispatcher
     │  no waiter                                         ↑
     └──> unseen ──> decode ──> show to the waiters ──────┤
          one or more waiters        │                    └─ as an event, or `Taken`
                                     └──> CONSUMED: a reply that its waiter has

    open ──> ending: no message will arrive; queued ones are still handled, and shown to the
      │      waiters before these fail
      └────> closed: `WebSocketConnection.closed` is set; no waiter can register any more
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeAlias

from ..connection.connection import WebSocketConnection
from ..connection.requests import REPLY_TO, Waiter
from ..exceptions import CodecError, ConnectionClosedError
from ..protocol.close import CloseInfo
from ..protocol.codec import EventData, decode_event
from .turn import EVENT, Turn

__all__ = ["Exchange", "Mailbox", "Message", "Taken", "event_of"]


class Taken:
    """An event that a waiter has received and that its handlers have not.

    No later waiter gets it; its handlers are called all the same.
    """

    __slots__ = ("event",)

    def __init__(self, event: EventData) -> None:
        self.event = event


CONSUMED = Taken(EventData(""))
"""Stands for a reply: already delivered to its waiter, so no handler is called for it."""

Message: TypeAlias = str | bytes | EventData | Taken | CodecError
"""An entry of the queue: a text, a binary message, or the result of decoding a text."""


def event_of(message: Message) -> EventData:
    """Return the event of a queue entry that is not a text.

    Raises:
        CodecError: the text could not be decoded, or the message is binary.
    """
    if isinstance(message, CodecError):
        raise message
    if isinstance(message, EventData):
        return message
    if isinstance(message, Taken):
        return message.event
    assert not isinstance(message, str)
    raise CodecError("binary", text=repr(message[:40]), detail="a binary message")


class Exchange:
    """The waiters of one connection, by request id and by event name. False when there are none.

    Attributes:
        unseen: messages that arrived and have not been shown to the waiters.
        is_resting: whether showing them continues in a later turn of the event loop.
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
        """Show events to `waiter` from now on."""
        if waiter.reply_to is not None:
            self._replies[waiter.reply_to] = waiter
        else:
            self._events.append(waiter)

    def discard(self, waiter: Waiter) -> None:
        """Remove `waiter`, if it is still registered."""
        if waiter.reply_to is not None:
            self._replies.pop(waiter.reply_to, None)
        elif waiter in self._events:
            self._events.remove(waiter)

    def is_reply(self, event: EventData) -> bool:
        """Whether `event` is a reply with a waiter; the waiter receives it."""
        reply_to = event.headers.get(REPLY_TO)
        waiter = self._replies.get(reply_to) if type(reply_to) is str else None
        if waiter is None or not waiter.look(event):
            return False
        self.discard(waiter)
        return True

    def show(self, event: EventData) -> bool:
        """Show an event to the waiters for its name; return whether one of them took it."""
        taken = False
        for waiter in [each for each in self._events if each.name == event.event_name]:
            taken |= waiter.look(event)
            if waiter.done:
                self.discard(waiter)
        return taken

    def fail(self, info: CloseInfo) -> None:
        """Fail all waiters: the connection has ended."""
        for waiter in [*self._replies.values(), *self._events]:
            waiter.fail(ConnectionClosedError(*info))


class Mailbox:
    """The queue of one connection's messages, and the waiters that see them first.

    Args:
        connection: the connection; its `mailbox` becomes this.
        turn: the connection's share of the event loop, which decoding for waiters uses too.
        reserved: event names that are never shown to waiters.
        on_wait: called after a waiter registers. Default None.

    Attributes:
        queue: the messages for the handlers, in order.
        exchange: the waiters; None while there are none.
        reserved: as above.
    """

    __slots__ = ("_connection", "_ending", "_on_wait", "_turn", "exchange", "queue", "reserved")

    def __init__(
        self,
        connection: WebSocketConnection,
        turn: Turn,
        *,
        reserved: frozenset[str],
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        self.queue: deque[Message] = deque()
        self.exchange: Exchange | None = None  # made by the first waiter, dropped with the last
        self.reserved = reserved
        self._connection = connection
        self._turn = turn
        self._on_wait = on_wait
        self._ending: CloseInfo | None = None  # set by `end`: no message will arrive any more
        connection.mailbox = self

    def __len__(self) -> int:
        unseen = len(self.exchange.unseen) if self.exchange is not None else 0
        return len(self.queue) + unseen

    @property
    def has_waiters(self) -> bool:
        """Whether a waiter is registered."""
        return self.exchange is not None

    @property
    def end_info(self) -> CloseInfo | None:
        """How the connection ends: set while earlier messages are still being handled."""
        return self._connection.closed or self._ending

    # Messages in

    def put(self, message: str | bytes) -> None:
        """Add one message: a text, or bytes for a binary message, which is an error."""
        if self.exchange is None:
            self.queue.append(message)
        else:
            self.exchange.unseen.append(message)
            self._show(self.exchange)

    def put_all(self, messages: Iterable[str | bytes]) -> None:
        """Add messages; see `put`."""
        if self.exchange is None:
            self.queue.extend(messages)
        else:
            self.exchange.unseen.extend(messages)
            self._show(self.exchange)

    def clear(self) -> None:
        """Drop all messages."""
        self.queue.clear()
        if self.exchange is not None:
            self.exchange.unseen.clear()

    def end(self, info: CloseInfo) -> None:
        """Note that no message will arrive any more.

        Waiters fail once they have seen the messages that arrived before.
        """
        self._ending = self._ending or info
        exchange = self.exchange
        if exchange is not None and not exchange.unseen:
            self.exchange = None
            exchange.fail(self._ending)

    # Messages out

    def refill(self) -> bool:
        """Move unseen messages into the empty queue; return whether there is a message in it."""
        while not self.queue and self.exchange is not None and self.exchange.unseen:
            self._show_next(self.exchange)
        return bool(self.queue)

    # Waiters

    def expect(self, waiter: Waiter) -> None:
        """Show events to `waiter`: those that no handler has received, and later ones.

        Raises:
            ConnectionClosedError: the connection has ended, and all its events have been shown.
        """
        info = self.end_info
        if info is not None and waiter.reply_to is not None:
            raise ConnectionClosedError(*info)
        exchange = self.exchange
        if exchange is None:
            exchange = self.exchange = Exchange()
            exchange.unseen.extend(self.queue)
            self.queue.clear()
        elif waiter.reply_to is None and self._find(waiter):
            return
        exchange.add(waiter)
        self._show(exchange)
        if waiter.done:
            return
        if info is not None and not exchange.unseen:
            self.forget(waiter)
            raise ConnectionClosedError(*info)
        if self._on_wait is not None:
            self._on_wait()

    def forget(self, waiter: Waiter) -> None:
        """Show no more events to `waiter`."""
        if self.exchange is not None:
            self.exchange.discard(waiter)
            self._settle(self.exchange)

    def _find(self, waiter: Waiter) -> bool:
        """Show `waiter` the events in the queue that no other waiter has taken."""
        for index, event in enumerate(self.queue):
            if (
                isinstance(event, EventData)
                and event.event_name not in self.reserved
                and waiter.look(event)
            ):
                self.queue[index] = Taken(event)
            if waiter.done:
                return True
        return False

    def _show(self, exchange: Exchange) -> None:
        """Show unseen messages until this turn is over; schedule the rest for a later one."""
        if exchange.is_resting:
            return
        while exchange.unseen:
            if self._turn.left < 0 and self._turn.next_chunk():
                exchange.is_resting = True
                asyncio.get_running_loop().call_soon(self._show_on, exchange)
                return
            self._show_next(exchange)

    def _show_on(self, exchange: Exchange) -> None:
        exchange.is_resting = False
        if exchange is self.exchange:
            self._show(exchange)

    def _show_next(self, exchange: Exchange) -> None:
        """Show one message to the waiters, and queue it unless it was a reply."""
        shown = self._look(exchange.unseen.popleft(), exchange)
        if shown is not CONSUMED:
            self.queue.append(shown)
        self._settle(exchange)

    def _look(self, message: Message, exchange: Exchange) -> Message:
        """Decode a message and show it to the waiters; return the entry to queue."""
        self._turn.left -= EVENT
        if isinstance(message, EventData):  # decoded for an earlier waiter
            event = message
        elif type(message) is str:
            self._turn.left -= len(message)
            try:
                event = decode_event(message)
            except CodecError as exc:  # reported in its turn
                return exc
        else:
            return message
        if event.event_name in self.reserved:
            return event
        if exchange.is_reply(event):
            return CONSUMED
        return Taken(event) if exchange.show(event) else event

    def _settle(self, exchange: Exchange) -> None:
        """Drop an exchange without waiters; end one whose waiters have seen the last event."""
        if not exchange:
            self.queue.extend(exchange.unseen)
            exchange.unseen.clear()
            if exchange is self.exchange:
                self.exchange = None
        elif not exchange.unseen and self._ending is not None:
            self.end(self._ending)
