"""Defects of clients: their states, connecting and connecting again, handlers and streams."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

from websockets.client import ClientProtocol
from websockets.utils import accept_key

from interop.peers.mutant.seams import ClientSeam, Message, override, reads
from zaptools import (
    AlreadyConnectedError,
    ConnectError,
    ConnectionClosedError,
    EventData,
    Limits,
    NotConnectedError,
    RemoteError,
    Stream,
    ZapClientState,
    ZapConsumer,
)
from zaptools.client.base import link_of
from zaptools.client.opening import ClientTransport
from zaptools.client.url import parse_url
from zaptools.connection import EventContext, new_id

__all__ = ["DEFECTS", "SUBSCRIBER_DEFECTS"]

Seed = Callable[[ClientSeam], None]
ONLINE, OFFLINE, ERROR = ZapClientState.ONLINE, ZapClientState.OFFLINE, ZapClientState.ERROR
CONNECTING = ZapClientState.CONNECTING


# --- States -------------------------------------------------------------------------------


def _tells(change: Callable[[Any, ZapClientState], list[ZapClientState]]) -> Seed:
    """Report other states: `change` maps the client and a state to those that are reported."""

    def seed(seam: ClientSeam) -> None:
        on_state = seam.link.on_state

        async def on_other_state(state: ZapClientState) -> None:
            for each in change(seam.client, state):
                await on_state(each)

        seam.link.on_state = on_other_state

    return seed


_SHARING: list[Callable[[ZapClientState], Awaitable[None]]] = []
"""Reports a state, for each client of `_shares_states` in this process."""


def _shares_states(seam: ClientSeam) -> None:
    """Report each client's states to all, as the published `ZapClient` has one queue of them."""

    async def on_state_of_any(state: ZapClientState) -> None:
        for report in _SHARING:
            await report(state)

    _SHARING.append(seam.link.on_state)
    seam.link.on_state = on_state_of_any


def _no_offline_by_remote(client: Any, state: ZapClientState) -> list[ZapClientState]:
    remote = client.closed is not None and client.closed.by == "remote"
    return [] if state is OFFLINE and remote else [state]


def _online_after_first_event(seam: ClientSeam) -> None:
    on_state = seam.link.on_state
    announced: list[bool] = []

    async def on_other_state(state: ZapClientState) -> None:
        if state is not ONLINE:
            await on_state(state)

    async def any_event(context: EventContext) -> None:
        if not announced:
            announced.append(True)
            await on_state(ONLINE)

    seam.link.on_state = on_other_state
    seam.book.any_event = any_event


def _messages_fire_callbacks(seam: ClientSeam) -> None:
    seam.book.events["connected"] = seam.link.on_connected
    seam.book.events["disconnected"] = seam.link.on_disconnected


def _disconnects_twice(seam: ClientSeam) -> None:
    on_disconnected = seam.link.on_disconnected

    async def twice(context: EventContext) -> None:
        await on_disconnected(context)
        await on_disconnected(context)

    seam.link.on_disconnected = twice


def _disconnects_once(seam: ClientSeam) -> None:
    on_disconnected = seam.link.on_disconnected
    told = False

    async def once(context: EventContext) -> None:
        nonlocal told
        if not told:
            told = True
            await on_disconnected(context)

    seam.link.on_disconnected = once


def _never_connected(seam: ClientSeam) -> None:
    async def nothing(context: EventContext) -> None:
        """Call no callback."""

    seam.link.on_connected = nothing


_LISTENERS: list[Any] = []
"""What is told the states of all clients, for `_last_hears_all`."""


def _last_hears_all(seam: ClientSeam) -> None:
    _LISTENERS.append(seam.link.on_state)

    async def tell_last(state: ZapClientState) -> None:
        await _LISTENERS[-1](state)

    seam.link.on_state = tell_last


# --- Connecting ---------------------------------------------------------------------------


def _offers(*, protocols: bool = True, headers: bool = True) -> Seed:
    """Omit what the application offers."""

    def seed(seam: ClientSeam) -> None:
        connect = seam.client.connect

        async def less(subprotocols: Any = None, fields: Any = None) -> None:
            await connect(subprotocols if protocols else None, fields if headers else None)

        seam.client.connect = less

    return seed


