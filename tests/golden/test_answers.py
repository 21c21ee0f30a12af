"""Our broker answers what Apache Kafka answered to the same questions.

Kafka 4.1.1's answer counts; where it hung up because it no longer serves that version, 3.9.1's
does. `DELIBERATE` is what we do otherwise and why.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from datacore.testing import Broker
from tests.golden.answers import PROPERTIES, QUESTIONS, answers, prepare
from tests.golden.questions.question import Question, ask, comparable

RECORDED = answers()
_OPAQUE = "a batch is stored as it came; its records are looked at where a feature needs them"
_DUPLICATE = "the answer to a duplicate has its offset, not its timestamp, which no client reads"
_IS_DEFAULT = "v0 says whether a value is the default; 3.9.1 has forgotten to, and says no"
DELIBERATE = {
    "DescribeConfigs v0 of a config with its default": _IS_DEFAULT,
    "DescribeConfigs v0 of a broker's config": _IS_DEFAULT,
    "Produce v9 of a batch and a cut one": "what was sent and not stored is refused, not dropped",
    "Produce v9 of gzip that is none": _OPAQUE,
    "Produce v9, idempotent, the same again": _DUPLICATE,
    "Produce v9, idempotent, an older one again": _DUPLICATE,
}


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


def test_every_question_was_put_to_apache_kafka() -> None:
    assert {name for _, name in RECORDED} == {question.name for question in QUESTIONS}
    assert {*DELIBERATE} <= {question.name for question in QUESTIONS}


@pytest.mark.parametrize(
    "question", [q for q in QUESTIONS if q.name not in DELIBERATE], ids=lambda q: q.name
)
def test_we_answer_as_apache_kafka_does(question: Question, ours: dict[str, Any]) -> None:
    assert ours[question.name] == kafkas(question)


@pytest.mark.parametrize(
    "question", [q for q in QUESTIONS if q.name in DELIBERATE], ids=lambda q: q.name
)
def test_what_we_do_otherwise_is_still_otherwise(question: Question, ours: dict[str, Any]) -> None:
    assert ours[question.name] != kafkas(question), "take it out of DELIBERATE"
