"""The one place where two releases that disagree are brought together, each with its reason.

The merge (codegen/merge.py) takes every version of a message from the newest release that
describes it and demands that releases agree on the versions that they share. What is listed here
is the whole of what they do not agree on; anything else is an error.
"""

from typing import Final

NEWEST_ONLY: Final = {
    # 3.9 numbered a coordinator's keys by version ("validVersions": "3"), 4.x by apiKey and
    # version 0. The stored bytes are the same, and nothing of 3.9's is missing from 4.x.
    "records/group",
    "records/transaction",
    "records/share",
    # Extended only by tagged fields and new versions: the newest spec reads all older records.
    "records/metadata",
    "records/raft",
    "records/storage",
}
"""Folders of which only the newest release is kept."""

RENAMED: Final = {
    # 4.1 widened the API to all config resources; key 74 and version 0 stayed as they were.
    "ListClientMetricsResourcesRequest": "ListConfigResourcesRequest",
    "ListClientMetricsResourcesResponse": "ListConfigResourcesResponse",
}
"""Messages that a newer release has under another name and the same key."""

NEWEST_SHAPE: Final = {
    # 4.0 renamed Candidate* to Replica* when pre-votes came (KIP-996); the bytes are the same.
    "VoteRequest",
    # LeaderEpoch was put into version 0 while the API was early access (KIP-932); the 3.9 form
    # was never in a stable release.
    "ReadShareGroupStateSummaryResponse",
}
"""Messages whose shared versions are taken from the newest release though the older differs."""

IGNORABLE: Final = {
    # Version 0 of the header (ControlledShutdown v0) has no client id, and 3.9, the last to speak
    # it, drops the id there.
    "RequestHeader.ClientId": True,
    # Version 13 replaced the names by ids (KIP-516), 4.1 fills in both.
    "ProduceRequest.TopicData.Name": True,
    "ProduceResponse.Responses.Name": True,
    # The same for version 10 of the two offset APIs (KIP-848).
    "OffsetCommitRequest.Topics.Name": True,
    "OffsetCommitResponse.Topics.Name": True,
    "OffsetFetchRequest.Groups.Topics.Name": True,
    "OffsetFetchResponse.Groups.Topics.Name": True,
    # Version 2 of UpdateFeatures dropped the per-feature results (KIP-1022).
    "UpdateFeaturesResponse.Results": True,
    # Share APIs: fields of every version, so nothing is ever ignored.
    "ShareFetchRequest.MaxBytes": False,
    "ShareFetchRequest.Topics.TopicId": False,
    "ShareFetchRequest.ForgottenTopicsData.TopicId": False,
    "ShareFetchResponse.ThrottleTimeMs": False,
    "ShareFetchResponse.ErrorCode": False,
    "ShareFetchResponse.Responses.TopicId": False,
    "ShareAcknowledgeResponse.ThrottleTimeMs": False,
    "ShareAcknowledgeResponse.ErrorCode": False,
    "ShareAcknowledgeResponse.Responses.TopicId": False,
}
"""Whether a field may be dropped silently, where two releases say different things."""
