"""Lives of transactional producers, and what Apache Kafka 4.1.1 says in them, as committed data.

    python -m tests.golden.transaction_scripts    # asks Apache Kafka again (needs java and Maven)

The scripts are those of ``tests/differential/transaction_lives.py``. A line is one step:
`{"step", "said"}`, in their order, with producers' ids as placeholders.
"""

from pathlib import Path
from typing import Final

import msgspec

from tests.differential.transaction_lives import ONE_SHARD, REPLICAS, lives
from tests.differential.transactional_producer import Told
from tests.oracle.apache_kafka import ApacheKafka

_STORED: Final = Path(__file__).with_name("transaction_scripts.jsonl")


def recorded() -> list[Told]:
    """All steps of all lives."""
    lines = map(msgspec.json.decode, _STORED.read_bytes().splitlines())
    return [Told(line["step"], line["said"]) for line in lines]


def main() -> None:
    """Asks Apache Kafka and stores its answers."""
    with ApacheKafka("4.1.1", properties=ONE_SHARD | REPLICAS, start_timeout_s=300.0) as kafka:
        told = lives(kafka.port)
    lines = [msgspec.json.encode({"step": step, "said": said}) for step, said in told]
    _STORED.write_bytes(b"".join(line + b"\n" for line in lines))
    print(f"{len(told)} steps")


if __name__ == "__main__":
    main()
