"""Makes what `websockets` logs printable, and removes credentials from it.

At DEBUG its protocols log request lines and headers as they came. (Of frames they log a clipped
repr, which can stay as it is.)
"""

from __future__ import annotations

import logging
from typing import Any

from .._text import hide_query, is_secret, printable

__all__ = ["Trace"]


class Trace(logging.LoggerAdapter[logging.Logger]):
    """A logger for `websockets.protocol`.

    Args:
        logger: receives the lines.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger, {})

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line whose arguments may come from the peer."""
        if self.isEnabledFor(level):
            # logging finds the caller by skipping its own frames; this one is another to skip.
            kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
            super().log(level, msg, *_shown(args), **kwargs)


def _shown(args: tuple[object, ...]) -> list[object]:
    if len(args) == 2 and is_secret(str(args[0])):  # a header's name and value
        return [args[0], "***"]
    return [printable(hide_query(each), 1000) if isinstance(each, str) else each for each in args]
