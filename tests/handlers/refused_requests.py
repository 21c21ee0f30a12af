"""Requests that a broker refuses, each in every version that can say it.

tests/handlers judges the codes of our answers, tests/differential asks Apache Kafka the same.
"""

from tests.handlers.refused import Refused
from tests.handlers.refused_cluster import cluster_refusals
from tests.handlers.refused_configs import config_refusals
from tests.handlers.refused_groups import group_refusals
from tests.handlers.refused_records import (
    deletion_refusals,
    fetch_refusals,
    look_up_refusals,
    produce_refusals,
)
from tests.handlers.refused_topics import topic_refusals
from tests.handlers.refused_transactions import transaction_refusals

REFUSED: tuple[Refused, ...] = (
    *produce_refusals(),
    *fetch_refusals(),
    *look_up_refusals(),
    *deletion_refusals(),
    *topic_refusals(),
    *config_refusals(),
    *cluster_refusals(),
    *group_refusals(),
    *transaction_refusals(),
)
