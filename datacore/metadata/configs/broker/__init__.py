"""Every config of a broker, by subject."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from datacore.metadata.configs.broker.cluster import CLUSTER
from datacore.metadata.configs.broker.groups import GROUPS
from datacore.metadata.configs.broker.logs import LOGS
from datacore.metadata.configs.broker.network import NETWORK
from datacore.metadata.configs.broker.quotas import QUOTAS
from datacore.metadata.configs.broker.remote_storage import REMOTE_STORAGE
from datacore.metadata.configs.broker.security import SECURITY
from datacore.metadata.configs.broker.transactions import TRANSACTIONS
from datacore.metadata.configs.key import by_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacore.metadata.configs.key import ConfigKey

BROKER_CONFIGS: Final[Mapping[str, ConfigKey]] = by_name(
    chain(LOGS, NETWORK, CLUSTER, GROUPS, TRANSACTIONS, QUOTAS, REMOTE_STORAGE, SECURITY)
)
