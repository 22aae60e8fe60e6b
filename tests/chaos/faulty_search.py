"""One small search with random faults injected into it, and its study checked after each."""

import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from search.study import attributes
from tests.chaos.faults import (
    FAILED,
    Fault,
    draw_fault,
    ends,
    inject,
    kills_workers,
    wrong_code,
)
from tests.chaos.hands import HANDS, Hand, Struck, accounted, moved_away, strike, takes_file
from tests.chaos.invariants import (
    Expected,
    broken_at_the_end,
    broken_between,
    broken_now,
    fell,
    left_behind,
)
from tests.chaos.probe import Progress, Snapshot, StudyProbe
from tests.chaos.scenario import Pace, Scenario
from tests.chaos.timing import SECONDS_UNTIL_STUCK, FaultTiming, Phase, Trigger
from tests.search.running import Ended, Running, begin, maps_images, run

__all__ = ["BrokenInvariantError", "FaultySearch", "InjectedFault"]

SECONDS_OF_ORPHANS = 5.0
UNBORN = "EOFError: Ran out of input"
FAULTS_BEFORE_THE_END = 10
"""Number of faults after which only the end of a search is hit."""
LAST_WORDS = "\nNext:\n"
SECONDS_TO_STOP = 60.0
SPARED_AFTER, FAILURES = 2, 3
"""Deaths of workers after which a trial is spared so that it does not fail, and how many may fail."""
EARLY_DEATHS = 2
"""Deaths in a row of workers that are starting or measuring: the third ends a search."""


class BrokenInvariantError(AssertionError):
    """An invariant was broken; the text tells everything that happened."""


@dataclass(frozen=True)
class InjectedFault:
    """A fault that was injected.

    Attributes:
        kind: The fault.
        phase: How far the command was.
        trigger: The event after which it was injected.
        seconds: Seconds since the command was started.
        busy: Number of trials that were running in processes that were killed.
        half_written: Number of half-written files that it left.
        progress: How far the study was just before; None if it did not exist.
    """

    kind: Fault
    phase: Phase
    trigger: Trigger
    seconds: float
    busy: int
    half_written: int
    progress: Progress | None

    def __str__(self) -> str:
        after = "" if self.trigger == "any time" else f", right after {self.trigger}"
        seen = "no study"
        if self.progress is not None:
            seen = f"{self.progress.finished} trials done, {self.progress.epochs} epochs"
        return f"{self.kind} after {self.seconds:.2f} s{after} ({self.phase}; {seen})"


