"""Comparison of policies on recorded and made-up tasks, by what they return and how soon.

    python -m bench.search [--tasks start "plain 0" ...] [--arms ours "TPE + SHA" ...] [--seeds 9]
        [--part open] [--luck 0.35] [--judge gp] [--workers 1] [--json FILE]

Trainings that were recorded once (`bench.search.curves`), through a surrogate fitted to them
(`bench.search.surrogate`, whose quality is printed), and formulas (`bench.search.made_up`) stand in for
training. Every policy searches every task from the same seeds, in the same ranges, without an LR-range
test. None is given known configurations, but for the arms that are named after it.

Measured is the *regret*: how many points the true quality of what a search would return lies below that
of the best known configuration, after 5, 10 and 20 whole trainings' worth of epochs, and of seconds; and
how many whole trainings' worth of epochs it takes until that is 1.0, and 0.3, points. A search returns
the configuration with its best score so far, at whatever epoch. The means are followed by the paired
differences to the first arm, with the middle 95 % of bootstrap samples of the searches; for the epochs it
is the geometric mean of the paired ratios, where a search that never came there counts as twice the limit
of 25 whole trainings.

The file of `--json` holds every search; those that stand in it are not done again, so a comparison that
was interrupted goes on, and arms that need other packages can be added from another environment.
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from pydantic import TypeAdapter

from bench.search.arms import ARMS, COMMON, left_out
from bench.search.made_up import KINDS
from bench.search.records import read_records
from bench.search.runs import Run, search
from bench.search.surrogate import quality
from bench.search.tables import near_table, regret_table
from bench.search.tasks import RECORDED_SETS, stage
from cifar_core.files import write_atomically


def run(arm: str, task: str, seed: int, wanted: argparse.Namespace) -> Run:
    """Search one task once, as the command line asks."""
    return search(
        arm, task, seed, stage(task, wanted.part, wanted.luck, wanted.judge), wanted.workers
    )


def read_command_line() -> argparse.Namespace:
    """Return what was asked for, without the arms that cannot be had here."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.search", description=(__doc__ or "").partition("\n")[0]
    )
    made_up = [f"{kind} 0" for kind in KINDS]
    parser.add_argument("--tasks", nargs="+", default=[*RECORDED_SETS, *made_up])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(COMMON))
    parser.add_argument("--seeds", type=int, default=9)
    parser.add_argument("--part", choices=["open", "held out", "all"], default="open")
    parser.add_argument("--luck", type=float, default=0.35, help="share of the residuals, 0-1")
    parser.add_argument("--judge", choices=["gp", "trees"], default="gp", help="the surrogate")
    parser.add_argument("--workers", type=int, default=1, help="simulated, of each search")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="file to write every search to")
    wanted = parser.parse_args()
    for arm, way in left_out(wanted.arms).items():
        print(f"{arm} is left out, because a package of it is not installed: {way}")
        wanted.arms.remove(arm)
    return wanted


def about(wanted: argparse.Namespace) -> dict[str, Any]:
    """Return what all searches of a file have in common."""
    return {key: getattr(wanted, key) for key in ("part", "luck", "judge", "workers")}


def read_runs(wanted: argparse.Namespace) -> list[Run]:
    """Return the searches of the file that stand for what is asked for."""
    if wanted.json is None or not wanted.json.exists():
        return []
    found = json.loads(wanted.json.read_text(encoding="utf-8"))
    if found["about"] != about(wanted):
        raise SystemExit(f"{wanted.json} holds searches with {found['about']}: name another file.")
    return TypeAdapter(list[Run]).validate_python(found["runs"])


def write_runs(runs: list[Run], wanted: argparse.Namespace) -> None:
    """Write every search to the file, if one is asked for."""
    if wanted.json is not None:
        found = {"about": about(wanted), "runs": [asdict(one) for one in runs]}
        write_atomically(wanted.json, (json.dumps(found) + "\n").encode())


def described(task: str, wanted: argparse.Namespace) -> str:
    """Return what a task is, in a line or two."""
    own = stage(task, wanted.part, wanted.luck, wanted.judge)
    words = f"{task}: best known {100 * own.best:.1f} %, a whole training {own.seconds:.0f} s"
    if task not in RECORDED_SETS:
        return words
    found = quality(read_records(task, "open"), read_records(task, "held out"), wanted.judge)
    return f"{words}; the held-out records by the others: " + ", ".join(
        f"{key} {value:.2f}" for key, value in found.items()
    )


def in_order(runs: list[Run], first: list[str]) -> list[Run]:
    """Return the searches by arm: those of the command line first."""
    order = [*first, *(one.arm for one in runs)]
    return sorted(runs, key=lambda run: order.index(run.arm))


def main() -> None:
    """Read the command line, search, print, write."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    wanted = read_command_line()
    jobs = [
        (arm, task, seed, wanted)
        for task in wanted.tasks
        for seed in range(wanted.seeds)
        for arm in wanted.arms
    ]
    runs = read_runs(wanted)
    done = {(one.arm, one.task, one.seed) for one in runs}
    jobs = [job for job in jobs if job[:3] not in done]
    for task in {task for _, task, _, _ in jobs}:
        stage(task, wanted.part, wanted.luck, wanted.judge)  # once, for all processes
    with ProcessPoolExecutor(wanted.processes) as processes:
        for job in as_completed([processes.submit(run, *job) for job in jobs]):
            runs.append(job.result())
            write_runs(runs, wanted)
    for task in wanted.tasks:
        print(described(task, wanted), flush=True)
    for own in [[task] for task in wanted.tasks] + [wanted.tasks] * (len(wanted.tasks) > 1):
        counted = [one for one in in_order(runs, wanted.arms) if one.task in own]
        print(f"\n{', '.join(own)}; {wanted.seeds} seeds; points to the best known")
        print(regret_table(counted, wanted.arms[0]))
        print(f"\n{', '.join(own)}; whole trainings until so many points to the best known")
        print(near_table(counted, wanted.arms[0]), flush=True)


if __name__ == "__main__":
    main()
