"""One end of a control connection: whole lines in, lines out.

Like `interop.control.contract` this imports the standard library alone, so that a peer in an
environment of its own can use it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .contract import ContractError, LineDecoder

__all__ = ["Lines"]


class Lines(asyncio.Protocol):
    """Either end of a control connection.

    A protocol and no pair of streams: no task has to wake up for each line.

    Args:
        take: called with each line received; a `ContractError` that it raises ends the
            connection.
        lost: called once, when the connection has ended: with the reason, or with None when the
            other end closed it.
    """

    def __init__(
        self, take: Callable[[bytes], None], lost: Callable[[Exception | None], None]
    ) -> None:
        self._take = take
        self._lost = lost
        self._decoder = LineDecoder()
        self._over = False  # whether `lost` was called
        self._unsent: list[bytes] = []  # lines of this turn of the loop, until `_flush`
        self._transport: asyncio.Transport | None = None  # None before the connection is made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        try:
            for line in self._decoder.feed(data):
                self._take(line)
        except ContractError as exc:
            self._end(exc)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    def write(self, line: bytes) -> None:
        """Send a line, given with its newline, if there is a connection; from any thread.

        The lines of one turn of the loop are sent together, at its end.
        """
        if self._transport is None:
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._loop.call_soon_threadsafe(self.write, line)
            return
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(line)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(unsent))

    def close(self) -> None:
        """Close the connection after sending what was written."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once and drop unsent lines."""
        if self._transport is not None:
            self._transport.abort()

    def _end(self, exc: Exception | None) -> None:
        if not self._over:
            self._over = True
            self._lost(exc)
