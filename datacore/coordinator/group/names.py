"""Names of groups, members and topics, kept apart by the type checker."""

from typing import NewType

GroupId = NewType("GroupId", str)
MemberId = NewType("MemberId", str)
TopicName = NewType("TopicName", str)

NO_MEMBER_ID = MemberId("")
"""What a member that has no id yet sends as its id."""