def _drops_query(seam: ClientSeam) -> None:
    seam.client.url = seam.client.url.partition("?")[0]


def _ignores_refusals(seam: ClientSeam) -> None:
    connect = seam.client.connect

    async def connect_anyhow(*offer: Any) -> None:
        with suppress(ConnectError):
            await connect(*offer)

    seam.client.connect = connect_anyhow


def _with_protocol(change: Callable[[ClientProtocol], None]) -> Seed:
    """Change the handshake's protocol before it begins."""

    def seed(seam: ClientSeam) -> None:

        async def open_changed(
            url: str, begin: Callable[[ClientTransport], None], *, limits: Limits, **more: Any
        ) -> ClientTransport:
            uri = parse_url(url)
            protocol = ClientProtocol(uri, max_size=limits.message_bytes)
            change(protocol)
            _, transport = await asyncio.get_running_loop().create_connection(
                lambda: ClientTransport(protocol, limits, url, {}, begin), uri.host, uri.port
            )
            await transport.opened
            return transport

        seam.link.opener = open_changed

    return seed


def _uses_one_key(protocol: Any) -> None:
    protocol.key = "dGhlIHNhbXBsZSBub25jZQ=="


def _takes_any_accept(protocol: Any) -> None:
    process = protocol.process_response

    def process_response(response: Any) -> None:
        response.headers.pop("Sec-WebSocket-Accept", None)
        response.headers["Sec-WebSocket-Accept"] = accept_key(protocol.key)
        process(response)

    protocol.process_response = process_response


def _loses_first_moment(seam: ClientSeam) -> None:
    """Ignore messages until the loop's next turn."""

    def hook(transport: Any) -> None:
        dispatcher = transport.dispatcher
        loop = asyncio.get_running_loop()
        feed = dispatcher.feed
        late: list[bool] = []
        loop.call_soon(late.append, True)
        override(dispatcher, feed=lambda dispatcher, messages: feed(messages if late else []))

    seam.opened.append(hook)


# --- Connecting again ---------------------------------------------------------------------


def _second_socket(state: ZapClientState) -> Seed:
    """Make another connection when told to connect in this state."""

    def seed(seam: ClientSeam) -> None:
        client = seam.client
        connect, disconnect = client.connect, client.disconnect
        others: list[ZapConsumer] = []

        async def connect_beside(*offer: Any) -> None:
            if seam.link.state is not state:
                await connect(*offer)
                return
            other = ZapConsumer(client.url)
            link_of(other).book.events = seam.book.events
            others.append(other)
            await other.connect()

        async def disconnect_all(*how: Any, **more: Any) -> None:
            await disconnect(*how, **more)
            for other in others:
                await other.disconnect()

        client.connect, client.disconnect = connect_beside, disconnect_all

    return seed


def _old_end_is_new_end(seam: ClientSeam) -> None:
    """Connect while the last connection is closing, and tell its end after that."""
    connect = seam.client.connect

    async def connect_early(*offer: Any, **how: Any) -> None:
        latest = seam.link.latest
        is_closing = latest is not None and not latest.transport.lost.done()
        if is_closing:
            latest.transport.abort()
        await connect(*offer, **how)
        if is_closing:
            await seam.link.on_state(OFFLINE)

    seam.client.connect = connect_early


def _handlers_twice(seam: ClientSeam) -> None:
    """Register all handlers a second time at a reconnect."""
    times: list[int] = []

    def hook(transport: Any) -> None:
        times.append(1)
        if len(times) == 1:
            return
        for name, handler in list(seam.book.events.items()):

            def twice(context: EventContext, handler: Any = handler) -> None:
                handler(context)
                handler(context)

            seam.book.events[name] = twice

    seam.opened.append(hook)


def _sends_again(seam: ClientSeam) -> None:
    """Repeat the last event at a reconnect."""
    client = seam.client
    send_event = client.send_event
    last: list[tuple[Any, ...]] = []

    async def send(*event: Any, **more: Any) -> None:
        await send_event(*event, **more)
        last[:] = [(event, more)]

    async def send_last(context: EventContext) -> None:
        for event, more in last:
            await send_event(*event, **more)

    client.send_event = send
    seam.link.on_connected = send_last


