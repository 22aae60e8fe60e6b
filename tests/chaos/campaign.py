"""A campaign of faults: small searches, one after another on every core, with faults injected at random.

Each search is hit again and again, at any time or right after a row of the database or a half-written file,
and its command is given again until it has ended. After every fault the database and the files are checked
against what they were before and against what must be true at every moment (`invariants`); at the end also
against a run without faults, and against trials that are trained again alone. The draws follow from the
seed and the search's number; what they hit depends on the machine's timing.
"""

import os
import platform
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from tests.chaos.faulty_search import BrokenInvariantError, FaultySearch, InjectedFault
from tests.chaos.scenario import SCENARIOS, References, Scenario, Trainer, differences, sample
from tests.search.running import write_images

__all__ = ["Campaign", "Violation", "described"]

MOST_FAULTS = 14
"""Number of faults after which a search is left alone."""
RETRAINED = 2
"""Number of trials of each search that are trained again alone."""
SHARE_OF_TWO_WORKERS, SHARE_OF_FAILING = 0.4, 0.15


@dataclass(frozen=True)
class Violation:
    """A search that broke an invariant.

    Attributes:
        search: Its number.
        scenario: What was searched.
        text: The first thing that was broken.
        repeat: The command that draws the same faults again.
        story: The file that tells everything; the home is in its folder.
    """

    search: int
    scenario: str
    text: str
    repeat: str
    story: str


