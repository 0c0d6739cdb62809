"""Defects of servers: their handlers' lives, their connections among each other, rooms, HTTP."""

from __future__ import annotations

import asyncio
import re
import ssl
from asyncio.sslproto import SSLProtocol
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from websockets.datastructures import Headers

from interop.peers.mutant.seams import Message, ServerSeam, event_of, override
from zaptools import (
    BroadcastResult,
    ConnectionClosedError,
    EventContext,
    Limits,
    RemoteError,
)
from zaptools.handlers.book import Handler
from zaptools.server.transport import ServerTransport

__all__ = ["DEFECTS"]

Seed = Callable[[ServerSeam], None]


async def _call(handler: Handler, context: EventContext) -> None:
    result: Any = handler(context)
    await result  # the interop app's are coroutine functions


# --- Handlers -----------------------------------------------------------------------------


def _forgets(lifecycle: str) -> Seed:
    return lambda seam: seam.book.lifecycle.__setitem__(lifecycle, lambda context: None)


def _calls_twice(lifecycle: str) -> Seed:
    def seed(seam: ServerSeam) -> None:
        handler = seam.book.lifecycle[lifecycle]

        async def twice(context: EventContext) -> None:
            await _call(handler, context)
            await _call(handler, context)

        seam.book.lifecycle[lifecycle] = twice

    return seed


def _connected_beside(seam: ServerSeam) -> None:
    """Run the connected handler in its own task, after the first event's handler."""
    handler = seam.book.lifecycle["connected"]
    tasks = {}

    async def later(context: EventContext) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await handled.setdefault(context.connection, asyncio.Event()).wait()
        await _call(handler, context)

    def connected(context: EventContext) -> None:
        tasks[context.connection] = asyncio.create_task(later(context))

    handled: dict[Any, asyncio.Event] = {}

    async def around(handler: Handler, context: EventContext) -> None:
        await _call(handler, context)
        handled.setdefault(context.connection, asyncio.Event()).set()

    _around_handlers(seam, around)
    seam.book.lifecycle["connected"] = connected


def _around_handlers(seam: ServerSeam, around: Callable[[Handler, Any], Awaitable[None]]) -> None:
    for name, handler in list(seam.book.events.items()):
        seam.book.events[name] = partial(around, handler)


def _busy_end_told_twice(seam: ServerSeam) -> None:
    disconnected = seam.book.lifecycle["disconnected"]

    async def around(handler: Handler, context: EventContext) -> None:
        try:
            await _call(handler, context)
        finally:
            if context.connection.closed is not None:
                await _call(disconnected, context)

    _around_handlers(seam, around)


def _end_told_at_own_close(seam: ServerSeam) -> None:
    """Tell the end once the handler that closes is done, and go on with the events behind it."""
    disconnected = seam.book.lifecycle["disconnected"]
    told = set()

    async def tell(context: EventContext) -> None:
        if context.connection not in told:
            told.add(context.connection)
            await _call(disconnected, context)

    async def around(handler: Handler, context: EventContext) -> None:
        await _call(handler, context)
        if context.connection.closed is not None:
            await tell(context)

    def hook(transport: Any) -> None:
        override(transport.dispatcher, drop_messages=lambda dispatcher: None)

    seam.opened.append(hook)
    _around_handlers(seam, around)
    seam.book.lifecycle["disconnected"] = tell


def _drop_awaits_handlers(seam: ServerSeam) -> None:
    drop, busy = seam.role.op_drop, [asyncio.Event()]

    async def around(handler: Handler, context: EventContext) -> None:
        busy.append(done := asyncio.Event())
        await _call(handler, context)
        done.set()

    async def drop_late(*connection: Any, **how: Any) -> None:
        await busy[-1].wait()
        await drop(*connection, **how)

    _around_handlers(seam, around)
    seam.role.op_drop = drop_late


def _stop_awaits_handlers(seam: ServerSeam) -> None:
    stop, busy = seam.role.op_stop, [asyncio.Event()]
    busy[0].set()

    async def around(handler: Handler, context: EventContext) -> None:
        busy.append(done := asyncio.Event())
        await _call(handler, context)
        done.set()

    async def stop_late() -> None:
        await busy[-1].wait()
        await stop()

    _around_handlers(seam, around)
    seam.role.op_stop = stop_late


def _stop_awaits(is_awaited: Callable[[Any], bool]) -> Seed:
    """Let the server stop only when such of its transports have gone by themselves."""

    def seed(seam: ServerSeam) -> None:
        stop = seam.role.op_stop
        made: list[Any] = []

        async def stop_late() -> None:
            for transport in filter(is_awaited, made):
                await transport.lost
            await stop()

        seam.made.append(made.append)
        seam.role.op_stop = stop_late

    return seed


_ONE_BOOK: dict[str, Handler] = {}
"""The handlers of the server that was made last, for `_one_book_for_all`."""


async def _call_last(name: str, context: EventContext) -> None:
    await _call(_ONE_BOOK[name], context)


def _one_book_for_all(seam: ServerSeam) -> None:
    _ONE_BOOK.update(seam.book.events)
    for name in list(seam.book.events):
        seam.book.events[name] = partial(_call_last, name)


def _handlers_wait_for_all(seam: ServerSeam) -> None:
    lock = asyncio.Lock()

    async def around(handler: Handler, context: EventContext) -> None:
        async with lock:
            await _call(handler, context)

    _around_handlers(seam, around)


def _handlers_at_once(seam: ServerSeam) -> None:
    seam.book.concurrency = 8