# --- Reconnecting by itself ---------------------------------------------------------------


def _with_policy(**changes: Any) -> Seed:
    """Change the reconnect policy."""

    def seed(seam: ClientSeam) -> None:
        seam.link.policy = replace(seam.link.policy, **changes)

    return seed


def _never_reconnects(seam: ClientSeam) -> None:
    seam.link.policy = None


def _reconnects_after_own_close(seam: ClientSeam) -> None:
    disconnect = seam.client.disconnect
    tasks: list[asyncio.Task[None]] = []

    async def disconnect_and_connect(*how: Any, **more: Any) -> None:
        await disconnect(*how, **more)
        tasks.append(asyncio.create_task(seam.client.connect()))

    seam.client.disconnect = disconnect_and_connect


def _reconnects_after_1008(seam: ClientSeam) -> None:
    on_disconnected = seam.link.on_disconnected
    tasks: list[asyncio.Task[None]] = []

    async def connect_again(context: EventContext) -> None:
        await on_disconnected(context)
        if seam.client.closed.code == 1008:
            tasks.append(asyncio.create_task(seam.client.connect()))

    seam.link.on_disconnected = connect_again


def _own_failure_is_own_close(seam: ClientSeam) -> None:
    on_disconnected = seam.link.on_disconnected

    async def dismissed(context: EventContext) -> None:
        await on_disconnected(context)
        if seam.client.closed.by == "local":
            context.connection.attempt.dismiss("the client has ended it")  # type: ignore[attr-defined]  # a client's

    seam.link.on_disconnected = dismissed


def _forgets_policy_once_called(seam: ClientSeam) -> None:
    """Lose the policy when the application connects a second time."""
    connect = seam.client.connect

    async def connect_for_good(*offer: Any, **how: Any) -> None:
        if seam.client.closed is not None:
            seam.link.policy = None
        await connect(*offer, **how)

    seam.client.connect = connect_for_good


def _gives_up_without_status(seam: ClientSeam) -> None:
    """Try again after an HTTP status alone."""
    opener = seam.link.opener

    async def open_or_fail(url: str, *more: Any, **options: Any) -> Any:
        try:
            return await opener(url, *more, **options)
        except ConnectError as exc:
            if getattr(exc, "status", None) is None:
                raise ValueError("what is this?") from exc
            raise

    seam.link.opener = open_or_fail


def _every_refusal_is_temporary(seam: ClientSeam) -> None:
    opener = seam.link.opener

    async def open_anyhow(url: str, *more: Any, **options: Any) -> Any:
        try:
            return await opener(url, *more, **options)
        except ConnectError as exc:
            raise ConnectError(url, "refused") from exc

    seam.link.opener = open_anyhow


def _with_tls(context: Callable[[Any, int], Any]) -> Seed:
    """Use another TLS context: `context` maps the one given, and the connects before, to it."""

    def seed(seam: ClientSeam) -> None:
        opener = seam.link.opener
        made = count()

        async def open_so(url: str, *more: Any, **options: Any) -> Any:
            options["ssl"] = context(options["ssl"], next(made))
            return await opener(url, *more, **options)

        seam.link.opener = open_so

    return seed


def _trusting(_given: Any, _made: int) -> ssl.SSLContext | None:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    return trusting


def _needs_length_of_refusals(seam: ClientSeam) -> None:
    opener = seam.link.opener

    async def open_or_choke(url: str, *more: Any, **options: Any) -> Any:
        try:
            return await opener(url, *more, **options)
        except ConnectError as exc:
            raise KeyError("content-length") from exc

    seam.link.opener = open_or_choke


def _close_needs_a_connection(seam: ClientSeam) -> None:
    disconnect = seam.client.disconnect

    async def disconnect_if_connected(*how: Any, **more: Any) -> None:
        if seam.client.is_connected:
            await disconnect(*how, **more)

    seam.client.disconnect = disconnect_if_connected


