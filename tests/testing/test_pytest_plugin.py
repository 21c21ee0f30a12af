"""The fixtures ``kafka`` and ``kafka_topic``, in a pytest run of their own."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TESTS = """
from datacore.client import admin
from datacore.client.cluster import Cluster

seen = []

def test_topic_is_there(kafka, kafka_topic):
    with Cluster(kafka) as cluster:
        assert [topic.name for topic in admin.list_topics(cluster)] == [kafka_topic]
    assert kafka_topic.startswith("test_topic_is_there-")
    seen.append(kafka)

def test_brokers_live_as_long_as_their_scope(kafka):
    assert (kafka in seen) is SHARED
"""


@pytest.mark.parametrize(("scope", "shared"), [("function", False), ("session", True)])
def test_tests_get_a_broker_and_a_topic(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, scope: str, *, shared: bool
) -> None:
    done = run(pytester, monkeypatch, scope, TESTS.replace("SHARED", str(shared)))
    done.assert_outcomes(passed=2)


def test_a_scope_that_does_not_exist_is_told(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(pytester, monkeypatch, "eternal", "def test_it(kafka): pass")
    assert "kafka_scope: expected one of" in done.stdout.str() + done.stderr.str()
    assert done.ret != 0


def run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, scope: str, tests: str
) -> pytest.RunResult:
    """A pytest run that knows the plugin, installed or not."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    pytester.makeini(f"[pytest]\nkafka_scope = {scope}\nfilterwarnings = error")
    pytester.makepyfile(tests)
    return pytester.runpytest_subprocess(
        "-p", "datacore.testing.pytest_plugin", "-p", "no:cacheprovider"
    )
