"""The client role: `zaptools.ZapConsumer`, `zaptools.ZapSubscriber` and `zaptools.ZapClient`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from interop.peers._app import client_answer
from interop.peers._control import Failure, PeerSession, Unsupported
from interop.peers.python.hosts import limits_of
from zaptools import (
    EventData,
    NotConnectedError,
    ReconnectPolicy,
    Stream,
    ZapClient,
    ZapClientState,
    ZapConsumer,
    ZapSubscriber,
)

__all__ = ["ClientRole"]


_WAITING = ("slow", "close-me", "ask-back")
"""The events whose handlers wait."""

Sent = Mapping[str, Any]
"""An event that the connected handler sends: its event, payload and headers."""


class ClientApi(Protocol):
    """One of the library's client classes, as the control operations use it.

    Attributes:
        client: the library's client.
        has_callbacks: whether it has callbacks for the beginning and the end of a connection.
        greeting: what the connected callback sends.
        again: what the disconnected callback offers as it connects again, at the first end; None
            where it does not.
    """

    client: ZapConsumer | ZapSubscriber | ZapClient
    has_callbacks: bool
    greeting: Sequence[Sent]
    again: Sequence[Any] | None

    def __init__(self, session: PeerSession, url: str, **options: Any) -> None:
        """Make the client; `options` are those of the library's class."""

    async def connect(self, *offer: Any, **how: Any) -> None:
        """Connect, with these protocols and headers; `how` are further arguments."""

    async def try_reconnect(self, seconds: float) -> bool:
        """Call the library's `try_reconnect`."""

    def register(self, events: Sequence[str], all_events: bool) -> None:
        """Register the names, and the catch-all."""

    async def clean(self) -> None:
        """`ZapSubscriber.clean`."""


class ConsumerApi:
    """`ZapConsumer`: callbacks."""

    has_callbacks = True
    greeting: Sequence[Sent] = ()
    again: Sequence[Any] | None = None

    def __init__(self, session: PeerSession, url: str, **options: Any) -> None:
        self._session = session
        self.client: ZapConsumer | ZapSubscriber | ZapClient
        self.client = client = ZapConsumer(url, **options)
        client.on_connection_state_changed(self._on_state)
        client.on_connected(self._on_connected)
        client.on_disconnected(self._on_disconnected)
        client.on_error(lambda error: session.notify("error", message=str(error)))
        self._consumer = client

    async def connect(self, *offer: Any, **how: Any) -> None:
        await self._consumer.connect(*offer, **how)

    async def try_reconnect(self, seconds: float) -> bool:
        return await self._consumer.try_reconnect(seconds)

    def register(self, events: Sequence[str], all_events: bool) -> None:
        own = {"mirror": self._on_mirror, "answer": self._on_answer}
        own |= dict.fromkeys(_WAITING, self._on_waiting)
        for name in events:  # a scenario may ask for one twice
            self._consumer.on_event(name, own.get(name, self._on_event), replace=True)
        if all_events:
            self._consumer.on_any_event(
                lambda event: _report(self._session, event, "all"), replace=True
            )

    async def clean(self) -> None:
        raise Unsupported("ZapConsumer has no clean()")

    async def _on_connected(self, _: EventData) -> None:
        self._session.notify("connected")
        for sent in self.greeting:
            await self._consumer.send_event(sent["event"], sent["payload"], sent["headers"])

    def _on_event(self, event: EventData) -> None:
        _report(self._session, event, "named")
        fails = event.event_name == "fail" and "requestId" in event.headers
        if fails or event.event_name == "boom":
            raise RuntimeError("boom")

    async def _on_mirror(self, event: EventData) -> None:
        _report(self._session, event, "named")
        await self._consumer.send_event("mirrored", event.payload, event.headers)

    async def _on_answer(self, event: EventData) -> None:
        _report(self._session, event, "named")
        if "requestId" in event.headers:
            await self._consumer.reply(event, event.payload)

    async def _on_waiting(self, event: EventData) -> None:
        _report(self._session, event, "named")
        await _wait(self._consumer, event)

    def _on_state(self, state: ZapClientState) -> None:
        self._session.notify("state", state=state.name.lower())

    async def _on_disconnected(self, _: EventData) -> None:
        closed = self._consumer.closed
        told = {"code": closed.code, "reason": closed.reason} if closed is not None else {}
        self._session.notify("disconnected", **told)
        if self.again is not None:
            offer, self.again = self.again, None
            await self._consumer.connect(*offer)