def _callback_cannot_connect(seam: ClientSeam) -> None:
    connect, on_disconnected = seam.client.connect, seam.link.on_disconnected
    telling: list[EventContext] = []

    async def tell(context: EventContext) -> None:
        telling.append(context)
        try:
            await on_disconnected(context)
        finally:
            telling.remove(context)

    async def connect_later(*offer: Any, **how: Any) -> None:
        if telling:
            raise AlreadyConnectedError(seam.client.url)
        await connect(*offer, **how)

    seam.client.connect, seam.link.on_disconnected = connect_later, tell


def _connects_once_closed(seam: ClientSeam) -> None:
    """Refuse the first connect after a close that came while the client was connecting."""
    connect, disconnect = seam.client.connect, seam.client.disconnect
    attempts: set[object] = set()
    broken_off: list[object] = []

    async def connect_if_closed(*offer: Any, **how: Any) -> None:
        if broken_off:
            broken_off.clear()
            raise AlreadyConnectedError(seam.client.url)
        attempts.add(mark := object())
        try:
            await connect(*offer, **how)
        finally:
            attempts.discard(mark)

    async def noted(*how: Any, **more: Any) -> None:
        broken_off.extend(attempts)
        await disconnect(*how, **more)

    seam.client.connect, seam.client.disconnect = connect_if_closed, noted


def _connects_no_more_by_hand(seam: ClientSeam) -> None:
    connect = seam.client.connect

    async def connect_once(*offer: Any, **how: Any) -> None:
        if seam.client.closed is not None:
            raise AlreadyConnectedError(seam.client.url)
        await connect(*offer, **how)

    seam.client.connect = connect_once


def _with_retry(retry: bool) -> Seed:
    """Retry the first connect, or not, whatever the application says."""

    def seed(seam: ClientSeam) -> None:
        connect = seam.client.connect

        async def connect_so(*offer: Any, **how: Any) -> None:
            await connect(*offer, retry=retry)

        seam.client.connect = connect_so

    return seed


def _reconnects_unsaid(client: Any, state: ZapClientState) -> list[ZapClientState]:
    return [] if state is CONNECTING and client.closed is not None else [state]


def _try_reconnect_outlives_close(seam: ClientSeam) -> None:
    client = seam.client

    async def wait_and_connect(seconds: float) -> bool:
        await asyncio.sleep(seconds)
        await client.connect()
        return True

    client.try_reconnect = wait_and_connect


def _forgets_options(seam: ClientSeam) -> None:
    """Make every connection but the first as if no option had been given."""
    opener = seam.link.opener
    opened: list[bool] = []

    async def open_plain(url: str, begin: Any, **options: Any) -> Any:
        if opened:
            options |= {"protocols": (), "headers": {}, "limits": Limits(), "compression": None}
        transport = await opener(url, begin, **options)
        opened.append(True)
        return transport

    seam.link.opener = open_plain


def _silence_unnoticed(seam: ClientSeam) -> None:
    """Wait for no pongs on any connection but the first."""

    def hook(transport: Any) -> None:
        seam.link.limits = replace(seam.link.limits, ping_timeout=None)

    seam.opened.append(hook)


def _old_pings_run_on(seam: ClientSeam) -> None:
    """End the next connection when a ping of an ended one has had no answer in its time."""

    def hook(transport: Any) -> None:
        limits = transport.limits
        if limits.ping_interval is None or limits.ping_timeout is None:
            return

        def check() -> None:
            latest = seam.link.latest
            if latest is not transport.connection:
                latest.transport.abort()

        due = limits.ping_interval + limits.ping_timeout
        asyncio.get_running_loop().call_later(due, check)

    seam.opened.append(hook)


def _offers_no_deflate(seam: ClientSeam) -> None:
    opener = seam.link.opener

    async def open_plain(url: str, begin: Any, **options: Any) -> Any:
        return await opener(url, begin, **{**options, "compression": None})

    seam.link.opener = open_plain


def _at_reconnect(change: Callable[[ClientSeam], None]) -> Seed:
    """Change the client once it has connected again."""

    def seed(seam: ClientSeam) -> None:
        opened: list[Any] = []

        def hook(transport: Any) -> None:
            opened.append(transport)
            if len(opened) == 2:
                change(seam)

        seam.opened.append(hook)

    return seed


def _forgets_handlers(seam: ClientSeam) -> None:
    seam.book.events.clear()
    seam.book.any_event = None


