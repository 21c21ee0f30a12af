"""Calls of Java's Admin have the same results on DataCore as on Apache Kafka 4.1.1."""

import re
import subprocess
from pathlib import Path

import pytest

from datacore.testing.broker_process import BrokerProcess
from tests.compat.environments import KafkaJavaProgram, NotRunError
from tests.oracle.apache_kafka import ApacheKafka

pytestmark = [pytest.mark.compat, pytest.mark.timeout(300)]

RELEASE = "4.1.1"
# It sets min.insync.replicas as a config of the cluster, for the sake of replicas.
NO_REPLICAS = {"eligible.leader.replicas.version": 0}
KNOWN_DIFFERENCES: dict[str, str] = {}
"""The reason of each call that ends otherwise."""
CALLS_TIMEOUT_S = 200.0
KAFKA_SETTLES_MS = 500
PATTERNS = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\b[A-Za-z0-9_-]{22}\b"), "ID"),
)


def calls(program: str, bootstrap: str, log_dir: Path, settles_ms: int) -> dict[str, str]:
    """What each call of a Java program came to, without what is a broker's own."""
    try:
        prepared = KafkaJavaProgram(f"java/{program}.java").prepare(program, RELEASE)
    except NotRunError as missing:
        pytest.skip(f"{program} not run: {missing}")
    done = subprocess.run(
        [*prepared.command, bootstrap, str(log_dir), str(settles_ms)],
        capture_output=True,
        text=True,
        timeout=CALLS_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.replace(str(log_dir), "LOG_DIR")
    said = said.replace(bootstrap.rpartition(":")[2], "PORT")
    results = {}
    for line in said.splitlines():
        name, result = line.split("\t", 1)
        for pattern, word in PATTERNS:
            result = pattern.sub(word, result)
        results[name] = result
    return results


def differences(program: str) -> tuple[dict[str, str], list[str]]:
    """All results of DataCore, and where Apache Kafka's are others, both."""
    with BrokerProcess(kafka={"min.insync.replicas": 1}) as ours:
        mine = calls(program, ours.bootstrap_servers, ours.data_dir, 0)
    with ApacheKafka(RELEASE, heap="512m", features=NO_REPLICAS) as theirs:
        other = calls(program, theirs.bootstrap, theirs.data_dir, KAFKA_SETTLES_MS)
    differing = [
        f"{name}\nDataCore: {mine.get(name)}\nApache Kafka: {other.get(name)}"
        for name in mine | other
        if (mine.get(name) != other.get(name)) != (name in KNOWN_DIFFERENCES)
    ]
    return mine, differing


def test_every_call_of_admin_ends_as_on_apache_kafka() -> None:
    results, differing = differences("AdminCalls")
    assert results["not called"] == "[]"
    assert not differing, "\n".join(differing)


def test_what_web_consoles_ask_is_answered_as_by_apache_kafka() -> None:
    results, differing = differences("ConsoleCalls")
    assert results["end"] == "done"
    assert not differing, "\n".join(differing)
