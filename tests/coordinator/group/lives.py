"""What groups live through in scripts that a shard and Apache Kafka are told at once.

Where DataCore means to differ, they leave it out and say so here:

- An id that was handed out and leaves unused starts no rebalance (Kafka rebalances the group).
- A member that is thrown out while it waits in SyncGroup is answered (Kafka never answers it).
- A group is there from its first record on (Kafka writes an empty one for each first JoinGroup, the
  refused ones included, and keeps it until its next look for expired groups).
"""

from tests.coordinator.group.script import Script

PROPERTIES = {
    "group.max.size": "3",
    "offsets.topic.num.partitions": "1",
    # DescribeGroups reads what is committed there; without this, a little later than written.
    "group.coordinator.append.linger.ms": "0",
}
"""Of the Apache Kafka that is told them."""


def life_of_a_dynamic_group(s: Script, version: int) -> None:
    s.join("a", version)
    if version >= 4:
        s.join("a", version, member="<a>")
    s.describe(5)
    s.heartbeat("<a>", 1)
    s.commit(1, member="<a>", generation=1)
    s.sync("<a>", 1, min(version, 5), a=b"A")
    s.describe()
    s.heartbeat("<a>", 1)
    s.heartbeat("<a>", 2)
    s.heartbeat("stranger", 1)
    s.commit(2, member="<a>", generation=1, metadata="note")
    s.commit(3, member="<a>", generation=0)
    s.commit(3)
    s.join("b", 3)
    s.describe(0)
    s.heartbeat("<a>", 1)
    s.sync("<a>", 1)
    s.join("a", version, member="<a>", protocols=(("range", b"x"), ("sticky", b"y")))
    s.sync("<b>", 2)
    s.sync("<a>", 2, a=b"A2", b=b"B2")
    s.describe(4)
    s.join("b", 3, member="<b>")
    s.leave(("<a>", None), version=min(version, 5))
    s.heartbeat("<b>", 2)
    s.join("b", 3, member="<b>")
    s.leave(("<b>", None), ("<a>", None), ("", "i1"))
    s.describe()
    s.fetch(8)
    s.delete()
    s.describe(5)
    s.delete()


def every_api_in_a_version(s: Script, version: int) -> None:
    s.join("a", version)
    if version >= 4:
        s.join("a", version, member="<a>")
    s.sync("<a>", 1, min(version, 5), a=b"A")
    s.heartbeat("<a>", 1, min(version, 4))
    s.heartbeat("<a>", 7, min(version, 4))
    s.commit(1, max(version, 2), member="<a>", generation=1, metadata="note")
    s.commit(2, max(version, 2), member="<a>", generation=7)
    s.fetch(max(version, 1))
    s.describe(min(version, 6))
    s.delete(min(version, 2))
    s.leave(("<a>", None), version=min(version, 5))
    s.leave(("<a>", None), version=min(version, 5))
    s.describe(min(version, 6))
    s.delete(min(version, 2))
    s.delete(min(version, 2))


def static_members_come_back(s: Script, version: int) -> None:
    s.static_pair()
    for name, instance in (("b", "i2"), ("a", "i1")):
        s.twin.keep(name, f"old_{name}")
        s.join(name, version, instance=instance)
        s.heartbeat(f"<old_{name}>", 2, 3, instance)
        s.join(f"old_{name}", member=f"<old_{name}>", instance=instance)
        s.sync(f"<old_{name}>", 2, instance=instance)
        s.commit(1, member=f"<old_{name}>", generation=2, instance=instance)
        s.sync(f"<{name}>", 2, instance=instance)
        s.describe()
    s.leave(("<a>", "i2"), ("", "i1"), ("", "i1"), ("<b>", "i2"))
    s.describe()


