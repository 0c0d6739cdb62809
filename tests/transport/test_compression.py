"""Which extensions a side offers or agrees to; their work is tested over sockets."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from zaptools.transport.compression import (
    client_extensions,
    read_past_final_blocks,
    server_extensions,
)


@pytest.mark.parametrize("side", [client_extensions, server_extensions])
def test_choice(side: Any) -> None:
    assert side(None) is None
    (factory,) = side("deflate")
    assert factory.name == "permessage-deflate"
    with pytest.raises(ValueError, match="'deflate' or None, got 'br'"):
        side("br")


def test_offers_of_dart_are_accepted() -> None:
    """dart:io offers ``permessage-deflate; client_max_window_bits``."""
    extensions = server_extensions("deflate")
    assert extensions is not None
    params, _ = extensions[0].process_request_params([("client_max_window_bits", None)], [])
    assert dict(params)["client_max_window_bits"] == "12"


def final(text: bytes) -> bytes:
    """Return a compressed message whose block is marked as final (RFC 7692, section 7.2.3.4)."""
    writer = zlib.compressobj(wbits=-15)
    return writer.compress(text) + writer.flush(zlib.Z_FINISH) + b"\0"


def deflate(*, takeover: bool = True) -> PerMessageDeflate:
    extension = PerMessageDeflate(not takeover, not takeover, 15, 15)
    read_past_final_blocks([extension])
    return extension


def message(extension: PerMessageDeflate, *parts: bytes, limit: int | None = None) -> bytes:
    """Return what a message in these fragments inflates to."""
    whole = b""
    for at, part in enumerate(parts):
        opcode = Opcode.CONT if at else Opcode.TEXT
        frame = Frame(opcode, part, fin=at == len(parts) - 1, rsv1=not at)
        whole += bytes(extension.decode(frame, max_size=limit).data)
    return whole


@pytest.mark.parametrize("takeover", [True, False])
def test_messages_after_a_final_block_are_read(takeover: bool) -> None:
    extension = deflate(takeover=takeover)
    for text in (b"one", b"two" * 5000, b"three"):
        assert message(extension, final(text)) == text
    writer = zlib.compressobj(wbits=-15)
    for text in (b"four", b"four"):
        data = writer.compress(text) + writer.flush(zlib.Z_SYNC_FLUSH)
        assert message(extension, data[:-4]) == text
        if not takeover:
            break


def test_a_final_block_may_end_anywhere_in_fragments() -> None:
    extension = deflate()
    data = final(b"a text")
    for cut in range(len(data) + 1):
        assert message(extension, data[:cut], data[cut:]) == b"a text"


def test_the_limit_holds_for_a_final_block() -> None:
    assert message(deflate(), final(b"x" * 100_000), limit=100_000) == b"x" * 100_000
    with pytest.raises(PayloadTooBig):
        message(deflate(), final(b"x" * 100_000), limit=99_999)


def test_data_after_a_final_block_is_refused() -> None:
    extension = deflate()
    with pytest.raises(ProtocolError):
        message(extension, final(b"one")[:-1] + final(b"two"))
