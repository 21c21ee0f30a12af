import pytest

from datacore.storage.pending import Pending


def test_a_waiter_that_fails_does_not_stop_the_others() -> None:
    pending: Pending[int] = Pending()
    called: list[int] = []

    def fails(_: Pending[int]) -> None:
        raise ZeroDivisionError

    pending.then(fails)
    pending.then(lambda settled: called.append(settled.result()))
    with pytest.raises(ZeroDivisionError):
        pending.resolve(7)
    assert called == [7]
