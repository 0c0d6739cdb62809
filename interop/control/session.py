"""The testbed's end of a control connection: requests out; replies and notifications in.

::

    connect() ──> open ──────────────────────────────────────────> close()
                   │  the peer closes it, breaks the contract or      ^
                   v  does not answer describe                        │
                 ended: every pending and later call raises `PeerDied`
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..catalog import Api
from ..errors import PeerDied, PeerFailure, PeerHung, Unsupported, Violation
from .contract import Address, Notification, Reply, Request, encode, parse_message
from .lines import Lines
from .operations import asked_of
from .patience import Patience

__all__ = ["Asked", "Session"]

CALL_TIMEOUT = 15.0
"""Seconds for a reply. A library that takes longer has failed."""

CONNECT_TIMEOUT = 15.0
"""Seconds for making a control connection."""

PROBE_TIMEOUT = 15.0
"""Seconds for the answer to ``describe``: three times what the contract gives a peer, for busy
machines. A peer that takes longer counts as hung."""


@dataclass(slots=True)
class Asked:
    """A request other than ``describe``, and its outcome; times as of `time.monotonic`.

    Attributes:
        time: when it was sent.
        done: when its reply came; 0 until then.
        outcome: as `Reply.outcome`; empty until then.
    """

    op: str
    args: Mapping[str, Any]
    time: float
    done: float = 0.0
    outcome: str = ""

    def answered(self, future: asyncio.Future[Reply]) -> None:
        """Take the outcome from the reply's future, when that is done."""
        if future.cancelled() or future.exception() is not None:
            return
        self.outcome, self.done = future.result().outcome, time.monotonic()


