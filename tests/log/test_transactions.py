"""``Transactions`` against a model that looks at everything, for any order of begins and ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from datacore.log.transactions import AbortedTransaction, Transactions

PRODUCERS = 5


@given(
    st.lists(
        st.tuples(st.integers(0, PRODUCERS - 1), st.sampled_from(["write", "commit", "abort"])),
        max_size=40,
    ),
    st.data(),
)
def test_stable_ends_and_aborted_ranges_are_those_of_a_full_look_at_the_log(
    steps: list[tuple[int, str]], data: st.DataObject
) -> None:
    transactions = Transactions()
    open_since: dict[int, int] = {}
    ended: list[tuple[AbortedTransaction, bool]] = []
    high_watermark = 0
    for offset, (producer_id, act) in enumerate(steps):
        if act == "write":
            if producer_id not in open_since:
                open_since[producer_id] = offset
                transactions.begin(producer_id, offset)
        else:
            transactions.end(producer_id, offset, is_aborted=act == "abort")
            first_offset = open_since.pop(producer_id, None)
            if first_offset is not None:
                ended.append(
                    (AbortedTransaction(producer_id, first_offset, offset), act == "abort")
                )
        if data.draw(st.booleans()):
            high_watermark = data.draw(st.integers(high_watermark, offset + 1))
            transactions.advance(high_watermark)
        undecided = list(open_since.values()) + [
            each.first_offset for each, _ in ended if each.last_offset >= high_watermark
        ]
        assert transactions.first_unstable_offset == min(undecided, default=None)
    aborted = [each for each, is_aborted in ended if is_aborted]
    for stored in (transactions, Transactions(transactions.stored())):
        begin = data.draw(st.integers(0, len(steps)))
        end = data.draw(st.integers(begin, len(steps)))
        found = stored.aborted_between(begin, end)
        assert found == [
            each for each in aborted if each.last_offset >= begin and each.first_offset < end
        ]
        assert stored.has_aborted_from(begin) == any(each.last_offset >= begin for each in aborted)
    cut = data.draw(st.integers(0, len(steps)))
    transactions.truncate_before(cut)
    assert transactions.aborted_between(0, len(steps)) == [
        each for each in aborted if each.last_offset >= cut
    ]
