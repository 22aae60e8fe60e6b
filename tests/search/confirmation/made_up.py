"""Contenders whose trainings follow a script instead of being made."""

from collections.abc import Sequence

import numpy as np

from search.study.confirmation import (
    ConfirmationPlan,
    ConfirmationRun,
    Contender,
    ImagesIdentity,
    Role,
    packed,
)

COUNT = 2_000
IMAGES = ImagesIdentity(count=COUNT, split="0123456789abcdef", took_no_part=True)


def contender(
    trial: int, role: Role = "finalist", score: float = 0.6, multiply_adds: int = 1_000_000
) -> Contender:
    return Contender(
        trial=trial,
        role=role,
        name=f"trial {trial}" if role == "finalist" else "reference Net4",
        search_accuracy=score,
        multiply_adds=multiply_adds,
        epochs=6,
    )


def plan(*contenders: Contender, seeds: int = 4, ended: bool = True) -> ConfirmationPlan:
    return ConfirmationPlan(
        top=3, seeds=seeds, images=IMAGES, contenders=list(contenders), ended=ended
    )


def answers(accuracy: float, repeat: int, trial: int) -> np.ndarray:
    """The easier images are right for all, and a few others by chance."""
    random = np.random.default_rng([trial, repeat])
    hardness = np.linspace(0.0, 1.0, COUNT) + 0.05 * random.standard_normal(COUNT)
    right = np.zeros(COUNT, dtype=bool)
    right[np.argsort(hardness)[: round(accuracy * COUNT)]] = True
    return right


def run(
    one: Contender, repeat: int, accuracy: float, failure: str | None = None
) -> ConfirmationRun:
    right = answers(accuracy, repeat, one.trial)
    return ConfirmationRun(
        trial=one.trial,
        role=one.role,
        repeat=repeat,
        seed=repeat,
        epochs=6,
        seconds=12.5,
        accuracy=None if failure else float(right.mean()),
        correct="" if failure else packed(right),
        images=IMAGES,
        failure=failure,
    )


def runs(one: Contender, accuracies: Sequence[float]) -> list[ConfirmationRun]:
    return [run(one, repeat, value) for repeat, value in enumerate(accuracies, start=1)]