@dataclass
class FaultySearch:
    """A search with faults injected into it, from its first start to its end.

    Args:
        scenario: What is searched.
        folder: The folder of its home and its temporary files; it must be empty.
        data: The images.
        random: The generator of all draws.
        pace: How long a run without faults takes.
        may_inject: Called before every fault; once it returns False the search is left alone.
        core: The core it runs on; by default as `begin` has it.
        storage: URL of its database; by default the home's own.
        study: Its name.
        told: Called with every fault.

    Attributes:
        faults: The faults so far.
        sessions: Every command so far, with its output.
        struck: The trials that were added, ended or deleted as another program does it.
    """

    scenario: Scenario
    folder: Path
    data: Path
    random: np.random.Generator
    pace: Pace
    may_inject: Callable[[], bool]
    core: int | None = None
    storage: str | None = None
    study: str = "tiny"
    told: Callable[[InjectedFault], None] = lambda _: None
    faults: list[InjectedFault] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    struck: list[Struck] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.probe = StudyProbe(self.home, self.study, self.storage)
        self._temporary = self.folder / "temporary"
        self._aside = self.folder / "aside"
        for made in (self._temporary, self._aside):
            made.mkdir()
        self._expected = Expected(self.scenario.trials, self.scenario.workers)
        self._seen: Snapshot | None = None
        self._worker_kills = self._early_kills = 0

    def run(self) -> Snapshot:
        """Inject faults until the search ends by itself; return the study as it is then.

        Raises:
            BrokenInvariantError: An invariant was broken.
        """
        try:
            while not self._session():
                pass
            end = self._check()
            assert end is not None, "The study is not there."
            _demand(
                *broken_at_the_end(end, self._expected, self._worker_kills, self.home, self.study),
                *left_behind(self.home, self.study, self._temporary),
                *self._in_logs(),
                *self._in_status(end),
            )
        except (AssertionError, pytest.fail.Exception) as error:
            raise BrokenInvariantError(self.story(str(error))) from error
        return end

    def story(self, broken: str) -> str:
        """Return everything that happened to this search, as text."""
        faults = "\n".join(map(str, self.faults))
        sessions = "\n\n".join(self.sessions)
        return (
            f"{broken}\n\n== {self.scenario}; home {self.home}\n{faults}\n\n"
            f"== every command and what it said\n{sessions}"
        )

    def _session(self) -> bool:
        """Run the command once, with or without faults; return whether the search is over."""
        with self._begun() as running:
            self._early_kills = 0
            timing = FaultTiming(running, self.probe, self.scenario, self.pace, self.random)
            while self.may_inject():
                trigger = timing.draw_trigger(only_end=len(self.faults) >= FAULTS_BEFORE_THE_END)
                kind = draw_fault(
                    self.random,
                    only_kills=trigger == "a half-written file",
                    fails=self.scenario.fails,
                )
                if not timing.wait_for(trigger):
                    break
                code = self._inject(kind, trigger, timing)
                if code is not None:
                    return code == 0
            _demand(*self._wrong_end(running.wait(SECONDS_UNTIL_STUCK), None, "trials"))
            running.assert_gone(SECONDS_OF_ORPHANS)
            return True

    @contextlib.contextmanager
    def _begun(self) -> Iterator[Running]:
        with begin(
            *self._command(),
            folder=self.folder,
            data=self.data,
            core=self.core,
            temporary=self._temporary,
        ) as running:
            try:
                yield running
            finally:
                self.sessions.append(running.story)

    def _command(self) -> tuple[object, ...]:
        storage = () if self.storage is None else ("--storage", self.storage)
        where = ("--home", self.home, *storage)
        if self._seen is not None and self.random.random() < 0.5:
            workers = ("--workers", self.scenario.workers, "--device", "cpu")
            return ("resume", self.study, *workers, *where)
        return ("start", *self.scenario.options(self.folder), "--study", self.study, *where)

    def _inject(self, kind: Fault, trigger: Trigger, timing: FaultTiming) -> int | None:
        """Inject a fault and check the study; return the exit code, or None if the command continues."""
        running = timing.running
        if trigger == "any time":
            self._check()  # everything that is there now must be there afterwards
        before = self.probe.progress()
        phase = timing.phase(before)
        workers = self._workers_to_kill(running) if kills_workers(kind) else []
        if kills_workers(kind) and not workers:
            kind = "SIGKILL to the coordinator"
        if kind in HANDS and not self._is_open_to(kind, phase):
            kind = "SIGKILL to the coordinator"
        seconds = timing.seconds
        trained = [worker for worker in running.workers() if maps_images(worker)]
        result: Ended | None = None
        if takes_file(kind):
            with moved_away(kind, self.home / "studies.db", self._aside):
                result = self._waited(running)
        elif kind in HANDS:
            kind = self._strike(kind)
        else:
            inject(kind, running, workers, self.random)
            self._worker_kills += {"SIGKILL to a worker": 1}.get(kind, len(workers))
            if ends(kind):
                result = self._waited(running)
        now = self._check(None if kind == "a trial deleted" else before)
        at_once = "SIGKILL" in kind or kind == "SIGINT twice"
        busy = len(now.in_state("RUNNING")) if now is not None and phase == "trials" else 0
        busy = min(busy, len(workers) if kills_workers(kind) else len(trained)) if at_once else 0
        new = timing.half_written() if ends(kind) else set()
        self.faults.append(InjectedFault(kind, phase, trigger, seconds, busy, len(new), before))
        self.told(self.faults[-1])
        if result is None:
            return None
        all_done = now is not None and now.progress.finished == self.scenario.trials
        if all_done or LAST_WORDS in result.out:
            phase = "end"  # it was, when the signal came
        _demand(*self._wrong_end(result, kind, phase))
        return result.code

    def _waited(self, running: Running) -> Ended:
        result = running.wait(SECONDS_TO_STOP)
        running.assert_gone(SECONDS_OF_ORPHANS)
        return result

    def _is_open_to(self, kind: Fault, phase: Phase) -> bool:
        """Return whether another program can do this to the study now."""
        if takes_file(kind):
            # A command that has not opened its database yet would make a new one.
            return self.storage is None and phase in {"LR-range test", "trials"}
        now = self.probe.look()
        return now is not None and attributes.SETTINGS in now.notes

    def _strike(self, kind: Fault) -> Fault:
        """Do what another program does to the study; return what it was."""
        struck = strike(cast("Hand", kind), self.probe.url, self.study, self.random)
        self.struck.append(struck)
        numbers = frozenset(one.number for one in self.struck)
        self._expected = replace(self._expected, struck=numbers)
        return struck.hand

    def _workers_to_kill(self, running: Running) -> list[int]:
        """Return the workers, unless the search cannot survive any more deaths."""
        workers, now = running.workers(), self.probe.look()
        if now is None or not workers:
            return []
        unfinished = (trial for trial in now.trials if not trial.finished)
        lost = [trial.notes.get(attributes.INTERRUPTIONS, 0) for trial in unfinished]
        spare = not self.scenario.fails or len(now.in_state("FAIL")) >= FAILURES
        if spare and any(deaths >= SPARED_AFTER for deaths in lost):
            return []
        if not now.progress.bounds or not all(map(maps_images, workers)):
            self._early_kills += 1
            if self._early_kills > EARLY_DEATHS:
                return []
        return workers

    def _check(self, before: Progress | None = None) -> Snapshot | None:
        """Check the study as it is now against the invariants and against what was seen before."""
        now = self.probe.look()
        if now is None or attributes.SETTINGS not in now.notes:
            _demand(*([] if self._seen is None else ["The study is gone."]))
            return now
        broken = list(broken_now(now, self._expected))
        if self._seen is not None:
            seen = self._seen.without(self._expected.struck)
            broken += broken_between(seen, now)
        if before is not None:
            broken += fell(before, now.progress)
        _demand(*broken)
        self._seen = now
        return now

    def _wrong_end(self, result: Ended, kind: Fault | None, phase: Phase) -> Iterator[str]:
        if (wrong := wrong_code(kind, phase, result.code)) is not None:
            yield wrong
        # Python's own message from a worker whose coordinator was killed while starting it.
        unborn = result.err.count(UNBORN) if result.code == -signal.SIGKILL else 0
        if (result.out + result.err).count("Traceback") > unborn:
            yield "There is a traceback."
        if result.code == 0 and result.err:
            yield f"It has ended well, but says: {result.err}"
        if kind is not None and takes_file(kind) and result.code == FAILED:
            done = kind.rpartition(" ")[2]
            if f" was {done} " not in result.err or "everything is saved" in result.err:
                yield f"{kind.capitalize()}, but it says: {result.err}"

    def _in_status(self, end: Snapshot) -> Iterator[str]:
        """What `status` says wrongly of a study that others have changed."""
        if not self.struck:
            return
        storage = () if self.storage is None else ("--storage", self.storage)
        command = ("status", self.study, "--json", "--home", self.home, *storage)
        told = run(*command, folder=self.folder, data=self.data, core=self.core)
        if told.code != 0 or told.err:
            yield f"The status ends with {told.code}: {told.err}"
            return
        states = {trial.number: trial.state for trial in end.trials}
        trials = self.scenario.trials
        yield from accounted(json.loads(told.out), trials, self.struck, states)

    def _in_logs(self) -> Iterator[str]:
        for log in sorted(self.probe.folder.logs.iterdir()):
            if "Traceback" in (text := log.read_text(encoding="utf-8")):
                yield f"{log.name} has a traceback:\n{text}"


def _demand(*broken: str) -> None:
    if broken:
        raise AssertionError("\n".join(broken))