def _sends_wait_for_handler(seam: ServerSeam) -> None:
    """Let what is sent from outside a handler wait until the one that runs is done."""
    running: dict[Any, tuple[Any, asyncio.Event]] = {}

    async def around(handler: Handler, context: EventContext) -> None:
        done = asyncio.Event()
        running[context.connection] = asyncio.current_task(), done
        try:
            await _call(handler, context)
        finally:
            done.set()

    def hook(transport: Any) -> None:
        async def send(connection: Any, *event: Any, **more: Any) -> None:
            if connection in running:
                task, done = running[connection]
                if task is not asyncio.current_task():
                    await done.wait()
            await base.send(connection, *event, **more)

        base = override(transport.connection, send=send)

    seam.opened.append(hook)
    _around_handlers(seam, around)


def _reads_nothing_while_handling(seam: ServerSeam) -> None:
    """Keep what arrives while a handler runs until it is done, a reply to its request too."""
    kept: dict[Any, list[Message] | None] = {}
    feeds: dict[Any, Callable[[list[Message]], None]] = {}

    async def around(handler: Handler, context: EventContext) -> None:
        late: list[Message] = []
        kept[context.connection] = late
        try:
            await _call(handler, context)
        finally:
            kept[context.connection] = None
            feeds[context.connection](late)

    def hook(transport: Any) -> None:
        def feed(dispatcher: Any, messages: list[Message]) -> None:
            late = kept.get(transport.connection)
            if late is None:
                base.feed(dispatcher, messages)
            else:
                late += messages

        dispatcher = transport.dispatcher
        base = override(dispatcher, feed=feed)
        feeds[transport.connection] = lambda messages: base.feed(dispatcher, messages)

    seam.opened.append(hook)
    _around_handlers(seam, around)


def _around_lifecycle(
    seam: ServerSeam, name: str, around: Callable[[Handler, Any], Awaitable[None]]
) -> None:
    seam.book.lifecycle[name] = partial(around, seam.book.lifecycle[name])


def _deaf_once_connected_raised(seam: ServerSeam) -> None:
    """Hear nothing more of a connection whose connected handler raised, and keep it open."""
    deaf: set[Any] = set()

    async def around(handler: Handler, context: EventContext) -> None:
        try:
            await _call(handler, context)
        except RuntimeError:
            deaf.add(context.connection)
            raise

    def hook(transport: Any) -> None:
        def feed(dispatcher: Any, messages: list[Message]) -> None:
            base.feed(dispatcher, [] if transport.connection in deaf else messages)

        base = override(transport.dispatcher, feed=feed)

    seam.opened.append(hook)
    _around_lifecycle(seam, "connected", around)


def _disconnected_raising_ends_all(seam: ServerSeam) -> None:
    async def around(handler: Handler, context: EventContext) -> None:
        try:
            await _call(handler, context)
        except RuntimeError:
            _abort_all(seam)
            raise

    _around_lifecycle(seam, "disconnected", around)


def _lifecycle_errors_escape(seam: ServerSeam) -> None:
    async def around(handler: Handler, context: EventContext) -> None:
        try:
            await _call(handler, context)
        except RuntimeError as exc:
            found = {"message": "in a handler", "exception": exc}
            asyncio.get_running_loop().call_exception_handler(found)

    for name in ("connected", "disconnected"):
        _around_lifecycle(seam, name, around)


def _lifecycle_errors_swallowed(seam: ServerSeam) -> None:
    async def around(handler: Handler, context: EventContext) -> None:
        with suppress(RuntimeError):
            await _call(handler, context)

    for name in ("connected", "disconnected"):
        _around_lifecycle(seam, name, around)


def _connected_unawaited(seam: ServerSeam) -> None:
    """Handle events beside the connected handler."""
    tasks = []

    async def around(handler: Handler, context: EventContext) -> None:
        tasks.append(asyncio.create_task(_call(handler, context)))
        await asyncio.sleep(0)  # until it has begun

    _around_lifecycle(seam, "connected", around)


def _connects_one_at_a_time(seam: ServerSeam) -> None:
    lock = asyncio.Lock()

    async def around(handler: Handler, context: EventContext) -> None:
        async with lock:
            await _call(handler, context)

    _around_lifecycle(seam, "connected", around)


def _early_end_untold(seam: ServerSeam) -> None:
    """Tell of no end that came while the connected handler ran."""
    early: set[Any] = set()

    async def connected(handler: Handler, context: EventContext) -> None:
        try:
            await _call(handler, context)
        finally:
            if not context.connection.is_open:
                early.add(context.connection)

    async def disconnected(handler: Handler, context: EventContext) -> None:
        if context.connection not in early:
            await _call(handler, context)

    _around_lifecycle(seam, "connected", connected)
    _around_lifecycle(seam, "disconnected", disconnected)


def _looks_at_a_hundred(seam: ServerSeam) -> None:
    """Look for a reply among the next hundred messages alone while a handler waits for it."""

    def hook(transport: Any) -> None:
        mailbox = transport.dispatcher.mailbox

        def put_all(mailbox: Any, messages: list[Message]) -> None:
            base.put_all(mailbox, messages[: 100 if mailbox.has_waiters else None])

        base = override(mailbox, put_all=put_all)

    seam.opened.append(hook)


def _catches_unknown_alone(seam: ServerSeam) -> None:
    """Call the catch-all for events alone that have no handler."""
    any_event = seam.book.any_event
    if any_event is None:
        return

    async def unknown(context: EventContext) -> None:
        if context.event_name not in seam.book.events:
            await _call_any(any_event, context)

    seam.book.any_event = unknown


