"""Regular expressions of subscriptions: RE2's, matched against whole topic names (KIP-848).

RE2 takes linear time whatever the expression, so a client cannot hold the broker up with one.
Kafka's counterpart uses RE2/J, whose sentences about a bad expression are worded differently.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from datacore._generated.errors import ErrorCode
from datacore.protocol.errors import KafkaError
from datacore.protocol.names import TopicName

REGEX_CHARACTERS_MAX: Final = 10_000
"""No limit of Kafka's; RE2 compiles what is near it in milliseconds."""

_PROGRAM_BYTES_MAX: Final = 1 << 20
"""RE2's budget for one expression, a small one: topic names are short."""


def matching_topics(regex: str, names: Iterable[TopicName]) -> frozenset[TopicName]:
    """The topics that an expression stands for.

    Raises:
        KafkaError: INVALID_REGULAR_EXPRESSION.
    """
    matches = _compile(regex)
    return frozenset(name for name in names if matches(name))


def check_regex(regex: str) -> None:
    """Refuses what is no regular expression of RE2's.

    Raises:
        KafkaError: INVALID_REGULAR_EXPRESSION.
    """
    _compile(regex)


@lru_cache(maxsize=1_000)
def _compile(regex: str) -> Callable[[str], object]:
    # Loaded with the first expression: most brokers never see one.
    import re2  # noqa: PLC0415

    if len(regex) > REGEX_CHARACTERS_MAX:
        raise _invalid(regex[:100], f"it is longer than {REGEX_CHARACTERS_MAX} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PROGRAM_BYTES_MAX
    try:
        compiled: Callable[[str], object] = re2.compile(regex, options).fullmatch
    except re2.error as error:
        [reason] = error.args
        raise _invalid(regex, reason.decode(errors="replace")) from None
    return compiled


def _invalid(regex: str, reason: str) -> KafkaError:
    return KafkaError(
        ErrorCode.INVALID_REGULAR_EXPRESSION,
        f"SubscribedTopicRegex `{regex}` is not a valid regular expression: {reason}.",
    )
