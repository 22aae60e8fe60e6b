"""Train random configurations of a space to the end, and record their learning curves.

    python -m bench.curves --space baseline_constrained --data DIR --out FILE
        [--configurations 250] [--epochs 12] [--train-images 4000] [--workers 2]

What is recorded is what policies of search are compared on (see `bench.search`): nobody has to train the
same configurations again. A run that was interrupted goes on where it stopped. Each process trains on one
thread.

Beside the network as it stands, an average of its weights is scored after every epoch: an exponential one
over about the last half epoch's steps. At the end the network is also scored on validation images that no
score before has seen, which is the nearest to its true quality.
"""

import argparse
import copy
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import torch
from torch import Tensor, nn

from bench.machine import described_machine
from cifar_core.data.dataset import AUTO, open_data
from cifar_core.data.resident import Part, Splits, splits_of
from cifar_core.data.split import split
from cifar_core.files import write_atomically
from cifar_core.recipe import Recipe
from cifar_core.seeds import derive
from cifar_core.trainer import Training
from spaces.files import load_space
from spaces.reading import with_ranges
from spaces.space import Space

CPU = torch.device("cpu")
SCORED_ON = 2_000
"""Validation images of the scores; the others are kept for the check at the end."""
NARROW = {
    "baseline_constrained": {"channels1": {"high": 16}, "channels2": {"high": 32}},
    "speed": {
        "channels1": {"low": 4, "high": 16},
        "channels2": {"low": 8, "high": 32},
        "channels3": {"low": 16, "high": 64},
    },
}
"""Ranges in which two cores train some hundred configurations in an hour."""


class Averaged:
    """An exponential average of a training's weights, and of its BatchNorm's statistics."""

    def __init__(self) -> None:
        self.training: Training | None = None
        self._average: nn.Module | None = None
        self._pairs: list[tuple[Tensor, Tensor]] = []

    @torch.no_grad()
    def __call__(self) -> None:
        """Take in the weights behind a step."""
        assert self.training is not None
        weight = 1.0 / max(1.0, 0.5 * self.training.steps_per_epoch)
        if self._average is None:
            self._average = copy.deepcopy(self.training.network)
            theirs = self._average.state_dict()
            self._pairs = [
                (theirs[name], value)
                for name, value in self.training.network.state_dict().items()
                if value.is_floating_point()
            ]
            return
        torch._foreach_lerp_([a for a, _ in self._pairs], [v for _, v in self._pairs], weight)

    def score(self, part: Part) -> float:
        """Accuracy of the averaged network."""
        assert self.training is not None and self._average is not None  # noqa: PT018
        own, self.training.network = self.training.network, self._average
        try:
            return self.training.evaluate(part)[1]
        finally:
            self.training.network = own


def space_of(name: str, epochs: int | None) -> Space:
    """The space with narrow widths."""
    space = with_ranges(load_space(name), NARROW.get(name, {}))
    return space if epochs is None else space.with_epochs(epochs)


def configurations(space: Space, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Random configurations of the space, as Optuna draws them."""
    sampler = optuna.samplers.RandomSampler(seed=seed)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    for _ in range(count):
        trial = study.ask()
        yield dict(space.suggest(trial))
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def curve(recipe: Recipe, splits: Splits, check: Part, seed: int) -> dict[str, Any]:
    """Train to the end; the curve as plain values."""
    averaged = Averaged()
    training = Training(recipe, splits, seed=seed, device=CPU, each_step=averaged)
    averaged.training = training
    accuracy, average, seconds = [], [], []
    for epoch in training.epochs():
        accuracy.append(epoch.validation_accuracy)
        average.append(averaged.score(splits.validation))
        seconds.append(round(epoch.seconds, 3))
    return {
        "accuracy": [round(value, 5) for value in accuracy],
        "average": [round(value, 5) for value in average],
        "seconds": seconds,
        "check": round(training.evaluate(check)[1], 5),
    }


def parts_of(data: str, train_images: int) -> tuple[Splits, Part]:
    """The images of a training, and those that it is checked on at its end."""
    labelled = open_data(data).read_train()
    whole = splits_of(labelled, split(labelled, train_images))
    images, labels = whole.validation.images, whole.validation.labels
    check = Part(images[SCORED_ON:], labels[SCORED_ON:])
    return replace(whole, validation=Part(images[:SCORED_ON], labels[:SCORED_ON])), check


def record(space: Space, wanted: argparse.Namespace, rest: int, parts: Path) -> None:
    """Train every `workers`-th configuration that is not there yet; each gets a file of its own."""
    torch.set_num_threads(1)
    splits, check = parts_of(wanted.data, wanted.train_images)
    for number, values in enumerate(configurations(space, wanted.configurations, wanted.seed)):
        path = parts / f"{number}.json"
        if number % wanted.workers != rest or path.exists():
            continue
        recipe = space.recipe_of(values)
        found = curve(recipe, splits, check, derive(wanted.seed, "curve", number))
        write_atomically(path, json.dumps({"values": values, **found}).encode())
        print(
            f"{number:>4}  {100 * found['accuracy'][-1]:5.2f} %  {sum(found['seconds']):.0f} s",
            flush=True,
        )


def main() -> None:
    """Read the command line, train, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.curves", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--space", required=True, help="name of a space")
    parser.add_argument("--data", default=AUTO, help="folder, auto or synthetic")
    parser.add_argument("--out", type=Path, required=True, help="file to write the curves to")
    parser.add_argument("--configurations", type=int, default=250)
    parser.add_argument("--epochs", type=int, help="of each training; the space's own by default")
    parser.add_argument("--train-images", type=int, default=4_000)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    space = space_of(wanted.space, wanted.epochs)
    parts = wanted.out.with_suffix(".parts")
    parts.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    processes = [
        multiprocessing.Process(target=record, args=(space, wanted, rest, parts))
        for rest in range(wanted.workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        parser.exit(1, "A process failed; run the same command again to go on.\n")
    found = open_data(wanted.data)
    rows = [json.loads((parts / f"{n}.json").read_text()) for n in range(wanted.configurations)]
    about = {
        "space": wanted.space,
        "ranges": NARROW.get(wanted.space, {}),
        "epochs": space.epochs,
        "data": found.name + ("" if found.read_train().official else ", not the official files"),
        "train": wanted.train_images,
        "validation": SCORED_ON,
        "seed": wanted.seed,
        "machine": described_machine(CPU),
    }
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    write_atomically(
        wanted.out, f'{{"about": {json.dumps(about)},\n"curves": [\n{lines}\n]}}\n'.encode()
    )
    for file in parts.iterdir():
        file.unlink()
    parts.rmdir()
    print(f"{len(rows)} curves in {time.monotonic() - began:.0f} s: {wanted.out}")


if __name__ == "__main__":
    main()
