"""The moments at which a search is struck: at any time, or right behind something that it does."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from tests.chaos.scenario import Pace, Scenario
from tests.chaos.witness import Progress, Witness
from tests.search.running import Running

__all__ = ["PATIENCE", "Aim", "Moments", "Phase"]

Aim = Literal["any time", "a new row", "a half-written file", "the last trial"]
"""Right behind what a search is struck."""
Phase = Literal["before the study", "start", "LR-range test", "trials", "end"]
"""How far a command is: its study is not there, it has not said anything yet, and so on; at the end all
trials are final."""

PATIENCE = 600.0
"""Seconds after which a command that neither does what is waited for nor ends is taken for stuck."""


class Moments:
    """When to strike one run of a command, drawn by chance.

    Args:
        running: The command, just started.
        witness: Sees its study.
        scenario: What it searches.
        pace: How long an undisturbed run takes.
        random: Where the draws come from.
    """

    def __init__(
        self,
        running: Running,
        witness: Witness,
        scenario: Scenario,
        pace: Pace,
        random: np.random.Generator,
    ) -> None:
        self.running = running
        self._began = time.monotonic()
        self._witness = witness
        self._trials, self._workers = scenario.trials, scenario.workers
        self._pace = pace
        self._random = random
        self._left: set[Path] = set()
        self._left = self.half_written()

    @property
    def seconds(self) -> float:
        """Since the command was started."""
        return time.monotonic() - self._began

    def half_written(self) -> set[Path]:
        """Half-written files that were not there when the command was started."""
        with contextlib.suppress(FileNotFoundError):  # a folder that was removed meanwhile
            return set(self._witness.home.rglob(".*")) - self._left
        return set()

    def phase(self, progress: Progress | None) -> Phase:
        """How far the command is, if its study is as far as `progress` says."""
        if progress is None:
            return "before the study"
        if progress.finished == self._trials:
            return "end"
        if not self.running.out:
            return "start"
        return "trials" if progress.bounds else "LR-range test"

    def draw_aim(self, *, only_end: bool = False) -> Aim:
        """What to wait for next.

        Args:
            only_end: The search may come to its end first, so that this is struck, too.
        """
        progress = self._witness.progress()
        left = self._trials - (0 if progress is None else progress.finished)
        if only_end and left:
            return "the last trial"
        # A command that finds everything done makes no rows, but exports once more.
        weights: dict[Aim, float] = {
            "any time": 5,
            "a new row": 4 if left else 0,
            "a half-written file": 2,
            "the last trial": 4 if 0 < left <= self._workers + 1 else 0,
        }
        shares = np.array(list(weights.values())) / sum(weights.values())
        return list(weights)[int(self._random.choice(len(weights), p=shares))]

    def wait_for(self, aim: Aim) -> bool:
        """Wait for the moment; False if the command has ended before."""
        uniform = self._random.uniform
        match aim:
            case "any time":
                return self._any_time(self._random.random())
            case "a new row":
                before = self._witness.progress()
                happened = self._until(lambda: self._witness.progress() != before)
                # Not only behind the first of several rows that are written one after another.
                return happened and self._sleep(self._random.exponential(0.01))
            case "a half-written file":
                # A search that is nearly done writes few; then it is any time.
                return self._until(lambda: bool(self.half_written()), 30.0, every=0.002)
            case "the last trial":
                longest = 0.02 if self._random.random() < 0.5 else 0.6
                return self._until(self._all_done) and self._sleep(uniform(0, longest))

    def _any_time(self, part: float) -> bool:
        """A moment of a part of the run: a fifth of them at the start, and so on."""
        pace, uniform = self._pace, self._random.uniform
        if self._all_done():
            return self._sleep(uniform(0, 1.5 * pace.start))
        if part < 0.2 and not self.running.out:
            return self._sleep(uniform(0, pace.start) - self.seconds)
        progress = self._witness.progress()
        if part < 0.5 and not (progress and progress.bounds):
            return self._until(lambda: bool(self.running.out)) and self._sleep(
                uniform(0, pace.sweeps)
            )
        # Behind the start, however long it takes now: else nothing would go on on a busy machine.
        return self._until(self._trains) and self._sleep(uniform(0, pace.trials / 4))

    def _trains(self) -> bool:
        progress = self._witness.progress()
        return progress is not None and progress.bounds == 1 and bool(self.running.out)

    def _all_done(self) -> bool:
        progress = self._witness.progress()
        return progress is not None and progress.finished == self._trials

    def _sleep(self, seconds: float) -> bool:
        """Wait so long; False if the command has ended before."""
        return self._until(lambda: False, seconds)

    def _until(
        self, condition: Callable[[], bool], seconds: float = PATIENCE, every: float = 0.01
    ) -> bool:
        """Wait for the condition, or so long; False if the command has ended before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return True
            if not self.running.alive:
                return False
            time.sleep(min(every, max(0.0, deadline - time.monotonic())))
        return self.running.alive
