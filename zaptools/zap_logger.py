"""The address of zaptools 0.5 for its logger. It installs no handler, level or colours."""

from __future__ import annotations

import logging

__all__ = ["ZapLogger", "zap_logger"]


class ZapLogger:
    """Writes to the logger ``zaptools``."""

    def __init__(self) -> None:
        self.logger = logging.getLogger("zaptools")

    def info(self, message: str) -> None:
        """Log at the level INFO."""
        self.logger.info(message, stacklevel=2)

    def info_green(self, message: str) -> None:
        """Log at the level INFO. In zaptools 0.5 the line was green."""
        self.logger.info(message, stacklevel=2)

    def warning(self, message: str) -> None:
        """Log at the level WARNING."""
        self.logger.warning(message, stacklevel=2)

    def error(self, message: str) -> None:
        """Log at the level ERROR."""
        self.logger.error(message, stacklevel=2)


zap_logger = ZapLogger()
