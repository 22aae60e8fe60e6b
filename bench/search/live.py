"""The searches of `bench.search` with real trainings in the place of the surrogate.

    python -m bench.search.live --data DIR [--space baseline_constrained] [--arms ours "TPE + SHA"]
        [--seeds 5] [--trainings 20] [--again 3] [--json FILE]

Each policy searches the space at the scale of `bench.search.curves --scale quick`, which is that of
`make start` without a GPU, for as many epochs as so many whole trainings have. What it returns, its best
complete trial, is then trained anew from fresh seeds, and checked on images that no score was taken on. A
search is a process of one thread. No policy is given known configurations, and all search the same
ranges.
"""

import argparse
import json
import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from bench.columns import in_columns
from bench.machine import described_machine
from bench.search.arms import ARMS
from bench.search.curves import CPU, SCALES, Images, space_at
from cifar_core.data.dataset import AUTO
from cifar_core.seeds import derive
from cifar_core.trainer import Training
from search.policy import Seen, run_search


@dataclass(frozen=True)
class Found:
    """What one search returned.

    Attributes:
        arm: The policy.
        seed: Its seed.
        values: The configuration that was returned.
        accuracy: Its score in the search.
        again: Accuracy of each training anew, on images that no score was taken on.
        trials: Trials that were begun.
        seconds: Seconds of all trainings of the search.
    """

    arm: str
    seed: int
    values: Mapping[str, Any]
    accuracy: float
    again: tuple[float, ...]
    trials: int
    seconds: float


class Live:
    """Trains.

    Args:
        space: Name of the space.
        data: Where the images are: a folder, or ``auto``.
        seed: Of this search.

    Attributes:
        space: What it trains configurations of.
        epochs: Epochs of a training.
        spent: Seconds of all epochs so far.
    """

    def __init__(self, space: str, data: str, seed: int) -> None:
        scale = SCALES[space, "quick"]
        self.space, self.epochs = space_at(space, "quick"), scale.epochs
        self.spent = 0.0
        self._images = Images.read(data, scale.train_images)
        self._seed, self._begun = seed, 0
        self._seconds: dict[str, float] = {}

    def train(self, values: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
        """Train, epoch by epoch."""
        self._begun += 1
        for epoch in self._training(values, "live", self._begun).epochs():
            self.spent += epoch.seconds
            self._seconds[json.dumps(values, sort_keys=True)] = epoch.seconds
            yield epoch.number, epoch.validation_accuracy

    def seconds(self, values: Mapping[str, Any]) -> float:
        """Return the seconds of the last epoch of a configuration; 1 before it has one."""
        return self._seconds.get(json.dumps(values, sort_keys=True), 1.0)

    def check(self, values: Mapping[str, Any], number: int) -> float:
        """Train a configuration to its end with another seed; its accuracy on other images."""
        training = self._training(values, "again", number)
        for _ in training.epochs():
            pass
        return training.evaluate(self._images.check)[1]

    def truth(self, values: Mapping[str, Any]) -> float:
        """Train a configuration to its end; its accuracy on other images."""
        return self.check(values, 0)

    def _training(self, values: Mapping[str, Any], *number: str | int) -> Training:
        seed = derive(self._seed, *number)
        return Training(self.space.recipe_of(values), self._images.splits, seed=seed, device=CPU)


def run(arm: str, seed: int, wanted: argparse.Namespace) -> Found:
    """Search once, and train what was found anew."""
    torch.set_num_threads(1)
    live = Live(wanted.space, wanted.data, seed)
    study = optuna.create_study(direction="maximize")
    best: Seen | None = None

    def watch(seen: Seen) -> bool:
        nonlocal best
        if best is None or (seen.epoch, seen.accuracy) > (best.epoch, best.accuracy):
            best = seen
        return False

    run_search(
        ARMS[arm](study, seed, live),
        study,
        choose=live.space.suggest,
        train=live.train,
        epochs=live.epochs,
        most_epochs=wanted.trainings * live.epochs,
        epoch_seconds=live.seconds,
        stop=watch,
    )
    assert best is not None
    spent, values = live.spent, study.trials[best.trial].params
    again = tuple(live.check(values, number) for number in range(wanted.again))
    return Found(arm, seed, values, best.accuracy, again, len(study.trials), spent)


def main() -> None:
    """Read the command line, search, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.search.live", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--space", default="baseline_constrained", help="a space with a scale")
    parser.add_argument("--data", default=AUTO, help="folder or auto")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=["ours", "TPE + SHA"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--trainings", type=int, default=20, help="whole trainings a search may cost"
    )
    parser.add_argument("--again", type=int, default=3, help="fresh seeds of what was found")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="file to write every search to")
    wanted = parser.parse_args()
    if (wanted.space, "quick") not in SCALES:
        parser.error(f"space {wanted.space} has no scale.")
    print(described_machine(CPU))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    jobs = [(arm, seed, wanted) for seed in range(wanted.seeds) for arm in wanted.arms]
    found: list[Found] = []
    with ProcessPoolExecutor(wanted.processes, multiprocessing.get_context("spawn")) as processes:
        for job in as_completed([processes.submit(run, *one) for one in jobs]):
            found.append(job.result())
            print(json.dumps(asdict(found[-1])), flush=True)
            if wanted.json is not None:
                wanted.json.write_text(json.dumps([asdict(one) for one in found]) + "\n")
    rows = []
    for arm in wanted.arms:
        own = sorted((one for one in found if one.arm == arm), key=lambda one: one.seed)
        ends = [100 * float(np.mean(one.again)) for one in own]
        rows.append([arm, f"{np.median(ends):.1f} %", ", ".join(f"{end:.1f}" for end in ends)])
    print(in_columns(["policy", "median", "trained anew, by seed"], rows))


if __name__ == "__main__":
    main()
