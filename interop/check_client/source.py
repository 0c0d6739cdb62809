"""Where the connections of a client program come from.

::

    Source ─┬─ Started     runs the user's command, anew for each connection or for all of them
            └─ Awaited     an app that runs elsewhere, on a phone for example, and is told the URL
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from ..control.patience import Patience
from ..errors import Violation
from ..wire.log import Log
from ..wire.raw import RawConnection
from .door import ClientError, Door
from .program import Program

__all__ = ["PATH", "Awaited", "Source", "Started"]

PATH = "/ws"
"""The path of the URL that a program is given, where the scenario does not say another."""

_URL_WORDS = "{url}"
"""What stands for the URL in a command."""

_KEPT_LINES = 40

_MOMENT = 0.1
"""Seconds for a connection of a program that has ended: it may be on its way."""


class Source(ABC):
    """Gives the connections of one client program.

    Attributes:
        door: where they arrive.
        within: seconds for the program to connect.
        lent: whether the program serves several scenarios, and so is left as it is after each.
        restarts: how often a program that should have connected again was started anew instead.
        ends: how often a program was started anew because it had ended.
    """

    def __init__(self, door: Door, within: float) -> None:
        self.door = door
        self.within = within
        self.lent = True
        self.restarts = 0
        self.ends = 0

    @abstractmethod
    async def first(
        self, log: Log, patience: Patience, *, path: str = PATH, scenario: str = ""
    ) -> RawConnection:
        """Return a connection of a program that was given the URL with this path.

        Raises:
            ClientError: it does not connect; says what became of it.
        """

    async def another(self, log: Log, patience: Patience) -> RawConnection:
        """Return the next connection that the program makes by itself.

        Raises:
            Violation: there is none in time.
        """
        taking = asyncio.ensure_future(self.door.take(log, patience))
        await self._first_of(taking, patience.seconds)
        if taking.done():
            return await taking
        await _cancel(taking)
        raise Violation(
            "the client did not connect again",
            within=patience,
            missing="connection",
            author="client",
        )

    @abstractmethod
    def asked_for(self, connection: RawConnection) -> tuple[str, str]:
        """Return the target and the host that the program was given for this connection."""

    @property
    def end(self) -> str:
        """How the program ended by itself, in words; empty where it runs, or cannot be seen."""
        return ""

    @property
    def killed(self) -> bool:
        """Whether the program crashed."""
        return False

    @property
    def failed(self) -> bool:
        """Whether the program ended by itself, with another status than 0."""
        return False

    def output(self) -> list[str] | None:
        """Return the last lines that the program printed; None where they cannot be seen.

        Of a program that serves several scenarios, those since the last `pass_by`.
        """
        return None

    def pass_by(self) -> None:  # noqa: B027  # without a program, nothing
        """Leave what the program has printed so far out of `output`: another scenario begins."""

    async def may_end(self, seconds: float) -> None:  # noqa: B027  # without a program, nothing
        """Give a program whose connection has ended, or was refused, time to end itself."""

    @abstractmethod
    async def close(self) -> None:
        """End everything."""

    @abstractmethod
    async def _first_of(self, taking: asyncio.Future[RawConnection], seconds: float) -> None:
        """Wait until there is a connection, there will be none, or the time is over."""


class Started(Source):
    """Runs the user's command.

    Args:
        command: its words; ``{url}`` in them stands for the URL.
        reconnects: whether one start serves all scenarios: it connects again by itself.
        variables: added to its environment, beside ``ZAPTOOLS_URL`` and ``ZAPTOOLS_SCENARIO``.
    """

    def __init__(
        self,
        door: Door,
        command: Sequence[str],
        *,
        within: float,
        reconnects: bool = False,
        variables: dict[str, str] | None = None,
    ) -> None:
        super().__init__(door, within)
        self.command = command
        self.lent = reconnects
        self._variables = variables or {}
        self._program: Program | None = None
        self._path = ""  # of the URL that the program was given

    async def first(
        self, log: Log, patience: Patience, *, path: str = PATH, scenario: str = ""
    ) -> RawConnection:
        program = self._program
        if self.lent and program is not None and path == self._path:
            if (found := await self._taken(log, patience, patience.seconds)) is not None:
                return found
            if program.ended.is_set():
                self.ends += 1
            else:
                self.restarts += 1
        await self._start(path, scenario)
        if (found := await self._taken(log, patience, self.within)) is not None:
            return found
        raise await self._none()

    async def _start(self, path: str, scenario: str) -> None:
        await self._stop()
        await self.door.clear()
        url = self.door.url(path)
        given = {"ZAPTOOLS_URL": url, "ZAPTOOLS_SCENARIO": scenario, **self._variables}
        words = [word.replace(_URL_WORDS, url) for word in self.command]
        self._path = path
        self._program = await Program.start(words, given)

    async def _none(self) -> ClientError:
        """Return the error that there is no connection, with what the program printed."""
        program = self._program
        assert program is not None
        words = f"did not connect to {self.door.url(self._path)}"
        why = f"{program.end} and {words}" if program.end else f"{words} within {self.within:g} s"
        await self._stop()  # all that it printed is read then
        return ClientError(f"the program {why}", program.output(_KEPT_LINES))

    async def _taken(self, log: Log, patience: Patience, seconds: float) -> RawConnection | None:
        taking = asyncio.ensure_future(self.door.take(log, patience))
        try:
            await self._first_of(taking, seconds)
            return await taking if taking.done() else None
        finally:
            await _cancel(taking)

    async def _first_of(self, taking: asyncio.Future[RawConnection], seconds: float) -> None:
        assert self._program is not None
        ended = asyncio.ensure_future(self._program.ended.wait())
        either: list[asyncio.Future[Any]] = [taking, ended]
        try:
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not taking.done() and ended.done():
                await asyncio.wait([taking], timeout=_MOMENT)
        finally:
            ended.cancel()

    async def may_end(self, seconds: float) -> None:
        if self._program is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._program.ended.wait()

    def asked_for(self, connection: RawConnection) -> tuple[str, str]:
        return self._path, self.door.authority()

    @property
    def end(self) -> str:
        return self._program.end if self._program is not None else ""

    @property
    def killed(self) -> bool:
        return self._program is not None and self._program.killed

    @property
    def failed(self) -> bool:
        return self._program is not None and self._program.failed

    def pass_by(self) -> None:
        if self._program is not None:
            self._program.pass_by()

    def output(self) -> list[str] | None:
        return self._program.output(_KEPT_LINES) if self._program is not None else None

    async def close(self) -> None:
        await self._stop()
        await self.door.close()

    async def _stop(self) -> None:
        if self._program is not None:
            await self._program.stop()


class Awaited(Source):
    """Waits for an app that is started elsewhere.

    Args:
        tell: called with what the user has to do, once the app has not connected for `within`.
        at_most: seconds to wait at all.
    """

    def __init__(
        self, door: Door, *, within: float, at_most: float, tell: Callable[[str], None]
    ) -> None:
        super().__init__(door, within)
        self._at_most = at_most
        self._tell = tell
        self._connected = False  # whether there has been a connection yet

    async def first(
        self, log: Log, patience: Patience, *, path: str = PATH, scenario: str = ""
    ) -> RawConnection:
        taking = asyncio.ensure_future(self.door.take(log, patience))
        try:
            if self._connected:
                await self._first_of(taking, self.within)
                if not taking.done():
                    self._tell(
                        f"the app has not connected again for {self.within:g} s: restart it, or "
                        "let it connect again by itself"
                    )
            if not taking.done():
                await self._first_of(taking, self._at_most)
            if taking.done():
                self._connected = True
                return await taking
        finally:
            await _cancel(taking)
        raise ClientError(f"no app connected to port {self.door.port} within {self._at_most:g} s")

    async def _first_of(self, taking: asyncio.Future[RawConnection], seconds: float) -> None:
        await asyncio.wait([taking], timeout=seconds)

    def asked_for(self, connection: RawConnection) -> tuple[str, str]:
        """Return what it asked for: which URL the app has is not known here."""
        return connection.head.target, connection.head.one("Host") or "host:port"

    async def close(self) -> None:
        await self.door.close()


async def _cancel(taking: asyncio.Future[RawConnection]) -> None:
    if not taking.done():
        taking.cancel()
        await asyncio.wait([taking])
