"""What an administrator does with a topic that holds records: each step is one API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datacore._generated import alter_configs, incremental_alter_configs
from datacore._generated.api_keys import ApiKey
from datacore._generated.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from datacore._generated.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from datacore._generated.errors import ErrorCode
from datacore._generated.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.handlers.speaker import Speaker
    from tests.handlers.topic_flow import TopicFlow

TOPIC, BROKER = 2, 4
EARLIEST = -2
SET, DELETE, APPEND, SUBTRACT = range(4)


class AdminFlow:
    """One administrator of the topic of a ``TopicFlow``."""

    def __init__(self, speaker: Speaker, topics: TopicFlow) -> None:
        self.speaker = speaker
        self.topics = topics

    def alter_configs(self) -> None:
        request = alter_configs.AlterConfigsRequest(
            resources=[
                alter_configs.AlterConfigsResource(
                    resource_type=TOPIC,
                    resource_name=self.topics.topic,
                    configs=[alter_configs.AlterableConfig(name="segment.ms", value="60000")],
                ),
                alter_configs.AlterConfigsResource(
                    resource_type=BROKER,
                    resource_name="1",
                    configs=[alter_configs.AlterableConfig(name="num.partitions", value="2")],
                ),
            ],
            validate_only=True,
        )
        refused = ErrorCode.INVALID_REQUEST
        for validate_only in (True, False):
            before = self._set_configs()
            request.validate_only = validate_only
            answers = self.speaker.send(request, alter_configs.AlterConfigsResponse).responses
            assert [answer.error_code for answer in answers] == [0, refused]
            assert [answer.resource_name for answer in answers] == [self.topics.topic, "1"]
            assert self._set_configs() == (before if validate_only else {"segment.ms": "60000"})

    def incremental_alter_configs(self) -> None:
        self._increment(("retention.ms", SET, "1000"), ("segment.ms", DELETE, None))
        assert self._set_configs() == {"retention.ms": "1000"}
        self._increment(("cleanup.policy", APPEND, "compact"))
        assert self._set_configs()["cleanup.policy"] == "delete,compact"
        self._increment(("cleanup.policy", SUBTRACT, "delete"), validate_only=True)
        self._increment(("cleanup.policy", SUBTRACT, "compact"), ("retention.ms", DELETE, None))
        assert self._set_configs() == {"cleanup.policy": "delete"}

    def _increment(
        self, *changes: tuple[str, int, str | None], validate_only: bool = False
    ) -> None:
        request = incremental_alter_configs.IncrementalAlterConfigsRequest(
            resources=[
                incremental_alter_configs.AlterConfigsResource(
                    resource_type=TOPIC,
                    resource_name=self.topics.topic,
                    configs=[
                        incremental_alter_configs.AlterableConfig(
                            name=name, config_operation=operation, value=value
                        )
                        for name, operation, value in changes
                    ],
                )
            ],
            validate_only=validate_only,
        )
        (answer,) = self.speaker.send(
            request, incremental_alter_configs.IncrementalAlterConfigsResponse
        ).responses
        assert (answer.error_code, answer.error_message) == (0, None)
        assert (answer.resource_type, answer.resource_name) == (TOPIC, self.topics.topic)

    def delete_records(self) -> None:
        end = len(self.topics.records)
        for offset, low_watermark in ((2, 2), (1, 2), (-1, end)):
            assert self._delete_records(offset) == (low_watermark, 0)
            asked = ListOffsetsPartition(timestamp=EARLIEST)
            request = ListOffsetsRequest(
                replica_id=-1,
                topics=[ListOffsetsTopic(name=self.topics.topic, partitions=[asked])],
            )
            (topic,) = self.speaker.send(request, ListOffsetsResponse).topics
            (partition,) = topic.partitions
            first = (partition.old_style_offsets or [partition.offset])[-1]
            assert first == low_watermark
        assert self._delete_records(end + 1) == (-1, ErrorCode.OFFSET_OUT_OF_RANGE)

    def _delete_records(self, offset: int) -> tuple[int, int]:
        """The low watermark and the error code."""
        asked = DeleteRecordsPartition(partition_index=0, offset=offset)
        request = DeleteRecordsRequest(
            topics=[DeleteRecordsTopic(name=self.topics.topic, partitions=[asked])]
        )
        (topic,) = self.speaker.send(request, DeleteRecordsResponse).topics
        (partition,) = topic.partitions
        assert (topic.name, partition.partition_index) == (self.topics.topic, 0)
        return partition.low_watermark, partition.error_code

    def _set_configs(self) -> dict[str, str | None]:
        """What is set on the topic itself."""
        resource = DescribeConfigsResource(
            resource_type=TOPIC, resource_name=self.topics.topic, configuration_keys=None
        )
        (result,) = self.speaker.send(
            DescribeConfigsRequest(resources=[resource]), DescribeConfigsResponse
        ).results
        if self.speaker.version(ApiKey.DESCRIBE_CONFIGS) == 0:
            return {each.name: each.value for each in result.configs if not each.is_default}
        return {each.name: each.value for each in result.configs if each.config_source == 1}

    @property
    def steps(self) -> list[tuple[ApiKey, Callable[[], None]]]:
        return [
            (ApiKey.ALTER_CONFIGS, self.alter_configs),
            (ApiKey.INCREMENTAL_ALTER_CONFIGS, self.incremental_alter_configs),
            (ApiKey.DELETE_RECORDS, self.delete_records),
        ]
