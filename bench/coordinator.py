"""Measure the cost of the coordinator itself, and its growth with the trials.

    python -m bench.coordinator [--trials 1000 5000] [--measured 100] [--pruner promotion]

A coordinator runs a study of the space `baseline_constrained` in an SQLite database, as the service does,
over a worker that answers at once with made-up accuracies. Timed is what passes between a message of the
worker and the coordinator's next look: for an epoch, from its arrival to the answer; for a trial, from its
end, or its pause, to the hand-out of the next one, which the sampler has to choose.
"""

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np

from bench.columns import in_columns
from cifar_core.epoch import Epoch
from cifar_core.recipe import Recipe
from cifar_core.seeds import derive
from search.execution.coordinator import Coordinator
from search.home import Home, StudyFolder
from search.storage.opening import open_storage
from search.study.settings import Budget, DataIdentity, Pruner, Settings
from search.study.study import create_or_open
from search.workers.messages import EpochsDone, Finished, Task, TrainTask, WorkerMessage
from search.workers.pool import Worker
from search.workers.slots import Slot
from spaces.files import load_space
from spaces.space import Space

MADE_UP = DataIdentity(
    name="synthetic", official=False, train=1_000, validation=1_000, split="0" * 16
)


class InstantPool:
    """A pool of one worker that trains in no time, and that times who uses it.

    Attributes:
        workers: The worker.
        epochs: Seconds that the coordinator took for each epoch.
        trials: Seconds that it took from the end of a trial to the next one.
    """

    def __init__(self) -> None:
        self.workers = [Worker(Slot("cpu", 1), 0, ready=True)]
        self.epochs: list[float] = []
        self.trials: list[float] = []
        self._done: dict[int, int] = {}
        self._messages: Iterator[WorkerMessage] = iter(())
        self._goes_on = True
        self._since: tuple[float, list[float]] | None = None

    def assign(self, worker: Worker, task: Task) -> None:
        """Begin, or go on with, a trial."""
        assert isinstance(task, TrainTask)
        worker.task = task
        self._messages = self._work(task)

    def answer(self, _worker: Worker, goes_on: bool) -> None:
        """Whether the trial goes on."""
        self._goes_on = goes_on

    def poll(self, _seconds: float) -> list[tuple[Worker, Task | None, WorkerMessage]]:
        """The next message; the time since the one before it was the coordinator's."""
        now = time.perf_counter()
        if self._since is not None:
            began, spent = self._since
            spent.append(now - began)
        worker = self.workers[0]
        message, task = next(self._messages), worker.task
        if isinstance(message, Finished):
            worker.task = None
        spent = self.trials if isinstance(message, Finished) else self.epochs
        self._since = (time.perf_counter(), spent)
        return [(worker, task, message)]

    def _work(self, task: TrainTask) -> Iterator[WorkerMessage]:
        rng = np.random.default_rng(derive(task.seed, "made up"))
        worth = worth_of(task.recipe)
        while self._done.get(task.number, 0) < task.recipe.epochs:
            number = self._done[task.number] = self._done.get(task.number, 0) + 1
            rise = 1 - math.exp(-3 * number / task.recipe.epochs)
            accuracy = float(np.clip(worth * rise + 0.01 * rng.standard_normal(), 0.0, 1.0))
            yield EpochsDone(
                (Epoch(number, 1.0, accuracy, 1.0, accuracy, task.recipe.optimizer.lr, 1.0, 1e3),)
            )
            if not self._goes_on:
                break
        yield Finished()


def worth_of(recipe: Recipe) -> float:
    """Return something to learn: better near one learning rate, and with wider layers."""
    lr = abs(math.log10(recipe.optimizer.lr) + 2.5)
    width = math.log(getattr(recipe.network, "channels1", 16)) / 6
    return max(0.1, 0.5 - 0.1 * lr + 0.3 * width - 0.2 * recipe.label_smoothing)


def settings_of(space: Space, pruner: Any) -> Settings:
    """Return the settings of a study without an LR-range test, on images that are not there."""
    return Settings(
        space=space,
        scale="full",
        data=MADE_UP,
        seed=0,
        sampler="model" if pruner == "freeze-thaw" else "tpe",
        pruner=pruner,
        lr_bounds="off",
    )


def home_in(folder: Path) -> tuple[Home, StudyFolder]:
    """Make a home, and the folder of its study `bench`.

    Args:
        folder: An empty folder.
    """
    home = Home(folder)
    home.create()
    own = home.study("bench")
    own.create()
    return home, own


def measure(trials: int, pruner: Any, folder: Path) -> InstantPool:
    """Run a study of so many trials."""
    space = load_space("baseline_constrained")
    home, own = home_in(folder)
    settings = settings_of(space, pruner)
    storage = open_storage(home.storage_url())
    study, _ = create_or_open(storage, "bench", settings, Budget(trials=trials))
    pool = InstantPool()
    Coordinator(
        study,
        space,
        pool,  # type: ignore[arg-type] # it does what a pool does
        own,
        lambda _event: None,
        lambda: False,
    ).run()
    return pool


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.coordinator", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1_000, 5_000])
    parser.add_argument("--measured", type=int, default=100, help="of the last trials")
    parser.add_argument("--pruner", choices=get_args(Pruner), default="freeze-thaw")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pool = measure(max(wanted.trials), wanted.pruner, Path(folder))
    rows = []
    for trials in sorted(wanted.trials):
        ends = len(pool.trials) * trials // max(wanted.trials)
        epochs = len(pool.epochs) * trials // max(wanted.trials)
        cells = [f"{trials:,}"]
        for part in (
            pool.trials[max(0, ends - wanted.measured) : ends],
            pool.epochs[max(0, epochs - 3 * wanted.measured) : epochs],
        ):
            high = statistics.quantiles(part, n=20)[-1]
            cells += [
                f"{1e3 * one:.1f}"
                for one in (statistics.fmean(part), statistics.median(part), high)
            ]
        rows.append(cells)
    # Half of the trials are chosen by TPE, half at random: a median lies between the two, and moves easily.
    head = ["trials", "ms a trial", "median", "95 %", "ms an epoch", "median", "95 %"]
    print(f"pruner {wanted.pruner}, of the last {wanted.measured} trials")
    print(in_columns(head, rows))


if __name__ == "__main__":
    main()
