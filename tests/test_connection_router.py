"""The module that zaptools 0.5 had for its router."""

from __future__ import annotations

import zaptools
from zaptools import connection_router


def test_it_is_the_one() -> None:
    assert connection_router.ConnectionRouter is zaptools.ConnectionRouter