class Session:
    """One control connection, and what passed over it.

    Args:
        call_timeout, probe_timeout: other times than `CALL_TIMEOUT` and `PROBE_TIMEOUT`, or None.
        hear: called with each line that the peer writes.

    Attributes:
        api: the row or column that it is for.
        peer: the program and which start of it, as `Pool.started` names it; set by the pool.
        notifications: everything that the peer reported, in order.
        times: when each of them came, as of `time.monotonic`.
        features: the features that requests asked of the library, as `asked_of` names them.
        requests: the requests, in order, without ``describe``.
        waited: seconds spent waiting for notifications.
        ended: why the connection can no longer be used; None while it can.
    """

    def __init__(
        self,
        api: Api,
        *,
        call_timeout: float | None = None,
        probe_timeout: float | None = None,
        hear: Callable[[bytes], None] = lambda line: None,
    ) -> None:
        self.api = api
        self._call_timeout = call_timeout or CALL_TIMEOUT
        self._probe_timeout = probe_timeout or PROBE_TIMEOUT
        self._hear = hear
        self.peer = ""
        self.notifications: list[Notification] = []
        self.times: list[float] = []
        self.features: set[str] = set()
        self.requests: list[Asked] = []
        self.waited = 0.0
        self.ended: PeerDied | None = None
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Reply]] = {}  # requests without a reply, by id
        self._unread: list[Notification] = []  # notifications that no `wait` has taken
        self._taken = 0  # how many were taken: their places in `_unread` change with each
        self._news = asyncio.Event()  # set by each notification, and at the end
        self._lines = Lines(self._take, self._lost)

    @classmethod
    async def connect(cls, api: Api, address: Address, **how: Any) -> Session:
        """Return a new session with the peer at `address`; `how` is what `Session` takes.

        Raises:
            PeerDied: the connection cannot be made.
            PeerHung: it is not made in time.
        """
        session = cls(api, **how)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await loop.create_connection(lambda: session._lines, address.host, address.port)
        except TimeoutError:
            raise PeerHung(f"{address} takes no control connection", api=api) from None
        except OSError as exc:
            raise PeerDied(f"no control connection to {address}: {exc.strerror}", api=api) from exc
        return session

    async def close(self) -> None:
        """Close the connection; the peer then tears down what the session opened."""
        if self.ended is not None:
            self._lines.abort()  # the peer may not be reading: unsent lines would never leave
        self._lines.close()

    def start(self, op: str, args: Mapping[str, Any]) -> asyncio.Future[Reply]:
        """Send a request and return the future of its reply."""
        if self.ended is not None:
            raise self.ended
        request = Request(next(self._ids), op, args)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        if op != "describe":
            self.features |= asked_of(op, args)
            self.requests.append(asked := Asked(op, args, time.monotonic()))
            future.add_done_callback(asked.answered)
        self._pending[request.id] = future
        self._lines.write(encode(request))
        return future

    async def reply(self, op: str, future: asyncio.Future[Reply]) -> Mapping[str, Any]:
        """Await the reply to a request and return its ``ok``.

        Raises:
            PeerFailure: the library refused or failed.
            Violation: it did neither in time: that is no error told to its caller.
            Unsupported: the peer answered that its library has no such thing.
            PeerDied: the connection ended, or the peer hung.
        """
        within = self._probe_timeout if op == "describe" else self._call_timeout
        try:
            async with asyncio.timeout(within):
                reply = await future
        except TimeoutError:
            if op == "describe":
                self._end(PeerHung(f"no reply to {op!r} within {within:g} s", api=self.api))
            await self.check_alive()
            raise Violation(f"{op} not done", api=self.api, within=f"{within:g} s") from None
        if reply.unsupported is not None:
            raise Unsupported(reply.unsupported, api=self.api, op=op)
        if reply.error is not None:
            kind, message = str(reply.error.get("kind")), str(reply.error.get("message"))
            raise PeerFailure(op, kind, message, api=self.api)
        return reply.ok or {}

    async def call(self, op: str, **args: Any) -> Mapping[str, Any]:
        """Send a request and return its answer; raises what `reply` raises."""
        return await self.reply(op, self.start(op, args))

    async def check_alive(self) -> None:
        """Check that the peer still answers: then silence is its library's.

        Raises:
            PeerDied: it does not answer, or the connection ended.
        """
        if self.ended is not None:
            raise self.ended
        await self.call("describe")

    async def wait(
        self,
        on: str,
        where: Callable[[Notification], bool] = lambda _: True,
        *,
        within: Patience,
        what: str = "",
    ) -> Notification:
        """Return the first fitting notification that no earlier call took, and take it.

        Args:
            what: what is waited for, as the error names it; by default `on`.

        Raises:
            Violation: none came in time; shows the last that came instead.
            PeerDied: the connection has ended.
        """
        began = time.monotonic()
        looked = counted = 0

        def take() -> Notification | None:
            nonlocal looked, counted
            if counted != self._taken:  # another `wait` took one: the places have changed
                looked, counted = 0, self._taken
            for index in range(looked, len(self._unread)):
                notification = self._unread[index]
                if notification.on == on and where(notification):
                    self._taken += 1
                    return self._unread.pop(index)
            looked = len(self._unread)
            if self.ended is not None:
                raise self.ended
            return None

        try:
            if (taken := await within.until(self._news, take)) is not None:
                return taken
            await self.check_alive()
            last = "; ".join(map(_brief, self.notifications[-6:])) or "nothing"
            raise Violation(
                f"no {what or on}",
                api=self.api,
                within=within,
                seen=f"last it reported: {last}",
                missing=what or on,
            )
        finally:
            self.waited += time.monotonic() - began

    def count(self, on: str, where: Callable[[Notification], bool] = lambda _: True) -> int:
        """Return how many such notifications have come, taken or not."""
        return sum(n.on == on and where(n) for n in self.notifications)

    def end(self, failure: PeerDied) -> None:
        """End it, unless it has ended, because the peer failed another session in this way."""
        self._end(type(failure)(failure.reason, api=self.api))

    def _lost(self, exc: Exception | None) -> None:
        reason = "the peer closed its control connection"
        if exc is not None:
            reason += f": {exc}"
        self._end(PeerDied(reason, api=self.api))

    def _take(self, line: bytes) -> None:
        self._hear(line)
        message = parse_message(line)
        if isinstance(message, Notification):
            self.notifications.append(message)
            self.times.append(time.monotonic())
            self._unread.append(message)
            self._news.set()
            return
        future = self._pending.pop(message.id, None)
        if future is None:
            why = f"it replied to request {message.id}, which was not made"
            self._end(PeerDied(why, api=self.api))
        elif not future.done():
            future.set_result(message)

    def _end(self, exc: PeerDied) -> None:
        if self.ended is not None:
            return  # a connection that was given up is closed too, which is no reason of its own
        self.ended = exc
        for future in self._pending.values():
            if not future.done():
                future.set_exception(exc)
                future.exception()  # retrieved, in case it is never awaited
        self._news.set()


def _brief(notification: Notification) -> str:
    text = f"{notification.on} {dict(notification.data)}"
    return text if len(text) <= 160 else text[:160] + "…"
