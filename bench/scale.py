"""Measure the workers that one coordinator keeps busy, and the work that takes its time.

    python -m bench.scale [--workers 1 8 64 256 1000] [--seconds 0.3 3] [--epochs 20] [--pruner freeze-thaw]
        [--warm-up 3] [--sync-ms 1]

A coordinator runs a search of `baseline_constrained` in an SQLite database, as the service does. Its
workers are simulated: an epoch of theirs takes so many seconds of a simulated clock, on which the
coordinator itself takes the processor time that it really takes, and `--sync-ms` for each time that it puts
the database on the disk. So other work on the machine does not count. While it decides about one worker,
those that have finished an epoch wait, as they do in a search. The process that makes choices beside is
simulated, too: it works in this one, and its answer is there when the processor time that it has really
taken is over on the simulated clock, as on a core of its own (`--alone`: there is no such process).

Printed is the number of epochs an hour, and the part of their time in which the workers train, as they
would all the time if nothing held them up, after the first epochs of each (`--warm-up`). Then what an epoch
costs the coordinator: the policy's decisions, the database, and the rest, which is messages, notes and
events; the longest time from one look at the messages to the next; and the part of the time for which the
process beside thinks.
"""

import argparse
import copy
import heapq
import pickle
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, get_args
from unittest import mock

import numpy as np

from bench.columns import in_columns
from bench.coordinator import home_in, settings_of, worth_of
from cifar_core.epoch import Epoch
from cifar_core.seeds import derive
from search.execution.coordinator import Coordinator
from search.execution.stopwatch import Stopwatch
from search.policy.beside.thinking import Answer, Question, Thinker
from search.policy.beside.thinking_process import SentTrials
from search.storage import retrying
from search.storage.opening import open_storage
from search.study.settings import Budget, Pruner
from search.study.study import create_or_open
from search.workers.messages import EpochsDone, Finished, Task, TrainTask, WorkerMessage
from search.workers.pool import Worker
from search.workers.slots import Slot
from spaces.files import load_space

SPREAD = 0.2
"""Standard deviation of the logarithm of a trial's seconds: workers do not keep in step."""
QUESTIONS = ("ready", "ask", "complete", "promote", "verdict", "pause", "hopeless", "ended")


class Accounts:
    """Processor time by what it was spent on; what is called from within counts only for itself."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._open: list[str] = ["the rest"]
        self._since = time.thread_time()

    def _switch(self) -> None:
        now = time.thread_time()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function`, timed under this name."""

        def called(*args: Any, **options: Any) -> Any:
            self._switch()
            self._open.append(name)
            self.calls[name] += 1
            try:
                return function(*args, **options)
            finally:
                self._switch()
                self._open.pop()

        return called

    def leave_out(self, seconds: float) -> None:
        """Do not count what was just spent."""
        self._since += seconds

    def reset(self) -> None:
        """Begin anew."""
        self._switch()
        self.seconds.clear()
        self.calls.clear()


