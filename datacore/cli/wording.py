"""How arguments are written: settings, partitions, times, durations, as in Kafka's tools."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from datacore.cli.failure import Mistake
from datacore.client.subscription import TopicPartition

_DURATION: Final = re.compile(
    r"P(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d{1,3})?)S)?)?"
)
_ASSIGNMENT: Final = re.compile(r"\d+(?::\d+)*(?:,\d+(?::\d+)*)*")


def setting(option: str, text: str) -> tuple[str, str]:
    """Reads ``NAME=VALUE``.

    Raises:
        Mistake: There is no ``=``, or nothing before it.
    """
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise Mistake(f"{option}: expected NAME=VALUE, got {text!r}")
    return name.strip(), value


def settings(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Reads ``NAME=VALUE,NAME=[VALUE,VALUE]`` of Kafka's tools; brackets hold commas together.

    Raises:
        Mistake: As for ``setting``.
    """
    found: dict[str, str] = {}
    for text in texts:
        for part in _split_outside_brackets(text):
            name, value = setting(option, part)
            in_brackets = value.startswith("[") and value.endswith("]")
            found[name] = value[1:-1] if in_brackets else value
    return found


def _split_outside_brackets(text: str) -> list[str]:
    parts = [""]
    depth = 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part.strip()]


def names(option: str, texts: Iterable[str]) -> list[str]:
    """Reads ``NAME,NAME``.

    Raises:
        Mistake: A name is empty.
    """
    found = [name.strip() for text in texts for name in text.split(",")]
    if not all(found):
        raise Mistake(f"{option}: expected NAME,NAME, got an empty name")
    return found


def topic_and_partitions(option: str, text: str) -> tuple[str, list[int] | None]:
    """Reads ``TOPIC`` or ``TOPIC:0,1``; None is all of its partitions.

    Raises:
        Mistake: What stands behind the colon are no numbers.
    """
    topic, separator, listed = text.partition(":")
    if not separator:
        return topic, None
    numbers = listed.split(",")
    if not topic or not all(each.isascii() and each.isdigit() for each in numbers):
        raise Mistake(f"{option}: expected TOPIC or TOPIC:0,1, got {text!r}")
    return topic, sorted({int(each) for each in numbers})


def assignment(option: str, text: str) -> list[list[int]]:
    """Reads ``1:2,2:3``: by partition the brokers that hold it.

    Raises:
        Mistake: It is not written like that.
    """
    if _ASSIGNMENT.fullmatch(text) is None:
        raise Mistake(f"{option}: expected BROKER:BROKER,BROKER:BROKER, got {text!r}")
    return [[int(broker) for broker in part.split(":")] for part in text.split(",")]


def timestamp_ms(option: str, text: str) -> int:
    """Reads milliseconds or ISO 8601, in UTC where no zone is given: the same on every machine.

    Raises:
        Mistake: It is neither.
    """
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise Mistake(
            f"{option}: expected milliseconds or a date such as 2026-01-31T12:00:00, got {text!r}"
        ) from None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def duration_ms(option: str, text: str) -> int:
    """Reads a duration of ISO 8601: ``P1D``, ``PT1H30M``.

    Raises:
        Mistake: It is not written like that.
    """
    matched = _DURATION.fullmatch(text)
    if matched is None or not any(matched.groups()) or text.endswith("T"):
        raise Mistake(f"{option}: expected a duration such as P1D or PT1H30M, got {text!r}")
    days, hours, minutes = (int(matched[name] or 0) for name in ("days", "hours", "minutes"))
    seconds = float(matched["seconds"] or 0)
    return int((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)


def utc(timestamp: int) -> str:
    """Milliseconds as ISO 8601 in UTC; years that no calendar has stay milliseconds."""
    try:
        when = datetime.fromtimestamp(timestamp / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return str(timestamp)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def size(size_bytes: int) -> str:
    """Bytes as people say them: ``512 B``, ``1.5 KiB``, ``252.0 GiB``."""
    scaled = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(scaled) < 1024 or unit == "TiB":
            break
        scaled /= 1024
    return f"{size_bytes} B" if unit == "B" else f"{scaled:.1f} {unit}"


def partition_name(where: TopicPartition) -> str:
    """``topic-0``."""
    return f"{where.topic}-{where.partition}"
