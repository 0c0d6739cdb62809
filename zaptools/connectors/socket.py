"""A framework's WebSocket behind one interface, which a connector implements for the carrier."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Any

from .._text import clip
from ..connection.admission import Refuse
from ..protocol.close import POLICY_VIOLATION, CloseInfo

__all__ = ["FrameworkSocket"]

logger = logging.getLogger(__name__)


class FrameworkSocket(ABC):
    """A framework's WebSocket, after its opening handshake.

    Attributes:
        connection_id: the connection's id, for the log; set by the carrier.
        last_words: seconds that a close frame may take while the connection is being given up,
            and that a failed send waits for the end of the connection. Default 1.
    """

    connection_id = ""
    last_words = 1.0

    @abstractmethod
    def receive(self) -> Awaitable[Any]:
        """Return the next message, or how the connection ended, or a value that `read` converts.

        An error of any kind means that the connection has ended.
        """

    def read(self, received: Any) -> str | bytes | CloseInfo:
        """Convert the value from `receive`; by default it is returned as it is.

        A plain function, since a coroutine for each message costs more than the conversion.
        """
        message: str | bytes | CloseInfo = received
        return message

    @abstractmethod
    def write(self, text: str) -> Awaitable[None]:
        """Send one text message. An error of any kind means that the connection has ended."""

    @abstractmethod
    async def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; may also wait for the peer's part of it."""

    def drop(self) -> None:  # noqa: B027  # not every framework has a way to do it
        """End TCP at once, if the framework can: the peer did not close in time."""

    def note_failure(self, error: BaseException) -> None:  # noqa: B027  # most have nothing to do
        """Do what the framework itself does after a write that failed with `error`."""

    def known_end(self) -> CloseInfo | None:
        """Return how the connection ended, where the framework cancels its endpoint then."""
        return None

    async def close_quietly(self, code: int, reason: str) -> None:
        """Close, and log what the framework raises: the connection may have ended meanwhile."""
        try:
            await self.close(code, reason)
        except Exception as exc:
            logger.debug("%s: closing failed: %s", self.connection_id, clip(repr(exc)))

    async def refuse(self, refusal: Refuse) -> None:
        """Close a WebSocket that the framework has accepted already: the client is refused."""
        await self.close_briefly(POLICY_VIOLATION, str(refusal))

    async def close_briefly(self, code: int, reason: str) -> None:
        """Close, for no longer than `last_words`: the peer may have stopped reading."""
        try:
            async with asyncio.timeout(self.last_words):
                await self.close_quietly(code, reason)
        except TimeoutError:
            logger.debug("%s: the peer does not read the close frame", self.connection_id)
