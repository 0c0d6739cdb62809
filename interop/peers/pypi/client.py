"""The client role: the published `ZapClient`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO, Any

from generation import NEEDS_HEADERS, ZapClient
from websockets.exceptions import ConnectionClosed

from interop.peers._app import client_answer
from interop.peers._control import Failure, PeerSession, Unsupported, at_exit

_QUEUES: dict[str, asyncio.Queue[Any]] = {}
"""The queue of each `program`."""


@functools.cache
def _trusted() -> IO[str]:
    """Return the file of the trusted certificates, which is there as long as the process."""
    return at_exit.enter_context(tempfile.NamedTemporaryFile("w", suffix=".pem"))


@functools.cache
def _trust(pem: str) -> None:
    """Trust a certificate as an application does whose library takes no context: in the whole
    process, by the variable that OpenSSL reads."""
    file = _trusted()
    file.write(pem)
    file.flush()
    os.environ["SSL_CERT_FILE"] = file.name


class ClientRole(PeerSession):
    """The operations of a client.

    The library keeps the states of all its clients in one queue, a class attribute. A program
    usually has one client, as a session has here. So each client gets its own queue, and what is
    reported are that client's states; those of one `program` share theirs, as the library has it.
    """

    _client: ZapClient | None = None
    _url = ""

    async def op_open(
        self,
        api: str,
        url: str,
        events: Sequence[str] = (),
        all: bool = False,
        protocols: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        deflate: bool = False,  # websockets always offers it
        ca: str | None = None,
        callbacks: bool = False,
        program: str | None = None,
        on_connect: Sequence[Mapping[str, Any]] = (),
        on_disconnect: str | None = None,
        **more: Any,
    ) -> None:
        if api != "ZapClient":
            raise Failure(f"no client API {api!r}")
        if ZapClient is None:
            raise Unsupported("the library has no client before 0.3.0")
        if self._client is not None:
            raise Failure("this session has its client")
        if protocols is not None or headers is not None or more:
            raise Unsupported("ZapClient() takes nothing, and connect() the URL alone")
        if callbacks or on_connect or on_disconnect:
            raise Unsupported("ZapClient has streams, no callbacks")
        if ca is not None:
            _trust(ca)
        self._client = ZapClient()
        states: asyncio.Queue[Any] = asyncio.Queue()
        shared = states if program is None else _QUEUES.setdefault(program, states)
        self._client._connection_state_queue = shared
        self._url = url
        self.begin(self._states(self._client))
        await self._connect(self._client)

    async def op_send(self, event: str, payload: Any = None, **more: Any) -> None:
        if NEEDS_HEADERS and not more:
            raise Unsupported("ZapClient.send() must be given headers before 0.4.4")
        await self._opened.send(event, payload, **more)

    async def op_subscribe(self, events: Sequence[str] = (), all: bool = False) -> None:
        # Its only stream has every event already.
        assert self._opened

    async def op_close(self, code: int | None = None, reason: str | None = None) -> None:
        if code is not None or reason is not None:
            raise Unsupported("ZapClient.close() takes neither code nor reason")
        await self._opened.close()

    async def op_reconnect(self) -> None:
        await self._connect(self._opened)

    async def op_clean(self) -> None:
        raise Unsupported("ZapClient has no clean()")

    async def teardown(self) -> None:
        await super().teardown()
        if getattr(self._client, "_conn", None) is not None:
            await self._opened.close()

    @property
    def _opened(self) -> ZapClient:
        if self._client is None:
            raise Failure("there is no client")
        return self._client

    async def _connect(self, client: ZapClient) -> None:
        await client.connect(self._url)
        self.begin(self._events(client))

    async def _states(self, client: ZapClient) -> None:
        async for state in client.connection_state():
            self.notify("state", state=state.name.lower())

    async def _events(self, client: ZapClient) -> None:
        try:
            async for event in client.event_stream():
                self.notify(
                    "event",
                    name=event.event_name,
                    payload=event.payload,
                    headers=event.headers,
                    via="all",
                )
                if event.event_name == "slow":
                    await asyncio.sleep(event.payload["ms"] / 1000)
                    with contextlib.suppress(ConnectionClosed):  # it has ended meanwhile
                        await client.send("slow", event.payload, event.headers)
                elif event.event_name == "close-me":
                    await client.close()
                answer = client_answer(event.event_name, event.payload, event.headers)
                if answer is not None:
                    await self._answer(client, event.event_name, answer)
        except Exception as exc:
            self.uncaught(exc, "ZapClient.event_stream raised")
        self.notify("ended", stream="events")

    async def _answer(
        self, client: ZapClient, event: str, answer: tuple[str, Any, dict[str, Any]]
    ) -> None:
        try:
            await client.send(*answer)
        except Exception as exc:
            self.notify("error", message=str(exc), event=event)