def _forgets_replies(seam: ClientSeam) -> None:
    async def wait(event: str, **more: Any) -> EventData:
        raise TimeoutError

    seam.client.request = wait


# --- While a handler is running -----------------------------------------------------------


def _while_busy(seam: ClientSeam) -> list[asyncio.Event]:
    """Return a list that holds an event for each handler that waits, set when that is done."""
    busy: list[asyncio.Event] = []

    async def noted(handler: Any, event: EventData) -> None:
        busy.append(done := asyncio.Event())
        try:
            await handler(event)
        finally:
            done.set()

    _around_handlers(seam, noted, of=("slow", "close-me", "ask-back"))
    return busy


def _around_handlers(
    seam: ClientSeam,
    around: Callable[[Any, EventData], Awaitable[None]],
    *,
    of: Container[str],
) -> None:
    """Call `around` with the handler and the event in place of the handlers of these names."""
    on_event = seam.client.on_event

    def register(name: str, handler: Any, **how: Any) -> None:
        on_event(name, partial(around, handler) if name in of else handler, **how)

    seam.client.on_event = register


def _busy_end_told_twice(seam: ClientSeam) -> None:
    busy, on_state = _while_busy(seam), seam.link.on_state

    async def on_other_state(state: ZapClientState) -> None:
        await on_state(state)
        if state is OFFLINE and busy:
            await on_state(state)

    seam.link.on_state = on_other_state


def _close_awaits_handlers(seam: ClientSeam) -> None:
    busy, disconnect = _while_busy(seam), seam.client.disconnect

    async def disconnect_late(*how: Any, **more: Any) -> None:
        for done in busy:
            await done.wait()
        await disconnect(*how, **more)

    seam.client.disconnect = disconnect_late


def _asks_once_idle(seam: ClientSeam) -> None:
    """Make no request while a handler is running."""
    busy, request = _while_busy(seam), seam.client.request

    async def request_late(*event: Any, **more: Any) -> EventData:
        for done in busy:
            await done.wait()
        reply: EventData = await request(*event, **more)
        return reply

    seam.client.request = request_late


def _deaf_while_busy(seam: ClientSeam) -> None:
    busy = _while_busy(seam)

    def read(message: Message) -> list[Message]:
        return [message] if all(done.is_set() for done in busy) else []

    reads(lambda transport: read)(seam)


def _deaf_after_unknown(seam: ClientSeam) -> None:
    unknown: list[Message] = []

    def read(message: Message) -> list[Message]:
        if json.loads(message)["eventName"] == "unregistered":
            unknown.append(message)
        return [] if unknown else [message]

    reads(lambda transport: read)(seam)


def _deaf_after_error(seam: ClientSeam) -> None:
    failed: list[Exception] = []

    async def around(handler: Any, event: EventData) -> None:
        if failed:
            return
        try:
            handler(event)
        except RuntimeError as exc:
            failed.append(exc)
            raise

    _around_handlers(seam, around, of=("boom", "echo"))


def _handler_errors_escape(seam: ClientSeam) -> None:
    async def around(handler: Any, event: EventData) -> None:
        try:
            handler(event)
        except RuntimeError as exc:
            found = {"message": "in a handler", "exception": exc}
            asyncio.get_running_loop().call_exception_handler(found)

    _around_handlers(seam, around, of=("boom",))


def _close_cancels_handlers(seam: ClientSeam) -> None:
    seam.link.limits = replace(seam.link.limits, close_timeout=0.01)


def _busy_client_stays_offline(seam: ClientSeam) -> None:
    busy, connect = _while_busy(seam), seam.client.connect

    async def connect_if_idle(*offer: Any, **how: Any) -> None:
        if busy:
            raise AlreadyConnectedError(seam.client.url)
        await connect(*offer, **how)

    seam.client.connect = connect_if_idle


# --- What is sent offline -----------------------------------------------------------------


Kept = list[tuple[Any, Any]]