def _catches_first(seam: ServerSeam) -> None:
    """Call the catch-all before the event's own handler."""
    any_event = seam.book.any_event
    if any_event is None:
        return

    async def around(handler: Handler, context: EventContext) -> None:
        await _call_any(any_event, context)
        await _call(handler, context)

    _around_handlers(seam, around)
    _catches_unknown_alone(seam)


def _catches_no_failed(seam: ServerSeam) -> None:
    """Call the catch-all for no event whose own handler raised."""
    any_event = seam.book.any_event
    if any_event is None:
        return
    failed: list[Any] = []

    async def around(handler: Handler, context: EventContext) -> None:
        try:
            await _call(handler, context)
        except RuntimeError:
            failed.append(context.event_data)
            raise

    async def sound(context: EventContext) -> None:
        if not any(context.event_data is each for each in failed):
            await _call_any(any_event, context)

    _around_handlers(seam, around)
    seam.book.any_event = sound


async def _call_any(handler: Handler, context: EventContext) -> None:
    handler(context)  # the interop app's catch-all is a plain function


def _errors_end_connection(seam: ServerSeam) -> None:
    async def around(handler: Handler, context: EventContext) -> None:
        try:
            await _call(handler, context)
        except RuntimeError:
            await context.connection.close(1011)
            raise

    _around_handlers(seam, around)


def _errors_escape(seam: ServerSeam) -> None:
    async def around(handler: Handler, context: EventContext) -> None:
        try:
            await _call(handler, context)
        except RuntimeError as exc:
            found = {"message": "in a handler", "exception": exc}
            asyncio.get_running_loop().call_exception_handler(found)

    _around_handlers(seam, around)


def _tells_the_inside(seam: ServerSeam) -> None:
    seam.book.error_details = True


def _errors_reply_to_nothing(seam: ServerSeam) -> None:
    async def around(handler: Handler, context: EventContext) -> None:
        try:
            await _call(handler, context)
        except RuntimeError:
            headers = {"replyTo": context.headers.get("requestId"), "replyError": "failed"}
            await context.connection.send(context.event_name, {}, headers)
            raise

    _around_handlers(seam, around)


def _error_is_reply_too(seam: ServerSeam) -> None:
    """Return an error as if it were the reply to the server's request."""

    def hook(transport: Any) -> None:
        async def request(connection: Any, *event: Any, **more: Any) -> Any:
            try:
                return await base.request(connection, *event, **more)
            except RemoteError as exc:
                return exc.reply

        base = override(transport.connection, request=request)

    seam.opened.append(hook)


def _requests_outlive_connection(seam: ServerSeam) -> None:
    def hook(transport: Any) -> None:
        async def request(connection: Any, event: str, *content: Any, **more: Any) -> Any:
            try:
                return await base.request(connection, event, *content, **more)
            except ConnectionClosedError:
                await asyncio.sleep(more["timeout"])
                raise TimeoutError from None

        base = override(transport.connection, request=request)

    seam.opened.append(hook)


def _takes_replies_of_any_connection(seam: ServerSeam) -> None:
    """Take a reply from any connection while there is one that waits."""
    dispatchers: list[Any] = []

    def hook(transport: Any) -> None:
        def feed(dispatcher: Any, messages: list[Message]) -> None:
            for message in messages:
                is_reply = "replyTo" in (event_of(message).get("headers") or ())
                asking = [each for each in dispatchers if is_reply and each.mailbox.has_waiters]
                for each in asking or [dispatcher]:
                    base.feed(each, [message])

        base = override(transport.dispatcher, feed=feed)
        dispatchers.append(transport.dispatcher)

    seam.opened.append(hook)


def _messages_fire_lifecycle(seam: ServerSeam) -> None:
    seam.book.events.update(seam.book.lifecycle)

    def hook(transport: Any) -> None:
        transport.dispatcher.mailbox.reserved = frozenset()

    seam.opened.append(hook)


def _handler_closes(after: Callable[[ServerSeam], None], *, code: bool = True) -> Seed:
    """Change what the handler of ``close-me`` does: its code, and what happens next."""

    def seed(seam: ServerSeam) -> None:
        handler = seam.book.events["close-me"]

        async def close_me(context: EventContext) -> None:
            if not code:
                context.payload.clear()
            await _call(handler, context)
            after(seam)

        seam.book.events["close-me"] = close_me

    return seed


# --- Several connections ------------------------------------------------------------------


def _with_one_id(seam: ServerSeam) -> None:
    def hook(transport: Any) -> None:
        transport.connection.id = "zpt-id"

    seam.opened.append(hook)


def _with_used_ids(seam: ServerSeam) -> None:
    """Give each connection the lowest number that is free."""
    taken = seam.server.roster.ids

    def strategy() -> str:
        return next(id for n in range(len(taken) + 1) if (id := f"zpt-{n}") not in taken)

    seam.set_up(id_strategy=strategy)


def _deaf_after_one_left(seam: ServerSeam) -> None:
    left: list[Any] = []

    def hook(transport: Any) -> None:
        def feed(dispatcher: Any, messages: list[Message]) -> None:
            base.feed(dispatcher, [] if left else messages)

        def end(dispatcher: Any, info: Any = None) -> None:
            left.append(dispatcher)  # before the disconnected handler is called
            base.end(dispatcher, info)

        base = override(transport.dispatcher, feed=feed, end=end)

    seam.opened.append(hook)


def _abort_all(seam: ServerSeam) -> None:
    for each in list(seam.server.roster.transports):
        each.tcp.abort()


