"""The programs that `check-client` is tried on."""

from __future__ import annotations

import sys

__all__ = ["odd"]


def odd(*words: str) -> list[str]:
    """Return the command of the odd client; `words` are its mode and what that takes."""
    return [sys.executable, "-m", "tests.interop.check_client.odd_client", *words]
