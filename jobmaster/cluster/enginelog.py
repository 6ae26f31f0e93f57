"""The engine's own log as JSON lines in a directory, rotated, flushed when the cluster closes."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from ..errors import ConfigurationError

__all__ = ["EngineLog"]

_FILE_BYTES = 10 * 1024 * 1024
_FILES_KEPT = 5


class _JsonLines(logging.Formatter):
    """One JSON object per record: ``at`` (UTC), ``level``, ``logger``, ``message``, ``error``."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
            "thread": record.threadName,
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


class EngineLog:
    """Attached to the loggers ``jobmaster.<cluster>`` while open; does nothing without a directory."""

    def __init__(self, directory: Path | None, cluster_id: str) -> None:
        self._directory = directory
        self._cluster_id = cluster_id
        self._handler: RotatingFileHandler | None = None
        self._level_before = logging.NOTSET

    def open(self) -> None:
        """Start writing. Raises ``ConfigurationError`` when the directory cannot be written."""
        if self._directory is None or self._handler is not None:
            return
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            handler = RotatingFileHandler(
                self._directory / f"{self._cluster_id}.jsonl",
                maxBytes=_FILE_BYTES,
                backupCount=_FILES_KEPT,
                encoding="utf-8",
            )
        except OSError as fault:
            raise ConfigurationError(
                f"debug_jsonl_file_logger: {self._directory} cannot be written: {fault.strerror}"
            ) from fault
        handler.setFormatter(_JsonLines())
        logger = self._logger()
        self._level_before = logger.level
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
        self._handler = handler

    def close(self) -> None:
        """Flush and stop writing. Idempotent."""
        handler, self._handler = self._handler, None
        if handler is not None:
            logger = self._logger()
            logger.removeHandler(handler)
            logger.setLevel(self._level_before)
            handler.close()

    def _logger(self) -> logging.Logger:
        return logging.getLogger(f"jobmaster.{self._cluster_id}")
