"""What the configuration takes, which source wins, and what it says when something is wrong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacore.config import Config, ConfigError, KafkaConfigValue, Key, Listener, keys, load_config


def write(directory: Path, text: str) -> Path:
    path = directory / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_given_is_the_defaults() -> None:
    assert load_config() == Config()


def test_each_source_overrides_the_one_before(tmp_path: Path) -> None:
    file = write(tmp_path, "[broker]\nport = 1\nhost = 'file'\nnum_partitions = 7\n")
    environment = {"DATACORE_BROKER__PORT": "2", "DATACORE_BROKER__HOST": "environment"}
    broker = load_config(file=file, environment=environment, flags={"broker.port": 3}).broker
    assert (broker.port, broker.host, broker.num_partitions) == (3, "environment", 7)


@pytest.mark.parametrize("key", list(keys()), ids=lambda key: str(key.dotted))
def test_every_key_is_reachable_as_text(key: Key) -> None:
    """Its default, spelled as text, is taken by the environment and by its flag alike."""
    if key.default is None or key.default == ():
        text = "" if key.default == () else "a-host"
    else:
        text = str(key.default).lower() if isinstance(key.default, bool) else str(key.default)
    by_environment = load_config(environment={key.environment: text})
    by_flag = load_config(flags={key.dotted: text})
    assert by_environment == by_flag
    if key.default is not None:
        assert by_flag == Config()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[broker]\nport = 70000", "broker.port: expected int <= 65535, got 70000"),
        ("[broker]\nport = '9092'", "broker.port: expected int, got '9092'"),
        ("[broker]\nprot = 1", "broker.prot: unknown key: expected one of host, port, "),
        ("[brokr]\nport = 1", "brokr.port: unknown section: expected one of the sections broker, "),
        ("[brokr]", "[brokr]: expected one of the sections broker, "),
        ("broker = 1", "broker: expected a table [broker], got 1"),
        ("[broker", "expected TOML: "),
        ("[storage]\nengine = 's4'", "expected one of memory, disk, postgresql, s3, or module:"),
        ("[disk]\nsync = 1", "disk.sync: expected bool, got 1"),
        ("[kafka]\n'a.b' = [1]", "kafka.a.b: expected bool | int | float | str, got [1]"),
        ("[broker]\nlisteners = ['A:1']", "broker.listeners: expected NAME://host:port "),
        ("[broker]\nlisteners = ['A://h:65536']", "broker.listeners: expected NAME://host:port "),
        ("[broker]\nlisteners = ['A://h:1', 'a://h:2']", "expected listeners with names of their"),
        ("[broker]\nlisteners = ['SSL://h:1']", "expected a listener without TLS and SASL"),
        ("[broker]\nadvertised_listeners = ['A://h:1']", "expected advertised listeners among "),
        ("[broker]\nlisteners = ['A://h:1']\nport = 2", "broker.port: expected no port beside "),
        ("[broker]\nnum_partitions = 1\n[kafka]\nnum.partitions = 2", "kafka.num.partitions: the "),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_file_key_and_expectation(
    text: str, complaint: str, tmp_path: Path
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(file=file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert complaint in message
    assert "\n" not in message


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: expected a readable TOML file: No such"):
        load_config(file=tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("variable", "text", "complaint"),
    [
        ("DATACORE_BROKER__PORT", "many", "expected int, got 'many'"),
        ("DATACORE_BROKER__PRT", "1", "unknown key"),
        ("DATACORE_BROKR__PORT", "1", "unknown section"),
        ("DATACORE_DISK__SYNC", "perhaps", "expected bool, got 'perhaps'"),
    ],
)
def test_what_is_wrong_in_the_environment_is_told_by_its_variable(
    variable: str, text: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=f"^environment: {variable}: .*{complaint}"):
        load_config(environment={variable: text})


def test_what_is_wrong_in_a_flag_is_told_by_its_flag() -> None:
    with pytest.raises(ConfigError, match=r"^flag: --broker-port: expected int, got 'x'"):
        load_config(flags={"broker.port": "x"})
    with pytest.raises(ConfigError, match=r"^flag: --broker-id: expected int >= 0, got '-1'"):
        load_config(flags={"broker.broker_id": "-1"})


def test_variables_that_kubernetes_sets_for_a_service_are_left_alone() -> None:
    environment = {"DATACORE_PORT": "tcp://10.0.0.1:9092", "DATACORE_SERVICE_HOST": "10.0.0.1"}
    assert load_config(environment=environment) == Config()


def test_kafka_settings_have_the_same_name_from_every_source(tmp_path: Path) -> None:
    dotted = load_config(file=write(tmp_path, "[kafka]\nlog.retention.ms = 5\n"))
    quoted = load_config(file=write(tmp_path, "[kafka]\n'log.retention.ms' = 5\n"))
    environment = load_config(environment={"DATACORE_KAFKA__LOG_RETENTION_MS": "5"})
    flag = load_config(flags={"kafka.log.retention.ms": "5"})
    assert dotted == quoted
    assert dotted.kafka == {"log.retention.ms": 5}
    assert environment.kafka == flag.kafka == {"log.retention.ms": "5"}


def test_a_kafka_name_of_a_key_of_ours_sets_that_key() -> None:
    flags = {"kafka.num.partitions": "3", "kafka.listeners": "A://127.0.0.1:1,B://127.0.0.1:2"}
    config = load_config(environment={"DATACORE_BROKER__NUM_PARTITIONS": "2"}, flags=flags)
    assert config.broker.num_partitions == 3
    assert [listener.name for listener in config.broker.resolved_listeners()] == ["A", "B"]
    assert config.kafka == {}


def test_kafka_settings_are_judged_where_a_judge_is_given() -> None:
    def check(name: str, value: KafkaConfigValue) -> str | None:
        return None if name == "log.retention.ms" else f"a known setting and not {value}"

    assert load_config(flags={"kafka.log.retention.ms": "1"}, check_kafka=check).kafka
    with pytest.raises(ConfigError, match=r"^flag: --kafka log\.x: expected a known setting"):
        load_config(flags={"kafka.log.x": "1"}, check_kafka=check)


def test_host_and_port_are_the_listener_where_none_is_named() -> None:
    config = load_config(flags={"broker.port": 0, "broker.advertised_host": "example"})
    assert config.broker.resolved_listeners() == (
        Listener("PLAINTEXT", "127.0.0.1", 0, advertised_host="example"),
    )


def test_each_listener_has_an_advertised_address_of_its_own() -> None:
    flags = {
        "broker.listeners": ["inside://[::]:9092", "outside://0.0.0.0:9093"],
        "broker.advertised_listeners": ["OUTSIDE://example:19093"],
        "broker.advertised_host": "inner",
    }
    assert load_config(flags=flags).broker.resolved_listeners() == (
        Listener("INSIDE", "::", 9092, "inner"),
        Listener("OUTSIDE", "0.0.0.0", 9093, "example", 19093),
    )


@given(
    st.dictionaries(
        st.text(), st.one_of(st.text(), st.integers(), st.dictionaries(st.text(), st.text()))
    )
)
def test_any_flags_at_all_make_a_config_or_one_sentence(flags: dict[str, object]) -> None:
    complaint = ""
    try:
        load_config(flags=flags)
    except ConfigError as error:
        complaint = str(error)
    assert complaint == "" or "expected" in complaint
