from datacore.coordinator.group.ongoing_rebalance import OngoingRebalance


def test_a_few_of_those_that_were_lost_are_named_and_the_others_counted() -> None:
    rebalance = OngoingRebalance(1_000, "member 'a' is new")
    assert rebalance.told(1_030) == "30 ms after: member 'a' is new"
    for name in "bcdef":
        rebalance.lose(name, "it left")
    assert rebalance.told(1_030) == (
        "30 ms after: member 'a' is new; member 'b' is out: it left; member 'c' is out: it left;"
        " member 'd' is out: it left; and 2 more"
    )