def _connected_is_of_first(seam: ServerSeam) -> None:
    """Give the connected handler the first connection each time."""
    handler = seam.book.lifecycle["connected"]
    first: list[Any] = []

    async def connected(context: EventContext) -> None:
        first.append(context.connection)
        await _call(handler, EventContext(context.event_data, first[0]))

    seam.book.lifecycle["connected"] = connected


def _connected_cannot_send(seam: ServerSeam) -> None:
    """Count a connection as open only once the connected handler is done."""
    handler = seam.book.lifecycle["connected"]
    opened: set[Any] = set()

    async def connected(context: EventContext) -> None:
        await _call(handler, context)
        opened.add(context.connection)

    def hook(transport: Any) -> None:
        async def send(connection: Any, *event: Any, **more: Any) -> None:
            if connection in opened:
                await base.send(connection, *event, **more)

        base = override(transport.connection, send=send)

    seam.opened.append(hook)
    seam.book.lifecycle["connected"] = connected


def _malformed_ends_all(seam: ServerSeam) -> None:
    def hook(transport: Any) -> None:
        def feed(dispatcher: Any, messages: list[Message]) -> None:
            if all(map(event_of, messages)):
                base.feed(dispatcher, messages)
                return
            _abort_all(seam)

        base = override(transport.dispatcher, feed=feed)

    seam.opened.append(hook)


def _malformed_end_told(times: int) -> Seed:
    """Call the disconnected handler so often where a malformed message came."""
    return partial(_tell_malformed_end, times)


def _tell_malformed_end(times: int, seam: ServerSeam) -> None:
    disconnected = seam.book.lifecycle["disconnected"]
    spoilt: set[Any] = set()

    async def told(context: EventContext) -> None:
        for _ in range(times if context.connection in spoilt else 1):
            await _call(disconnected, context)

    def hook(transport: Any) -> None:
        def feed(dispatcher: Any, messages: list[Message]) -> None:
            if not all(map(event_of, messages)):
                spoilt.add(transport.connection)
            base.feed(dispatcher, messages)

        base = override(transport.dispatcher, feed=feed)

    seam.opened.append(hook)
    seam.book.lifecycle["disconnected"] = told


def _stop_leaves_connections(seam: ServerSeam) -> None:
    stop, transports = seam.server.close, seam.server.roster.transports
    left: list[Any] = []

    async def close() -> None:
        for transport in left:  # the second call, at the session's end
            transport.cancel()
        left.extend(transports)
        transports.clear()
        await stop()

    seam.server.close = close


def _late_sends_are_lost(seam: ServerSeam) -> None:
    def hook(transport: Any) -> None:
        async def send(connection: Any, *event: Any, **more: Any) -> None:
            with suppress(ConnectionClosedError):
                await base.send(connection, *event, **more)

        base = override(transport.connection, send=send)

    seam.opened.append(hook)


def _sends_while_closing_are_lost(seam: ServerSeam) -> None:
    def hook(transport: Any) -> None:
        async def send(connection: Any, *event: Any, **more: Any) -> None:
            try:
                await base.send(connection, *event, **more)
            except ConnectionClosedError:
                if transport.lost.done():
                    raise

        base = override(transport.connection, send=send)

    seam.opened.append(hook)


# --- Rooms --------------------------------------------------------------------------------


def _keeps_past_members(seam: ServerSeam) -> None:
    seam.role.rooms.remove_from_room = lambda name, connection: None


def _rooms_cache_members(seam: ServerSeam) -> None:
    """Let what has left a room after a send be its member until another joins."""
    rooms, sent = seam.role.rooms, set[str]()
    left: list[tuple[str, Any]] = []
    add, remove, send = rooms.add_to_room, rooms.remove_from_room, rooms.send_to_room

    def add_and_renew(name: str, *rest: Any, **more: Any) -> Any:
        while left:
            remove(*left.pop())
        sent.discard(name)
        return add(name, *rest, **more)

    def remove_unless_cached(name: str, connection: Any) -> Any:
        return left.append((name, connection)) if name in sent else remove(name, connection)

    def send_and_cache(name: str, *rest: Any, **more: Any) -> Any:
        sent.add(name)
        return send(name, *rest, **more)

    rooms.add_to_room = add_and_renew
    rooms.remove_from_room = remove_unless_cached
    rooms.send_to_room = send_and_cache


def _with_exclude_self(value: bool, event: str = "to-room") -> Seed:
    def seed(seam: ServerSeam) -> None:
        handler = seam.book.events[event]

        def to_several(context: EventContext) -> Any:
            context.payload["exclude-self"] = value
            return handler(context)

        seam.book.events[event] = to_several

    return seed


_SHARED: dict[str, list[Any]] = {}
"""What tells all servers of this process: the sends to rooms and to all, by event."""


def _shares(event: str, name: str, of: Callable[[ServerSeam], Any]) -> Seed:
    """Send to a room, or to all, of each server that was made."""

    def seed(seam: ServerSeam) -> None:
        several = of(seam)
        sends = _SHARED.setdefault(event, [])
        sends.append(getattr(several, name))

        async def send_everywhere(*what: Any, **more: Any) -> Any:
            return [await send(*what, **more) for send in sends][sends.index(own)]

        own = sends[-1]
        setattr(several, name, send_everywhere)

    return seed


def _sends_later(name: str, of: Callable[[ServerSeam], Any]) -> Seed:
    """Send to a room, or to all, a moment later, in the order of the calls."""

    def seed(seam: ServerSeam) -> None:
        several = of(seam)
        send = getattr(several, name)
        line: list[asyncio.Task[Any]] = []

        async def send_later(*what: Any, **more: Any) -> Any:
            line.append(asyncio.create_task(send(*what, **more)))
            return BroadcastResult()

        setattr(several, name, send_later)

    return seed


