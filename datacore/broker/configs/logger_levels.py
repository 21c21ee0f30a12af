"""Levels of the broker's loggers, read and set while it runs, in Kafka's words (KIP-412).

Python's levels have other names, and none for TRACE, which is 5 here. The loggers are those below
``datacore`` that were used so far, and the root, under the name that it has in Kafka. Levels are
kept by the process and by nothing else, as in Kafka. Kafka's counterpart: ``LoggingController``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datacore.broker.configs.changes import ConfigChange

ROOT: Final = "root"
LEVELS: Final = {
    "TRACE": 5,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
}
_SET, _DELETE = 0, 1
_OWN: Final = "datacore"


def logger_levels(loggers: logging.Manager) -> Iterator[tuple[str, str]]:
    """Each logger and the level it obeys."""
    yield ROOT, _word(loggers.root.level)
    loggers.getLogger(_OWN)  # the one above all others is there, whoever logged so far
    for name, logger in sorted(loggers.loggerDict.items()):
        if _is_own(name) and isinstance(logger, logging.Logger):
            yield name, _word(logger.getEffectiveLevel())


def check_levels(changes: Sequence[ConfigChange], loggers: logging.Manager) -> None:
    """Refuses what is no change of levels.

    Raises:
        KafkaError: INVALID_CONFIG, an unknown logger or level; INVALID_REQUEST, lists, or a root
            without a level.
    """
    known = dict(logger_levels(loggers))
    for change in changes:
        if change.operation not in (_SET, _DELETE):
            raise KafkaError(ErrorCode.INVALID_REQUEST, "The level of a logger is not a list")
        if change.name not in known:
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"Logger {change.name} does not exist!")
        if change.operation == _SET and change.value not in LEVELS:
            raise KafkaError(
                ErrorCode.INVALID_CONFIG,
                f"Cannot set the level of {change.name} to {change.value}: "
                f"levels are {', '.join(LEVELS)}",
            )
        if change.operation == _DELETE and change.name == ROOT:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "The root logger cannot be without a level")


def set_levels(changes: Sequence[ConfigChange], loggers: logging.Manager) -> None:
    """Makes changes that ``check_levels`` has let pass."""
    for change in changes:
        logger = loggers.root if change.name == ROOT else loggers.getLogger(change.name)
        level = logging.NOTSET if change.operation == _DELETE else LEVELS[change.value or ""]
        logger.setLevel(level)


def _is_own(name: str) -> bool:
    return name == _OWN or name.startswith(f"{_OWN}.")


def _word(level: int) -> str:
    """Kafka's word for a level: that of the nearest one that is not above it."""
    return next(word for word, number in reversed(LEVELS.items()) if number <= max(level, 5))
