"""The trainings that a confirmation needs next: successive elimination, in a fixed order."""

from collections.abc import Mapping, Sequence

from search.confirmation.statistics import Answers, Noise
from search.study.confirmation import ConfirmationPlan, ConfirmationRun, Contender, unpacked
from search.study.settings import Budget

__all__ = [
    "FIRST_SEEDS",
    "Runs",
    "answers_of",
    "expected_trainings",
    "most_trainings",
    "needed",
    "runs_of",
    "tied",
]

FIRST_SEEDS = 2
"""Trainings of every contender before any is left out."""

Runs = Mapping[tuple[int, int], ConfirmationRun]
"""Finished trainings by trial and repeat."""


def runs_of(plan: ConfirmationPlan, runs: Sequence[ConfirmationRun]) -> Runs:
    """Return the finished trainings that count for a plan.

    Those of contenders that it does not have, or on other images, are left out: they belong to the
    confirmation of another stage of the study.
    """
    trials = {one.trial for one in plan.contenders}
    return {
        (one.trial, one.repeat): one
        for one in runs
        if one.trial in trials and one.repeat <= plan.seeds and one.images == plan.images
    }


def needed(plan: ConfirmationPlan, runs: Runs) -> list[tuple[Contender, int]]:
    """Return the trainings of the round under way that are not finished, in their order.

    Every contender is trained from `FIRST_SEEDS` seeds. Then those that cannot be told apart from the one
    of the highest mean are trained from one more, until only one is left or the plan's seeds are used up.
    What is needed depends on finished rounds alone, not on the order in which their trainings came in.

    Returns:
        Contenders with the number of the repeat; nothing if the confirmation is over.
    """
    left = _able(plan, runs)
    done = 0
    while left and done < plan.seeds:
        upto = min(plan.seeds, max(FIRST_SEEDS, done + 1))
        missing = [
            (one, repeat)
            for repeat in range(done + 1, upto + 1)
            for one in left
            if (one.trial, repeat) not in runs
        ]
        if missing:
            return missing
        done = upto
        left = _in_the_race(plan, left, runs, done)
        if len(left) == 1:
            break
    return []


def most_trainings(plan: ConfirmationPlan) -> int:
    """Return the number of trainings if nothing can be told apart before the end."""
    return len(plan.contenders) * plan.seeds


def answers_of(runs: Runs, contender: Contender, upto: int) -> Answers:
    """Return whether a contender's first trainings classify the images right, (n, N)."""
    import numpy as np

    found = [
        unpacked(run.correct, run.images.count)
        for repeat in range(1, upto + 1)
        if (run := runs.get((contender.trial, repeat))) is not None and run.failure is None
    ]
    return np.array(found, dtype=bool)


def tied(noise: Noise, contenders: Sequence[int]) -> list[int]:
    """Return those of the contenders that cannot be told apart from the one of the highest mean."""
    leader = max(contenders, key=noise.value)
    return [
        one for one in contenders if one == leader or not noise.difference(leader, one).told_apart
    ]


def _able(plan: ConfirmationPlan, runs: Runs) -> list[Contender]:
    failed = {trial for (trial, _), run in runs.items() if run.failure is not None}
    return [one for one in plan.contenders if one.trial not in failed]


def _in_the_race(
    plan: ConfirmationPlan, left: list[Contender], runs: Runs, done: int
) -> list[Contender]:
    able = _able(plan, runs)
    noise = Noise([answers_of(runs, one, done) for one in able], len(plan.contenders) - 1)
    return [able[index] for index in tied(noise, [able.index(one) for one in left])]


def expected_trainings(budget: Budget, *, has_known: bool) -> tuple[int, int]:
    """Return the fewest and the most trainings of a study's confirmation, with one reference."""
    if budget.confirm is None:
        return 0, 0
    contenders = budget.confirm + has_known
    return contenders * min(FIRST_SEEDS, budget.confirm_seeds), contenders * budget.confirm_seeds
