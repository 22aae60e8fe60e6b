"""The same comparison on trainings that are made up, of a kind that no constant of ours was chosen on.

    python -m bench.made_up [--tasks 6] [--seeds 20] [--arms ours TPE ...] [--json FILE]

A task is a formula with drawn coefficients. What a configuration of the space `baseline_constrained` comes
to falls with its distance from a best place, steeply in a few parameters and hardly in most; some pairs of
parameters depend on each other; above some learning rate nothing is learned. How soon it comes there, in 52
epochs, depends on the configuration too, so that early scores mislead, in one task more than in another;
and there is luck, of a training and of each epoch. Nothing of it is CIFAR-10, or trained.

Every policy searches every task from the same seeds, as in `bench.search`, and the searches of all tasks
are counted together.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from bench.curves import configurations
from bench.search import (
    BUDGETS,
    LIMIT,
    PERCENTILES,
    Run,
    command,
    read,
    search,
    table,
    write,
)
from bench.surrogate import encoded
from spaces.files import load_space

EPOCHS = 52
CHANCE = 0.1
DRAWS = 2_000
LOOKS = (1, 3, 9, 27)
"""Epochs whose scores are held against those of the end."""

Floats = npt.NDArray[np.float64]


class MadeUp:
    """One task.

    Args:
        task: Where its coefficients start.

    Attributes:
        epochs: Of a training.
        space: What it knows the configurations of.
    """

    def __init__(self, task: int) -> None:
        self.epochs = EPOCHS
        space = load_space("baseline_constrained").with_epochs(EPOCHS)
        # It is younger than the tasks, which would be others with it.
        parameters = {name: one for name, one in space.parameters.items() if name != "nesterov"}
        self.space = space.model_copy(update={"parameters": parameters})
        rng = np.random.default_rng([task, 52])
        (example,) = configurations(self.space, 1, seed=0)
        count = len(encoded(self.space, example))
        self._best = rng.uniform(0.15, 0.85, count)
        self._power = rng.choice([1.0, 1.5, 2.0], count)
        self._weight = rng.dirichlet(np.full(count, 0.4)) * rng.uniform(0.5, 1.2)
        self._pairs = rng.integers(count, size=(6, 2))
        self._together = rng.normal(0.0, 0.1, 6)
        self._cliff = rng.uniform(0.75, 1.0)
        self._top = rng.uniform(0.7, 0.95)
        self._pace = rng.uniform(0.5, 1.8)
        self._paces = rng.normal(0.0, rng.uniform(0.2, 0.6), count)
        self._luck = rng.uniform(0.002, 0.008)
        self._known: dict[str, Floats] = {}

    def _of(self, values: Mapping[str, Any]) -> Floats:
        """(epochs + 1,) the curve, and what the end would be without luck."""
        key = json.dumps(values, sort_keys=True)
        if key not in self._known:
            place = np.array(encoded(self.space, values))
            there = place >= 0  # a learning rate belongs to one optimizer, for instance
            far = np.where(there, np.abs(place - self._best) ** self._power, 0.0)
            centred = np.where(there, place - 0.5, 0.0)
            pairs = centred[self._pairs[:, 0]] * centred[self._pairs[:, 1]]
            end = max(CHANCE + 0.02, self._top - self._weight @ far + self._together @ pairs)
            if any(rate > self._cliff for rate in self._rates(values)):
                end = CHANCE
            pace = np.exp(self._pace - self._paces @ centred)
            epochs = np.arange(1, EPOCHS + 1)
            rising = end - (end - CHANCE) * (1 + epochs / pace) ** -1.2
            digest = hashlib.sha256(key.encode()).digest()
            rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
            own, each = rng.normal(0.0, self._luck, 2), rng.normal(0.0, self._luck, EPOCHS)
            curve = np.clip(rising + own[0] + each * np.linspace(1.0, 0.3, EPOCHS), 0.0, 1.0)
            self._known[key] = np.append(curve, rising[-1] + own[1])
        return self._known[key]

    def _rates(self, values: Mapping[str, Any]) -> Iterator[float]:
        """Each learning rate, from 0 at the lower end of its range to 1 at the upper, on a log scale."""
        for name, value in values.items():
            if name.endswith("lr"):
                low, high = (float(end) for end in self.space.parameters[name].extremes())
                yield float(np.log(value / low) / np.log(high / low))

    def curve(self, values: Mapping[str, Any]) -> Floats:
        """(epochs,) accuracy after each epoch."""
        return self._of(values)[:-1]

    def train(self, values: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
        """The curve, epoch by epoch."""
        for index, accuracy in enumerate(self.curve(values)):
            yield index + 1, float(accuracy)

    def seconds(self, values: Mapping[str, Any]) -> float:
        """Every epoch takes as long as any other."""
        return 1.0

    def check(self, values: Mapping[str, Any]) -> float:
        """The end with another luck."""
        return float(self._of(values)[-1])


@cache
def stage(task: int) -> tuple[MadeUp, tuple[float, ...], Floats]:
    """A task, what the percentiles of random configurations come to, and the curves of those."""
    made_up = MadeUp(task)
    drawn = configurations(made_up.space, DRAWS, seed=20_000)
    curves = np.array([made_up.curve(one) for one in drawn])
    marks = np.percentile(curves[:, -1], PERCENTILES)
    return made_up, tuple(float(one) for one in marks), curves


def run(arm: str, task: int, seed: int) -> Run:
    """One search of one task."""
    made_up, marks, _ = stage(task)
    return search(arm, "made up", seed, made_up, marks, BUDGETS, LIMIT)


def main() -> None:
    """Read the command line, search, print, write."""
    parser = command("bench.made_up", __doc__, seeds=20)
    parser.add_argument("--tasks", type=int, default=6)
    wanted = read(parser)
    print(
        "rank correlation of the score after epoch " + ", ".join(map(str, LOOKS)) + " with the end:"
    )
    for task in range(wanted.tasks):
        _, marks, curves = stage(task)
        found = [spearmanr(curves[:, one - 1], curves[:, -1]).statistic for one in LOOKS]
        reached = " and ".join(f"{100 * mark:.1f} %" for mark in marks)
        print(f"  task {task}: {', '.join(f'{one:.2f}' for one in found)}; percentiles {reached}")
    jobs = [
        (arm, task, seed)
        for arm in wanted.arms
        for task in range(wanted.tasks)
        for seed in range(wanted.seeds)
    ]
    with ProcessPoolExecutor(wanted.workers) as processes:
        runs = list(processes.map(run, *zip(*jobs, strict=True), chunksize=5))
    print(table(runs, "made up", wanted.arms[0], LIMIT * EPOCHS))
    write(runs, wanted.json)


if __name__ == "__main__":
    main()
