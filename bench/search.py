"""What does a search cost until it has found something good? Policies, replayed on recorded trainings.

    python -m bench.search [--records net speed] [--arms ours tpe ...] [--seeds 50] [--luck 1]
        [--json FILE]

Random configurations of a space were trained to their end once (`bench.curves`); a surrogate that is fitted
to them stands in for training (`bench.surrogate`, whose quality is printed). Every policy then searches the
same space from the same seeds, one trial after the other, until it has completed a trial that reaches the
99th percentile of what random configurations come to, or has trained as many epochs as 60 whole trainings.

Counted are epochs, and the seconds that they took when they were recorded, of all trials: complete, stopped
and waiting. All policies search the same fixed learning-rate ranges, so no LR-range test is counted for
any, and none is given the known configurations. How much quicker ours is, is the ratio of the medians, with
the 2.5th and 97.5th percentiles of that ratio over bootstrap samples of the seeds; who never got there
counts as twice the limit.
"""

import argparse
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna

from bench.arms import ARMS, COMMON, Trainer, left_out
from bench.columns import in_columns
from bench.curves import configurations, space_of
from bench.surrogate import Surrogate, quality, read_records
from search.policy import Seen, run_search

HERE = Path(__file__).parent / "recorded"
SPACES = {"net": "baseline_constrained", "speed": "speed"}
LIMIT = 60
"""Whole trainings that a search may cost."""
DRAWS = 2_000
"""Random configurations that the percentiles are taken of."""
PERCENTILES = (95, 99)
LABELS = ("p95", "p99")
BUDGETS = (10, 30)
"""Whole trainings after which the quality of what was found is compared."""
RESAMPLES = 4_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """One search.

    Attributes:
        arm: The policy.
        records: What it was replayed on.
        seed: Its seed.
        epochs: Epochs until each percentile was reached; None if never.
        seconds: The same in seconds of training.
        found: Held-out accuracy of the best complete trial after each budget; None where none was complete.
    """

    arm: str
    records: str
    seed: int
    epochs: tuple[int | None, ...]
    seconds: tuple[float | None, ...]
    found: tuple[float | None, ...]


@cache
def surrogate_of(name: str, luck: float = 1.0) -> Surrogate:
    """What stands in for training."""
    path = HERE / f"{name}.json"
    about = json.loads(path.read_text(encoding="utf-8"))["about"]
    return Surrogate(read_records(path, space_of(SPACES[name], about["epochs"])), luck=luck)


@cache
def ends_of(name: str, luck: float = 1.0) -> Floats:
    """The accuracy at the end of random configurations."""
    surrogate = surrogate_of(name, luck)
    drawn = configurations(surrogate.space, DRAWS, seed=20_000)
    return np.array([surrogate.curve(one)[-1] for one in drawn])


def stage(name: str, luck: float = 1.0) -> tuple[Surrogate, tuple[float, ...]]:
    """The surrogate, and what the percentiles of random configurations come to."""
    marks = np.percentile(ends_of(name, luck), PERCENTILES)
    return surrogate_of(name, luck), tuple(float(value) for value in marks)


def run(arm: str, name: str, seed: int, luck: float = 1.0) -> Run:
    """One search on a surrogate, to the highest percentile or the limit, and to the largest budget."""
    surrogate, marks = stage(name, luck)
    return search(arm, name, seed, surrogate, marks, BUDGETS, LIMIT)


def search(
    arm: str,
    name: str,
    seed: int,
    trainer: Trainer,
    marks: Sequence[float],
    budgets: Sequence[int],
    limit: int,
) -> Run:
    """One search.

    Args:
        arm: The policy.
        name: Of what it searches.
        seed: The policy's seed.
        trainer: What trains.
        marks: The accuracies to be reached; it ends with the last, or at the limit.
        budgets: Whole trainings after which what was found is checked; it goes on to the largest in any
            case.
        limit: Whole trainings that it may cost.
    """
    warnings.simplefilter("ignore")  # Optuna's own, about experimental samplers
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    last = trainer.epochs
    study = optuna.create_study(direction="maximize", study_name=f"{arm} {seed}")
    policy = ARMS[arm](study, seed, trainer)
    chosen: dict[int, Mapping[str, Any]] = {}
    spent = 0.0
    best: tuple[float, int] | None = None
    epochs: list[int | None] = [None] * len(marks)
    seconds: list[float | None] = [None] * len(marks)
    found: list[float | None] = [None] * len(budgets)

    def watch(seen: Seen) -> bool:
        nonlocal best, spent
        values = study.get_trials(deepcopy=False)[seen.trial].params
        chosen[seen.trial] = values
        spent += trainer.seconds(values)
        if seen.epoch == last and (best is None or seen.accuracy > best[0]):
            best = (seen.accuracy, seen.trial)
            for index, mark in enumerate(marks):
                if epochs[index] is None and seen.accuracy >= mark:
                    epochs[index], seconds[index] = seen.epochs, spent
        for index, budget in enumerate(budgets):
            if seen.epochs <= budget * last and best is not None:
                found[index] = trainer.check(chosen[best[1]])
        return epochs[-1] is not None and seen.epochs >= max(budgets) * last

    run_search(
        policy,
        study,
        choose=trainer.space.suggest,
        train=trainer.train,
        epochs=last,
        most_epochs=limit * last,
        stop=watch,
    )
    return Run(arm, name, seed, tuple(epochs), tuple(seconds), tuple(found))