def _counts_joins(seam: ServerSeam) -> None:
    """Let a member leave as often as it joined."""
    rooms = seam.role.rooms
    add, remove = rooms.add_to_room, rooms.remove_from_room
    joins = Counter[tuple[str, Any]]()

    def join(name: str, connection: Any) -> None:
        joins[name, connection] += 1
        add(name, connection)

    def leave(name: str, connection: Any) -> None:
        joins[name, connection] -= 1
        if joins[name, connection] < 1:
            remove(name, connection)

    rooms.add_to_room, rooms.remove_from_room = join, leave


def _folds_case_of_rooms(seam: ServerSeam) -> None:
    rooms = seam.role.rooms
    add, remove, send = rooms.add_to_room, rooms.remove_from_room, rooms.send_to_room
    rooms.add_to_room = lambda name, connection: add(name.casefold(), connection)
    rooms.remove_from_room = lambda name, connection: remove(name.casefold(), connection)
    rooms.send_to_room = lambda name, *event, **more: send(name.casefold(), *event, **more)


def _leaves_all_rooms(seam: ServerSeam) -> None:
    rooms = seam.role.rooms
    rooms.remove_from_room = lambda name, connection: rooms.leave(connection)


def _rooms_raise_for_strangers(seam: ServerSeam) -> None:
    """Raise where a connection leaves a room of which it is no member."""
    rooms = seam.role.rooms
    remove = rooms.remove_from_room

    def remove_from_room(name: str, connection: Any) -> None:
        if connection not in rooms.rooms[name]:
            raise KeyError(connection.id)
        remove(name, connection)

    rooms.remove_from_room = remove_from_room


def _rooms_are_for_members(seam: ServerSeam) -> None:
    """Ignore what a connection sends to a room of which it is no member."""
    handler, rooms = seam.book.events["to-room"], seam.role.rooms

    async def to_room(context: EventContext) -> None:
        room = rooms.get_room(context.payload["room"])
        if room is None or context.connection in room:
            await _call(handler, context)

    seam.book.events["to-room"] = to_room


def _rooms_ignore_leavers(seam: ServerSeam) -> None:
    """Ignore what the disconnected handler of a connection sends to a room."""
    rooms = seam.role.rooms
    send = rooms.send_to_room
    leaving: list[Any] = []

    async def around(handler: Handler, context: EventContext) -> None:
        leaving.append(context.connection)
        try:
            await _call(handler, context)
        finally:
            leaving.remove(context.connection)

    async def send_to_room(*event: Any, **more: Any) -> Any:
        return BroadcastResult() if leaving else await send(*event, **more)

    rooms.send_to_room = send_to_room
    _around_lifecycle(seam, "disconnected", around)


def _rooms_look_at_live_members(seam: ServerSeam) -> None:
    """Send to the members one by one, and fail where they become others meanwhile."""
    rooms = seam.role.rooms
    members: dict[Any, None] = {}
    add, remove = rooms.add_to_room, rooms.remove_from_room

    def add_to_room(name: str, connection: Any) -> None:
        add(name, connection)
        members[connection] = None

    def remove_from_room(name: str, connection: Any) -> None:
        remove(name, connection)
        members.pop(connection, None)

    rooms.add_to_room, rooms.remove_from_room = add_to_room, remove_from_room
    rooms.send_to_room = lambda name, *event, **more: _send_to_live(members, *event)


async def _send_to_live(connections: Iterable[Any], *event: Any) -> BroadcastResult:
    for connection in connections:
        if connection.is_open:
            await connection.send(*event)
            await asyncio.sleep(0.001)  # as where a send has to wait
    return BroadcastResult()


def _empty_rooms_raise(seam: ServerSeam) -> None:
    rooms = seam.role.rooms
    send = rooms.send_to_room

    async def send_to_room(name: str, *event: Any, **more: Any) -> Any:
        if name not in rooms:
            raise KeyError(name)
        return await send(name, *event, **more)

    rooms.send_to_room = send_to_room


def _rooms_take_nothing_for_null(seam: ServerSeam) -> None:
    rooms = seam.role.rooms
    send = rooms.send_to_room
    rooms.send_to_room = lambda name, event, payload, headers, **more: send(
        name, event, payload or None, headers, **more
    )


def _loses_64_kib_to_many(seam: ServerSeam) -> None:
    """Lose a message that needs the longest form of a length, where its frame is shared."""

    def hook(transport: Any) -> None:
        def offer(writer: Any, data: bytes, *more: Any) -> bool:
            return False if len(data) > 0xFFFF else base.offer(writer, data, *more)

        base = override(transport.writer, offer=offer)

    seam.opened.append(hook)


# --- Broadcast ----------------------------------------------------------------------------


def _broadcasts(change: Callable[..., Awaitable[Any]]) -> Seed:
    """Replace `ZapServer.broadcast`; `change` takes the seam, the original, then its arguments."""

    def seed(seam: ServerSeam) -> None:
        seam.server.broadcast = partial(change, seam, seam.server.broadcast)

    return seed


async def _broadcast_without_headers(
    seam: ServerSeam, old: Any, event: str, payload: Any, headers: Any, **more: Any
) -> Any:
    return await old(event, payload, {}, **more)


async def _broadcast_one_by_one(seam: ServerSeam, old: Any, *event: Any, **more: Any) -> Any:
    for connection in seam.server.connections.values():
        if connection is not more["exclude"]:
            await connection.send(*event)
    return BroadcastResult()


