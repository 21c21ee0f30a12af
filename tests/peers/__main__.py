"""Runs peers' suites against Apache Kafka and DataCore and holds the results side by side.

    python -m tests.peers [kafka-python] [franz-go]

Fails when a test that passes on Apache Kafka does not on DataCore, unless `explained.toml` says
why. All results go into `docs/peer-results.json`, which docs/compatibility.md is written from.
"""

import argparse
import json
import sys
import tomllib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import datacore
from datacore.testing.broker_process import BrokerProcess
from tests.oracle.apache_kafka import ApacheKafka, free_port
from tests.oracle.maven import cache_dir
from tests.peers.suites import SUITES, Outcome, Suite

_KAFKA = "4.1.1"
_EXPLAINED = Path(__file__).with_name("explained.toml")
_RESULTS = Path(__file__).resolve().parents[2] / "docs" / "peer-results.json"


def main() -> int:
    """1 when a suite found a difference that nobody has explained."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers")
    parser.add_argument("suites", nargs="*", help="names of suites; all without one")
    wanted = parser.parse_args().suites
    explained = tomllib.loads(_EXPLAINED.read_text())
    results = {}
    unexplained = 0
    for suite in SUITES:
        if wanted and suite.name not in wanted:
            continue
        kafka, ours = _both(suite)
        reasons = explained.get(suite.name, {})
        tests = {
            name: {"kafka": kafka.get(name, "not run"), "datacore": ours.get(name, "not run")}
            for name in sorted(kafka | ours)
        }
        for name, outcomes in tests.items():
            if outcomes["kafka"] == "passed" != outcomes["datacore"]:
                unexplained += name not in reasons
                print(f"{suite.name} {name}: {outcomes['datacore']}: {reasons.get(name, '???')}")
            if name in reasons:
                outcomes["reason"] = reasons[name]
        for broker, outcomes_of in ((f"Apache Kafka {_KAFKA}", kafka), ("DataCore", ours)):
            print(
                f"{suite.name} {suite.version} on {broker}: {dict(Counter(outcomes_of.values()))}"
            )
        results[suite.name] = {
            "version": suite.version,
            "kafka": _KAFKA,
            "datacore": datacore.__version__,
            "date": datetime.now(UTC).date().isoformat(),
            "tests": tests,
        }
    known = json.loads(_RESULTS.read_text()) if _RESULTS.exists() else {}
    known |= results
    _RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    return 1 if unexplained else 0


def _both(suite: Suite) -> tuple[dict[str, Outcome], dict[str, Outcome]]:
    logs = cache_dir() / "peers"
    logs.mkdir(parents=True, exist_ok=True)
    # Partitions of auto-created topics as the suites' own brokers have them.
    settings = {"num.partitions": 4}
    properties = {name: str(value) for name, value in settings.items()}
    with ApacheKafka(_KAFKA, properties=properties, start_timeout_s=300.0) as node:
        kafka = suite.run(node.bootstrap, logs / f"{suite.name}-kafka.log")
    # Apache Kafka's node is told what it advertises, and tells so when asked for its configs.
    port = free_port()
    told = [f"PLAINTEXT://127.0.0.1:{port}"]
    with BrokerProcess(port=port, advertised_listeners=told, kafka=settings) as broker:
        ours = suite.run(broker.bootstrap_servers, logs / f"{suite.name}-datacore.log")
        (logs / f"{suite.name}-broker.log").write_text(broker.log())
    return kafka, ours


if __name__ == "__main__":
    sys.exit(main())