def _keeps(
    flushed: Callable[[Kept], Iterable[tuple[Any, Any]]] = list,
    *,
    before_first: bool = True,
    while_refused: bool = True,
    after_greeting: bool = False,
    until_connected: bool = False,
    for_ever: bool = False,
) -> Seed:
    """Keep what is sent offline in another queue, which has no bound.

    Args:
        flushed: returns what is sent of the kept events.
        before_first: whether it keeps events before the first connection.
        while_refused: whether it keeps them over a refused attempt.
        after_greeting: whether the connected callback is called before they are sent.
        until_connected: whether it forgets them when there is a connection, before they are sent.
        for_ever: whether it never forgets them.
    """

    def seed(seam: ClientSeam) -> None:
        client, kept = seam.client, Kept()
        send_event, on_state = client.send_event, seam.link.on_state
        on_connected = seam.link.on_connected

        async def send(*event: Any, **more: Any) -> None:
            if client.is_connected:
                await send_event(*event, **more)
            elif before_first or client.closed is not None:
                kept.append((event, more))

        async def flush(context: EventContext) -> None:
            if after_greeting:
                await on_connected(context)
            waiting = [*flushed(kept)]
            if until_connected:
                kept.clear()
            for event, more in waiting:
                await context.connection.send(*event, **more)
            if not for_ever:
                kept.clear()
            if not after_greeting:
                await on_connected(context)

        async def forget(state: ZapClientState) -> None:
            if state is ERROR and not while_refused:
                kept.clear()
            await on_state(state)

        client.send_event = send
        seam.link.on_connected, seam.link.on_state = flush, forget

    return seed


# --- Sending, handlers, streams -----------------------------------------------------------


def _late_sends_are_lost(seam: ClientSeam) -> None:
    send_event = seam.client.send_event

    async def send(*event: Any, **more: Any) -> None:
        with suppress(NotConnectedError):
            await send_event(*event, **more)

    seam.client.send_event = send


def _late_handlers_are_lost(seam: ClientSeam) -> None:
    register = seam.api.register

    def register_early(events: Any, all_events: bool) -> None:
        if not seam.client.is_connected:
            register(events, all_events)

    seam.api.register = register_early


def _calls_of_the_first_connection(seam: ClientSeam) -> None:
    """Ignore, on each connection but the first, what disconnects and what registers."""
    connect, disconnect, register = seam.client.connect, seam.client.disconnect, seam.api.register
    made: list[bool] = []

    async def connect_and_count(*offer: Any) -> None:
        await connect(*offer)
        made.append(True)

    async def disconnect_the_first(**how: Any) -> None:
        if len(made) < 2:
            await disconnect(**how)

    def register_before(events: Any, all_events: bool) -> None:
        if len(made) < 2:
            register(events, all_events)

    seam.client.connect, seam.client.disconnect = connect_and_count, disconnect_the_first
    seam.api.register = register_before


def _catch_all_is_the_rest(seam: ClientSeam) -> None:
    """Give the catch-all nothing of a handler that was registered while connected."""

    def on_any_event(client: Any, callback: Callable[[Any], None], **more: Any) -> Any:
        def rest(event: Any) -> None:
            if event.event_name != "late":
                callback(event)

        return base.on_any_event(client, rest, **more)

    base = override(seam.client, on_any_event=on_any_event)


def _any_event_is_reply(seam: ClientSeam) -> None:
    client = seam.client

    async def request(event: str, payload: Any = None, timeout: float = 10.0) -> EventData:  # noqa: ASYNC109 # as the library's own
        await client.send_event(event, payload, {"requestId": new_id()})
        reply: EventData = await client.wait_for(event, timeout=timeout)
        return reply

    client.request = request


def _error_is_reply(*, with_text: bool) -> Seed:
    """Return an error as if it were the reply: one `with_text` too, or one without alone."""

    def seed(seam: ClientSeam) -> None:
        request = seam.client.request

        async def take(event: str, **more: Any) -> Any:
            try:
                return await request(event, **more)
            except RemoteError as exc:
                reply: Any = exc.reply
                if reply.headers["replyError"] and not with_text:
                    raise
                return reply

        seam.client.request = take

    return seed


def _request_outlives_connection(seam: ClientSeam) -> None:
    request = seam.client.request

    async def wait(event: str, **more: Any) -> Any:
        try:
            return await request(event, **more)
        except (ConnectionClosedError, NotConnectedError):
            await asyncio.sleep(more["timeout"])
            raise TimeoutError from None

    seam.client.request = wait