async def _broadcast_to_live(seam: ServerSeam, old: Any, *event: Any, **more: Any) -> Any:
    return await _send_to_live(seam.server.connections.values(), *event)


async def _broadcast_to_first_two(seam: ServerSeam, old: Any, *event: Any, **more: Any) -> Any:
    late = list(seam.server.connections.values())[2:]
    return await old(*event, exclude=[*late, more["exclude"]])


def _before_broadcasts(act: Callable[[list[Any]], Awaitable[None]]) -> Seed:
    """Call `act` before each broadcast, with all connections that the server ever had."""

    def seed(seam: ServerSeam) -> None:
        all_of_them: list[Any] = []
        broadcast = seam.server.broadcast

        async def to_all(*event: Any, **more: Any) -> Any:
            await act(all_of_them)
            return await broadcast(*event, **more)

        seam.opened.append(lambda transport: all_of_them.append(transport.connection))
        seam.server.broadcast = to_all

    return seed


def _swaps_broadcasts(seam: ServerSeam) -> None:
    """Send every even number after the one that follows it."""
    broadcast = seam.server.broadcast
    held: list[Any] = []

    async def to_all(event: str, payload: Any, *more: Any, **options: Any) -> Any:
        if isinstance(payload, int) and payload % 2 == 0:
            held.append(payload)
            return BroadcastResult()
        result = await broadcast(event, payload, *more, **options)
        while held:
            await broadcast(event, held.pop(), *more, **options)
        return result

    seam.server.broadcast = to_all


def _with_past_members(act: Callable[..., Awaitable[None]], *, ended: bool = False) -> Seed:
    """Call `act` before each event to a room, with all connections that ever joined one.

    Args:
        ended: whether only with those that had ended when they joined.
    """

    def seed(seam: ServerSeam) -> None:
        rooms = seam.role.rooms
        add, send = rooms.add_to_room, rooms.send_to_room
        joined: list[Any] = []

        def add_to_room(name: str, connection: Any) -> None:
            add(name, connection)
            if not (ended and connection.is_open):
                joined.append(connection)

        async def send_to_room(name: str, *event: Any, **more: Any) -> Any:
            await act(joined, *event)
            return await send(name, *event, **more)

        rooms.add_to_room, rooms.send_to_room = add_to_room, send_to_room

    return seed


async def _send_to_repeated_members(joined: list[Any], *event: Any) -> None:
    for connection in {each for each in joined if joined.count(each) > 1}:
        await connection.send(*event)


async def _fail_at_closed_members(joined: list[Any], *event: Any) -> None:
    for connection in joined:
        if not connection.is_open:
            raise ConnectionClosedError(*(connection.closed or (1000, "")))


async def _wait_for_past_members(joined: list[Any], *event: Any) -> None:
    if not all(connection.is_open for connection in joined):
        await asyncio.Event().wait()


async def _wait_for_the_first(joined: list[Any], *event: Any) -> None:
    await joined[0].send("to you first")


def _rooms_drop_headers(seam: ServerSeam) -> None:
    rooms = seam.role.rooms
    send = rooms.send_to_room
    rooms.send_to_room = lambda name, event, payload, headers, **more: send(
        name, event, payload, {}, **more
    )


def _rooms_without_compressed(seam: ServerSeam) -> None:
    rooms = seam.role.rooms
    send = rooms.send_to_room
    compressed: list[Any] = []

    def hook(transport: Any) -> None:
        if transport.protocol.extensions:
            compressed.append(transport.connection)

    seam.opened.append(hook)
    rooms.send_to_room = lambda *event, exclude, **more: send(
        *event, exclude=[*compressed, exclude], **more
    )


def _rooms_are_one(seam: ServerSeam) -> None:
    rooms = seam.role.rooms
    rooms.send_to_room = lambda name, *event, **more: rooms.send_to_rooms(
        list(rooms.rooms), *event, **more
    )


# --- The handshake ------------------------------------------------------------------------


def _answers(respond: Callable[[Callable[..., Any], Any, Any, Any], Any]) -> Seed:
    """Change the answer to a handshake: `respond` takes the original method, then its arguments."""

    def seed(seam: ServerSeam) -> None:
        def hook(transport: Any) -> None:
            base = override(
                transport,
                respond=lambda transport, protocol, request: respond(
                    base.respond, transport, protocol, request
                ),
            )

        seam.made.append(hook)

    return seed


def _on_any_path(old: Any, transport: Any, protocol: Any, request: Any) -> Any:
    return old(transport, protocol, replace(request, path=transport.settings.path))


def _refuses_query(old: Any, transport: Any, protocol: Any, request: Any) -> Any:
    if "?" in request.path:
        return protocol.reject(404, "Not Found.\n")
    return old(transport, protocol, request)


def _plain_http_is_fine(old: Any, transport: Any, protocol: Any, request: Any) -> Any:
    response = old(transport, protocol, request)
    return (
        replace(response, status_code=200, reason_phrase="OK")
        if (response.status_code == 426)
        else response
    )


class _Unmeasured(Headers):
    """Headers that show none of their lines to what adds up their lengths."""

    def raw_items(self) -> Iterator[tuple[str, str]]:
        return iter(())


def _reads_lists_of_any_length(old: Any, transport: Any, protocol: Any, request: Any) -> Any:
    headers = _Unmeasured(request.headers.raw_items())
    return old(transport, protocol, replace(request, headers=headers))


def _reads_last_line_alone(old: Any, transport: Any, protocol: Any, request: Any) -> Any:
    headers = Headers({name.lower(): value for name, value in request.headers.raw_items()})
    return old(transport, protocol, replace(request, headers=headers))


