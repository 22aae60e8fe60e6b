"""Measure the time of a decision, and its growth with the trials.

    python -m bench.search.decisions [--arms ours "TPE + SHA" ...] [--trials 50 200 1000]
        [--decisions 20] [--task "mixed 0"]

A study is filled with so many trials by random search, which pauses trials for a policy of ours and stops
them for another. The policy then takes it over, as after a restart, and decides so many times. Timed is a
decision: all that the policy is asked from one training that was handed out to the next, in seconds of the
processor, so that other work on the machine does not count. The first one, which may fit a model from
nothing, is stated by itself.
"""

import argparse
import warnings
from collections.abc import Mapping

import numpy as np
import optuna
from optuna.trial import Trial, TrialState

from bench.columns import in_columns
from bench.search.arms import ARMS
from bench.search.tasks import Task, task_of
from bench.search.timed import Timed
from search.policy import Decision, Policy, run_search
from search.policy.base import Prepare
from search.policy.factory import promotion_policy


class HandedOver(Policy):
    """Random search until there are so many trials; then the policy of an arm, which is timed.

    Args:
        study: Where trials are written.
        arm: Name of the arm.
        task: What is searched.
        trials: Trials that random search begins.
    """

    def __init__(self, study: optuna.Study, arm: str, task: Task, trials: int) -> None:
        self._study, self._arm, self._task, self._trials = study, arm, task, trials
        self._policy: Policy = (
            promotion_policy(study, epochs=task.epochs, seed=1, sampler="random")
            if arm.startswith("ours")
            else ARMS["random + SHA"](
                study, 1, task
            )  # which pauses no trial for a policy to take up
        )
        self._timed: Timed | None = None

    @property
    def decisions(self) -> list[float]:
        """Seconds of each decision of the arm."""
        return [] if self._timed is None else [seconds for _, seconds in self._timed.decisions]

    def promote(self, *, last: bool) -> Trial | None:
        """As `Policy` says; the first question for the next training."""
        if self._timed is None and len(self._study.get_trials(deepcopy=False)) >= self._trials:
            self._policy = self._timed = Timed(ARMS[self._arm](self._study, 0, self._task))
        return self._policy.promote(last=last)

    def ask(self, prepare: Prepare) -> Trial:
        """As `Policy` says."""
        return self._policy.ask(prepare)

    def complete(self, trial: Trial, prepare: Prepare) -> Trial:
        """As `Policy` says."""
        return self._policy.complete(trial, prepare)

    def verdict(self, trial: Trial, scores: Mapping[int, float]) -> Decision:
        """As `Policy` says."""
        return self._policy.verdict(trial, scores)

    def pause(self, trial: Trial) -> None:
        """As `Policy` says."""
        self._policy.pause(trial)

    def hopeless(self, to_come: int) -> list[Trial]:
        """As `Policy` says."""
        return self._policy.hopeless(to_come)

    def ended(self, number: int, state: TrialState) -> None:
        """As `Policy` says."""
        self._policy.ended(number, state)


def decisions(arm: str, task: Task, trials: int, count: int) -> list[float]:
    """Return the seconds of so many decisions in a study of so many trials."""
    study = optuna.create_study(direction="maximize")
    policy = HandedOver(study, arm, task, trials)
    run_search(
        policy,
        study,
        choose=task.space.suggest,
        train=task.train,
        epochs=task.epochs,
        most_epochs=10**9,
        epoch_seconds=task.seconds,
        stop=lambda _seen: len(policy.decisions) >= count,
    )
    return policy.decisions


def main() -> None:
    """Read the command line, search, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.search.decisions", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=["ours", "TPE + SHA"])
    parser.add_argument("--trials", nargs="+", type=int, default=[50, 200, 1_000])
    parser.add_argument("--decisions", type=int, default=20, help="of each study, 2 or more")
    parser.add_argument("--task", default="mixed 0", help="a made-up one")
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")  # Optuna's own, about experimental samplers
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = []
    for arm in wanted.arms:
        cells = [arm]
        for trials in wanted.trials:
            task = task_of(wanted.task, "open", 0.0, "gp")
            first, *others = (1e3 * one for one in decisions(arm, task, trials, wanted.decisions))
            cells += [
                f"{first:.0f}",
                f"{np.median(others):.0f}",
                f"{np.percentile(others, 95):.0f}",
            ]
        rows.append(cells)
    head = ["policy"]
    for trials in wanted.trials:
        head += [f"{trials:,}: first ms", "median", "95 %"]
    print(in_columns(head, rows))


if __name__ == "__main__":
    main()
