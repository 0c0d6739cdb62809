"""One end of a control connection: whole lines in, lines out.

Like `interop.control.contract` this imports the standard library alone, so that a peer of another
environment can use it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .contract import ContractError, LineDecoder

__all__ = ["Lines"]


class Lines(asyncio.Protocol):
    """Either end of a control connection.

    It is a protocol, not a pair of streams: no task has to wake for each line.

    Args:
        take: called with each line that comes; a `ContractError` that it raises ends the
            connection.
        lost: called once, when no more will come: with why, or None when the other end closed.
    """

    def __init__(
        self, take: Callable[[bytes], None], lost: Callable[[Exception | None], None]
    ) -> None:
        self._take = take
        self._lost = lost
        self._decoder = LineDecoder()
        self._over = False
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None

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
        """Send a line, its newline included, if the connection is there; from any thread.

        The lines of one turn of the loop are sent at once, at its end.
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
        """Close the connection once all is sent."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once, with what is unsent."""
        if self._transport is not None:
            self._transport.abort()

    def _end(self, exc: Exception | None) -> None:
        if not self._over:
            self._over = True
            self._lost(exc)