def _without_body(old: Any, transport: Any, protocol: Any, request: Any) -> Any:
    response = old(transport, protocol, request)
    if response.status_code != 101:
        response.body = b""
    return response


def _with_accept_of_another(old: Any, transport: Any, protocol: Any, request: Any) -> Any:
    response = old(transport, protocol, request)
    if response.status_code == 101:
        del response.headers["Sec-WebSocket-Accept"]
        response.headers["Sec-WebSocket-Accept"] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    return response


def _leaves_long_heads_unanswered(seam: ServerSeam) -> None:
    seam.made.append(lambda transport: override(transport, _refuse_head=lambda transport: None))


class _Either(asyncio.Protocol):
    """Begins with the first bytes of a connection, as plain ones or as those of TLS."""

    def __init__(self, make: Callable[[], Any], tls: ssl.SSLContext) -> None:
        self._make = make
        self._tls = tls

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        loop, protocol = asyncio.get_running_loop(), self._make()
        if data[0] == 0x16:  # a handshake record: RFC 8446, section 5.1
            protocol = SSLProtocol(
                loop, protocol, self._tls, loop.create_future(), server_side=True
            )
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if data[0] != 0x16:
            protocol.data_received(data)
            return
        protocol.get_buffer(len(data))[: len(data)] = data
        protocol.buffer_updated(len(data))


class _InTurn(asyncio.Protocol):
    """Begins with a connection once the handshakes of those before it are done."""

    def __init__(self, make: Callable[[], Any], tls: ssl.SSLContext | None, turns: Any) -> None:
        self._make = make
        self._tls = tls
        self._turns = turns

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.pause_reading()
        self._turns.append(self)
        if self._turns[0] is self:
            self.begin()

    def begin(self) -> None:
        protocol, loop = self._make(), asyncio.get_running_loop()
        if self._tls is not None:
            waiter = loop.create_future()
            protocol = SSLProtocol(loop, protocol, self._tls, waiter, server_side=True)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        self._transport.resume_reading()


def _handshakes_in_turn(seam: ServerSeam) -> None:
    turns: list[_InTurn] = []

    def next_turn(_: Any) -> None:
        turns.pop(0)
        if turns:
            turns[0].begin()

    seam.opened.append(next_turn)
    _accepts_by(seam, lambda make: lambda: _InTurn(make, seam.tls, turns))


def _serves_without_tls(seam: ServerSeam) -> None:
    _accepts_by(seam, lambda make: make)


def _serves_plain_beside_tls(seam: ServerSeam) -> None:
    tls = seam.tls
    if tls is not None:
        _accepts_by(seam, lambda make: lambda: _Either(make, tls))


def _accepts_by(seam: ServerSeam, factory: Callable[[Callable[[], Any]], Any]) -> None:
    """Listen in plain text, with this factory of protocols made of the server's own."""

    def bind(server: Any, port: int) -> Any:
        settings, loop = server.settings, asyncio.get_running_loop()
        make = partial(ServerTransport, settings, server.roster, server.book)
        return loop.create_server(factory(make), server.host, port)

    override(seam.server, _bind=bind)


def _without(option: str) -> Seed:
    return lambda seam: seam.set_up(**{option: None})


def _takes_origins(pattern: str) -> Seed:
    """Take every origin that the pattern matches."""

    def hook(transport: Any) -> None:
        if transport.protocol.origins is not None:
            transport.protocol.origins = [re.compile(pattern)]

    return lambda seam: seam.made.append(hook)


def _prefers_its_last_subprotocol(seam: ServerSeam) -> None:
    def hook(transport: Any) -> None:
        own = transport.protocol.available_subprotocols
        transport.protocol.available_subprotocols = own and own[::-1]

    seam.made.append(hook)


def _for_the_first_alone(seam: ServerSeam) -> None:
    """Forget, for every connection but the first, the options that the server was given."""
    made: list[Any] = []

    def hook(transport: Any) -> None:
        if made:
            protocol = transport.protocol
            protocol.origins = protocol.available_subprotocols = protocol.max_message_size = None
            transport.limits = Limits(ping_interval=None)
        made.append(transport)

    seam.made.append(hook)


