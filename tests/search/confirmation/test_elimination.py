"""Seeds are spent where they decide, in the same order however often a confirmation is interrupted."""

from collections.abc import Mapping

import pytest

from search.confirmation.elimination import needed, runs_of
from search.study.confirmation import ConfirmationPlan, ConfirmationRun
from tests.search.confirmation.made_up import contender, plan, run

LEADER, RIVAL, WORSE = contender(4), contender(7), contender(9)
NET4 = contender(0, "reference")


def trained(
    plan: ConfirmationPlan, accuracy: Mapping[int, float], backwards: bool = False
) -> list[tuple[int, int]]:
    """What is trained until nothing is needed, one at a time, from either end of what is needed."""
    done: list[ConfirmationRun] = []
    while missing := needed(plan, runs_of(plan, done)):
        one, repeat = missing[-1 if backwards else 0]
        done.append(run(one, repeat, accuracy[one.trial]))
    return [(one.trial, one.repeat) for one in done]


def test_all_get_two_seeds_and_then_only_those_that_cannot_be_told_apart() -> None:
    found = trained(plan(LEADER, RIVAL, WORSE, NET4), {4: 0.65, 7: 0.648, 9: 0.5, 0: 0.45})
    assert found[:8] == [(one, repeat) for repeat in (1, 2) for one in (4, 7, 9, 0)]
    assert found[8:] == [(4, 3), (7, 3), (4, 4), (7, 4)]


def test_once_one_is_left_nothing_more_is_trained() -> None:
    assert len(trained(plan(LEADER, NET4, seeds=20), {4: 0.7, 0: 0.5})) == 4


def test_one_alone_is_trained_twice() -> None:
    assert trained(plan(LEADER), {4: 0.65}) == [(4, 1), (4, 2)]


def test_a_single_seed_is_all_that_is_trained_if_that_is_asked_for() -> None:
    assert trained(plan(LEADER, NET4, seeds=1), {4: 0.65, 0: 0.65}) == [(4, 1), (0, 1)]


def test_the_same_is_trained_in_whatever_order_it_is_finished() -> None:
    race, accuracy = plan(LEADER, RIVAL, WORSE, NET4), {4: 0.65, 7: 0.648, 9: 0.5, 0: 0.648}
    assert sorted(trained(race, accuracy)) == sorted(trained(race, accuracy, backwards=True))


def test_what_cannot_be_trained_is_left_out_and_the_others_go_on() -> None:
    race = plan(LEADER, RIVAL, NET4)
    done = [run(LEADER, 1, 0.65), run(RIVAL, 1, 0.65, failure="out of memory")]
    missing = [(one.trial, repeat) for one, repeat in needed(race, runs_of(race, done))]
    assert missing == [(0, 1), (4, 2), (0, 2)]


@pytest.mark.parametrize("seeds", [3, 6])
def test_more_seeds_go_on_where_fewer_have_ended(seeds: int) -> None:
    accuracy = {4: 0.65, 7: 0.648}
    before = trained(plan(LEADER, RIVAL, seeds=2), accuracy)
    done = [
        run(LEADER if trial == 4 else RIVAL, repeat, accuracy[trial]) for trial, repeat in before
    ]
    more = plan(LEADER, RIVAL, seeds=seeds)
    assert [repeat for _, repeat in needed(more, runs_of(more, done))] == [3, 3]