def a_static_member_comes_back_in_a_sync_phase(s: Script, version: int) -> None:
    s.static_pair()
    s.join("a", member="<a>", instance="i1")
    s.join("b", member="<b>", instance="i2")
    s.sync("<b>", 3, instance="i2")
    s.join("b", version, instance="i2")
    s.heartbeat("<a>", 3, instance="i1")
    s.join("a", member="<a>", instance="i1")
    s.sync("<a>", 4, instance="i1", a=b"A", b=b"B")
    s.sync("<b>", 4, instance="i2")
    s.describe()


def a_static_member_joins_by_a_version_without_instances(s: Script, version: int) -> None:
    s.static_pair()
    s.join("b", version, member="<b>", protocols=(("range", b"x"),))
    s.heartbeat("<a>", 2, instance="i1")
    s.leave(("<a>", "i1"))
    s.join("b", member="<b>", instance="i2", protocols=(("sticky", b"x"),))
    s.sync("<b>", 3, min(version, 5), b=b"B3")
    s.sync("<b>", 3, instance="i2")
    s.heartbeat("<b>", 3)
    s.heartbeat("<b>", 3, instance="i2")
    s.describe()
    s.twin.keep("b", "old_b")
    s.join("b", instance="i2", protocols=(("range", b"x"),))
    s.heartbeat("<old_b>", 3)
    s.sync("<b>", 3)
    s.describe()


def refusals(s: Script, version: int) -> None:
    s.stable_pair()
    s.join("x", version, protocols=(("sticky", b""),))
    s.join("x", version, protocol_type="connect")
    s.join("x", version, protocols=())
    s.join("x", version, session_timeout_ms=5_999)
    s.join("x", version, session_timeout_ms=1_800_001)
    s.join("x", version, member="stranger")
    s.sync("<b>", 1)
    s.sync("stranger", 2)
    s.sync("<b>", 2, protocol="sticky")
    s.sync("<b>", 2, protocol=None)
    s.sync("<b>", 2, 4, protocol=None)
    s.delete()
    s.delete_offset()
    s.commit(1, member="stranger", generation=2)
    s.commit(1, member="<a>")
    s.commit(1, generation=2)
    s.commit(1, member="<a>", generation=2, metadata="a" * 4_097)
    s.commit(1, member="<a>", generation=2, metadata="a" * 4_096)
    s.heartbeat("<a>", 2, instance="i1")
    s.describe()


def nobody_is_there(s: Script, version: int) -> None:
    s.heartbeat("m", 1)
    s.sync("m", 1)
    s.join("m", version, member="m")
    s.leave(("m", None), version=min(version, 5))
    s.leave(("m", None), ("", "i"))
    s.commit(1, 8, member="m", generation=1)
    s.commit(1, 9, member="m", generation=1)
    s.describe(5)
    s.describe(6)
    s.delete()
    s.delete_offset()
    s.fetch(1)
    s.fetch(9, is_all=True)


def no_group_has_no_name(s: Script, version: int) -> None:
    s.join("m", version)
    s.sync("m", 1)
    s.heartbeat("m", 1)
    s.leave(("m", None))
    s.delete_offset()


def a_client_without_a_group(s: Script, version: int) -> None:
    s.commit(5, max(version, 2), metadata="note")
    for fetch_version in range(1, 10):
        s.fetch(fetch_version)
        if fetch_version >= 2:
            s.fetch(fetch_version, is_all=True)
    s.describe()
    s.join("a", 3, protocol_type="connect")
    s.delete_offset()
    s.delete()
    s.leave(("<a>", None))
    s.delete_offset()
    s.fetch(9)
    s.describe()


def a_group_is_listed(s: Script, version: int) -> None:
    s.list_groups(version)
    s.join("a", 3)
    s.list_groups(version)
    s.sync("<a>", 1, a=b"A")
    s.list_groups(version)
    s.join("b", 3)
    s.list_groups(version)
    if version >= 4:
        for states in (("PreparingRebalance",), ("preparingrebalance", "Dead"), ("Stable",)):
            s.list_groups(version, states=states)
    if version >= 5:
        for types in (("classic",), ("Classic", "consumer"), ("consumer",)):
            s.list_groups(version, types=types)
            s.list_groups(version, types=types, states=("PreparingRebalance",))
    s.leave(("<a>", None), ("<b>", None))
    s.list_groups(version)
    s.commit(1)
    s.list_groups(version)
    s.delete()
    s.list_groups(version)


