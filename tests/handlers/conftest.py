"""Assertions of the flows explain themselves, as those of test modules do."""

import pytest

pytest.register_assert_rewrite(
    "tests.handlers.group_flow", "tests.handlers.record_sets", "tests.handlers.topic_flow"
)
