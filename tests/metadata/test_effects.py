"""A config's row says that it takes effect where, and only where, something reads it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import datacore
from datacore.metadata.configs import (
    BROKER_CONFIGS,
    CLIENT_METRICS_CONFIGS,
    GROUP_CONFIGS,
    TOPIC_CONFIGS,
    Effect,
)

ROOT = Path(datacore.__file__).parent
# Files that name configs without obeying them.
NOT_READERS = ("metadata/configs/", "cli/", "client/", "_generated/", "testing/")
BOUNDS = "metadata/configs/rules.py"
# Kept, and read under another name: what the metadata log says of this broker's listeners and data.
UNDER_ANOTHER_NAME = {
    "advertised.listeners",
    "broker.id",
    "listeners",
    "log.dir",
    "log.dirs",
    "node.id",
}


ALL_NAMES = {
    name
    for table in (BROKER_CONFIGS, TOPIC_CONFIGS, GROUP_CONFIGS, CLIENT_METRICS_CONFIGS)
    for name in table
}


@cache
def names_in_code() -> set[str]:
    """Names of configs that stand in the code, or that a formatted text of it can become."""
    texts: set[str] = set()
    patterns: set[str] = set()
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(NOT_READERS) and name != BOUNDS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                patterns.add(
                    "".join(
                        re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"[\w.]+"
                        for part in node.values
                    )
                )
    return {
        name
        for name in ALL_NAMES
        if name in texts or any(re.fullmatch(pattern, name) for pattern in patterns)
    }


def read_configs() -> tuple[set[str], set[str]]:
    """Names of topic configs and of broker configs that something reads."""
    names = names_in_code()
    topics = names & TOPIC_CONFIGS.keys()
    brokers = (names & BROKER_CONFIGS.keys()) | UNDER_ANOTHER_NAME
    brokers |= {TOPIC_CONFIGS[name].synonym or "" for name in topics}
    for key in BROKER_CONFIGS.values():
        if key.name in brokers:
            brokers |= {other for other, _ in key.otherwise}
    groups = names & GROUP_CONFIGS.keys()
    brokers |= {GROUP_CONFIGS[name].synonym or "" for name in groups}
    return topics, brokers & BROKER_CONFIGS.keys()


def test_what_is_said_to_take_effect_is_read() -> None:
    topics, brokers = read_configs()
    effective = {key.name for key in TOPIC_CONFIGS.values() if key.effect is Effect.YES}
    assert effective - topics == set()
    effective = {key.name for key in BROKER_CONFIGS.values() if key.effect is Effect.YES}
    assert effective - brokers == set()
    names = names_in_code()
    for table in (GROUP_CONFIGS, CLIENT_METRICS_CONFIGS):
        assert {key.name for key in table.values() if key.takes_effect} - names == set()
