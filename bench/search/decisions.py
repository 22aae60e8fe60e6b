"""How long does a policy take to decide what is trained next, and how does that grow with the trials?

    python -m bench.search.decisions [--arms ours "TPE + SHA" ...] [--trials 50 200 1000] [--task "mixed 0"]

Each policy searches a made-up task until the most trials are begun. Timed is a decision: all that the
policy is asked from one training that was handed out to the next, in seconds of the processor, so that
other work on the machine does not count. Given are the median and the 95th percentile over the decisions
of the last tenth before each number of trials.
"""

import argparse
import warnings

import numpy as np
import optuna

from bench.columns import in_columns
from bench.search.arms import ARMS
from bench.search.tasks import stage
from bench.search.timed import Timed
from search.policy import run_search


def decisions(arm: str, task: str, trials: int) -> list[tuple[int, float]]:
    """Return for each decision of a search the trials that were there, and its seconds."""
    own = stage(task).task
    study = optuna.create_study(direction="maximize")
    policy = Timed(ARMS[arm](study, 0, own))
    run_search(
        policy,
        study,
        choose=own.space.suggest,
        train=own.train,
        epochs=own.epochs,
        most_epochs=10**9,
        epoch_seconds=own.seconds,
        stop=lambda _seen: policy.decisions[-1][0] > trials,
    )
    return policy.decisions


def row_of(arm: str, found: list[tuple[int, float]], trials: list[int]) -> list[str]:
    """Return an arm in the table: milliseconds by the number of trials."""
    cells = [arm]
    for count in trials:
        own = [1e3 * seconds for there, seconds in found if 0.9 * count < there <= count]
        cells += [f"{np.median(own):.0f}", f"{np.percentile(own, 95):.0f}"]
    return cells


def main() -> None:
    """Read the command line, search, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.search.decisions", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=["ours", "TPE + SHA"])
    parser.add_argument("--trials", nargs="+", type=int, default=[50, 200, 1_000])
    parser.add_argument("--task", default="mixed 0")
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")  # Optuna's own, about experimental samplers
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = []
    for arm in wanted.arms:
        found = decisions(arm, wanted.task, max(wanted.trials))
        rows.append(row_of(arm, found, wanted.trials))
    head = ["policy"]
    for count in wanted.trials:
        head += [f"ms at {count}", "95 %"]
    print(in_columns(head, rows))


if __name__ == "__main__":
    main()
