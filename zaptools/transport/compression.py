"""permessage-deflate (RFC 7692), where the application asks for it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

from .._arguments import check_choice

__all__ = ["Compression", "client_extensions", "server_extensions"]

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
