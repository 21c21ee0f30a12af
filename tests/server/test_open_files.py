"""The limit of open files, raised and shared."""

from __future__ import annotations

import resource

import pytest

from datacore.server.open_files import connections_that_fit, raise_open_files_limit
from datacore.testing.broker_process import BrokerProcess


@pytest.mark.parametrize(
    ("soft_limit", "connections"),
    [(1024, 448), (100, 1), (resource.RLIM_INFINITY, 1 << 20)],
)
def test_half_of_what_may_be_open_is_for_connections(
    soft_limit: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft_limit, soft_limit))
    assert connections_that_fit() == connections


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ((256, 4096), [(4096, 4096)]),
        ((4096, 4096), []),
        ((256, resource.RLIM_INFINITY), [(1 << 20, resource.RLIM_INFINITY)]),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), []),
    ],
)
def test_the_limit_is_raised_as_far_as_it_may_be(
    limits: tuple[int, int], wanted: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    was_set: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, given: was_set.append(given))
    raise_open_files_limit()
    assert was_set == wanted


def test_a_limit_that_cannot_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("not on this system")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    raise_open_files_limit()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux tells of other processes")
def test_a_broker_raises_the_limit_that_it_was_started_with() -> None:
    soft_limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard_limit))
        with BrokerProcess() as broker:
            limits = resource.prlimit(broker.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft_limit, hard_limit))
    assert limits == (hard_limit, hard_limit)
