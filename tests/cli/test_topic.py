"""``datacore topic``."""

from datacore._generated.api_keys import ApiKey
from tests.cli.command import datacore
from tests.cli.conftest import Command, Target, soon


def test_the_command_itself_creates_lists_and_deletes(target: Target, name: str) -> None:
    environment = {"DATACORE_BOOTSTRAP_SERVER": target.bootstrap}
    created = datacore("topic", "create", name, "--partitions", "2", environment=environment)
    assert (created.status, created.out) == (0, f"Created topic {name}.\n")
    listed = datacore("topic", "list", "--topic", name, environment=environment)
    assert [line.split() for line in listed.lines()] == [
        ["TOPIC", "PARTITIONS", "REPLICAS", "INTERNAL"],
        [name, "2", "1", "no"],
    ]
    deleted = datacore("topic", "delete", name, environment=environment)
    assert (deleted.status, deleted.out) == (0, f"Deleted topic {name}.\n")


def test_keys_of_the_json_are_the_documented_ones(call: Command, name: str) -> None:
    call("topic", "create", name)
    (listed,) = call("topic", "list", "--topic", name, "-o", "json").json()
    topic_id = listed.pop("topic_id")
    assert listed == {"topic": name, "partitions": 1, "replicas": 1, "internal": False}
    assert call("topic", "describe", name, "-o", "json").json() == [
        {
            "topic": name,
            "topic_id": topic_id,
            "partition": 0,
            "leader": 1,
            "leader_epoch": 0,
            "replicas": [1],
            "in_sync": [1],
            "first_offset": 0,
            "next_offset": 0,
        }
    ]


def test_several_topics_are_made_and_one_refusal_stops_no_other(call: Command, name: str) -> None:
    done = call("topic", "create", f"{name}-a", "in valid", f"{name}-b")
    assert done.status == 1
    assert done.out == f"Created topic {name}-a.\nCreated topic {name}-b.\n"
    assert done.err.startswith("Error: INVALID_TOPIC_EXCEPTION: ")
    assert call("topic", "delete", f"{name}-a", "gone", f"{name}-b").status == 1
    listed = ["topic", "list", "--topic", f"{name}.*", "-o", "json"]
    assert soon(lambda: call(*listed).out, "[]\n") == "[]\n"


def test_replicas_may_be_assigned_by_hand(call: Command, name: str) -> None:
    assert call("topic", "create", name, "--replica-assignment", "1,1").status == 0
    assert len(call("topic", "describe", name, "-o", "json").json()) == 2
    done = call("topic", "alter", name, "--partitions", "3", "--replica-assignment", "1")
    assert (done.status, done.out) == (0, f"Topic {name} has 3 partitions.\n")
    assert call("topic", "create", f"{name}-2", "--replica-assignment", "9").status == 1


def test_validating_changes_nothing(call: Command, name: str) -> None:
    done = call("topic", "create", name, "--validate-only")
    assert (done.status, done.out) == (0, f"Topic {name} could be created.\n")
    assert call("topic", "describe", name).status == 1
    call("topic", "create", name)
    done = call("topic", "alter", name, "--partitions", "2", "--validate-only")
    assert (done.status, done.out) == (0, f"Topic {name} would have 2 partitions.\n")
    assert len(call("topic", "describe", name, "-o", "json").json()) == 1


def test_settings_are_altered_and_given_back(call: Command, target: Target, name: str) -> None:
    target.needs(ApiKey.INCREMENTAL_ALTER_CONFIGS)
    call("topic", "create", name)
    assert call("topic", "alter", name, "--config", "retention.ms=1000").status == 0
    (heading, *_) = call("topic", "describe", name).lines()
    assert heading.startswith(f"Topic {name}, id ")
    assert heading.endswith(", retention.ms=1000")
    shown = call("config", "describe", "--topic", name, "-o", "json").json()
    assert {each["name"]: each["value"] for each in shown}["retention.ms"] == "1000"
    assert call("topic", "alter", name, "--delete-config", "retention.ms").status == 0
    shown = call("config", "describe", "--topic", name, "-o", "json").json()
    assert "retention.ms" not in {each["name"] for each in shown}


def test_a_topic_is_deleted_by_its_id(call: Command, name: str) -> None:
    call("topic", "create", name)
    (listed,) = call("topic", "list", "--topic", name, "-o", "json").json()
    assert call("topic", "delete", "--topic-id", listed["topic_id"]).status == 0
    again = call("topic", "delete", "--topic-id", listed["topic_id"])
    assert (again.status, again.err.split(":")[1]) == (1, " UNKNOWN_TOPIC_ID")
    assert call("topic", "delete", "--topic-id", listed["topic_id"], "--if-exists").status == 0


def test_without_a_name_all_topics_are_described(call: Command, name: str) -> None:
    call("topic", "create", name, "--partitions", "2")
    described = call("topic", "describe", "-o", "json").json()
    assert [each["partition"] for each in described if each["topic"] == name] == [0, 1]
    only_bad = call("topic", "describe", "--unavailable-partitions", "-o", "json")
    assert only_bad.json() == []
    assert call("topic", "describe", "--under-replicated-partitions", "-o", "json").json() == []