class SubscriberApi:
    """`ZapSubscriber`: streams, each read by a task."""

    has_callbacks = False
    greeting: Sequence[Sent] = ()
    again: Sequence[Any] | None = None

    def __init__(self, session: PeerSession, url: str, **options: Any) -> None:
        self._session = session
        self._events_open = 0
        self.client: ZapConsumer | ZapSubscriber | ZapClient
        self.client = self._subscriber = ZapSubscriber(url, **options)
        self._session.begin(self._states(self._subscriber.connection_state))

    async def connect(self, *offer: Any, **how: Any) -> None:
        await self._subscriber.connect(*offer, **how)

    async def try_reconnect(self, seconds: float) -> bool:
        return await self._subscriber.try_reconnect(seconds)

    def register(self, events: Sequence[str], all_events: bool) -> None:
        if events:
            self._session.begin(self._events(self._subscriber.subscribe_to_events(events), "named"))
        if all_events:
            self._session.begin(self._events(self._subscriber.subscribe_to_all_event(), "all"))

    async def clean(self) -> None:
        await self._subscriber.clean()

    async def _states(self, stream: Stream[ZapClientState]) -> None:
        async for state in stream:
            self._session.notify("state", state=state.name.lower())
        self._session.notify("ended", stream="states")

    async def _events(self, stream: Stream[EventData], via: str) -> None:
        self._events_open += 1
        async for event in stream:
            _report(self._session, event, via)
            if via == "named":
                await _handle(self._session, self._subscriber, event)
        self._events_open -= 1
        if not self._events_open:
            self._session.notify("ended", stream="events")


class ZapClientApi:
    """`ZapClient`: one stream of all events a connection, one of all states."""

    has_callbacks = False
    greeting: Sequence[Sent] = ()
    again: Sequence[Any] | None = None

    def __init__(self, session: PeerSession, url: str, **options: Any) -> None:
        self._session = session
        self._url = url
        self.client: ZapConsumer | ZapSubscriber | ZapClient
        self.client = self._client = ZapClient(**options)
        self._session.begin(self._states())

    async def connect(self, *offer: Any, **how: Any) -> None:
        await self._client.connect(self._url, *offer, **how)
        self._session.begin(self._events())

    async def try_reconnect(self, seconds: float) -> bool:
        connected = await self._client.try_reconnect(seconds)
        if connected:
            self._session.begin(self._events())
        return connected

    def register(self, events: Sequence[str], all_events: bool) -> None:
        """Its one stream has every event already."""

    async def clean(self) -> None:
        raise Unsupported("ZapClient has no clean()")

    async def _states(self) -> None:
        async for state in self._client.connection_state():
            self._session.notify("state", state=state.name.lower())

    async def _events(self) -> None:
        async for event in self._client.event_stream():
            _report(self._session, event, "all")
            await _handle(self._session, self._client, event)
        self._session.notify("ended", stream="events")


