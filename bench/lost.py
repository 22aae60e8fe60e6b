"""What does a whole search cost that ends by its number of trials, and what does early stopping lose it?

    python -m bench.lost [--records net speed] [--arms ours "TPE + Median" ...] [--trials 50] [--seeds 30]

Replayed as in `bench.search`, but each search begins `--trials` trials, as `cifar-search start --trials`
does, and ends when none goes on any more. Counted are the epochs that it trains, in whole trainings; how
many trials are complete; of the configurations that would have come to the best tenth of random ones, had
they been trained to the end, the share that was not; by how much the best that it has tried is better than
the best that it has found, in points at the end of their training; and the accuracy of that one, in
percent, on images that no score was taken on.
"""

import argparse
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.trial import TrialState

from bench.arms import ARMS
from bench.columns import in_columns
from bench.search import SPACES, ends_of, stage
from search.policy import run_search

COMPARED = [
    *("ours", "promotion, random", "ours before"),
    *("TPE", "TPE + Median", "TPE + Hyperband", "TPE + SHA(2, 3)"),
]
TENTH = 90
"""The percentile above which the best tenth lies."""


@dataclass(frozen=True)
class Outcome:
    """A search that has ended.

    Attributes:
        cost: What it trained, in whole trainings.
        complete: Its complete trials.
        good: Configurations that it tried of the best tenth.
        lost: Those of them that were not trained to their end.
        missed: By how much the best tried is better than the best found, 0-1.
        found: Held-out accuracy of the best complete trial, 0-1.
    """

    cost: float
    complete: int
    good: int
    lost: int
    missed: float
    found: float


def run(arm: str, name: str, seed: int, trials: int) -> Outcome:
    """One search of so many trials."""
    warnings.simplefilter("ignore")  # Optuna's own, about experimental samplers
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    surrogate, _ = stage(name)
    tenth = np.percentile(ends_of(name), TENTH)
    study = optuna.create_study(direction="maximize")
    seen = run_search(
        ARMS[arm](study, seed, surrogate),
        study,
        choose=surrogate.space.suggest,
        train=surrogate.train,
        epochs=surrogate.epochs,
        trials=trials,
    )
    ends = {one.number: float(surrogate.curve(one.params)[-1]) for one in study.trials}
    done = {one.number for one in study.trials if one.state is TrialState.COMPLETE}
    good = {number for number, end in ends.items() if end >= tenth}
    missed = max(ends.values()) - max(ends[number] for number in done)
    best = max(done, key=lambda number: ends[number])
    found = surrogate.check(study.trials[best].params)
    return Outcome(
        len(seen) / surrogate.epochs, len(done), len(good), len(good - done), missed, found
    )


def row_of(arm: str, outcomes: Sequence[Outcome]) -> list[str]:
    """An arm in the table: means over its searches."""
    good = sum(one.good for one in outcomes)
    return [
        arm,
        f"{np.mean([one.cost for one in outcomes]):.1f}",
        f"{np.mean([one.complete for one in outcomes]):.1f}",
        f"{good / len(outcomes):.1f}",
        f"{100 * sum(one.lost for one in outcomes) / good:.0f} %" if good else "-",
        f"{100 * np.mean([one.missed for one in outcomes]):.2f}",
        f"{100 * np.mean([one.found for one in outcomes]):.1f}",
    ]


def main() -> None:
    """Read the command line, replay, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.lost", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--records", nargs="+", choices=SPACES, default=list(SPACES))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=COMPARED)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    wanted = parser.parse_args()
    head = ["policy", "whole trainings", "complete", "of the best tenth", "lost", "missed", "found"]
    with ProcessPoolExecutor(wanted.workers) as processes:
        for name in wanted.records:
            rows = []
            for arm in wanted.arms:
                jobs = [(arm, name, seed, wanted.trials) for seed in range(wanted.seeds)]
                rows.append(row_of(arm, list(processes.map(run, *zip(*jobs, strict=True)))))
            print(f"\n{name}: searches of {wanted.trials} trials, {wanted.seeds} seeds")
            print(in_columns(head, rows), flush=True)


if __name__ == "__main__":
    main()
