"""The tasks that searches are compared on, by name, and what is known about each.

A recorded set has its own name: ``start``, ``net``, ``speed``. ``plain 0`` is the first task of the kind
`plain` of those that are made up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from bench.search.made_up import KINDS, MadeUp
from bench.search.nearby import nearby, uniform
from bench.search.records import Part, read_records
from bench.search.surrogate import Kind, Surrogate
from spaces.space import Space

__all__ = ["RECORDED_SETS", "Stage", "Task", "stage", "task_of"]

RECORDED_SETS = ("start", "net", "speed")
DRAWN, ROUNDS, CHANGED, KEPT = 2_000, 15, 40, 5
"""Random configurations that the best known one is looked for among; then rounds, in each of which so many
local changes of as many of the best are looked at."""


class Task(Protocol):
    """What trains, or stands in for training."""

    @property
    def epochs(self) -> int:
        """Epochs of a training."""

    @property
    def space(self) -> Space:
        """What it trains configurations of."""

    def train(self, values: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
        """Yield each epoch's number and the validation accuracy after it."""

    def seconds(self, values: Mapping[str, Any]) -> float:
        """Return the seconds of an epoch."""

    def truth(self, values: Mapping[str, Any]) -> float:
        """Return the true quality of a configuration: its accuracy at the end, without luck."""


@dataclass(frozen=True)
class Stage:
    """A task, and what searches of it are measured by.

    Attributes:
        task: The task.
        best: True quality of the best known configuration.
        seconds: Mean seconds of a whole training, over random configurations.
    """

    task: Task
    best: float
    seconds: float


def task_of(name: str, part: Part, luck: float, judge: Kind) -> Task:
    """Return a task by its name.

    Args:
        name: A recorded set, or a made-up kind and a number.
        part: The part of the records that a recorded task is fitted to.
        luck: As in `Surrogate`; made-up tasks have their own.
        judge: What a recorded task is fitted with.
    """
    if name in RECORDED_SETS:
        return Surrogate(read_records(name, part), luck, judge)
    kind, _, number = name.rpartition(" ")
    if kind not in KINDS or not number.isdecimal():
        raise ValueError(
            f"{name!r} is no task: it must be one of {', '.join(RECORDED_SETS)}, or one of "
            f"{', '.join(KINDS)} with a number behind it."
        )
    return MadeUp(kind, int(number))


@cache
def stage(name: str, part: Part = "open", luck: float = 0.35, judge: Kind = "gp") -> Stage:
    """Return the task with its best known configuration, which is looked for once in a process."""
    task = task_of(name, part, luck, judge)
    rng = np.random.default_rng(0)
    drawn = [uniform(task.space, rng) for _ in range(DRAWN)]
    seconds = float(np.mean([task.seconds(one) for one in drawn])) * task.epochs
    found = sorted(((task.truth(one), one) for one in drawn), key=lambda pair: -pair[0])[:KEPT]
    for _ in range(ROUNDS):
        for _, origin in tuple(found):
            changed = [nearby(task.space, origin, rng) for _ in range(CHANGED)]
            found += [(task.truth(one), one) for one in changed]
        found = sorted(found, key=lambda pair: -pair[0])[:KEPT]
    return Stage(task, found[0][0], seconds)
