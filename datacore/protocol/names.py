"""Names that are more than text: what they name is part of their type."""

from typing import Final, NewType

TopicName = NewType("TopicName", str)
TopicId = NewType("TopicId", bytes)
"""16 bytes of a UUID."""

GroupId = NewType("GroupId", str)
MemberId = NewType("MemberId", str)

NO_MEMBER_ID: Final = MemberId("")
