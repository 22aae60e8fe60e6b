"""Who goes on at which rung."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.policy.factory import ladder_of
from search.policy.rungs import RungSystem, rungs_of


def ladder_at(*scores: float) -> RungSystem:
    """Trials 0, 1, ... with these scores, all at the first of two rungs."""
    ladder = RungSystem([2, 6], 3)
    for number, score in enumerate(scores):
        ladder.reach(number, {1: 0.0, 2: score})
    return ladder


def waiting(count: int) -> dict[int, int]:
    return dict.fromkeys(range(count), 2)


def test_the_best_of_all_goes_on_at_once_and_the_others_wait_for_their_turn() -> None:
    assert ladder_at(0.1).promotable(waiting(1)) == 0
    ladder = ladder_at(0.1, 0.9, 0.8)
    assert ladder.promotable(waiting(3)) == 1
    ladder.go_on(1, 2)
    assert ladder.promotable({0: 2, 2: 2}) is None


def test_where_no_more_come_the_share_is_rounded_up() -> None:
    ladder = ladder_at(0.1, 0.9, 0.2, 0.3)
    ladder.go_on(1, 2)
    assert ladder.promotable({0: 2, 2: 2, 3: 2}) is None
    assert ladder.promotable({0: 2, 2: 2, 3: 2}, last=True) == 3


def test_a_trial_that_was_passed_over_is_called_back_when_its_turn_has_come() -> None:
    ladder = ladder_at(0.9, 0.8, 0.7)
    ladder.go_on(0, 2)
    assert ladder.promotable(waiting(3)) is None
    for number in (3, 4, 5):
        ladder.reach(number, {2: 0.1})
    assert ladder.promotable(waiting(6)) == 1


def test_of_equals_the_earlier_goes_first() -> None:
    assert ladder_at(0.5, 0.5, 0.5).promotable(waiting(3)) == 0


def test_a_new_best_goes_on_whoever_has_gone_on_before() -> None:
    """As with a sampler that learns: each is better than all before it."""
    ladder = RungSystem([2], 3)
    for number in range(12):
        ladder.reach(number, {2: number / 100})
        assert ladder.chosen(2)[0] == number
        ladder.go_on(number, 2)


def test_a_first_rung_that_screens_lets_one_of_so_many_go_on_until_no_more_come() -> None:
    ladder = RungSystem([2, 6], 2, screen=8)
    for number in range(7):
        ladder.reach(number, {2: number / 10})
    assert ladder.promotable(waiting(7)) is None, "seven are too few to say which is good"
    ladder.reach(7, {2: 0.05})
    assert ladder.chosen(2) == [6]
    assert ladder.chosen(2, last=True) == [6, 5, 4, 3]
    ladder.reach(6, {6: 0.5})
    assert ladder.chosen(6) == [6], "only the first rung screens"


def test_whoever_no_more_than_half_can_pass_waits_until_the_end_of_a_screening() -> None:
    ladder = RungSystem([2], 2, screen=8)
    for number in range(16):
        ladder.reach(number, {2: -number})
    assert ladder.hopeless(waiting(16), 0, 100) == list(range(8, 16))
    assert ladder.hopeless(waiting(16), 10, 100) == [13, 14, 15]


def test_who_has_come_furthest_is_finished_when_no_more_are_begun() -> None:
    ladder = RungSystem([2, 6], 2, finish=True)
    for number in range(4):
        ladder.reach(number, {2: -number, 6: -number})
    everyone = dict.fromkeys(range(4), 6)
    assert ladder.chosen(6) == [0, 1]
    assert ladder.chosen(6, last=True) == [0, 1, 2, 3]
    assert ladder.hopeless(everyone, 0, 100) == []
    for number in range(4, 8):
        ladder.reach(number, {2: -number})
    assert ladder.chosen(2, last=True) == [], "from the rung below only half go on, and they have"


@pytest.mark.parametrize(("epochs", "finishes"), [(12, True), (27, True), (6, False), (52, True)])
def test_the_default_finishes_where_most_of_the_training_is_behind(
    epochs: int, finishes: bool
) -> None:
    ladder = ladder_of(epochs)
    for number in range(4):
        ladder.reach(number, {ladder.rungs[-1]: -number})
    assert len(ladder.chosen(ladder.rungs[-1], last=True)) == (4 if finishes else 2)


def test_a_screen_that_lets_more_through_than_the_other_rungs_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`screen` must be at least `reduction_factor` \(3\)"):
        RungSystem([1], 3, screen=2)


def test_where_nobody_has_been_let_through_yet_nobody_has_earned_to_be_further() -> None:
    ladder = RungSystem([2, 6], 2, screen=8)
    ladder.reach(0, {2: 0.9, 6: 0.9})
    assert ladder.furthest(0) == (1, 0.9)
    assert ladder.furthest(0, earned=True) == (0, 0.9)


def test_the_highest_rung_comes_first() -> None:
    ladder = ladder_at(0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
    for number in (0, 1, 2):
        ladder.reach(number, {6: 0.5 + number / 10})
    paused = {number: 6 if number < 3 else 2 for number in range(9)}
    assert ladder.promotable(paused) == 2


def test_what_is_no_number_is_worst() -> None:
    assert ladder_at(float("nan"), 0.1, 0.0).ranked(2) == [1, 2, 0]


def test_trials_that_had_come_further_before_a_restart_have_gone_on() -> None:
    ladder = RungSystem([2, 6], 3)
    for number in range(3):
        ladder.reach(number, {2: 0.9, 3: 0.6} if number == 0 else {2: 0.5})
    assert ladder.chosen(2) == []


@pytest.mark.parametrize(
    ("rungs", "reduction_factor", "what"),
    [([2], 1, "at least 2"), ([6, 2], 3, "ascending"), ([0], 3, "at least 1"), ([2, 2], 3, "asc")],
)
def test_what_makes_no_ladder_is_refused(
    rungs: list[int], reduction_factor: int, what: str
) -> None:
    with pytest.raises(ValueError, match=what):
        RungSystem(rungs, reduction_factor)


scores = st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=1, max_size=40)


@given(scores, scores, st.booleans())
def test_who_is_hopeless_is_never_promoted_whatever_comes(
    now: list[float], later: list[float], finish: bool
) -> None:
    """One rung, where each trial waits for its turn: nobody is let go too soon."""
    ladder = RungSystem([1], 3, finish=finish)
    for number, score in enumerate(now):
        ladder.reach(number, {1: score})
    paused = dict.fromkeys(range(len(now)), 1)
    hopeless = ladder.hopeless(paused, len(later), most_at_a_rung=1000)
    gone = set()
    for number, score in enumerate(later, start=len(now)):
        ladder.reach(number, {1: score})
        paused[number] = 1
        while (promoted := ladder.promotable(paused)) is not None:
            ladder.go_on(promoted, 1)
            del paused[promoted]
            gone.add(promoted)
    while (promoted := ladder.promotable(paused, last=True)) is not None:
        ladder.go_on(promoted, 1)
        del paused[promoted]
        gone.add(promoted)
    assert not gone & set(hopeless)
    assert len(gone) >= -(-(len(now) + len(later)) // 3)


def test_who_can_never_go_on_need_not_wait() -> None:
    ladder = ladder_at(0.9, 0.8, 0.7, 0.6)
    assert ladder.hopeless(waiting(4), 0, 100) == [2, 3]
    assert ladder.hopeless(waiting(4), 3, 100) == [3]
    assert ladder.hopeless(waiting(4), 100, 100) == []


def test_no_more_than_so_many_wait_at_a_rung() -> None:
    ladder = ladder_at(*(number / 100 for number in range(40)))
    assert ladder.hopeless(waiting(40), 1000, 32) == list(range(7, -1, -1))


def test_how_far_a_trial_has_come_and_how_far_it_would_have() -> None:
    ladder = ladder_at(0.9, 0.8, 0.7, 0.6, 0.1)
    ladder.reach(4, {2: 0.1, 6: 0.4, 12: 0.5})
    assert ladder.furthest(4) == (1, 0.4)
    assert ladder.furthest(4, earned=True) == (0, 0.1)
    assert ladder.furthest(0) == (0, 0.9)
    assert ladder.furthest(99) is None


@given(st.integers(1, 300), st.integers(1, 20), st.integers(2, 5))
def test_rungs_lie_below_the_last_epoch_and_rise_by_the_factor(
    epochs: int, first: int, factor: int
) -> None:
    rungs = rungs_of(epochs, first, factor)
    assert all(first <= rung < epochs for rung in rungs)
    assert all(after == factor * before for before, after in pairwise(rungs))
    assert rungs or first >= epochs
