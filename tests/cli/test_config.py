"""``datacore config`` and ``datacore quota``."""

from pathlib import Path
from typing import Any

import pytest

from datacore._generated.api_keys import ApiKey
from tests.cli.command import datacore
from tests.cli.conftest import Command, Target, soon


def described(call: Command, *resource: str) -> dict[str, Any]:
    """Settings that are not the default, by name."""
    shown = call("config", "describe", *resource, "-o", "json").json()
    return {each["name"]: each["value"] for each in shown}


def test_the_command_itself_alters_and_describes(target: Target, name: str) -> None:
    target.needs(ApiKey.INCREMENTAL_ALTER_CONFIGS)
    environment = {"DATACORE_BOOTSTRAP_SERVER": target.bootstrap}
    datacore("topic", "create", name, environment=environment)
    altered = datacore(
        *("config", "alter", "--topic", name, "--add-config", "retention.ms=1000"),
        environment=environment,
    )
    assert (altered.status, altered.out) == (0, f"1 setting(s) of topic {name} altered.\n")
    shown = datacore("config", "describe", "--topic", name, environment=environment)
    assert "retention.ms" in shown.out
    assert shown.lines()[0].split() == ["NAME", "VALUE", "SOURCE", "READ", "ONLY"]


def test_keys_of_the_json_are_the_documented_ones(call: Command, name: str) -> None:
    call("topic", "create", name, "--config", "retention.ms=1000")
    every = call("config", "describe", "--topic", name, "--all", "-o", "json").json()
    by_name = {each["name"]: each for each in every}
    documentation = by_name["retention.ms"].pop("documentation")
    assert documentation is None or isinstance(documentation, str)
    synonyms = by_name["retention.ms"].pop("synonyms")
    assert synonyms[0] == "retention.ms=1000"
    assert by_name["retention.ms"] == {
        "name": "retention.ms",
        "value": "1000",
        "source": "topic",
        "read_only": False,
        "type": "long",
        "sensitive": False,
    }
    assert by_name["cleanup.policy"]["source"] == "default"


def test_settings_are_set_appended_subtracted_and_deleted(
    call: Command, target: Target, name: str
) -> None:
    target.needs(ApiKey.INCREMENTAL_ALTER_CONFIGS)
    call("topic", "create", name)
    alter = ["config", "alter", "--topic", name]
    assert (
        call(*alter, "--add-config", "cleanup.policy=[compact,delete],segment.ms=70000").status == 0
    )
    assert described(call, "--topic", name)["cleanup.policy"] == "compact,delete"
    assert call(*alter, "--subtract-config", "cleanup.policy=compact").status == 0
    assert described(call, "--topic", name)["cleanup.policy"] == "delete"
    assert call(*alter, "--append-config", "cleanup.policy=compact").status == 0
    assert described(call, "--topic", name)["cleanup.policy"] == "delete,compact"
    assert call(*alter, "--delete-config", "cleanup.policy,segment.ms").status == 0
    assert described(call, "--topic", name).keys().isdisjoint({"cleanup.policy", "segment.ms"})


def test_a_file_of_settings_and_a_trial_of_them(
    call: Command, target: Target, name: str, tmp_path: Path
) -> None:
    target.needs(ApiKey.INCREMENTAL_ALTER_CONFIGS)
    call("topic", "create", name)
    file = tmp_path / "topic.properties"
    file.write_text("# settings\nretention.ms = 2000\nsegment.ms: 70000\n")
    alter = ["config", "alter", "--topic", name, "--add-config-file", str(file)]
    assert (
        call(*alter, "--validate-only").out == f"2 setting(s) of topic {name} could be altered.\n"
    )
    assert "retention.ms" not in described(call, "--topic", name)
    assert call(*alter, "--add-config", "retention.ms=3000").status == 0
    assert described(call, "--topic", name)["retention.ms"] == "3000"


def test_a_setting_that_is_none_is_refused(call: Command, target: Target, name: str) -> None:
    target.needs(ApiKey.INCREMENTAL_ALTER_CONFIGS)
    call("topic", "create", name)
    done = call("config", "alter", "--topic", name, "--add-config", "no.such=1")
    assert (done.status, done.err.split(":")[1]) == (1, " INVALID_CONFIG")
    assert call("config", "alter", "--topic", name).status == 2
    assert call("config", "alter", "--topic", name, "--add-config", "retention.ms").status == 2
    assert call("config", "alter", "--add-config", "a=1").status == 2


@pytest.mark.parametrize(
    ("resource", "setting", "value"),
    [
        (["--broker", "1"], "log.cleaner.threads", "2"),
        (["--broker-defaults"], "log.retention.ms", "700000"),
        (["--group", "some-group"], "consumer.session.timeout.ms", "50000"),
        (["--client-metrics", "some-metrics"], "interval.ms", "5000"),
        (["--broker-logger", "1"], "root", "INFO"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_every_kind_of_resource_is_altered_and_described(
    call: Command, resource: list[str], setting: str, value: str
) -> None:
    assert call("config", "alter", *resource, "--add-config", f"{setting}={value}").status == 0
    assert soon(lambda: str(described(call, *resource).get(setting)), value) == value
    if resource[0] != "--broker-logger":
        assert call("config", "alter", *resource, "--delete-config", setting).status == 0


def test_what_has_settings_is_listed(call: Command, target: Target, name: str) -> None:
    target.needs(ApiKey.LIST_CONFIG_RESOURCES)
    call("topic", "create", name)
    listed = call("config", "list", "--type", "topic", "-o", "json").json()
    assert {"type": "topic", "name": name} in listed
    assert {each["type"] for each in listed} == {"topic"}


def test_quotas_are_set_shown_and_removed(call: Command, target: Target, name: str) -> None:
    target.needs(ApiKey.DESCRIBE_CLIENT_QUOTAS, ApiKey.ALTER_CLIENT_QUOTAS)
    entity = ["--user", name, "--client-defaults"]
    done = call("quota", "alter", *entity, "--add-config", "producer_byte_rate=5000000")
    assert (done.status, done.out) == (
        0,
        f"1 quota(s) of user {name}, client-id <default> altered.\n",
    )
    look = ["quota", "describe", "--user", name, "-o", "json"]
    assert soon(lambda: str(call(*look).out != "[]\n"), "True")
    assert call(*look).json() == [
        {
            "user": name,
            "client_id": "<default>",
            "ip": None,
            "quota": "producer_byte_rate",
            "value": 5_000_000.0,
        }
    ]
    trial = [*entity, "--delete-config", "producer_byte_rate", "--validate-only"]
    assert call("quota", "alter", *trial).status == 0
    assert name in call("quota", "describe").out
    assert call("quota", "alter", *entity, "--delete-config", "producer_byte_rate").status == 0
    assert soon(lambda: call(*look).out, "[]\n") == "[]\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["describe", "--user", "a", "--user-defaults"],
        ["describe", "--ip", "127.0.0.1", "--user", "a"],
        ["alter", "--add-config", "producer_byte_rate=1"],
        ["alter", "--user", "a"],
        ["alter", "--user", "a", "--add-config", "producer_byte_rate=fast"],
    ],
    ids=" ".join,
)
def test_a_mistake_in_a_quota_is_status_2(call: Command, arguments: list[str]) -> None:
    assert call("quota", *arguments).status == 2
