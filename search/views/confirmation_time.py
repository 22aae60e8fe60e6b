"""The trainings that a confirmation is expected to need, and their time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from search.confirmation.elimination import FIRST_SEEDS
from search.confirmation.planning import CLOSE
from search.study.rows import TrialRow, best_rows

__all__ = ["Candidate", "candidates_of", "seconds_to_confirm"]

TOLD_APART, BLUR = 0.028, 0.012
"""Difference of two scores of a search at which a confirmation tells the two apart in half of the cases
after its first trainings, and the width over which that share changes: an interval at 2,500 images and two
seeds is about 3 points to either side, and a score of the search is off by 1 (docs/CONFIRMATION.md)."""
STAYS = 0.75
"""Probability that what one training of each says of who is tied with the leader is what two say."""
SCORING = 1.08
"""A training of a confirmation against a trial of as many epochs: at its end, other images are scored."""


@dataclass(frozen=True)
class Candidate:
    """A configuration that a confirmation trains, or probably will.

    Attributes:
        score: Of the search, 0 to 1.
        seconds: Of one training, on one worker.
        done: Finished trainings, and the finished shares of those under way.
        tied: Whether it leads or cannot be told apart from the leader; None before that can be said.
    """

    score: float
    seconds: float
    done: float = 0.0
    tied: bool | None = None


def candidates_of(rows: list[TrialRow], top: int, epochs: int) -> list[Candidate]:
    """Return those that would be confirmed if a search ended now; nothing if no trial is complete.

    Finalists that are missing yet count like the mean of the others, with the best score.

    Args:
        rows: The trials that have ended.
        top: Finalists that will be confirmed.
        epochs: Epochs of a training.
    """
    complete = [row for row in best_rows(rows, len(rows)) if row.epochs]
    known = [row for row in complete if row.known]
    finalists = [row for row in complete if not row.known][:top]
    close = [row for row in known if row.score >= known[0].score - CLOSE]
    found = [
        Candidate(row.score, SCORING * epochs * row.seconds / row.epochs)
        for row in (*finalists, *close)
    ]
    if not found:
        return []
    mean = sum(one.seconds for one in found) / len(found)
    missing = Candidate(max(one.score for one in found), mean)
    return [*found, *[missing] * (top - len(finalists))]


def seconds_to_confirm(candidates: Sequence[Candidate], seeds: int, workers: int) -> float:
    """Return the expected time of what is left.

    Args:
        candidates: Who is trained.
        seeds: Trainings of each at most.
        workers: Trainings at the same time.
    """
    first = min(FIRST_SEEDS, seeds)
    seconds = 0.0
    for one, stays in zip(candidates, _staying(candidates, first), strict=True):
        wanted = first + stays * (seeds - first)
        seconds += max(0.0, wanted - one.done) * one.seconds
    return seconds / max(1, workers)


def _staying(candidates: Sequence[Candidate], first: int) -> list[float]:
    """The probability of each that it is trained further after the first trainings."""
    if not candidates:
        return []
    if all(one.tied is not None for one in candidates):
        if min(one.done for one in candidates) < first:
            return [STAYS if one.tied else 1.0 - STAYS for one in candidates]
        stays = [float(bool(one.tied)) for one in candidates]
        return stays if sum(stays) > 1 else [0.0] * len(stays)
    leader = max(range(len(candidates)), key=lambda index: candidates[index].score)
    gaps = [candidates[leader].score - one.score for one in candidates]
    stays = [1.0 / (1.0 + math.exp((gap - TOLD_APART) / BLUR)) for gap in gaps]
    # The leader is trained further with whoever is.
    stays[leader] = 1.0 - math.prod(
        1.0 - stay for index, stay in enumerate(stays) if index != leader
    )
    return stays
