"""Measure the loss of a search that many workers share: it decides before their news has come.

    python -m bench.search.parallel [--tasks "mixed 1" "noisy 1"] [--workers 1 8 64] [--seeds 4]
        [--trials 100] [--most-paused 64] [--workers-a-choice 2] [--late 0.33] [--alone] [--json FILE]

Searches with the default policy of so many trials, which all train the same number of epochs, whatever
the number of workers: by one worker, who knows everything when a decision is made, and by more, on a
simulated clock. Stated is the regret at the end: how many points the true quality of the configuration with
the best score lies below that of the best known one; its difference to one worker's, paired by task and
seed, with the middle 95 % of bootstrap samples; and how many times as fast a search was over, beside the
number of workers.

From 8 workers on, choices are made beside, as in a search: they are there when `--late` times as many
questions have been asked since as there are workers, about as many as come in so much of an epoch. With
`--alone`, nothing thinks beside.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import optuna

from bench.columns import in_columns
from bench.search.tasks import Stage, stage
from search.policy import Seen, decisions, freeze_thaw, run_search
from search.policy.beside.thinking import Answer, Question, Thinker
from search.policy.factory import default_policy


class LateBeside:
    """Thinks beside: what it has chosen is there after so many looks.

    Args:
        looks: The number.
    """

    def __init__(self, looks: int) -> None:
        self._looks, self._left = looks, 0

    def begin(self, thinker: Thinker) -> None:
        """Take what answers the questions."""
        self._thinker = thinker

    def ask(self, question: Question) -> None:
        """Think at once."""
        self._answer, self._left = self._thinker.answer(question), self._looks

    def answer(self, *, wait: bool) -> Answer | None:
        """Return the answer when its time has come."""
        self._left = 0 if wait else self._left - 1
        return None if self._left > 0 else self._answer


@dataclass(frozen=True)
class Ended:
    """A search that has come to its end.

    Attributes:
        task: Name of the task.
        seed: Seed of the policy.
        workers: Trainings side by side.
        regret: Points from what is returned to the best known configuration.
        epochs: Epochs that were trained.
        seconds: Simulated seconds until the end.
    """

    task: str
    seed: int
    workers: int
    regret: float
    epochs: int
    seconds: float


def search(name: str, seed: int, workers: int, trials: int, on: Stage, late: float | None) -> Ended:
    """Search a task once, to the end that its number of trials has.

    Args:
        name: Name of the task.
        seed: Seed of the policy.
        workers: Trainings side by side.
        trials: Trials in all.
        on: The task.
        late: Looks for each worker until a choice that is made beside is there; None where none are.
    """
    task = on.task
    study = optuna.create_study(direction="maximize", study_name=f"{workers} {seed}")
    policy = default_policy(
        study,
        choose=task.space.suggest,
        epochs=task.epochs,
        seed=seed,
        trials=trials,
        beside=None if late is None else LateBeside(round(late * workers)),
    )
    best: list[Seen] = []

    def watch(seen: Seen) -> bool:
        if not best or seen.accuracy > best[0].accuracy:
            best[:] = [seen]
        return False

    seen = run_search(
        policy,
        study,
        choose=task.space.suggest,
        train=task.train,
        epochs=task.epochs,
        trials=trials,
        workers=workers,
        epoch_seconds=task.seconds,
        stop=watch,
    )
    found = task.truth(study.get_trials(deepcopy=False)[best[0].trial].params)
    return Ended(name, seed, workers, 100 * (on.best - found), len(seen), seen[-1].seconds)


def described(ends: list[Ended], workers: int) -> list[str]:
    """Return a line of the table."""
    own = {(one.task, one.seed): one for one in ends if one.workers == workers}
    alone = {(one.task, one.seed): one for one in ends if one.workers == 1}
    regret = np.array([one.regret for one in own.values()])
    line = [str(workers), f"{regret.mean():.1f}"]
    pairs = [(own[key], alone[key]) for key in own if key in alone]
    if workers == 1 or not pairs:
        return [*line, "", "", f"{np.mean([one.epochs for one in own.values()]):.0f}", "1"]
    differences = np.array([one.regret - other.regret for one, other in pairs])
    rng = np.random.default_rng(0)
    means = rng.choice(differences, (4_000, len(differences))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    faster = np.mean([other.seconds / one.seconds for one, other in pairs])
    epochs = np.mean([one.epochs for one, _ in pairs])
    interval = f"{low:.1f} to {high:.1f}"
    return [*line, f"{differences.mean():.1f}", interval, f"{epochs:.0f}", f"{faster:.1f}"]


def main() -> None:
    """Read the command line, search, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.search.parallel", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--tasks", nargs="+", default=["mixed 1", "noisy 1"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 8, 64])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--most-paused", type=int, default=freeze_thaw.MOST_PAUSED)
    parser.add_argument("--workers-a-choice", type=int, default=decisions.WORKERS_A_CHOICE)
    parser.add_argument("--late", type=float, default=0.33, help="looks for each worker")
    parser.add_argument("--alone", action="store_true", help="nothing thinks beside")
    parser.add_argument("--json", type=Path, help="file to write every search to")
    wanted = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ends: list[Ended] = []
    with (
        mock.patch.object(freeze_thaw, "MOST_PAUSED", wanted.most_paused),
        mock.patch.object(decisions, "WORKERS_A_CHOICE", wanted.workers_a_choice),
    ):
        for seed in range(wanted.seeds):
            for task in wanted.tasks:
                for workers in wanted.workers:
                    late = None if wanted.alone else wanted.late
                    ends.append(search(task, seed, workers, wanted.trials, stage(task), late))
                    print(json.dumps(asdict(ends[-1])), flush=True)
    if wanted.json is not None:
        wanted.json.write_text(json.dumps([asdict(one) for one in ends]) + "\n", encoding="utf-8")
    head = ["workers", "regret", "difference", "95 %", "epochs", "times as fast"]
    print(f"{', '.join(wanted.tasks)}; {wanted.seeds} seeds, {wanted.trials} trials")
    print(in_columns(head, [described(ends, workers) for workers in wanted.workers]))


if __name__ == "__main__":
    main()
