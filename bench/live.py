"""The searches of `bench.search`, with real trainings in the place of the surrogate.

    python -m bench.live --data DIR [--records net] [--arms ours "TPE + Median" random] [--seeds 5]
        [--limit 20] [--json FILE]

Each policy searches the space that was recorded, with the same number of the same images, until it has
completed a trial that reaches the 95th percentile of the recorded random configurations' accuracy at the
end, but at least for 10 whole trainings' worth of epochs and at most for `--limit`. A search is a process
of one thread. What was found is checked on validation images that no score was taken on.
"""

import argparse
import json
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.arms import ARMS
from bench.curves import CPU, parts_of, space_of
from bench.machine import described_machine
from bench.search import HERE, SPACES, Run, search, table
from bench.surrogate import read_records
from cifar_core.data.dataset import AUTO, open_data
from cifar_core.seeds import derive
from cifar_core.trainer import Training
from search.policy.simulation import Curve

PERCENTILE = 95
BUDGET = 10
"""Whole trainings after which what was found is checked."""


class Live:
    """Trains.

    Args:
        name: Of the records, whose space and numbers of images and epochs it takes.
        data: Where the images are.
        seed: Of this repetition.

    Attributes:
        space: What it trains configurations of.
        epochs: Of a training.
    """

    def __init__(self, name: str, data: str, seed: int) -> None:
        if open_data(data).name != "cifar10":
            raise SystemExit(f"The records are of CIFAR-10, but --data {data} is not.")
        about = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))["about"]
        self.epochs: int = about["epochs"]
        self.space = space_of(SPACES[name], self.epochs)
        self._splits, self._check = parts_of(data, about["train"])
        self._seed = seed
        self._seconds: dict[str, float] = {}
        self._checks: dict[str, float] = {}

    def train(self, values: Mapping[str, Any]) -> Curve:
        """Train, epoch by epoch."""
        key = json.dumps(values, sort_keys=True)
        seed = derive(self._seed, "live", len(self._seconds))
        self._seconds[key] = 0.0
        training = Training(self.space.recipe_of(values), self._splits, seed=seed, device=CPU)
        for epoch in training.epochs():
            self._seconds[key] = epoch.seconds
            if epoch.number == self.epochs:
                self._checks[key] = training.evaluate(self._check)[1]
            yield epoch.number, epoch.validation_accuracy

    def seconds(self, values: Mapping[str, Any]) -> float:
        """Seconds of the last epoch of a configuration."""
        return self._seconds[json.dumps(values, sort_keys=True)]

    def check(self, values: Mapping[str, Any]) -> float:
        """Accuracy of a complete trial on images that no score was taken on."""
        return self._checks[json.dumps(values, sort_keys=True)]


def mark_of(name: str) -> float:
    """What the best twentieth of the recorded random configurations reach at the end."""
    path = HERE / f"{name}.json"
    about = json.loads(path.read_text(encoding="utf-8"))["about"]
    records = read_records(path, space_of(SPACES[name], about["epochs"]))
    return float(np.percentile(records.curves[:, -1], PERCENTILE))


def run(arm: str, name: str, data: str, seed: int, limit: int) -> Run:
    """One search."""
    torch.set_num_threads(1)
    trainer = Live(name, data, seed)
    return search(arm, name, seed, trainer, [mark_of(name)], [BUDGET], limit)


def main() -> None:
    """Read the command line, search, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.live", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--data", default=AUTO, help="folder, auto or synthetic")
    parser.add_argument("--records", choices=SPACES, default="net")
    parser.add_argument(
        "--arms", nargs="+", choices=ARMS, default=["ours", "TPE + Median", "random"]
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=20, help="whole trainings a search may cost")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="file to write every run to")
    wanted = parser.parse_args()
    print(f"{described_machine(CPU)}; to be reached: {100 * mark_of(wanted.records):.2f} %")
    jobs = [
        (arm, wanted.records, wanted.data, seed, wanted.limit)
        for seed in range(wanted.seeds)
        for arm in wanted.arms
    ]
    runs: list[Run] = []
    with ProcessPoolExecutor(wanted.workers) as processes:
        for one in processes.map(run, *zip(*jobs, strict=True)):
            runs.append(one)
            print(json.dumps(asdict(one)), flush=True)
            if wanted.json is not None:
                wanted.json.write_text(json.dumps([asdict(each) for each in runs]) + "\n")
    limit = wanted.limit * space_of(SPACES[wanted.records], None).epochs
    print(table(runs, wanted.records, wanted.arms[0], limit, [f"p{PERCENTILE}"], [BUDGET]))


if __name__ == "__main__":
    main()
