"""Every version that we advertise is answered as Apache Kafka answers it.

4.1.1's answer counts; where it hung up because it no longer serves that version, 3.9.1's does.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from datacore._generated.api_keys import ApiKey
from datacore.testing import Broker
from tests.golden.answers import answers, prepare
from tests.golden.questions.question import Question, ask, comparable
from tests.golden.versions import (
    PROPERTIES,
    STORED,
    UNANSWERED,
    pairs_answered,
    version_questions,
)

QUESTIONS = version_questions()
RECORDED = answers(STORED)
_ZOOKEEPER = (
    "v0 kept offsets in ZooKeeper, and Kafka with KRaft refuses it; here it is as any other"
)
_FILLED_UP = "Kafka fills converted records up with a cut message, which consumers leave out"
DELIBERATE = {
    "DescribeConfigs v0": "v0 says whether a value is the default; 3.9.1 has forgotten to",
    "Fetch v0": _FILLED_UP,
    "Fetch v1": _FILLED_UP,
    "OffsetCommit v0": _ZOOKEEPER,
    "OffsetFetch v0": _ZOOKEEPER,
}
"""What we answer otherwise, and why."""


@pytest.fixture(scope="module")
def ours() -> Iterator[dict[str, Any]]:
    """Our answers to all questions, asked in their order."""
    with Broker(kafka=PROPERTIES) as broker:
        prepare(broker.host, broker.port)
        yield {
            question.name: comparable(question, ask(broker.host, broker.port, question))
            for question in QUESTIONS
        }


def kafkas(question: Question) -> Any:
    newest, oldest = (RECORDED[release, question.name].body for release in ("4.1.1", "3.9.1"))
    return comparable(question, oldest if newest is None else newest)


def test_every_advertised_version_was_put_to_apache_kafka() -> None:
    advertised = {(ApiKey(question.api_key), question.version) for question in QUESTIONS}
    assert advertised - pairs_answered() == UNANSWERED.keys()


@pytest.mark.parametrize(
    "question",
    [q for q in QUESTIONS if (ApiKey(q.api_key), q.version) not in UNANSWERED],
    ids=lambda q: q.name,
)
def test_a_version_is_answered_as_apache_kafka_answers_it(
    question: Question, ours: dict[str, Any]
) -> None:
    is_alike = ours[question.name] == kafkas(question)
    assert is_alike != (question.name in DELIBERATE), (ours[question.name], kafkas(question))
