"""The record of one cell's wire, as the judge saw it.

The reader of a connection writes it: the tap between two peers, or the judge's own end.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Literal

from ..control.patience import Patience
from ..records import Author, Role
from .frames import CLOSE, NO_CODE
from .rules import Frame

__all__ = ["Log", "Passage"]


@dataclass(slots=True)
class Passage:
    """What passed beside the frames on one of the judge's own connections.

    Attributes:
        time: seconds since the log began.
        what: bytes of the handshake, or how the author ended TCP.
    """

    time: float
    author: Author
    to: Role
    what: Literal["handshake", "end", "reset"]
    data: bytes = b""


class Log:
    """The frames of one cell, over all its connections.

    Attributes:
        frames: every message and control frame read or written by the judge, in that order.
        frame_errors: bytes that are not valid WebSocket frames, as (author, explanation).
        passages: what passed beside them on the judge's own connections.
        opened: when the log began, by the clock of `time.monotonic`; a frame's time counts from it.
        waited: seconds spent in `wait`.
    """

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.passages: list[Passage] = []
        self.frame_errors: list[tuple[Role, str]] = []
        self.opened = time.monotonic()
        self.waited = 0.0
        self._news = asyncio.Event()

    def elapsed(self) -> float:
        """Return the seconds since the log began."""
        return time.monotonic() - self.opened

    def record(
        self,
        connection: int,
        author: Author,
        to: Role,
        opcode: int,
        payload: bytes,
    ) -> None:
        """Add a message or control frame.

        Args:
            connection: its number in the cell, from 1.
        """
        code: int | None = None
        if opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else NO_CODE
            payload = payload[2:]
        self.frames.append(Frame(self.elapsed(), connection, author, to, opcode, payload, code))
        self._news.set()

    def record_handshake(self, author: Author, to: Role, data: bytes) -> None:
        """Add bytes of a handshake, which may come in pieces."""
        last = self.passages[-1] if self.passages else None
        if not data:
            return
        if last is not None and (last.author, last.to, last.what) == (author, to, "handshake"):
            last.data += data
        else:
            self.passages.append(Passage(self.elapsed(), author, to, "handshake", data))

    def record_end(self, author: Author, to: Role, *, reset: bool) -> None:
        """Add the end of a TCP connection."""
        what: Literal["end", "reset"] = "reset" if reset else "end"
        self.passages.append(Passage(self.elapsed(), author, to, what))

    def seen(self, *, author: str | None = None, kind: str | None = None) -> list[Frame]:
        """Return the frames so far, by author (client, server, judge) and kind (text, close, …)."""
        return [f for f in self.frames if author in (None, f.author) and kind in (None, f.kind)]

    async def wait(self, *, author: str, kind: str, within: Patience) -> Frame | None:
        """Return the first such frame, waiting for it if need be; None if it does not come."""
        began = time.monotonic()
        frame = await within.until(
            self._news, lambda: next(iter(self.seen(author=author, kind=kind)), None)
        )
        self.waited += time.monotonic() - began
        return frame
