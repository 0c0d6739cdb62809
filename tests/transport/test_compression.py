"""Which extensions a side offers or agrees to; their work is tested over sockets."""

from __future__ import annotations

from typing import Any

import pytest

from zaptools.transport.compression import client_extensions, server_extensions


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
