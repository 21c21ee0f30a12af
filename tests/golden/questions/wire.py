"""What a broker does with requests that it does not serve, or cannot read."""

from datacore._generated.api_versions import ApiVersionsRequest
from datacore._generated.describe_cluster import DescribeClusterRequest
from datacore._generated.metadata import MetadataRequest, MetadataRequestTopic
from tests.golden.questions.question import Question

QUESTIONS = (
    Question("ApiVersions at a version of the future", 18, 99, b"", answered_in=0),
    Question.of("ApiVersions v3 without a client name", 3, ApiVersionsRequest()),
    Question.of(
        "ApiVersions v3 with a client name that is none",
        3,
        ApiVersionsRequest(client_software_name="-bad-", client_software_version="1"),
    ),
    Question.of(
        "ApiVersions v3 as clients ask it",
        3,
        ApiVersionsRequest(client_software_name="golden", client_software_version="1.0"),
        "zk_migration_ready",
    ),
    Question.of("ApiVersions v0", 0, ApiVersionsRequest()),
    Question("an API key that nobody knows", 999, 0, b""),
    Question("an API key below zero", -1, 0, b""),
    Question("Metadata at a version of the future", 3, 99, b""),
    Question("Metadata at a version below zero", 3, -1, b""),
    Question("Produce at a version of the future", 0, 99, b""),
    Question("Metadata v1 without a body", 3, 1, b""),
    Question("Metadata v12 without a body", 3, 12, b""),
    Question("Metadata v1 with a count beyond the frame", 3, 1, b"\x7f\xff\xff\xff"),
    Question(
        "Metadata v1 with bytes behind the body",
        3,
        1,
        MetadataRequest(topics=[MetadataRequestTopic(name="golden")]).encode(1) + b"\x00\x00",
    ),
    Question.of("DescribeCluster v0", 0, DescribeClusterRequest()),
    Question.of(
        "DescribeCluster v1 of controllers asked of a broker",
        1,
        DescribeClusterRequest(endpoint_type=2),
    ),
    Question.of(
        "DescribeCluster v1 of an endpoint type that nobody knows",
        1,
        DescribeClusterRequest(endpoint_type=9),
    ),
)