class ClientRole(PeerSession):
    """The operations of a client."""

    APIS: Mapping[str, Callable[..., ClientApi]] = {
        "ZapConsumer": ConsumerApi,
        "ZapSubscriber": SubscriberApi,
        "ZapClient": ZapClientApi,
    }
    _api: ClientApi | None = None
    _offer: Sequence[Any] = ()

    async def op_open(
        self,
        api: str,
        url: str,
        events: Sequence[str] = (),
        all: bool = False,
        protocols: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        deflate: bool = False,
        ca: str | None = None,
        callbacks: bool = False,
        on_connect: Sequence[Sent] = (),
        on_disconnect: str | None = None,
        retry: bool = False,
        program: str | None = None,
        **more: Any,
    ) -> None:
        if api not in self.APIS:
            raise Failure(f"no client API {api!r}")
        if self._api is not None:
            raise Failure("this session has its client")
        options: dict[str, Any] = {"compression": "deflate" if deflate else None}
        if ca is not None:
            options["ssl"] = ssl.create_default_context(cadata=ca)
        options |= {"limits": limits_of(more), **_policies(more)}
        if more:
            raise Failure(f"no such arguments: {', '.join(more)}")
        if api == "ZapClient" and (retry or options.keys() & {"reconnect", "offline"}):
            raise Unsupported("ZapClient neither reconnects by itself nor keeps what is sent")
        made = self.APIS[api](self, url, **options)
        if (callbacks or on_connect or on_disconnect) and not made.has_callbacks:
            raise Unsupported(f"{api} has streams, no callbacks")
        self._api, self._offer = made, (protocols, headers)
        made.greeting, made.again = on_connect, self._offer if on_disconnect else None
        made.register(events, all)
        await made.connect(*self._offer, **({"retry": True} if retry else {}))

    async def op_send(self, event: str, **more: Any) -> None:
        await self._opened.client.send_event(event, **more)

    async def op_request(self, event: str, **more: Any) -> dict[str, Any]:
        reply = await self._opened.client.request(event, **more)
        return {"name": reply.event_name, "payload": reply.payload, "headers": reply.headers}

    async def op_subscribe(self, events: Sequence[str] = (), all: bool = False) -> None:
        self._opened.register(events, all)

    async def op_close(self, **how: Any) -> None:
        await self._opened.client.disconnect(**how)

    async def op_reconnect(self) -> None:
        await self._opened.connect(*self._offer)

    async def op_try_reconnect(self, delay_s: float) -> dict[str, Any]:
        return {"connected": await self._opened.try_reconnect(delay_s)}

    async def op_clean(self) -> None:
        await self._opened.clean()

    async def teardown(self) -> None:
        await super().teardown()
        if self._api is not None:
            self._api.again = None
            await self._api.client.disconnect()
            self._api = None

    @property
    def _opened(self) -> ClientApi:
        if self._api is None:
            raise Failure("there is no client")
        return self._api


def _policies(more: dict[str, Any]) -> dict[str, Any]:
    """Take ``reconnect`` and ``offline`` out of the arguments of ``open``, as the library's own.

    A delay has no random part: the testbed says how long it is.
    """
    options: dict[str, Any] = {}
    if (reconnect := more.pop("reconnect", None)) is not None:
        options["reconnect"] = ReconnectPolicy(
            initial_delay=reconnect["delay_s"],
            max_delay=reconnect["delay_s"],
            max_attempts=reconnect.get("attempts"),
            stable_after=reconnect.get("stable_s", 30),
            random=lambda: 1.0,
        )
    if (offline := more.pop("offline", None)) is not None:
        options["offline"] = offline["policy"]
        options |= {"offline_limit": offline["limit"]} if "limit" in offline else {}
    return options


async def _wait(client: ZapConsumer | ZapSubscriber | ZapClient, event: EventData) -> None:
    """Do what the contract asks of the handlers of `_WAITING`."""
    if event.event_name == "slow":
        await asyncio.sleep(event.payload["ms"] / 1000)
        await client.send_event("slow", event.payload, event.headers)
    elif event.event_name == "close-me":
        await client.disconnect()
    else:
        reply = await client.request(
            event.payload["event"], event.payload["payload"], timeout=event.payload["timeout"]
        )
        await client.send_event("asked", reply.payload, event.headers)


async def _handle(
    session: PeerSession, client: ZapSubscriber | ZapClient, event: EventData
) -> None:
    """Do what the contract asks where events come from a stream, not to a handler."""
    try:
        if event.event_name in _WAITING:
            with suppress(NotConnectedError):  # the connection has ended meanwhile
                await _wait(client, event)
        elif answer := client_answer(event.event_name, event.payload, event.headers):
            if event.event_name == "mirror":
                await client.send_event(*answer)
            else:
                await client.reply(event, *answer[1:])
    except Exception as exc:
        session.notify("error", message=str(exc), event=event.event_name)


def _report(session: PeerSession, event: EventData, via: str) -> None:
    session.notify(
        "event", name=event.event_name, payload=event.payload, headers=event.headers, via=via
    )
