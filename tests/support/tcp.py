"""A socket's transport without a socket."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["FakeTcp"]


class FakeTcp(asyncio.Transport):
    """Records each write.

    Attributes:
        unsent: what it says that the peer has not read.
    """

    def __init__(self, eof: bool = True) -> None:
        super().__init__()
        self.writes: list[bytes | str] = []
        self.closing = False
        self.unsent = 0
        self._eof = eof
        self._protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have a protocol told of the end."""
        self._protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def write(self, data: Any) -> None:
        self.writes.append(data)

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None:
        self.closing = True
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            asyncio.get_running_loop().call_soon(protocol.connection_lost, None)

    def can_write_eof(self) -> bool:
        return self._eof

    def write_eof(self) -> None:
        self.writes.append("eof")

    def close(self) -> None:
        self.writes.append("close")
        self.abort()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closing
