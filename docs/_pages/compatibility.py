"""docs/compatibility.md: APIs and versions served, releases, real clients, known differences."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from datacore._generated.api_keys import API_NAMES, ApiKey
from datacore.handlers.table import TABLE
from docs._pages.compat_results import compat_results, peer_results
from docs._pages.jobs import JOBS
from docs._pages.markdown import GENERATED, joined, table
from docs._pages.releases import read_releases
from tests.differential.known_differences import all_differences
from tests.golden import test_answers, test_versions
from tests.golden.versions import pairs_answered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docs._pages.releases import Release, SpokenApi

_NEWEST, _OLDER = "4.1", "3.9"

_INTRODUCTION: Final = """\
# Compatibility

What ApiVersions advertises is what the handler table holds, and every version of it is exercised by
`tests/handlers/test_every_version.py`. Codecs are judged by bytes that Apache Kafka 3.9.1 and 4.1.1
wrote (`tests/golden`), clients by running them (`tests/compat`).
"""

_APIS: Final = f"""\
## APIs and versions

DataCore serves version 0 up to the newest stable one of Kafka {_NEWEST}; Kafka 4 dropped old ones.
A range in brackets has versions above it that Kafka itself calls unstable.
"""

_RELEASES: Final = """\
## Releases

What the clients of each Kafka release find here. A job is served when each of its APIs is, in every
version that those clients know and a broker of that release would tell them of.
"""

_CLIENTS: Final = """\
## Real clients

`make test-compat` runs them against a broker process.
"""

_PEERS: Final = """\
## Suites of peers

Tests that the authors of clients wrote against Apache Kafka, run against both (`make test-peers`).
"""

_DIFFERENCES: Final = """\
## Known differences from Apache Kafka

The same odd requests are put to Apache Kafka and to DataCore (`tests/golden`). Where the answers
differ on purpose:
"""

_SEQUENCES: Final = """\
Sequences of requests over all APIs and versions, made by chance, are put to both as well (`make
test-differential`). What they know to differ:
"""


def compatibility() -> str:
    """The page."""
    releases = read_releases()
    return joined(
        [
            GENERATED,
            _INTRODUCTION,
            _CLIENTS,
            *compat_results(),
            _PEERS,
            *peer_results(),
            _RELEASES,
            _release_table(releases),
            _APIS,
            _api_table(releases),
            _coverage(),
            *_unserved(releases[_NEWEST]),
            _DIFFERENCES,
            *_differences(),
        ]
    )


def _api_table(releases: Mapping[str, Release]) -> str:
    newest, older = releases[_NEWEST].apis, releases[_OLDER].apis
    rows = []
    for key, api in sorted(TABLE.items()):
        name = API_NAMES[key]
        served = f"{api.min_version} to {api.max_version}"
        rows.append(
            [str(int(key)), name, served, _range(newest.get(name)), _range(older.get(name))]
        )
    return table(["key", "API", "DataCore", f"Kafka {_NEWEST}", f"Kafka {_OLDER}"], rows)


def _range(api: SpokenApi | None) -> str:
    if api is None:
        return "none"
    lowest = api.min if api.advertised_min is None else api.advertised_min
    spoken = _versions(lowest, api.newest)
    return spoken if api.newest == api.max else f"({spoken})"


def _versions(lowest: int, highest: int) -> str:
    return str(lowest) if lowest == highest else f"{lowest} to {highest}"


def _is_served(spoken: SpokenApi) -> bool:
    """Whether every version that a release's clients and brokers may agree on is served."""
    ours = TABLE.get(ApiKey(spoken.key))
    return ours is not None and ours.min_version <= spoken.min and spoken.newest <= ours.max_version


def _release_table(releases: Mapping[str, Release]) -> str:
    rows = []
    for found, names in groupby(releases, key=lambda name: _jobs_served(releases[name])):
        first, *others = names
        which = f"{first} to {others[-1]}" if others else first
        rows.append([which, *("; ".join(jobs) for jobs in found)])
    return table(["release", "served", "not served"], rows)


def _jobs_served(release: Release) -> tuple[list[str], list[str]]:
    """The jobs that a release's clients find served whole, and those they do not."""
    served: list[str] = []
    unserved: list[str] = []
    for job, names in _jobs(release).items():
        is_whole = all(_is_served(release.apis[name]) for name in names)
        (served if is_whole else unserved).append(job)
    return served, unserved


def _jobs(release: Release) -> dict[str, list[str]]:
    """The jobs that a release knows, with its APIs for them."""
    left = release.client_apis()
    jobs = {job: [name for name in names if left.pop(name, None)] for job, names in JOBS.items()}
    if left:
        raise ValueError(f"docs/_pages/jobs.py: no job names {', '.join(left)}")
    return {job: names for job, names in jobs.items() if names}


def _unserved(release: Release) -> Iterator[str]:
    yield f"Not served, of what clients of Kafka {_NEWEST} may send, by what it is for:"
    yield "\n".join(
        f"- {job}: {', '.join(missing)}"
        for job, names in _jobs(release).items()
        if (missing := [name for name in names if not _is_served(release.apis[name])])
    )


def _coverage() -> str:
    advertised = sum(api.max_version - api.min_version + 1 for api in TABLE.values())
    return (
        f"Of {advertised} pairs of API and version that are advertised, {advertised} are exercised"
        f" end to end (`test_every_version.py` fails otherwise), and {len(pairs_answered())} are"
        " compared with what Apache Kafka 4.1.1, or 3.9.1, answered (`tests/golden`).\n"
    )


def _differences() -> Iterator[str]:
    deliberate = test_answers.DELIBERATE | test_versions.DELIBERATE
    yield table(["asked", "why"], map(list, deliberate.items()))
    yield _SEQUENCES
    yield table(["asked", "why"], [[asked, why] for asked, why in all_differences()])
