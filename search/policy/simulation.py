"""A whole search without processes: any policy against anything that yields accuracies, epoch by epoch.

    study = optuna.create_study(direction="maximize")
    policy = Promotion(study, lambda number: TPESampler(seed=number), RungSystem([2, 6], 3))
    trace = run_search(policy, study, choose=space.suggest, train=recorded_curve, epochs=12, trials=100)

where `recorded_curve(values)` yields an epoch's number and its validation accuracy, again and again. The
service asks the same policy the same questions in the same order; there, workers answer.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from search.policy.base import Policy
from search.study import attributes
from search.study.trial_states import give_up

__all__ = ["Curve", "Seen", "run_search"]

Curve = Iterator[tuple[int, float]]
"""Epochs from 1 and the validation accuracy after each; asking for the next one trains it."""


@dataclass(frozen=True)
class Seen:
    """An epoch that was trained.

    Attributes:
        seconds: When it was done, on the simulated clock.
        epochs: How many had been trained by then, this one among them, over all trials.
        trial: Its trial's number.
        epoch: Its number in the trial.
        accuracy: Validation accuracy after it.
    """

    seconds: float
    epochs: int
    trial: int
    epoch: int
    accuracy: float


@dataclass
class _Job:
    trial: Trial
    curve: Curve
    seconds: float
    scores: dict[int, float]


def run_search(
    policy: Policy,
    study: optuna.Study,
    *,
    choose: Callable[[Trial], Mapping[str, Any]],
    train: Callable[[Mapping[str, Any]], Curve],
    epochs: int,
    trials: int | None = None,
    most_epochs: int | None = None,
    workers: int = 1,
    epoch_seconds: Callable[[Mapping[str, Any]], float] = lambda _values: 1.0,
    stop: Callable[[Seen], bool] = lambda _seen: False,
) -> list[Seen]:
    """Run a search in simulated time.

    Args:
        policy: What decides. It must have been made with `study`.
        study: Where trials are written; in memory, unless they are to be kept.
        choose: Asks a trial for the value of each parameter.
        train: What a configuration's training yields.
        epochs: Epochs of a trial that is trained to its end.
        trials: Trials in all; without it `most_epochs` must be given.
        most_epochs: Epochs in all, over all trials, after which the search ends at once.
        workers: Trainings side by side.
        epoch_seconds: What an epoch of a configuration takes.
        stop: Told of each epoch; whether the search ends behind it.

    Returns:
        All epochs, in the order in which they were done.
    """
    if trials is None and most_epochs is None:
        raise ValueError("`trials` or `most_epochs` must be given.")
    seen: list[Seen] = []
    jobs: dict[int, _Job] = {}
    busy: list[tuple[float, int, int]] = []
    order = count()
    begun, free, now = 0, workers, 0.0

    def begin() -> Trial:
        values: Mapping[str, Any] = {}

        def prepare(trial: Trial, _number: int) -> Mapping[str, Any]:
            nonlocal values
            values = choose(trial)
            return {}

        trial = policy.ask(prepare)
        jobs[trial.number] = _Job(trial, train(values), epoch_seconds(values), {})
        return trial

    def next_trial() -> Trial | None:
        nonlocal begun
        more = trials is None or begun < trials
        trial = policy.promote(last=not more)
        if trial is None and more:
            trial = begin()
            begun += 1
        if trial is not None:
            jobs[trial.number].trial = trial
        return trial

    def is_ready() -> bool:
        more = trials is None or begun < trials
        return not more or policy.ready(wait=not busy)

    while True:
        while free and is_ready() and (trial := next_trial()) is not None:
            free -= 1
            heapq.heappush(busy, (now + jobs[trial.number].seconds, next(order), trial.number))
        if not busy:
            return seen
        now, _, number = heapq.heappop(busy)
        job = jobs[number]
        epoch, accuracy = next(job.curve)
        job.trial.report(accuracy, epoch)
        job.scores[epoch] = accuracy
        seen.append(Seen(now, len(seen) + 1, number, epoch, accuracy))
        if stop(seen[-1]) or (most_epochs is not None and len(seen) >= most_epochs):
            return seen
        verdict = "end" if epoch >= epochs else policy.verdict(job.trial, job.scores)
        if verdict == "go on":
            heapq.heappush(busy, (now + job.seconds, next(order), number))
            continue
        free += 1
        job.trial.set_user_attr(attributes.TRIAL_SECONDS, job.seconds * len(job.scores))
        if verdict == "pause":
            policy.pause(job.trial)
        elif verdict == "stop":
            study.tell(job.trial, state=TrialState.PRUNED)
            policy.ended(number, TrialState.PRUNED)
        else:
            policy.verdict(job.trial, job.scores)
            study.tell(job.trial, accuracy)
            policy.ended(number, TrialState.COMPLETE)
        left = 10**9 if trials is None else trials - begun
        for trial in policy.hopeless(left + len(busy)):
            give_up(trial)
            policy.ended(trial.number, TrialState.PRUNED)