@dataclass
class Campaign:
    """Searches with faults, until there were enough.

    Args:
        folder: The folder of everything; that of a search without violations is removed.
        seed: Random seed.
        kills: Number of faults.
        first: Number of the first search.
        workers: Workers of every search; by default drawn.
        storage: URL of a database for all studies; by default each home's own.
        say: Called with a line for each fault.

    Attributes:
        faults: The faults so far.
        trials: Trials of searches that have ended, by state.
        epochs: Epochs that these have trained.
        searches: Number of searches that have ended.
        violations: The searches that broke an invariant.
    """

    folder: Path
    seed: int
    kills: int
    first: int = 0
    workers: int | None = None
    storage: str | None = None
    say: Callable[[str], None] = click.echo
    faults: list[InjectedFault] = field(default_factory=list)
    trials: Counter[str] = field(default_factory=Counter)
    epochs: int = 0
    searches: int = 0
    violations: list[Violation] = field(default_factory=list)
    _given_up: bool = field(default=False, init=False)

    def run(self, cores: Sequence[int]) -> None:
        """Run searches on these cores side by side until there were enough faults."""
        self._data = self.folder / "images"
        write_images(self._data)
        self._trainer = Trainer(self._data)
        self._references = References(self.folder, self._data)
        numbers = count(self.first)
        torch.set_num_threads(1)  # as the searches' workers

        def lane(core: int) -> None:
            while len(self.faults) < self.kills and not self._given_up:
                self._search(next(numbers), core)

        with ThreadPoolExecutor(len(cores)) as lanes:
            try:
                for done in as_completed([lanes.submit(lane, core) for core in cores]):
                    done.result()
            except BaseException:
                self._given_up = True
                _end_children()
                raise

    def _search(self, number: int, core: int) -> None:
        random = np.random.default_rng([self.seed, number])
        scenario = self._draw(number, random)
        reference = self._references.of(scenario, core)
        folder = self.folder / f"search-{number}"
        folder.mkdir()
        own: list[InjectedFault] = []

        def may_inject() -> bool:
            if self._given_up:
                raise KeyboardInterrupt
            return len(self.faults) < self.kills and len(own) < MOST_FAULTS

        def told(fault: InjectedFault) -> None:
            own.append(fault)
            self.faults.append(fault)
            self.say(f"{len(self.faults):4}/{self.kills}  search {number}: {fault}")

        search = FaultySearch(
            scenario,
            folder,
            self._data,
            random,
            reference.pace,
            may_inject,
            core=core,
            storage=self.storage,
            study="tiny" if self.storage is None else f"chaos-{os.getpid()}-{number}",
            told=told,
        )
        self.say(f"           search {number}: {scenario}")
        try:
            end = search.run()
        except BrokenInvariantError as error:
            self._keep(number, scenario, str(error), folder)
            return
        trials = search.probe.trials()
        struck = {one.number for one in search.struck}
        broken = list(differences(scenario, reference, trials, struck))
        untouched = [trial for trial in trials if trial.number not in struck]
        for trial in sample(untouched, RETRAINED, random):
            broken += self._trainer.differences(trial, scenario)
        if broken:
            self._keep(number, scenario, search.story("\n".join(broken)), folder)
            return
        self.searches += 1
        self.trials.update(trial.state for trial in end.trials)
        self.epochs += end.progress.epochs
        if self.storage is not None:
            search.probe.forget()
        shutil.rmtree(folder)

    def _draw(self, number: int, random: np.random.Generator) -> Scenario:
        two, fails = random.random(2) < (SHARE_OF_TWO_WORKERS, SHARE_OF_FAILING)
        workers = self.workers or (2 if two else 1)
        return replace(SCENARIOS[number % len(SCENARIOS)], workers=workers, fails=bool(fails))

    def _keep(self, number: int, scenario: Scenario, story: str, folder: Path) -> None:
        if self._given_up:
            return  # it was killed from here
        text = story.splitlines()[0]
        repeat = f"{self._command} --first {number} --kills {MOST_FAULTS}"
        file = folder / "story.txt"
        file.write_text(f"{repeat}\n\n{story}\n", encoding="utf-8")
        self.violations.append(Violation(number, str(scenario), text, repeat, str(file)))
        self.say(f"BROKEN     search {number}: {text}\n           the whole story: {file}")

    @property
    def _command(self) -> str:
        workers = f" --workers {self.workers}" if self.workers else ""
        return f"python -m tests.chaos --seed {self.seed}{workers}"

    def summary(self, seconds: float) -> dict[str, Any]:
        """Return everything that was counted as plain values."""
        return {
            "seed": self.seed,
            "first": self.first,
            "kills": len(self.faults),
            "kinds": dict(Counter(fault.kind for fault in self.faults)),
            "phases": dict(Counter(fault.phase for fault in self.faults)),
            "triggers": dict(Counter(fault.trigger for fault in self.faults)),
            "searches": self.searches,
            "trials": dict(self.trials),
            "epochs": self.epochs,
            "epochs_under_way": sum(fault.busy for fault in self.faults),
            "half_written_files": sum(fault.half_written for fault in self.faults),
            "violations": [vars(one) for one in self.violations],
            "seconds": round(seconds, 1),
            "machine": f"{platform.machine()}, Python {platform.python_version()}",
        }


def described(summary: dict[str, Any]) -> str:
    """Return a summary in words."""

    def listed(what: str) -> str:
        counts = sorted(summary[what].items(), key=lambda one: -one[1])
        return ", ".join(f"{name} {number}" for name, number in counts)

    broken = len(summary["violations"])
    under_way = summary["epochs_under_way"]
    lines = (
        f"{summary['kills']} faults in {summary['seconds']:.0f} s, seed {summary['seed']}",
        f"  {listed('kinds')}",
        f"  when: {listed('phases')}",
        f"  right after: {listed('triggers')}",
        f"{summary['searches']} searches ended as they should: {listed('trials')}",
        f"{summary['epochs']} epochs were reported, none was lost, none trained twice",
        f"at most {under_way} were under way in a killed process, and were trained again",
        f"{summary['half_written_files']} half-written files were left by faults, none at the end",
        f"{broken} searches BROKE an invariant." if broken else "No invariant was broken.",
    )
    return "\n".join(lines)


def _end_children() -> None:
    """Kill every search that this process has started, with its workers."""
    for children in Path("/proc/self/task").glob("*/children"):
        for process in children.read_text().split():
            with suppress(ProcessLookupError):
                os.killpg(int(process), signal.SIGKILL)