def _keeps_requests(seam: ClientSeam) -> None:
    client, request = seam.client, seam.client.request

    async def keep(event: str, payload: Any = None, **more: Any) -> Any:
        if client.is_connected:
            return await request(event, payload, **more)
        await client.send_event(event, payload, {"requestId": new_id()})
        raise TimeoutError

    client.request = keep


def _reply_of_nothing_is_null(seam: ClientSeam) -> None:
    request = seam.client.request

    async def take(event: str, **more: Any) -> EventData:
        reply: EventData = await request(event, **more)
        reply.payload = reply.payload or None
        return reply

    seam.client.request = take


def _catches(change: Callable[[ClientSeam, Callable[[EventData], Any], EventData], None]) -> Seed:
    """Change the catch-all: `change` takes the seam, the application's handler and the event."""

    def seed(seam: ClientSeam) -> None:
        on_any_event = seam.client.on_any_event

        def register(callback: Any, replace: bool = False) -> None:
            on_any_event(lambda event: change(seam, callback, event), replace=replace)

        seam.client.on_any_event = register

    return seed


def _unknown_alone(
    seam: ClientSeam, callback: Callable[[EventData], Any], event: EventData
) -> None:
    if event.event_name not in seam.book.events:
        callback(event)


def _without_headers(
    seam: ClientSeam, callback: Callable[[EventData], Any], event: EventData
) -> None:
    callback(EventData(event.event_name, event.payload))


def _cannot_greet(seam: ClientSeam) -> None:
    """Lose what is sent before the connected callback is done."""
    client, on_connected = seam.client, seam.link.on_connected
    send_event = client.send_event
    opened: list[bool] = []

    async def send(*event: Any, **more: Any) -> None:
        if opened:
            await send_event(*event, **more)

    async def connected(context: EventContext) -> None:
        await on_connected(context)
        opened.append(True)

    client.send_event = send
    seam.link.on_connected = connected


def _streams_end_with_connection(seam: ClientSeam) -> None:
    client = seam.client
    subscribe, subscribe_to_all = client.subscribe_to_events, client.subscribe_to_all_event
    streams: list[Stream[EventData]] = []

    def subscribe_to_events(names: Iterable[str]) -> Stream[EventData]:
        streams.append(subscribe(names))
        return streams[-1]

    def subscribe_to_all_event() -> Stream[EventData]:
        streams.append(subscribe_to_all())
        return streams[-1]

    async def on_disconnected(context: EventContext) -> None:
        for stream in streams:
            stream.close()

    client.subscribe_to_events = subscribe_to_events
    client.subscribe_to_all_event = subscribe_to_all_event
    seam.link.on_disconnected = on_disconnected


def _clean_ends_no_streams(seam: ClientSeam) -> None:
    seam.client.clean = seam.client.disconnect