class SimulatedPool:
    """Workers that train on a simulated clock, on which the coordinator takes its real processor time.

    Args:
        workers: How many.
        seconds: Of an epoch, in the mean.
        sync: Seconds that putting the database on the disk takes.

    Attributes:
        workers: The workers.
        now: The simulated time, as of the last poll.
        epochs: Epochs that were trained.
        trained: Seconds that they took, over all workers.
        longest: Most seconds that the coordinator took from one poll to the next.
    """

    def __init__(self, workers: int, seconds: float, sync: float) -> None:
        self.workers = [Worker(Slot("cpu", 1), index, ready=True) for index in range(workers)]
        self.now = 0.0
        self.epochs = 0
        self.trained = 0.0
        self.longest = 0.0
        self._seconds, self._sync = seconds, sync
        self._done: dict[int, int] = {}
        self._events: list[tuple[float, int, int, WorkerMessage]] = []
        self._order = count()
        self._since = time.thread_time()
        self._waited = 0.0

    def clock(self) -> float:
        """Return the simulated time."""
        return self.now + time.thread_time() - self._since + self._waited

    def leave_out(self, seconds: float) -> None:
        """Do not count processor time that was just spent for another process."""
        self._since += seconds

    def wait_until(self, when: float) -> None:
        """Let the coordinator wait until then."""
        self._waited += max(0.0, when - self.clock())

    def synchronise(self, _path: Path) -> None:
        """In place of a wait for the disk."""
        self._waited += self._sync

    def assign(self, worker: Worker, task: Task) -> None:
        """Begin, or go on with, a trial."""
        worker.task = task
        self._train(worker)

    def answer(self, worker: Worker, goes_on: bool) -> None:
        """Let a trial go on, or end."""
        task = worker.task
        assert isinstance(task, TrainTask)
        if goes_on and self._done[task.number] < task.recipe.epochs:
            self._train(worker)
        else:
            self._say(worker, self.clock(), Finished())

    def poll(self, seconds: float) -> list[tuple[Worker, Task | None, WorkerMessage]]:
        """Return what is there by now, or else what comes next."""
        spent = time.thread_time() - self._since + self._waited
        self.longest = max(self.longest, spent)
        self.now += spent
        if not self._events or self._events[0][0] > self.now:
            until = self.now + seconds
            self.now = min(self._events[0][0], until) if self._events else until
        heard: list[tuple[Worker, Task | None, WorkerMessage]] = []
        while self._events and self._events[0][0] <= self.now:
            _, _, index, message = heapq.heappop(self._events)
            worker = self.workers[index]
            heard.append((worker, worker.task, message))
            if isinstance(message, Finished):
                worker.task = None
            elif isinstance(message, EpochsDone):
                self.epochs += 1
                self.trained += message.epochs[-1].seconds
        self._since, self._waited = time.thread_time(), 0.0
        return heard

    def _train(self, worker: Worker) -> None:
        task = worker.task
        assert isinstance(task, TrainTask)
        number = self._done[task.number] = self._done.get(task.number, 0) + 1
        own = np.random.default_rng(derive(task.seed, "seconds"))
        seconds = self._seconds * float(np.exp(SPREAD * own.standard_normal() - SPREAD**2 / 2))
        rng = np.random.default_rng(derive(task.seed, "made up", number))
        rise = 1 - np.exp(-3 * number / task.recipe.epochs)
        score = worth_of(task.recipe) * rise + 0.01 * rng.standard_normal()
        accuracy = float(np.clip(score, 0.0, 1.0))
        lr = task.recipe.optimizer.lr
        epoch = Epoch(number, 1.0, accuracy, 1.0, accuracy, lr, seconds, 1e3)
        self._say(worker, self.clock() + seconds, EpochsDone((epoch,)))

    def _say(self, worker: Worker, when: float, message: WorkerMessage) -> None:
        heapq.heappush(self._events, (when, next(self._order), worker.index, message))


class SimulatedBeside:
    """A process that thinks beside the coordinator, on the simulated clock.

    Args:
        pool: Has the clock.
        accounts: Of the coordinator, in which its thoughts do not count.

    Attributes:
        seconds: That it has thought for.
    """

    def __init__(self, pool: SimulatedPool, accounts: Accounts) -> None:
        self._pool, self._accounts = pool, accounts
        self._sent = SentTrials()
        self._answer: tuple[float, bytes] = (0.0, b"")
        self.seconds = 0.0

    def begin(self, thinker: Thinker) -> None:
        """Take what answers the questions."""
        self._thinker: Thinker = copy.deepcopy(thinker)

    def ask(self, question: Question) -> None:
        """Think; to send the question is the coordinator's work."""
        pickle.dumps(self._sent.changes(question), pickle.HIGHEST_PROTOCOL)
        began = time.thread_time()
        answer = pickle.dumps(self._thinker.answer(question))
        spent = time.thread_time() - began
        self._pool.leave_out(spent)
        self._accounts.leave_out(spent)
        self._answer = self._pool.clock() + spent, answer
        self.seconds += spent

    def answer(self, *, wait: bool) -> Answer | None:
        """Return the answer, if its time has come."""
        due, answer = self._answer
        if wait:
            self._pool.wait_until(due)
        found: Answer | None = None
        if self._pool.clock() >= due:
            found = pickle.loads(answer)  # noqa: S301 - made above; to read it is the coordinator's work
        return found


@dataclass(frozen=True)
class Measured:
    """One measurement.

    Attributes:
        epochs: Epochs that were measured.
        seconds: Simulated seconds that they took.
        share: Part of the time in which workers trained, over all of them.
        costs: Milliseconds of the coordinator for an epoch, by what they were spent on.
        longest: Most milliseconds from one poll to the next.
        syncs: Times that the database was put on the disk, for an epoch.
        beside: Part of the time for which the process beside thought.
    """

    epochs: int
    seconds: float
    share: float
    costs: dict[str, float]
    longest: float
    syncs: float
    beside: float


