"""Searches that are killed at random, hundreds of times, and what their promises are worth after it.

    python -m tests.chaos.chaos --kills 200 --seed 1 --json chaos.json

Small searches are run one after another, on every core one. Each is struck again and again: processes
are killed, signalled, stopped, at any time or right behind a row of the database or a half-written file;
and the command is given again until the search has ended. After every strike the database and the files
are held against what they were before and against what must be true at every moment (`promises`), at the
end also against an undisturbed run and trials that are trained again alone. What is drawn follows from the
seed and the search's number; what it hits depends on the machine's time.
"""

import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
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

from search.signals import ending_like_ctrl_c
from tests.chaos.disturbing import BrokenPromiseError, Disturbance, Strike
from tests.chaos.scenario import SCENARIOS, References, Scenario, Trainer, differences, sample
from tests.search.running import write_plots

__all__ = ["Chaos", "Violation", "main"]

MOST_STRIKES = 14
"""After so many a search is left alone."""
RETRAINED = 2
"""Trials of each search that are trained again alone."""
SHARE_OF_TWO_WORKERS, SHARE_OF_FAILING = 0.4, 0.15


@dataclass(frozen=True)
class Violation:
    """A search that broke a promise.

    Attributes:
        search: Its number.
        scenario: What was searched.
        text: What was broken, or the first of it.
        repeat: The command that draws the same strikes again.
        story: The file with everything that happened; its folder has the home.
    """

    search: int
    scenario: str
    text: str
    repeat: str
    story: str


@dataclass
class Chaos:
    """Searches under kills, until there were enough.

    Args:
        folder: Where everything is kept; that of a search that kept its promises is removed.
        seed: Where all draws start.
        kills: How many.
        first: Number of the first search.
        workers: Workers of every search; drawn by default.
        storage: URL of a database for all studies; each home's own by default.
        say: Told a line for each kill.

    Attributes:
        strikes: The kills so far.
        trials: Trials of searches that have ended, by state.
        epochs: Epochs that these have trained.
        searches: How many have ended.
        violations: Those that broke a promise.
    """

    folder: Path
    seed: int
    kills: int
    first: int = 0
    workers: int | None = None
    storage: str | None = None
    say: Callable[[str], None] = click.echo
    strikes: list[Strike] = field(default_factory=list)
    trials: Counter[str] = field(default_factory=Counter)
    epochs: int = 0
    searches: int = 0
    violations: list[Violation] = field(default_factory=list)
    _given_up: bool = field(default=False, init=False)

    def run(self, cores: Sequence[int]) -> None:
        """Run searches on these cores side by side until there were enough kills."""
        self._data = self.folder / "images"
        write_plots(self._data)
        self._trainer = Trainer(self._data)
        self._references = References(self.folder, self._data)
        numbers = count(self.first)
        torch.set_num_threads(1)  # as the searches' workers

        def lane(core: int) -> None:
            while len(self.strikes) < self.kills and not self._given_up:
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
        own: list[Strike] = []

        def may_strike() -> bool:
            if self._given_up:
                raise KeyboardInterrupt
            return len(self.strikes) < self.kills and len(own) < MOST_STRIKES

        def told(strike: Strike) -> None:
            own.append(strike)
            self.strikes.append(strike)
            self.say(f"{len(self.strikes):4}/{self.kills}  search {number}: {strike}")

        search = Disturbance(
            scenario,
            folder,
            self._data,
            random,
            reference.pace,
            may_strike,
            core=core,
            storage=self.storage,
            study="tiny" if self.storage is None else f"chaos-{os.getpid()}-{number}",
            told=told,
        )
        self.say(f"           search {number}: {scenario}")
        try:
            end = search.run()
        except BrokenPromiseError as error:
            self._keep(number, scenario, str(error), folder)
            return
        trials = search.witness.trials()
        broken = list(differences(scenario, reference, trials))
        for trial in sample(trials, RETRAINED, random):
            broken += self._trainer.differences(trial)
        if broken:
            self._keep(number, scenario, search.story("\n".join(broken)), folder)
            return
        self.searches += 1
        self.trials.update(trial.state for trial in end.trials)
        self.epochs += end.progress.epochs
        if self.storage is not None:
            search.witness.forget()
        shutil.rmtree(folder)

    def _draw(self, number: int, random: np.random.Generator) -> Scenario:
        two, fails = random.random(2) < (SHARE_OF_TWO_WORKERS, SHARE_OF_FAILING)
        workers = self.workers or (2 if two else 1)
        return replace(SCENARIOS[number % len(SCENARIOS)], workers=workers, fails=bool(fails))

    def _keep(self, number: int, scenario: Scenario, story: str, folder: Path) -> None:
        if self._given_up:
            return  # it was killed from here
        text = story.splitlines()[0]
        repeat = f"{self._command} --first {number} --kills {MOST_STRIKES}"
        file = folder / "story.txt"
        file.write_text(f"{repeat}\n\n{story}\n", encoding="utf-8")
        self.violations.append(Violation(number, str(scenario), text, repeat, str(file)))
        self.say(f"BROKEN     search {number}: {text}\n           the whole story: {file}")

    @property
    def _command(self) -> str:
        workers = f" --workers {self.workers}" if self.workers else ""
        return f"python -m tests.chaos.chaos --seed {self.seed}{workers}"

    def summary(self, seconds: float) -> dict[str, Any]:
        """Everything that was counted, as plain JSON."""
        return {
            "seed": self.seed,
            "first": self.first,
            "kills": len(self.strikes),
            "kinds": dict(Counter(strike.kind for strike in self.strikes)),
            "phases": dict(Counter(strike.phase for strike in self.strikes)),
            "aims": dict(Counter(strike.aim for strike in self.strikes)),
            "searches": self.searches,
            "trials": dict(self.trials),
            "epochs": self.epochs,
            "epochs_under_way": sum(strike.busy for strike in self.strikes),
            "half_written_files": sum(strike.half_written for strike in self.strikes),
            "violations": [vars(one) for one in self.violations],
            "seconds": round(seconds, 1),
            "machine": f"{platform.machine()}, Python {platform.python_version()}",
        }


