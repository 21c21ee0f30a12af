"""How arguments are written, and files of properties."""

from pathlib import Path

import pytest

from datacore.cli import wording
from datacore.cli.command_config import ClientSettings, parse_properties, read_client_settings
from datacore.cli.failure import Mistake
from datacore.testing import Broker
from tests.cli.conftest import caller


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", {"a": "1"}),
        ("a=1,b=2", {"a": "1", "b": "2"}),
        ("a=[x,y],b=z", {"a": "x,y", "b": "z"}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("a=PLAINTEXT://h:1", {"a": "PLAINTEXT://h:1"}),
    ],
)
def test_settings_are_read_as_kafkas_tools_read_them(text: str, expected: dict[str, str]) -> None:
    assert wording.settings("--add-config", [text]) == expected


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("P1D", 86_400_000),
        ("PT1H30M", 5_400_000),
        ("P2DT3H4M5S", 183_845_000),
        ("PT0.25S", 250),
    ],
)
def test_durations_are_those_of_iso_8601(text: str, expected_ms: int) -> None:
    assert wording.duration_ms("--by-duration", text) == expected_ms


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "1D", "P1H", "PT1D", "P-1D"])
def test_what_is_no_duration_is_a_mistake(text: str) -> None:
    with pytest.raises(Mistake):
        wording.duration_ms("--by-duration", text)


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("1500", 1500),
        ("1970-01-01T00:00:01.500", 1500),
        ("1970-01-01T00:00:01.500Z", 1500),
        ("1970-01-01T01:00:01.500+01:00", 1500),
        ("1970-01-02", 86_400_000),
    ],
)
def test_times_without_a_zone_are_utc(text: str, expected_ms: int) -> None:
    assert wording.timestamp_ms("--time", text) == expected_ms


def test_partitions_and_assignments() -> None:
    assert wording.topic_and_partitions("--topic", "t") == ("t", None)
    assert wording.topic_and_partitions("--topic", "t:2,0,2") == ("t", [0, 2])
    assert wording.assignment("--replica-assignment", "1:2,2:3") == [[1, 2], [2, 3]]
    for text in ("t:", "t:a", ":1", "t:1,,2"):
        with pytest.raises(Mistake):
            wording.topic_and_partitions("--topic", text)
    for text in ("", "1:", "1,,2", "a"):
        with pytest.raises(Mistake):
            wording.assignment("--replica-assignment", text)


def test_properties_are_read_as_java_reads_them() -> None:
    text = (
        "# a comment\n! another\n\n  a = 1\nb:2\nc 3\nd=x\\\n   y\ne\\ f=\\u00e9\\t\\\\\ng\n"
        "h=a=b\nurl=http\\://x\n"
    )
    assert parse_properties(text) == {
        "a": "1",
        "b": "2",
        "c": "3",
        "d": "xy",
        "e f": "é\t\\",
        "g": "",
        "h": "a=b",
        "url": "http://x",
    }


def test_a_file_says_where_the_cluster_is(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    with Broker() as broker:
        file.write_text(
            f"bootstrap.servers={broker.bootstrap_servers}\nclient.id=me\n"
            "request.timeout.ms=5000\nsecurity.protocol=PLAINTEXT\nretries=3\n"
        )
        done = caller("")("health", "--command-config", str(file))
        expected = ClientSettings(broker.bootstrap_servers, "me", 5000)
    assert done.status == 0
    assert done.err == f"{file}: without effect here: retries\n"
    assert read_client_settings(file) == expected


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("security.protocol=SASL_SSL", "security.protocol: this client speaks PLAINTEXT only"),
        ("sasl.mechanism=PLAIN", "sasl.mechanism: this client speaks PLAINTEXT only"),
        ("ssl.truststore.location=/x", "ssl.truststore.location: this client speaks PLAINTEXT"),
        ("request.timeout.ms=soon", "request.timeout.ms: expected milliseconds"),
        ("a=\\uzzzz", "expected four hex digits"),
    ],
)
def test_what_a_file_asks_for_in_vain_is_status_2(
    tmp_path: Path, content: str, complaint: str
) -> None:
    file = tmp_path / "client.properties"
    file.write_text(content)
    done = caller("127.0.0.1:1")("health", "--command-config", str(file))
    assert done.status == 2
    assert complaint in done.err
    missing = caller("127.0.0.1:1")("health", "--command-config", str(tmp_path / "none"))
    assert (missing.status, "cannot be read" in missing.err) == (2, True)