def cost(runs: Sequence[Run], index: int, limit: float) -> Floats:
    """Epochs of each search until a percentile was reached; twice the limit where it never was."""
    values = [run.epochs[index] for run in runs]
    return np.array([2 * limit if value is None else value for value in values])


def ratio(theirs: Floats, own: Floats) -> tuple[float, float, float]:
    """Their median over ours, and the ends of its bootstrap interval."""
    rng = np.random.default_rng(0)
    draws = [
        np.median(rng.choice(theirs, len(theirs))) / np.median(rng.choice(own, len(own)))
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(np.median(theirs) / np.median(own)), float(low), float(high)


def table(
    runs: Sequence[Run],
    name: str,
    first: str,
    limit: int,
    labels: Sequence[str] = LABELS,
    budgets: Sequence[int] = BUDGETS,
) -> str:
    """The arms on one set of records.

    Args:
        runs: All searches.
        name: Of the records.
        first: The arm that the others are compared with.
        limit: Epochs that a search might cost.
        labels: Of the marks.
        budgets: As the searches had them.
    """
    by_arm: dict[str, list[Run]] = {}
    for one in runs:
        if one.records == name:
            by_arm.setdefault(one.arm, []).append(one)
    rows = []
    for arm, own in by_arm.items():
        cells = [arm]
        for index in range(len(labels)):
            epochs = cost(own, index, limit)
            times, low, high = ratio(epochs, cost(by_arm[first], index, limit))
            never = sum(run.epochs[index] is None for run in own) / len(own)
            seconds = np.median([run.seconds[index] or np.inf for run in own])
            cells += [
                f"{np.median(epochs):.0f}",
                f"{seconds:.0f}" if np.isfinite(seconds) else "-",
                f"{100 * never:.0f} %",
                "-" if arm == first else f"{times:.1f} ({low:.1f}-{high:.1f})",
            ]
        for index in range(len(budgets)):
            found = [value for run in own if (value := run.found[index]) is not None]
            cells.append(f"{100 * np.mean(found):.1f}" if found else "-")
        rows.append(cells)
    head = ["policy"]
    for label in labels:
        head += [f"{label} epochs", "s", "never", "times ours"]
    head += [f"found in {budget}" for budget in budgets]
    return in_columns(head, rows)


def command(name: str, doc: str | None, seeds: int) -> argparse.ArgumentParser:
    """A command line that compares arms.

    Args:
        name: The module that is run.
        doc: Its docstring.
        seeds: The default number of seeds.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}", description=(doc or "").partition("\n")[0]
    )
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(COMMON))
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--json", type=Path, help="file to write every run to")
    return parser


def read(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """What was asked for, without the arms that cannot be had here."""
    wanted = parser.parse_args()
    for arm, way in left_out(wanted.arms).items():
        print(f"{arm} is left out, because a package of it is not installed: {way}")
        wanted.arms.remove(arm)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return wanted


def write(runs: Sequence[Run], path: Path | None) -> None:
    """Every run as JSON, if that was asked for."""
    if path is not None:
        text = json.dumps([asdict(one) for one in runs])
        path.write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line, replay, print, write."""
    parser = command("bench.search", __doc__, seeds=50)
    parser.add_argument("--records", nargs="+", choices=SPACES, default=list(SPACES))
    parser.add_argument(
        "--luck", type=float, default=1.0, help="share of what the surrogate cannot explain, 0-1"
    )
    wanted = read(parser)
    runs: list[Run] = []
    with ProcessPoolExecutor(wanted.workers) as processes:
        for name in wanted.records:
            surrogate, marks = stage(name, wanted.luck)
            print(f"\n{name}: {surrogate.described()}")
            print("surrogate:", {key: round(v, 3) for key, v in quality(surrogate.records).items()})
            reached = ", ".join(
                f"{p}th percentile {100 * m:.2f} %" for p, m in zip(PERCENTILES, marks, strict=True)
            )
            print(f"random configurations: {reached}", flush=True)
            jobs = [
                (arm, name, seed, wanted.luck)
                for arm in wanted.arms
                for seed in range(wanted.seeds)
            ]
            own = list(processes.map(run, *zip(*jobs, strict=True), chunksize=5))
            runs += own
            print(table(own, name, wanted.arms[0], LIMIT * surrogate.epochs), flush=True)
    write(runs, wanted.json)


if __name__ == "__main__":
    main()
