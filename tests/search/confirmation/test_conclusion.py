"""What a confirmation says: one sentence, a winner, and how much of the search's score was luck."""

import json

import pytest

from search.confirmation.conclusion import conclude
from search.study.confirmation import Confirmation, packed, unpacked
from tests.search.confirmation.made_up import IMAGES, answers, contender, plan, run, runs

CHEAP, DEAR = (
    contender(4, score=0.64, multiply_adds=1_000_000),
    contender(7, score=0.66, multiply_adds=9_000_000),
)
NET4 = contender(0, "reference", score=0.62, multiply_adds=5_000_000)


def concluded(cheap: float, dear: float, reference: float | None) -> Confirmation:
    every = [CHEAP, DEAR] if reference is None else [CHEAP, DEAR, NET4]
    accuracies = {4: cheap, 7: dear, 0: reference or 0.0}
    done = [one for who in every for one in runs(who, [accuracies[who.trial]] * 3)]
    found = conclude(plan(*every), done)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("cheap", "dear", "reference", "verdict", "winner"),
    [
        (0.60, 0.66, 0.62, "Trial 7 is better than reference Net4 by 4.0 +- ", 7),
        (0.659, 0.66, 0.62, "Trial 4 is better than reference Net4 by 3.9 +- ", 4),
        (0.652, 0.66, 0.62, "Trial 7 is better than reference Net4 by 4.0 +- ", 7),
        (0.652, 0.66, 0.652, "Trial 7 is no better than reference Net4 within noise: +0.8 +- ", 7),
        (0.60, 0.66, 0.661, "Trial 7 is no better than reference Net4 within noise: -0.1 +- ", 0),
        (0.659, 0.66, 0.658, "Trial 7 is no better than reference Net4 within noise: +0.2 +- ", 4),
        (
            0.60,
            0.61,
            0.66,
            "No trial is better than reference Net4; trial 7 is worse by 5.0 +- ",
            0,
        ),
        (0.60, 0.66, None, "Trial 7 is better than trial 4 by 6.0 +- ", 7),
        (0.659, 0.66, None, "Trial 7 is no better than trial 4 within noise: +0.1 +- ", 4),
    ],
)
def test_the_verdict_is_a_sentence_and_the_cheaper_of_equals_wins(
    cheap: float, dear: float, reference: float | None, verdict: str, winner: int
) -> None:
    found = concluded(cheap, dear, reference)
    assert found.verdict.startswith(verdict)
    assert found.verdict.endswith(" points (95 %).")
    assert found.winner == winner


def test_a_cheaper_one_does_not_win_if_it_is_no_better_than_the_reference() -> None:
    """Trial 4 cannot be told apart from trial 7, which is better than the reference, but is not itself."""
    found = concluded(0.6504, 0.655, 0.6415)
    tied = {one.contender.trial: one.tied_with_leader for one in found.ranking}
    apart = {
        one.contender.trial: one.difference.told_apart for one in found.ranking if one.difference
    }
    assert (tied, apart) == ({7: True, 4: True, 0: False}, {7: True, 4: False})
    assert found.winner == 7


def test_the_best_of_the_search_and_the_confirmed_best_are_kept_apart() -> None:
    found = concluded(0.65, 0.60, 0.58)
    assert (found.search_best, found.winner) == (7, 4)
    assert [one.shrinkage for one in found.ranking] == pytest.approx([-1.0, 6.0, 4.0])


def test_before_the_first_training_there_is_nothing_to_conclude() -> None:
    assert conclude(plan(CHEAP, NET4), []) is None


def test_trainings_of_others_and_on_other_images_do_not_count() -> None:
    other = IMAGES.model_copy(update={"split": "fedcba9876543210"})
    strange = run(NET4, 1, 0.9).model_copy(update={"images": other})
    found = conclude(plan(CHEAP, NET4), [run(CHEAP, 1, 0.6), strange, run(DEAR, 1, 0.9)])
    assert found is not None
    assert [one.contender.trial for one in found.ranking] == [4]
    assert found.verdict.startswith("Trial 4 reaches 60.0 +- ")


def test_what_could_not_be_trained_is_named_with_the_reason() -> None:
    found = conclude(
        plan(CHEAP, DEAR), [*runs(CHEAP, [0.6, 0.6]), run(DEAR, 1, 0.0, "out of memory")]
    )
    assert found is not None
    assert found.failures == {"trial 7": "out of memory"}
    assert [one.contender.trial for one in found.ranking] == [4]


def test_a_conclusion_and_its_records_go_through_json() -> None:
    found = concluded(0.65, 0.66, 0.62)
    assert Confirmation.model_validate(json.loads(found.model_dump_json())) == found


def test_answers_are_packed_and_unpacked_and_no_other_number_of_images_is_taken() -> None:
    right = answers(0.6, 1, 1)[:1_999]
    assert (unpacked(packed(right), 1_999) == right).all()
    with pytest.raises(ValueError, match="2000 bits"):
        unpacked(packed(right), 2_001)
    with pytest.raises(ValueError, match="base64"):
        unpacked("?", 8)
