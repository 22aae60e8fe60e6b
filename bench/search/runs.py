"""One search of one task, and what is kept of it."""

import warnings
from dataclasses import dataclass

import optuna

from bench.search.arms import ARMS
from bench.search.tasks import Stage
from bench.search.timed import Timed
from search.policy import Seen, run_search

__all__ = ["BUDGETS", "LIMIT", "NEAR", "Run", "search"]

BUDGETS = (5, 10, 20)
"""Whole trainings' worth of epochs, and of seconds, after which what is returned is looked at."""
NEAR = (1.0, 0.3)
"""Points to the best known configuration."""
LIMIT = 25
"""Whole trainings' worth of epochs at which a search ends in any case."""


@dataclass(frozen=True)
class Run:
    """One search.

    Attributes:
        arm: The policy.
        task: Name of the task.
        seed: Seed of the policy.
        by_epochs: Points from what is returned to the best known, after each of `BUDGETS` in epochs.
        by_seconds: The same after as many seconds.
        near: Whole trainings' worth of epochs until what is returned is as near as each of `NEAR`; None if
            it never was.
        trials: Trials that were begun.
        decision: Mean seconds of the processor for a decision.
    """

    arm: str
    task: str
    seed: int
    by_epochs: tuple[float, ...]
    by_seconds: tuple[float, ...]
    near: tuple[float | None, ...]
    trials: int
    decision: float


class _Watch:
    """Follows what a search would return: the configuration with the best score so far, at any epoch."""

    def __init__(self, stage: Stage, study: optuna.Study, workers: int) -> None:
        self._stage, self._study, self._workers = stage, study, workers
        self._best = 0.0
        self._regret = 100.0 * (stage.best - 0.1)  # of what has not learned
        self.by_epochs, self.by_seconds = ([self._regret] * len(BUDGETS) for _ in range(2))
        self.near: list[float | None] = [None] * len(NEAR)

    def __call__(self, seen: Seen) -> bool:
        """Take in an epoch; return whether the search ends."""
        task = self._stage.task
        if seen.accuracy > self._best:
            self._best = seen.accuracy
            values = self._study.get_trials(deepcopy=False)[seen.trial].params
            self._regret = 100 * (self._stage.best - task.truth(values))
        trainings = seen.epochs / task.epochs
        seconds = seen.seconds * self._workers / self._stage.seconds
        for index, budget in enumerate(BUDGETS):
            if trainings <= budget:
                self.by_epochs[index] = self._regret
            if seconds <= budget:
                self.by_seconds[index] = self._regret
        for index, points in enumerate(NEAR):
            if self.near[index] is None and self._regret <= points:
                self.near[index] = trainings
        spent = min(trainings, seconds) >= max(BUDGETS)
        return (spent and self.near[-1] is not None) or trainings >= LIMIT


def search(arm: str, name: str, seed: int, stage: Stage, workers: int = 1) -> Run:
    """Search a task once.

    Args:
        arm: The policy, by its name.
        name: Name of the task.
        seed: Seed of the policy.
        stage: The task.
        workers: Trainings side by side, in simulated time; a budget of seconds is that of all together.
    """
    warnings.simplefilter("ignore")  # Optuna's own, about experimental samplers
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    task = stage.task
    study = optuna.create_study(direction="maximize", study_name=f"{arm} {seed}")
    policy = Timed(ARMS[arm](study, seed, task))
    watch = _Watch(stage, study, workers)
    run_search(
        policy,
        study,
        choose=task.space.suggest,
        train=task.train,
        epochs=task.epochs,
        most_epochs=LIMIT * task.epochs,
        workers=workers,
        epoch_seconds=task.seconds,
        stop=watch,
    )
    return Run(
        arm,
        name,
        seed,
        tuple(watch.by_epochs),
        tuple(watch.by_seconds),
        tuple(watch.near),
        policy.decisions[-1][0],
        sum(one for _, one in policy.decisions) / len(policy.decisions),
    )
