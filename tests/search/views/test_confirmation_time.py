"""The time that a confirmation is expected to take."""

import pytest

from search.views.confirmation_time import Candidate, candidates_of, seconds_to_confirm
from tests.search.script import row


def test_who_is_clearly_behind_is_trained_twice_and_its_leader_too() -> None:
    apart = [Candidate(0.7, 10.0), Candidate(0.5, 10.0)]
    assert seconds_to_confirm(apart, 4, 1) == pytest.approx(40.0, rel=0.01)
    assert seconds_to_confirm(apart, 4, 2) == pytest.approx(20.0, rel=0.01)


def test_who_is_close_is_probably_trained_to_the_end() -> None:
    close = [Candidate(0.7, 10.0), Candidate(0.7, 10.0)]
    assert 70.0 < seconds_to_confirm(close, 4, 1) < 80.0
    assert seconds_to_confirm(close, 1, 1) == pytest.approx(20.0)


def test_after_the_first_trainings_it_is_known_who_goes_on() -> None:
    def left(*tied: bool) -> float:
        return seconds_to_confirm([Candidate(0.7, 10.0, 2.0, one) for one in tied], 4, 1)

    assert left(True, False, False) == 0.0
    assert left(True, True, False) == pytest.approx(40.0)


def test_finalists_that_are_missing_count_like_the_others() -> None:
    known = row(0, accuracy=0.6, known="by hand", seconds=60.0)
    far = row(1, accuracy=0.5, known="worse", seconds=60.0)
    found = candidates_of([known, far, row(2, "pruned", 0.9, 2)], top=2, epochs=6)
    assert [one.score for one in found] == [0.6, 0.6, 0.6]
    assert candidates_of([row(2, "pruned", 0.9, 2)], top=2, epochs=6) == []
