"""A client program under test that is not under control: only what it writes can be judged."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from ..catalog import Api
from ..check.uncontrolled import NoControl, Uncontrolled, is_closed
from ..control.patience import Patience
from ..errors import PeerFailure, TestbedError, Unsupported, Violation
from ..roles.client import Client
from ..roles.judged import JudgedClient
from ..wire.frames import CLOSE, close_payload
from ..wire.log import Log
from ..wire.raw import RawConnection, RawServer
from .door import ClientError
from .source import PATH, Source

__all__ = ["CLIENT", "RemoteClient"]

CLIENT = Api("program", "client", "Any")

FAREWELL_TIMEOUT = 1.0
"""Seconds for a client to answer the judge's own close frame."""

_FOLLOWS = 1.0
"""Seconds for a client to follow a redirect."""

_OWN_CODES = {None, 1000, 1001, 1011}
"""Codes with which a client closes by itself, not because of what it was sent."""

_SUBPROTOCOL = "Sec-WebSocket-Protocol"


class RemoteClient(Uncontrolled, JudgedClient):
    """The judge's view of a client program that is not under control.

    Args:
        echo: the event that the program answers with its payload, or None.
        scenario: its id, for the program's environment.

    Attributes:
        flood: how it exceeded the bounds, in words, on a connection closed since.
        is_away: whether a scenario waits, or waited in vain, for the program to come.
    """

    def __init__(
        self, source: Source, patience: float, echo: str | None = None, scenario: str = ""
    ) -> None:
        client = Client(NoControl(CLIENT), Patience(patience), None, None)
        super().__init__(client, source.door.host, Log(), echo)
        self.source = source
        self.connections = []
        self.flood = ""
        self.is_away = False
        self._scenario = scenario
        self._has_to_fail = False  # whether the client has to fail the connection

    async def check_reachable(self) -> None:
        """Check that the program connects, and that its echo, or else its pong, arrives.

        Raises:
            ClientError: one of them does not; says why.
        """
        connection: RawConnection | None = None
        try:
            connection = await self.open()
            await self.probed(connection)
        except Violation as exc:
            if connection is None:
                raise ClientError(
                    f"it connects, and writes no WebSocket handshake: {exc}"
                ) from None
            what = (
                f"it does not answer --echo {self.echo!r} with the same payload"
                if self.echo is not None
                else "it answers no ping"
            )
            raise ClientError(connection.flood or f"{what}: {exc}") from None

    # --- The connection ---------------------------------------------------------------------

    async def listener(self, tls: object = None) -> RawServer:
        raise TestbedError("a scenario declared to need no control asked for the listener")

    async def url(self, path: str) -> str:
        return self.source.door.url(path)

    async def asked_for(self, connection: RawConnection) -> tuple[str, str]:
        return self.source.asked_for(connection)

    async def dialled(
        self, *events: str, path: str = PATH, **more: Any
    ) -> tuple[RawConnection, asyncio.Task[Any]]:
        """Return the program's next connection, unanswered; the program is started if need be.

        Raises:
            Unsupported: the scenario is about what the program does not offer.
        """
        self.is_away = True
        try:
            connection = await self.source.first(
                self.log, self.setup_patience, path=path, scenario=self._scenario
            )
        except Violation:  # it came, and wrote no handshake
            self.is_away = False
            raise
        self.is_away = False
        offers = connection.head.all("Sec-WebSocket-Extensions")
        self._began(connection)
        if more.get("deflate") and not any("permessage-deflate" in each for each in offers):
            raise Unsupported("it offers no permessage-deflate")
        if unknown := {key for key in more if more[key]} - {"deflate", "reconnect"}:
            raise TestbedError(f"a scenario declared to need no control set {sorted(unknown)}")
        return connection, asyncio.create_task(asyncio.sleep(0))

    async def redialled(self) -> tuple[RawConnection, asyncio.Task[Any]]:
        return await self.dialled()

    async def asked(self) -> RawConnection:
        connection = await self.source.another(self.log, self.role.patience)
        self._began(connection)
        return connection

    def _began(self, connection: RawConnection) -> None:
        connection.patience = self.role.patience
        self.connections.append(connection)

    def answering(self, connection: RawConnection, **change: Any) -> bytes:
        """Return the answer that accepts a connection, and the first subprotocol that it offers.

        Some clients fail a connection for which none was chosen, though RFC 6455 does not.
        """
        extra = [*change.pop("extra", ())]
        offered = connection.head.all(_SUBPROTOCOL)
        if offered and not any(name == _SUBPROTOCOL for name, _ in extra):
            extra.append((_SUBPROTOCOL, offered[0]))
        return super().answering(connection, extra=extra, **change)

    async def fails(self, connection: RawConnection, opening: asyncio.Task[Any]) -> PeerFailure:
        """Check that the client ends the connection, unless the judge has ended it.

        Raises:
            Violation: it does not.
        """
        self._has_to_fail = True
        if not connection.streams[1].is_closing():
            connection.start()
            try:
                await connection.failed()
            except Violation as exc:
                what = "the client connected where it has to fail the connection"
                raise Violation(what, seen=str(exc)) from None
        return PeerFailure("open", "Refused", "the connection ended", api=CLIENT)

    async def redirected(self, opening: asyncio.Task[Any]) -> RawConnection | None:
        soon = Patience(min(_FOLLOWS, self.role.patience.seconds))
        with contextlib.suppress(Violation):
            connection = await self.source.another(self.log, soon)
            self._began(connection)
            if connection.head.target != PATH:  # else it tries the first URL again
                return connection
        return None

    @property
    def gave_up(self) -> bool:
        """Whether the client ended a connection on which it got messages, by an error of its own.

        It does not where it fails the connection, with the code of what it does not accept, nor
        where the judge has ended or refused it.
        """
        sent = {frame.kind for frame in self.log.seen(author="judge")}
        if not self.connections or self._has_to_fail or not sent or "close" in sent:
            return False
        last = self.connections[-1]
        closes = {found.code for found in last.frames if found.opcode == CLOSE}
        ends = [each.author for each in self.log.passages if each.what != "handshake"]
        ended = bool(closes) or (bool(ends) and ends[0] == "client")
        return last.reader is not None and ended and closes <= _OWN_CODES

    async def settle(self, seconds: float) -> None:
        """Wait so long for the end of a program whose connections have ended.

        A close frame is answered first: libraries wait for that before the program goes on.
        """
        made = self.connections
        for one in made:
            if one.reader is not None and not one.ended.is_set() and is_closed(one):
                one.write(one.frame(CLOSE, close_payload(1000)))
                one.end_tcp()
        if made and all(one.ended.is_set() or one.streams[1].is_closing() for one in made):
            await self.source.may_end(seconds)

    async def close(self) -> None:
        """End the connections, as a server does that goes away where the program is used again."""
        for connection in self.connections:
            if connection.reader is not None and self.source.lent and not is_closed(connection):
                connection.write(connection.frame(CLOSE, close_payload(1001)))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FAREWELL_TIMEOUT):
                        await connection.soon(CLOSE)
            await connection.close(reset=False)
            self.flood = self.flood or connection.flood
        self.connections.clear()

    # --- The application --------------------------------------------------------------------

    async def in_error(self) -> None:
        """Do nothing: what the application was told cannot be seen."""

    async def online_before_events(self) -> None:
        """Do nothing: what the application was told cannot be seen."""

    async def check_states(self, *expected: str) -> None:
        """Do nothing: what the application was told cannot be seen."""
