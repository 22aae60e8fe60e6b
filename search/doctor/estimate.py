"""Estimates of the time of trials and searches from measured speeds."""

import heapq
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cifar_core.data.split import VALIDATION_IMAGES
from cifar_core.throughput import Throughput

__all__ = ["SAVED_BY_STOPPING", "Outlook", "Workload", "search_seconds", "trial_seconds"]

SAVED_BY_STOPPING = 1 / 2
"""Share of the epochs that early stopping saves in a search of 50 trials of 6 epochs: of the trials that
are not known configurations, half continue after epoch 1 and a quarter after epoch 3. Longer trials save
more."""


@dataclass(frozen=True)
class Workload:
    """The work of a trial.

    Attributes:
        epochs: Passes over the training images.
        train_images: Images to train on.
        validation_images: Images to validate on after each epoch.
    """

    epochs: int
    train_images: int
    validation_images: int = VALIDATION_IMAGES


@dataclass(frozen=True)
class Outlook:
    """Estimated times.

    Attributes:
        default: A trial of the recipe's defaults at full length.
        default_seconds: Its time while all workers train.
        trial: A trial of a search here.
        trial_seconds: Its time with the narrowest network and with the widest.
        trials: Number of trials of a search.
        search_seconds: Their time if all have the narrowest network, and if all have the widest; none is
            stopped early.
    """

    default: Workload
    default_seconds: float
    trial: Workload
    trial_seconds: tuple[float, float]
    trials: int
    search_seconds: tuple[float, float]

    @classmethod
    def of(
        cls,
        narrow: Sequence[Throughput],
        wide: Sequence[Throughput],
        default: Workload,
        trial: Workload,
        trials: int,
    ) -> "Outlook":
        """Estimate times.

        Args:
            narrow: Speed of each worker with the recipe's defaults.
            wide: Speed of each worker with the widest network.
            default: A trial of the recipe's defaults.
            trial: A trial of a search here.
            trials: Number of trials of a search.
        """
        ends = [[trial_seconds(one, trial) for one in workers] for workers in (narrow, wide)]
        by_default = [trial_seconds(one, default) for one in narrow]
        return cls(
            default,
            _mean(by_default),
            trial,
            (_mean(ends[0]), _mean(ends[1])),
            trials,
            (search_seconds(trials, ends[0]), search_seconds(trials, ends[1])),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the estimates as plain JSON."""
        return {
            "default_trial": {**asdict(self.default), "seconds": round(self.default_seconds, 1)},
            "trial": {**asdict(self.trial), **_span(self.trial_seconds)},
            "search": {
                "trials": self.trials,
                **_span(self.search_seconds),
                "saved_by_early_stopping": round(SAVED_BY_STOPPING, 2),
            },
        }


def trial_seconds(speed: Throughput, trial: Workload) -> float:
    """Return the time of a trial that is not stopped early, including validation.

    >>> trial_seconds(Throughput(training=1_000, evaluation=5_000), Workload(12, 45_000, 5_000))
    552.0
    """
    training = trial.train_images / speed.training
    return trial.epochs * (training + trial.validation_images / speed.evaluation)


def search_seconds(trials: int, workers: Sequence[float]) -> float:
    """Return the time of some trials if each goes to the first free worker.

    Args:
        trials: Number of trials.
        workers: Seconds that each worker needs for a trial.

    >>> search_seconds(5, [10.0, 10.0]), search_seconds(5, [10.0, 5.0])
    (30.0, 20.0)
    """
    done = last = 0.0
    free = [(0.0, index) for index in range(len(workers))]
    for _ in range(trials):
        done, index = heapq.heappop(free)
        done += workers[index]
        last = max(last, done)
        heapq.heappush(free, (done, index))
    return last


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _span(seconds: tuple[float, float]) -> dict[str, float]:
    return {"seconds_narrow": round(seconds[0], 1), "seconds_wide": round(seconds[1], 1)}
