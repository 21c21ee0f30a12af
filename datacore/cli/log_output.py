"""Where the broker's log lines go and what they look like: ``[logging]`` of the configuration.

Text is for people; JSON is one object a line with the same fields. Times are UTC.
"""

import logging
import time
from typing import Final

import msgspec

from datacore.config import ConfigError, LoggingSection

_TEXT: Final = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s"
_TIME: Final = "%Y-%m-%dT%H:%M:%S"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and exception where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields = {
            "time": f"{self.formatTime(record, _TIME)}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(fields).decode()


def configure_logging(section: LoggingSection) -> None:
    """Sends all log lines of the process where ``section`` says.

    Raises:
        ConfigError: The file cannot be opened for writing.
    """
    formatter = JsonFormatter() if section.format == "json" else logging.Formatter(_TEXT, _TIME)
    formatter.converter = time.gmtime
    handler: logging.Handler
    if section.output == "stderr":
        handler = logging.StreamHandler()
    else:
        try:
            handler = logging.FileHandler(section.output, encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"logging.output: expected a file to write to, got {section.output!r}: "
                f"{error.strerror}"
            ) from None
    handler.setFormatter(formatter)
    logging.basicConfig(level=section.level.upper(), handlers=[handler], force=True)