DEFECTS: Mapping[str, Seed] = {
    "no-disconnected": _forgets("disconnected"),
    "disconnected-twice": _calls_twice("disconnected"),
    "connected-twice": _calls_twice("connected"),
    "connected-after-events": _connected_beside,
    "handler-errors-swallowed": _forgets("error"),
    "handler-error-ends-connection": _errors_end_connection,
    "handler-error-escapes": _errors_escape,
    "error-unasked": _errors_reply_to_nothing,
    "error-tells-the-inside": _tells_the_inside,
    "error-is-reply-to-server": _error_is_reply_too,
    "deaf-once-connected-raised": _deaf_once_connected_raised,
    "disconnected-raising-ends-all": _disconnected_raising_ends_all,
    "lifecycle-error-escapes": _lifecycle_errors_escape,
    "lifecycle-errors-swallowed": _lifecycle_errors_swallowed,
    "connected-unawaited": _connected_unawaited,
    "connects-one-at-a-time": _connects_one_at_a_time,
    "early-end-untold": _early_end_untold,
    "handlers-at-once": _handlers_at_once,
    "one-book-for-all": _one_book_for_all,
    "busy-end-told-again": _busy_end_told_twice,
    "drop-awaits-handlers": _drop_awaits_handlers,
    "slow-handler-delays-all": _handlers_wait_for_all,
    "sends-wait-for-handler": _sends_wait_for_handler,
    "reads-nothing-while-handling": _reads_nothing_while_handling,
    "reply-among-a-hundred": _looks_at_a_hundred,
    "catch-all-gets-unknown-alone": _catches_unknown_alone,
    "catch-all-is-first": _catches_first,
    "ask-outlives-connection": _requests_outlive_connection,
    "reply-of-any-connection": _takes_replies_of_any_connection,
    "rooms-of-all-servers": _shares("to-room", "send_to_room", lambda seam: seam.role.rooms),
    "broadcasts-of-all-servers": _shares("broadcast", "broadcast", lambda seam: seam.server),
    "room-events-late": _sends_later("send_to_room", lambda seam: seam.role.rooms),
    "broadcasts-late": _sends_later("broadcast", lambda seam: seam.server),
    "room-counts-joins": _counts_joins,
    "folds-case-of-rooms": _folds_case_of_rooms,
    "catch-all-without-failed": _catches_no_failed,
    "connected-is-of-first": _connected_is_of_first,
    "connected-cannot-send": _connected_cannot_send,
    "messages-fire-lifecycle": _messages_fire_lifecycle,
    "handler-close-code-lost": _handler_closes(lambda _: None, code=False),
    "handler-close-ends-all": _handler_closes(_abort_all),
    "one-id": _with_one_id,
    "ids-used-again": _with_used_ids,
    "deaf-after-one-left": _deaf_after_one_left,
    "malformed-ends-all": _malformed_ends_all,
    "malformed-end-told-twice": _malformed_end_told(2),
    "malformed-end-untold": _malformed_end_told(0),
    "stop-leaves-connections": _stop_leaves_connections,
    "stop-awaits-handlers": _stop_awaits_handlers,
    "stop-awaits-handshakes": _stop_awaits(lambda transport: transport.connection is None),
    "stop-awaits-clients": _stop_awaits(lambda transport: transport.connection is not None),
    "send-after-close-lost": _late_sends_are_lost,
    "end-told-at-own-close": _end_told_at_own_close,
    "send-while-closing-lost": _sends_while_closing_are_lost,
    "room-keeps-past-members": _keeps_past_members,
    "room-caches-members": _rooms_cache_members,
    "room-leaves-sender-out": _with_exclude_self(True),
    "room-ignores-exclude": _with_exclude_self(False),
    "room-members-twice": _with_past_members(_send_to_repeated_members),
    "room-waits-for-its-first": _with_past_members(_wait_for_the_first),
    "room-waits-for-past-members": _with_past_members(_wait_for_past_members),
    "room-drops-headers": _rooms_drop_headers,
    "room-without-compressed": _rooms_without_compressed,
    "rooms-are-one": _rooms_are_one,
    "room-fails-at-a-closed-member": _with_past_members(_fail_at_closed_members),
    "room-left-is-all-left": _leaves_all_rooms,
    "room-raises-for-strangers": _rooms_raise_for_strangers,
    "room-is-for-members": _rooms_are_for_members,
    "room-ignores-leavers": _rooms_ignore_leavers,
    "room-looks-at-live-members": _rooms_look_at_live_members,
    "room-fails-at-ghosts": _with_past_members(_fail_at_closed_members, ended=True),
    "room-raises-when-empty": _empty_rooms_raise,
    "room-takes-nothing-for-null": _rooms_take_nothing_for_null,
    "loses-64-kib-to-many": _loses_64_kib_to_many,
    "broadcast-leaves-sender-out": _with_exclude_self(True, "broadcast"),
    "broadcast-ignores-exclude": _with_exclude_self(False, "broadcast"),
    "broadcast-drops-headers": _broadcasts(_broadcast_without_headers),
    "long-heads-unanswered": _leaves_long_heads_unanswered,
    "broadcast-looks-at-live-connections": _broadcasts(_broadcast_to_live),
    "broadcast-one-by-one": _broadcasts(_broadcast_one_by_one),
    "broadcast-to-first-two": _broadcasts(_broadcast_to_first_two),
    "broadcast-fails-at-a-closed-member": _before_broadcasts(_fail_at_closed_members),
    "broadcast-waits-for-the-gone": _before_broadcasts(_wait_for_past_members),
    "broadcasts-swapped": _swaps_broadcasts,
    "handshakes-in-turn": _handshakes_in_turn,
    "serves-without-tls": _serves_without_tls,
    "serves-plain-beside-tls": _serves_plain_beside_tls,
    "any-path": _answers(_on_any_path),
    "query-refused": _answers(_refuses_query),
    "plain-http-is-fine": _answers(_plain_http_is_fine),
    "waits-for-a-handshake": lambda seam: seam.set_up(limits=Limits(open_timeout=None)),
    "lists-of-any-length": _answers(_reads_lists_of_any_length),
    "last-line-alone": _answers(_reads_last_line_alone),
    "refusals-without-body": _answers(_without_body),
    "wrong-accept": _answers(_with_accept_of_another),
    "no-subprotocol": _without("subprotocols"),
    "prefers-its-last-subprotocol": _prefers_its_last_subprotocol,
    "any-origin": _without("origins"),
    "origin-by-its-end": _takes_origins("https://.*mine.example"),
    "origin-of-any-subdomain": _takes_origins(r"https://(.*\.)?mine.example"),
    "origin-of-any-scheme": _takes_origins("https?://mine.example"),
    "origin-of-any-port": _takes_origins("https://mine.example(:[0-9]+)?"),
    "options-for-the-first-alone": _for_the_first_alone,
}
"""Defects by name."""
