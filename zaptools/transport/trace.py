"""What `websockets` logs through our loggers: printable, and without credentials.

At DEBUG its protocols log request lines and headers as they came. (Of frames they log a clipped
repr, of which nothing needs to be changed.)
"""

from __future__ import annotations

import logging
from typing import Any

from .._text import hide_query, is_secret, printable

__all__ = ["Trace"]


class Trace(logging.LoggerAdapter[logging.Logger]):
    """A logger for `websockets.protocol`.

    Args:
        logger: where the lines go.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger, {})

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line whose arguments a peer may have written."""
        if self.isEnabledFor(level):
            # By default the caller is looked for behind logging's own code: this is none of it.
            kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
            super().log(level, msg, *_shown(args), **kwargs)


def _shown(args: tuple[object, ...]) -> list[object]:
    if len(args) == 2 and is_secret(str(args[0])):  # a header's name and value
        return [args[0], "***"]
    return [printable(hide_query(each), 1000) if isinstance(each, str) else each for each in args]