def _words(summary: dict[str, Any]) -> str:
    def listed(what: str) -> str:
        counts = sorted(summary[what].items(), key=lambda one: -one[1])
        return ", ".join(f"{name} {number}" for name, number in counts)

    broken = len(summary["violations"])
    under_way = summary["epochs_under_way"]
    lines = (
        f"{summary['kills']} kills in {summary['seconds']:.0f} s, seed {summary['seed']}",
        f"  {listed('kinds')}",
        f"  when: {listed('phases')}",
        f"  right behind: {listed('aims')}",
        f"{summary['searches']} searches ended as they should: {listed('trials')}",
        f"{summary['epochs']} epochs were reported, none was lost, none trained twice",
        f"at most {under_way} were under way in a killed process, and were begun again",
        f"{summary['half_written_files']} half-written files were left by kills, none at the end",
        f"{broken} searches BROKE a promise." if broken else "Every promise was kept.",
    )
    return "\n".join(lines)


def _end_children() -> None:
    """End every search that this process has started, with its workers."""
    for children in Path("/proc/self/task").glob("*/children"):
        for process in children.read_text().split():
            with suppress(ProcessLookupError):
                os.killpg(int(process), signal.SIGKILL)


@click.command()
@click.option("--kills", default=200, show_default=True, type=click.IntRange(1), help="How many.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Draws start here."
)
@click.option("--first", default=0, show_default=True, type=click.IntRange(0), help="First search.")
@click.option("--workers", type=click.IntRange(1, 2), help="Of every search.  [default: drawn]")
@click.option(
    "--cores", type=click.IntRange(1), help="Searches side by side.  [default: all cores]"
)
@click.option("--storage", metavar="URL", help="A database for all studies.  [default: SQLite]")
@click.option(
    "--json", "file", type=click.Path(path_type=Path), help="Write what was counted here."
)
def main(
    kills: int,
    seed: int,
    first: int,
    workers: int | None,
    cores: int | None,
    storage: str | None,
    file: Path | None,
) -> None:
    """Kill searches at random and check what they promise."""
    folder = Path(tempfile.mkdtemp(prefix="cifar-search-chaos-"))
    chaos = Chaos(folder, seed, kills, first, workers, storage)
    began = time.monotonic()
    interrupted = False
    try:
        with ending_like_ctrl_c():
            chaos.run(range(cores or len(os.sched_getaffinity(0))))
    except KeyboardInterrupt:
        interrupted = True  # what was seen until then still counts
    summary = chaos.summary(time.monotonic() - began)
    if file is not None:
        file.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    click.echo(_words(summary))
    for violation in chaos.violations:
        click.echo(f"\n{violation.text}\n  {violation.repeat}\n  {violation.story}")
    if not chaos.violations:
        shutil.rmtree(folder)
    sys.exit(1 if chaos.violations else 130 if interrupted else 0)


if __name__ == "__main__":
    main()
