"""Transactions go as they went with Apache Kafka 4.1.1, step by step, without Apache Kafka."""

import pytest

from datacore.testing.broker import Broker
from tests.differential.transaction_lives import ONE_SHARD, differences, lives
from tests.golden.transaction_scripts import recorded


@pytest.mark.timeout(300)
def test_kafkas_recorded_transactions_are_ours() -> None:
    with Broker(kafka=ONE_SHARD) as broker:
        ours = lives(broker.port)
    assert differences(ours, recorded()) == ""
