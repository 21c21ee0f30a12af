"""The oracle itself: both releases start, keep data over a crash, and leave nothing behind."""

import shutil
from pathlib import Path

import pytest

from tests.oracle.apache_kafka import ApacheKafka, ApacheKafkaError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("java") is None or shutil.which("mvn") is None,
        reason="Apache Kafka not run: java or mvn is missing",
    ),
]
_TOPIC_TOOL = "org.apache.kafka.tools.TopicCommand"


@pytest.mark.parametrize("version", ["3.9.1", "4.1.1"])
def test_a_topic_survives_a_crash_of_the_node(version: str) -> None:
    with ApacheKafka(version) as kafka:
        kafka.run_tool(
            _TOPIC_TOOL, "--bootstrap-server", kafka.bootstrap, "--create", "--topic", "kept"
        )
        kafka.kill()
        kafka.start()
        topics = kafka.run_tool(_TOPIC_TOOL, "--bootstrap-server", kafka.bootstrap, "--list")
        home = kafka.data_dir.parent
    assert "kept" in topics.split()
    assert not home.exists()


def test_a_node_that_cannot_start_says_why(tmp_path: Path) -> None:
    kafka = ApacheKafka("4.1.1", directory=tmp_path, properties={"log.segment.bytes": "1"})
    with pytest.raises(ApacheKafkaError, match=r"log\.segment\.bytes"):
        kafka.start()
