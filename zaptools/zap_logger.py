"""Where zaptools 0.5 had its logger. Nothing is installed: no handler, no level, no colours."""

from __future__ import annotations

import logging

__all__ = ["ZapLogger", "zap_logger"]


class ZapLogger:
    """Writes to the logger ``zaptools``."""

    def __init__(self) -> None:
        self.logger = logging.getLogger("zaptools")
        self.info = self.info_green = self.logger.info
        self.warning = self.logger.warning
        self.error = self.logger.error


zap_logger = ZapLogger()