DEFECTS: Mapping[str, Seed] = {
    "no-online": _tells(lambda client, state: [] if state is ONLINE else [state]),
    "no-offline-by-remote-close": _tells(_no_offline_by_remote),
    "offline-twice": _tells(lambda client, state: [state, state] if state is OFFLINE else [state]),
    "states-are-everyones": _shares_states,
    "close-is-error": _tells(lambda client, state: [ERROR if state is OFFLINE else state]),
    "refused-is-no-state": _tells(lambda client, state: [] if state is ERROR else [state]),
    "online-after-events": _online_after_first_event,
    "messages-fire-callbacks": _messages_fire_callbacks,
    "disconnected-callback-twice": _disconnects_twice,
    "no-connected-callback": _never_connected,
    "disconnects-once": _disconnects_once,
    "last-hears-all": _last_hears_all,
    "offers-no-subprotocols": _offers(protocols=False),
    "sends-no-request-headers": _offers(headers=False),
    "drops-query": _drops_query,
    "refused-is-success": _ignores_refusals,
    "one-key": _with_protocol(_uses_one_key),
    "any-accept": _with_protocol(_takes_any_accept),
    "first-moment-lost": _loses_first_moment,
    "second-socket": _second_socket(ONLINE),
    "second-socket-of-attempt": _second_socket(CONNECTING),
    "old-end-is-new-end": _old_end_is_new_end,
    "handlers-twice-after-reconnect": _handlers_twice,
    "sends-again-after-reconnect": _sends_again,
    "never-reconnects": _never_reconnects,
    "reconnects-after-own-close": _reconnects_after_own_close,
    "reconnects-after-1008": _reconnects_after_1008,
    "own-failure-is-own-close": _own_failure_is_own_close,
    "forgets-policy-once-called": _forgets_policy_once_called,
    "gives-up-without-status": _gives_up_without_status,
    "gives-up-when-refused": _with_policy(max_attempts=1),
    "never-gives-up": _with_policy(max_attempts=None),
    "every-refusal-is-temporary": _every_refusal_is_temporary,
    "forgives-short-lived": _with_policy(stable_after=0),
    "never-forgives": _with_policy(stable_after=1e6),
    "silence-unnoticed-again": _silence_unnoticed,
    "old-pings-run-on": _old_pings_run_on,
    "offers-no-deflate": _offers_no_deflate,
    "needs-length-of-refusals": _needs_length_of_refusals,
    "trusts-any-certificate": _with_tls(_trusting),
    "forgets-what-to-trust": _with_tls(lambda given, made: None if made else given),
    "ignores-what-to-trust": _with_tls(lambda given, made: None),
    "close-needs-a-connection": _close_needs_a_connection,
    "connects-no-more-by-hand": _connects_no_more_by_hand,
    "connects-once-closed": _connects_once_closed,
    "callback-cannot-connect": _callback_cannot_connect,
    "close-cancels-handlers": _close_cancels_handlers,
    "reconnects-at-once": _with_policy(initial_delay=1e-3, max_delay=1e-3),
    "retries-unasked": _with_retry(True),
    "retries-not": _with_retry(False),
    "reconnects-unsaid": _tells(_reconnects_unsaid),
    "try-reconnect-outlives-close": _try_reconnect_outlives_close,
    "options-forgotten-at-reconnect": _forgets_options,
    "handlers-forgotten-at-reconnect": _at_reconnect(_forgets_handlers),
    "replies-lost-at-reconnect": _at_reconnect(_forgets_replies),
    "callbacks-lost-at-reconnect": _at_reconnect(_never_connected),
    "busy-end-told-twice": _busy_end_told_twice,
    "close-awaits-handlers": _close_awaits_handlers,
    "asks-once-idle": _asks_once_idle,
    "deaf-while-busy": _deaf_while_busy,
    "deaf-after-unknown": _deaf_after_unknown,
    "deaf-after-error": _deaf_after_error,
    "client-handler-error-escapes": _handler_errors_escape,
    "busy-client-stays-offline": _busy_client_stays_offline,
    "kept-in-reverse": _keeps(reversed),
    "kept-twice": _keeps(lambda kept: kept * 2),
    "kept-whatever-is-asked": _keeps(),
    "kept-after-first-only": _keeps(before_first=False),
    "kept-until-greeted": _keeps(after_greeting=True),
    "kept-until-connected": _keeps(until_connected=True),
    "kept-for-ever": _keeps(for_ever=True),
    "kept-until-refused": _keeps(while_refused=False),
    "late-send-lost": _late_sends_are_lost,
    "late-handlers-ignored": _late_handlers_are_lost,
    "calls-of-the-first-connection": _calls_of_the_first_connection,
    "catch-all-is-the-rest": _catch_all_is_the_rest,
    "any-event-is-reply": _any_event_is_reply,
    "error-is-reply": _error_is_reply(with_text=True),
    "empty-error-is-reply": _error_is_reply(with_text=False),
    "request-outlives-connection": _request_outlives_connection,
    "keeps-requests": _keeps_requests,
    "reply-of-nothing-is-null": _reply_of_nothing_is_null,
    "any-event-is-unknown": _catches(_unknown_alone),
    "any-event-without-headers": _catches(_without_headers),
    "cannot-greet": _cannot_greet,
}
"""Defects of `ZapConsumer` by name."""

SUBSCRIBER_DEFECTS: Mapping[str, Seed] = {
    "streams-end-with-connection": _streams_end_with_connection,
    "clean-ends-no-streams": _clean_ends_no_streams,
}
"""Defects of `ZapSubscriber` by name."""