def measure(
    workers: int,
    seconds: float,
    epochs: int,
    pruner: Any,
    sync: float,
    folder: Path,
    warm_up: int = 3,
    *,
    alone: bool = False,
) -> Measured:
    """Run a search until each worker has trained so many epochs, in the mean.

    Args:
        workers: Simulated workers.
        seconds: Of an epoch, in the mean.
        epochs: Of each worker, behind those of the warm-up.
        pruner: The policy.
        sync: Seconds that putting the database on the disk takes.
        folder: An empty folder.
        warm_up: Epochs of each worker before the measurement.
        alone: The coordinator makes all choices itself.
    """
    space = load_space("baseline_constrained")
    home, own = home_in(folder)
    settings = settings_of(space, pruner)
    pool, accounts = SimulatedPool(workers, seconds, sync), Accounts()
    beside = SimulatedBeside(pool, accounts)
    first, last = workers * warm_up, workers * (warm_up + epochs)
    began: list[float] = []

    def stop() -> bool:
        if pool.epochs >= first and not began:
            began.extend([pool.now, pool.trained, beside.seconds])
            accounts.reset()
            pool.longest = 0.0
        return pool.epochs >= last

    done = accounts.timed("database", retrying.RetryingStorage._until_done)  # noqa: SLF001
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(retrying.RetryingStorage, "_until_done", done))
        synchronise = accounts.timed("disk", pool.synchronise)
        stack.enter_context(mock.patch.object(retrying, "make_durable", synchronise))
        storage = open_storage(home.storage_url())
        # Enough trials that there is always something to start.
        study, _ = create_or_open(storage, "bench", settings, Budget(trials=last))
        coordinator = Coordinator(
            study,
            space,
            pool,  # type: ignore[arg-type] # it does what a pool does
            own,
            lambda _event: None,
            stop,
            Stopwatch(study, pool.clock),
            None if alone else beside,
        )
        policy = coordinator._policy  # noqa: SLF001 - only its time is of interest
        for name in QUESTIONS:
            setattr(policy, name, accounts.timed("policy", getattr(policy, name)))
        coordinator.run()
    taken, trained = pool.now - began[0], pool.epochs - first
    costs = {name: 1e3 * spent / trained for name, spent in accounts.seconds.items()}
    costs["disk"] = 1e3 * sync * accounts.calls["disk"] / trained
    return Measured(
        trained,
        taken,
        (pool.trained - began[1]) / taken / workers,
        costs,
        1e3 * pool.longest,
        accounts.calls["disk"] / trained,
        (beside.seconds - began[2]) / taken,
    )


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8, 64, 256, 1_000])
    parser.add_argument("--seconds", type=float, nargs="+", default=[0.3, 3.0], help="of an epoch")
    parser.add_argument("--epochs", type=int, default=20, help="measured, of each worker")
    parser.add_argument("--warm-up", type=int, default=3, help="epochs of each worker before")
    parser.add_argument("--pruner", choices=get_args(Pruner), default="freeze-thaw")
    parser.add_argument("--sync-ms", type=float, default=1.0, help="of each wait for the disk")
    parser.add_argument("--alone", action="store_true", help="nothing thinks beside")
    wanted = parser.parse_args()
    head = ["workers", "epoch s", "epochs/h", "of the ideal", "ms an epoch"]
    head += ["policy", "database", "disk", "the rest", "longest ms", "beside"]
    rows = []
    for seconds in wanted.seconds:
        for workers in wanted.workers:
            with tempfile.TemporaryDirectory() as folder:
                found = measure(
                    workers,
                    seconds,
                    wanted.epochs,
                    wanted.pruner,
                    wanted.sync_ms / 1e3,
                    Path(folder),
                    wanted.warm_up,
                    alone=wanted.alone,
                )
            costs = [found.costs.get(name, 0.0) for name in head[5:9]]
            rows.append(
                [
                    f"{workers:,}",
                    f"{seconds:g}",
                    f"{3600 * found.epochs / found.seconds:,.0f}",
                    f"{100 * found.share:.1f} %",
                    *(f"{cost:.2f}" for cost in (sum(costs), *costs)),
                    f"{found.longest:.0f}",
                    f"{100 * found.beside:.0f} %",
                ]
            )
            print(in_columns(head, rows[-1:]), flush=True)
    print(f"\npruner {wanted.pruner}, {wanted.epochs} epochs of each worker")
    print(in_columns(head, rows))


if __name__ == "__main__":
    main()
