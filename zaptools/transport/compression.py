"""permessage-deflate (RFC 7692), where the application asks for it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, cast

from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)

from .._arguments import check_choice

__all__ = ["Compression", "client_extensions", "read_past_final_blocks", "server_extensions"]

Compression: TypeAlias = Literal["deflate"] | None

# Windows of 4 KiB and memory level 5, as websockets chooses for its own server: 34 KiB of zlib
# state a connection (measured).
_SETTINGS = {"memLevel": 5}


def server_extensions(
    compression: Compression,
) -> list[ServerPerMessageDeflateFactory] | None:
    """Return a server's extensions as `websockets.server.ServerProtocol` takes them."""
    if not _wanted(compression):
        return None
    return [
        ServerPerMessageDeflateFactory(
            server_max_window_bits=12, client_max_window_bits=12, compress_settings=_SETTINGS
        )
    ]


def client_extensions(
    compression: Compression,
) -> list[ClientPerMessageDeflateFactory] | None:
    """Return a client's extensions as `websockets.client.ClientProtocol` takes them."""
    if not _wanted(compression):
        return None
    return [ClientPerMessageDeflateFactory(compress_settings=_SETTINGS)]


def _wanted(compression: Compression) -> bool:
    check_choice(compression, "compression", ("deflate", None))
    return compression is not None


def read_past_final_blocks(extensions: Iterable[Any]) -> None:
    """Let a connection's extensions read on after a message with a final block.

    A sender may end a message with a block that is marked as final (RFC 7692, section 7.2.3.4),
    after which the decompressor that websockets 17 keeps between messages returns nothing.
    """
    for extension in extensions:
        if isinstance(extension, PerMessageDeflate) and not extension.remote_no_context_takeover:
            extension.decoder = cast(Any, _Decoder(extension.remote_max_window_bits))


class _Decoder:
    """A zlib decompressor, as `PerMessageDeflate` uses one, that begins anew after a final block.

    What comes then does not refer to what was before: a sender that writes a final block has ended
    its stream, and with it its window.

    Args:
        bits: the size of the window.
    """

    __slots__ = ("_bits", "_zlib")

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._zlib = zlib.decompressobj(wbits=-bits)

    @property
    def unconsumed_tail(self) -> bytes:
        """Input that was left because the output would exceed its limit."""
        return self._zlib.unconsumed_tail

    def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        """Return what `data` inflates to; `max_length` is 0 for no limit.

        Raises:
            zlib.error: it does not inflate, or more than an empty block follows a final one.
        """
        inflated = self._zlib.decompress(data, max_length)
        if self._zlib.eof:
            rest = self._zlib.unused_data
            self._zlib = zlib.decompressobj(wbits=-self._bits)
            if self._zlib.decompress(rest, 1):
                raise zlib.error("data after a final block")
        return inflated