def commits_by_an_old_version(s: Script, version: int) -> None:
    """That Apache Kafka 3.9.1 has, and 4.1.1 has no more."""
    s.commit(1, version, metadata="note")
    s.fetch(version)
    s.join("a", 3)
    s.commit(2, version, member="<a>", generation=1)
    s.sync("<a>", 1, a=b"A")
    s.commit(3, version, member="<a>", generation=1)
    s.commit(4, version, member="<a>", generation=0)
    s.commit(4, version, member="stranger", generation=1)
    s.commit(4, version)
    s.fetch(version)
    s.fetch(8)
    s.leave(("<a>", None))
    s.commit(5, version)
    s.fetch(version)
    s.describe(5)


def a_full_group(s: Script, version: int) -> None:
    s.stable_pair()
    s.join("c", 3)
    s.join("a", 3, member="<a>")
    s.join("b", 3, member="<b>")
    s.join("d", version)
    s.sync("<a>", 3, a=b"A")
    s.join("d", version)
    s.sync("<c>", 3)
    s.describe()


def a_vote(s: Script, version: int) -> None:
    s.join("a", 3, protocols=(("x", b""), ("y", b""), ("z", b"")))
    s.join("b", 3, protocols=(("z", b""), ("y", b"")))
    s.join("a", 3, member="<a>", protocols=(("x", b""), ("z", b""), ("y", b"")))
    s.join("c", min(version, 3), protocols=(("y", b""), ("z", b"")))
    s.join("a", 3, member="<a>", protocols=(("x", b""), ("z", b""), ("y", b"")))
    s.join("b", 3, member="<b>", protocols=(("z", b""), ("y", b"")))
    s.describe()


def sessions_end(s: Script, version: int) -> None:
    s.join("a", 3, session_timeout_ms=6_000)
    s.sync("<a>", 1, a=b"A")
    s.join("b", 3, session_timeout_ms=6_000)
    s.twin.advance(6_000 + version)
    s.heartbeat("<a>", 1)
    s.sync("<b>", 2, b=b"B")
    s.describe()


def a_rebalance_ends_without_who_does_not_join(s: Script, version: int) -> None:
    s.join("a", 3, rebalance_timeout_ms=2_000)
    s.sync("<a>", 1, a=b"A")
    s.join("b", min(version, 3), rebalance_timeout_ms=2_000)
    s.twin.advance(2_000)
    s.heartbeat("<a>", 1)
    s.join("b", 3, member="<b>")
    s.twin.keep("b", "b")


def an_absent_static_leader_is_followed_by_another(s: Script, version: int) -> None:
    s.join("a", version, instance="i1", rebalance_timeout_ms=1_000)
    s.join("b", version, instance="i2", rebalance_timeout_ms=1_000)
    s.join("a", version, member="<a>", instance="i1", rebalance_timeout_ms=1_000)
    s.sync("<b>", 2, instance="i2")
    s.sync("<a>", 2, instance="i1", a=b"A", b=b"B")
    new = (("range", b"new"),)
    s.join("b", version, member="<b>", instance="i2", rebalance_timeout_ms=1_000, protocols=new)
    s.twin.advance(1_000)
    s.sync("<b>", 3, instance="i2", a=b"A3", b=b"B3")
    s.sync("<a>", 3, instance="i1")
    s.describe()


def who_does_not_sync_is_out(s: Script, version: int) -> None:
    s.join("a", 3, rebalance_timeout_ms=1_000)
    s.join("b", min(version, 3), rebalance_timeout_ms=1_000)
    s.join("a", 3, member="<a>", rebalance_timeout_ms=1_000)
    s.sync("<b>", 2)
    s.twin.advance(1_000)
    s.sync("<a>", 2)
    s.join("b", 3, member="<b>")
    s.describe()
