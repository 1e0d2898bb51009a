"""This server's own log: one JSON object a line in logs/hostward.log, rotated by size; warnings also on stderr.

The level that is set holds for Hostward's own lines. Libraries say no more than warnings, whatever it is: what they
would write down of a login's form, or of a message, is theirs to decide and may be another thing in their next version.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import sys
from pathlib import Path
from typing import Final

import structlog

from hostward.domain.settings import LOG_FILES, LOG_LEVEL, LOG_SIZE, Values, own_number, own_value

OWN: Final = "hostward"
_LIBRARIES: Final = logging.WARNING
_DATABASE_DRIVER: Final = logging.ERROR  # it warns of every server that is away, which replication tells better


class ServerLog:
    """One for a process. Nothing goes there before `start`; until `apply` it has the settings' defaults."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._level = logging.INFO
        self._to_file: logging.handlers.RotatingFileHandler | None = None

    def start(self) -> None:
        """Send everything to the file, and warnings to stderr too."""
        assert LOG_SIZE.whole
        assert LOG_FILES.whole
        shared: list[structlog.typing.Processor] = [
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
        ]
        formatter = structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared[1:],
        )
        self._to_file = logging.handlers.RotatingFileHandler(
            self.path, maxBytes=LOG_SIZE.whole.usual << 20, backupCount=LOG_FILES.whole.usual, encoding="utf-8"
        )
        to_people = logging.StreamHandler(sys.stderr)
        to_people.setLevel(logging.WARNING)
        root = logging.getLogger()
        root.handlers = [self._to_file, to_people]
        for handler in root.handlers:
            handler.setFormatter(formatter)
        root.setLevel(_LIBRARIES)
        logging.getLogger("cassandra").setLevel(_DATABASE_DRIVER)
        logging.getLogger(OWN).setLevel(self._level)
        structlog.configure(
            processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=True,
        )

    def apply(self, values: Values) -> None:
        """Take over what the settings say now. Older files than are to be kept go at once."""
        if self._to_file is None:
            return
        level, size, kept = own_value(values, LOG_LEVEL), own_number(values, LOG_SIZE), own_number(values, LOG_FILES)
        self._level = logging.getLevelNamesMapping()[str(level).upper()]
        logging.getLogger(OWN).setLevel(self._level)
        logging.getLogger().setLevel(max(_LIBRARIES, self._level))
        handler = self._to_file
        handler.acquire()  # no line is written, and nothing rotated, meanwhile
        try:
            handler.maxBytes, handler.backupCount = size << 20, kept
            self._remove_older(kept)
        finally:
            handler.release()

    def _remove_older(self, kept: int) -> None:
        for path in self.path.parent.glob(f"{self.path.name}.*"):
            number = path.name.removeprefix(f"{self.path.name}.")
            if number.isascii() and number.isdigit() and int(number) > kept:
                with contextlib.suppress(OSError):  # it is removed when the next one has to go
                    path.unlink()
