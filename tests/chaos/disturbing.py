"""One small search that is killed again and again, at moments and in ways drawn by chance, and watched."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from search.study import attributes
from tests.chaos.moments import PATIENCE, Aim, Moments, Phase
from tests.chaos.promises import (
    Promised,
    broken_at_the_end,
    broken_between,
    broken_now,
    fell,
    left_behind,
)
from tests.chaos.scenario import Pace, Scenario
from tests.chaos.striking import Kind, draw_kind, ends, kills_workers, strike, wrong_code
from tests.chaos.witness import Progress, Snapshot, Witness
from tests.search.running import Ended, Running, begin, maps_images

__all__ = ["BrokenPromiseError", "Disturbance", "Strike"]

SECONDS_OF_ORPHANS = 5.0
UNBORN = "EOFError: Ran out of input"
STRIKES_BEFORE_THE_END = 10
"""After so many, only the end of a search is struck, however far it is."""
LAST_WORDS = "\nNext:\n"
SECONDS_TO_STOP = 60.0
SPARED_AFTER, FAILURES = 2, 3
"""Deaths of workers after which a trial is left alone so that it does not fail, and how many may."""
EARLY_DEATHS = 2
"""Deaths of workers that are starting or measuring, one after another: the third ends a search."""


class BrokenPromiseError(AssertionError):
    """A promise was broken; the text is the whole story."""


@dataclass(frozen=True)
class Strike:
    """One disturbance.

    Attributes:
        kind: What was done.
        phase: How far the command was.
        aim: What was waited for.
        seconds: Since the command was started.
        busy: Trials that were running in processes that were killed.
        half_written: Half-written files that were left.
        progress: How far the study was right before, or None.
    """

    kind: Kind
    phase: Phase
    aim: Aim
    seconds: float
    busy: int
    half_written: int
    progress: Progress | None

    def __str__(self) -> str:
        after = "" if self.aim == "any time" else f", right behind {self.aim}"
        seen = "no study"
        if self.progress is not None:
            seen = f"{self.progress.finished} trials done, {self.progress.epochs} epochs"
        return f"{self.kind} after {self.seconds:.2f} s{after} ({self.phase}; {seen})"


@dataclass
class Disturbance:
    """A search under kills, from its first start to its end.

    Args:
        scenario: What is searched.
        folder: Where; it must be empty.
        data: The images.
        random: Where all draws come from.
        pace: How long an undisturbed run takes.
        may_strike: Asked before every strike; from the first no on the search is left alone.
        core: The core it runs on; by default as `begin` has it.
        storage: URL of its database; the home's own by default.
        study: Its name.
        told: Told of every strike.

    Attributes:
        strikes: Those so far.
        sessions: Every command so far, with its output.
    """

    scenario: Scenario
    folder: Path
    data: Path
    random: np.random.Generator
    pace: Pace
    may_strike: Callable[[], bool]
    core: int | None = None
    storage: str | None = None
    study: str = "tiny"
    told: Callable[[Strike], None] = lambda _: None
    strikes: list[Strike] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.witness = Witness(self.home, self.study, self.storage)
        self._temporary = self.folder / "temporary"
        self._temporary.mkdir()
        self._promised = Promised(self.scenario.trials, self.scenario.workers)
        self._seen: Snapshot | None = None
        self._worker_kills = self._early_kills = 0

    def run(self) -> Snapshot:
        """Strike it until it ends by itself; the study as it stands then.

        Raises:
            BrokenPromiseError: A promise was broken.
        """
        try:
            while not self._session():
                pass
            end = self._check()
            assert end is not None, "The study is not there."
            _demand(
                *broken_at_the_end(end, self._promised, self._worker_kills, self.home, self.study),
                *left_behind(self.home, self.study, self._temporary),
                *self._in_logs(),
            )
        except (AssertionError, pytest.fail.Exception) as error:
            raise BrokenPromiseError(self.story(str(error))) from error
        return end

    def story(self, broken: str) -> str:
        """Everything about this search."""
        strikes = "\n".join(map(str, self.strikes))
        sessions = "\n\n".join(self.sessions)
        return (
            f"{broken}\n\n== {self.scenario}; home {self.home}\n{strikes}\n\n"
            f"== every command and what it said\n{sessions}"
        )

    def _session(self) -> bool:
        """Run the command once, struck or not; whether the search is over."""
        with self._begun() as running:
            self._early_kills = 0
            moments = Moments(running, self.witness, self.scenario, self.pace, self.random)
            while self.may_strike():
                aim = moments.draw_aim(only_end=len(self.strikes) >= STRIKES_BEFORE_THE_END)
                kind = draw_kind(
                    self.random,
                    only_kills=aim == "a half-written file",
                    fails=self.scenario.fails,
                )
                if not moments.wait_for(aim):
                    break
                code = self._strike(kind, aim, moments)
                if code is not None:
                    return code == 0
            _demand(*self._wrong_end(running.wait(PATIENCE), None, "trials"))
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

    def _strike(self, kind: Kind, aim: Aim, moments: Moments) -> int | None:
        """Do it, and check what is left; the command's exit code, or None if it goes on."""
        running = moments.running
        if aim == "any time":
            self._check()  # all that is there right before must be there right after
        before = self.witness.progress()
        phase = moments.phase(before)
        workers = self._workers_to_kill(running) if kills_workers(kind) else []
        if kills_workers(kind) and not workers:
            kind = "SIGKILL to the coordinator"
        seconds = moments.seconds
        trained = [worker for worker in running.workers() if maps_images(worker)]
        strike(kind, running, workers, self.random)
        self._worker_kills += {"SIGKILL to a worker": 1}.get(kind, len(workers))
        result: Ended | None = None
        if ends(kind):
            result = running.wait(SECONDS_TO_STOP)
            running.assert_gone(SECONDS_OF_ORPHANS)
        now = self._check(before)
        at_once = "SIGKILL" in kind or kind == "SIGINT twice"
        busy = len(now.in_state("RUNNING")) if now is not None and phase == "trials" else 0
        busy = min(busy, len(workers) if kills_workers(kind) else len(trained)) if at_once else 0
        new = moments.half_written() if ends(kind) else set()
        self.strikes.append(Strike(kind, phase, aim, seconds, busy, len(new), before))
        self.told(self.strikes[-1])
        if result is None:
            return None
        all_done = now is not None and now.progress.finished == self.scenario.trials
        if all_done or LAST_WORDS in result.out:
            phase = "end"  # it was, when the signal came
        _demand(*self._wrong_end(result, kind, phase))
        return result.code

    def _workers_to_kill(self, running: Running) -> list[int]:
        """The workers, if the search can be expected to bear their deaths."""
        workers, now = running.workers(), self.witness.look()
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
        """Hold the study as it is now against the promises, and against what was seen of it."""
        now = self.witness.look()
        if now is None or attributes.SETTINGS not in now.notes:
            _demand(*([] if self._seen is None else ["The study is gone."]))
            return now
        broken = list(broken_now(now, self._promised))
        if self._seen is not None:
            broken += broken_between(self._seen, now)
        if before is not None:
            broken += fell(before, now.progress)
        _demand(*broken)
        self._seen = now
        return now

    def _wrong_end(self, result: Ended, kind: Kind | None, phase: Phase) -> Iterator[str]:
        if (wrong := wrong_code(kind, phase, result.code)) is not None:
            yield wrong
        # Python's own words of a worker whose coordinator was killed while it told it what to do.
        unborn = result.err.count(UNBORN) if result.code == -signal.SIGKILL else 0
        if (result.out + result.err).count("Traceback") > unborn:
            yield "There is a traceback."
        if result.code == 0 and result.err:
            yield f"It has ended well, but says: {result.err}"

    def _in_logs(self) -> Iterator[str]:
        for log in sorted(self.witness.folder.logs.iterdir()):
            if "Traceback" in (text := log.read_text(encoding="utf-8")):
                yield f"{log.name} has a traceback:\n{text}"


def _demand(*broken: str) -> None:
    if broken:
        raise AssertionError("\n".join(broken))
