"""The times at which faults are injected: at random, or right after something that the search does."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from tests.chaos.probe import Progress, StudyProbe
from tests.chaos.scenario import Pace, Scenario
from tests.search.running import Running

__all__ = ["SECONDS_UNTIL_STUCK", "FaultTiming", "Phase", "Trigger"]

Trigger = Literal["any time", "a new row", "a half-written file", "the last trial"]
"""The event right after which a fault is injected."""
Phase = Literal["before the study", "start", "LR-range test", "trials", "end"]
"""How far a command is: without a study, without output, and so on; at the end all trials are final."""

SECONDS_UNTIL_STUCK = 600.0
"""Seconds after which a command that neither reaches the event waited for nor ends counts as stuck."""


class FaultTiming:
    """The random times of the faults in one run of a command.

    Args:
        running: The command, just started.
        probe: Reads its study.
        scenario: What it searches.
        pace: How long a run without faults takes.
        random: The generator of all draws.
    """

    def __init__(
        self,
        running: Running,
        probe: StudyProbe,
        scenario: Scenario,
        pace: Pace,
        random: np.random.Generator,
    ) -> None:
        self.running = running
        self._began = time.monotonic()
        self._probe = probe
        self._trials, self._workers = scenario.trials, scenario.workers
        self._pace = pace
        self._random = random
        self._left: set[Path] = set()
        self._left = self.half_written()

    @property
    def seconds(self) -> float:
        """Seconds since the command was started."""
        return time.monotonic() - self._began

    def half_written(self) -> set[Path]:
        """Return the half-written files that did not exist when the command was started."""
        with contextlib.suppress(FileNotFoundError):  # a folder that was removed meanwhile
            return set(self._probe.home.rglob(".*")) - self._left
        return set()

    def phase(self, progress: Progress | None) -> Phase:
        """Return how far the command is, given how far its study is."""
        if progress is None:
            return "before the study"
        if progress.finished == self._trials:
            return "end"
        if not self.running.out:
            return "start"
        return "trials" if progress.bounds else "LR-range test"

    def draw_trigger(self, *, only_end: bool = False) -> Trigger:
        """Return the next event to wait for.

        Args:
            only_end: Wait for the search's end, so that this is hit too.
        """
        progress = self._probe.progress()
        left = self._trials - (0 if progress is None else progress.finished)
        if only_end and left:
            return "the last trial"
        # A command that finds everything done writes no rows, but exports once more.
        weights: dict[Trigger, float] = {
            "any time": 5,
            "a new row": 4 if left else 0,
            "a half-written file": 2,
            "the last trial": 4 if 0 < left <= self._workers + 1 else 0,
        }
        shares = np.array(list(weights.values())) / sum(weights.values())
        return list(weights)[int(self._random.choice(len(weights), p=shares))]

    def wait_for(self, trigger: Trigger) -> bool:
        """Wait for the event; return False if the command ended before it."""
        uniform = self._random.uniform
        match trigger:
            case "any time":
                return self._any_time(self._random.random())
            case "a new row":
                before = self._probe.progress()
                happened = self._until(lambda: self._probe.progress() != before)
                # Not only after the first of several rows that are written one after another.
                return happened and self._sleep(self._random.exponential(0.01))
            case "a half-written file":
                # A search that is nearly done writes few; then any time will do.
                return self._until(lambda: bool(self.half_written()), 30.0, every=0.002)
            case "the last trial":
                longest = 0.02 if self._random.random() < 0.5 else 0.6
                return self._until(self._all_done) and self._sleep(uniform(0, longest))

    def _any_time(self, part: float) -> bool:
        """Wait for a random time in a part of the run: a fifth of the times at the start, and so on."""
        pace, uniform = self._pace, self._random.uniform
        if self._all_done():
            return self._sleep(uniform(0, 1.5 * pace.start))
        if part < 0.2 and not self.running.out:
            return self._sleep(uniform(0, pace.start) - self.seconds)
        progress = self._probe.progress()
        if part < 0.5 and not (progress and progress.bounds):
            return self._until(lambda: bool(self.running.out)) and self._sleep(
                uniform(0, pace.sweeps)
            )
        # After the start, however long that takes: else a busy machine would make no progress.
        return self._until(self._trains) and self._sleep(uniform(0, pace.trials / 4))

    def _trains(self) -> bool:
        progress = self._probe.progress()
        return progress is not None and progress.bounds == 1 and bool(self.running.out)

    def _all_done(self) -> bool:
        progress = self._probe.progress()
        return progress is not None and progress.finished == self._trials

    def _sleep(self, seconds: float) -> bool:
        """Wait `seconds`; return False if the command ended before."""
        return self._until(lambda: False, seconds)

    def _until(
        self,
        condition: Callable[[], bool],
        seconds: float = SECONDS_UNTIL_STUCK,
        every: float = 0.01,
    ) -> bool:
        """Wait for the condition, at most `seconds`; return False if the command ended before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return True
            if not self.running.alive:
                return False
            time.sleep(min(every, max(0.0, deadline - time.monotonic())))
        return self.running.alive
