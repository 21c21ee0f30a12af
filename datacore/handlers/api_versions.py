"""ApiVersions (key 18): which APIs and versions the broker speaks.

Versions: 1 adds the throttle time; 3 is flexible and carries the client's name (KIP-511) and the
features of the cluster (KIP-584); 4 tells features whose lowest level is 0 (KIP-1022). Requests of
versions that are not served are answered before they get here, by ``protocol.api_versions``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from datacore._generated.api_keys import ApiKey
from datacore._generated.api_versions import ApiVersionsRequest, ApiVersionsResponse
from datacore._generated.errors import ErrorCode
from datacore.handlers.api import Api, top_level_error
from datacore.protocol.api_versions import (
    ApiRange,
    api_versions_response,
    has_valid_client_software,
)
from datacore.protocol.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from typing import Any

    from datacore.broker.context import RequestContext
    from datacore.protocol.api_versions import Feature

BrokerT = TypeVar("BrokerT")

_MIN_VERSION: Final = 0
_MAX_VERSION: Final = 4


def api_versions(
    others: Iterable[Api[BrokerT, Any, Any]],
    features_of: Callable[[BrokerT], tuple[Sequence[Feature], int]],
    withheld_by: Callable[[BrokerT], Collection[int]],
) -> Api[BrokerT, ApiVersionsRequest, ApiVersionsResponse]:
    """The table's entry for ApiVersions.

    Args:
        others: The rest of the table, which the answer tells beside ApiVersions itself.
        features_of: The features of a broker's cluster, and their epoch.
        withheld_by: The keys of the APIs that a broker serves and does not tell, because clients
            would use them to no end.
    """
    ranges = [ApiRange(each.key, each.min_version, each.max_version) for each in others]
    ranges.append(ApiRange(ApiKey.API_VERSIONS, _MIN_VERSION, _MAX_VERSION))
    ranges.sort(key=lambda each: each.key)

    def handle(
        broker: BrokerT, context: RequestContext, request: ApiVersionsRequest
    ) -> ApiVersionsResponse:
        if not has_valid_client_software(request, context.api_version):
            raise KafkaError(ErrorCode.INVALID_REQUEST)
        if request.client_software_name:
            context.session.client_software_name = request.client_software_name
            context.session.client_software_version = request.client_software_version
        features, epoch = features_of(broker)
        withheld = withheld_by(broker)
        return api_versions_response(
            [each for each in ranges if each.key not in withheld] if withheld else ranges,
            context.api_version,
            features=features,
            features_epoch=epoch,
        )

    return Api(
        key=ApiKey.API_VERSIONS,
        min_version=_MIN_VERSION,
        max_version=_MAX_VERSION,
        handle=handle,
        error_response=top_level_error(ApiVersionsResponse),
    )
