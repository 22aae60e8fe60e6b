"""Train configurations of a space to the end, and record their learning curves.

    python -m bench.search.curves --space baseline_constrained --scale quick --data DIR --out FILE
        [--configurations 200] [--workers 2]

What is recorded is what policies of search are compared on (see `bench.search`): nobody has to train the
same configurations again. The file is complete after each training, and a run that was interrupted goes on
where it stopped. Each process trains on one thread.

Configurations with an even number are random. At the scale ``quick`` those with an odd number are one of
the `AROUND` recipes with a few parameters changed, so that the region that matters is known, too.

Besides the score that a search sees, each epoch's row has the score of the first 2,000 of the same images
alone, and that of an average of the weights (exponential, over about the last half epoch's steps) on these.
At the end the network is scored on images that no score before has seen. Every third configuration
is trained a second time with its whole schedule within `SHORT_EPOCHS` epochs. Seconds are those of the
processor, so that other work on the machine does not count.
"""

import argparse
import copy
import json
import multiprocessing
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from torch import Tensor, nn

from bench.machine import described_machine
from bench.search.nearby import nearby
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
FEWER = 2_000
"""Images of the cheaper scores."""
CHECKED_ON = 10_000
"""Images of the check at the end; they come from what is left of the training files."""
SHORT_EPOCHS = 2


@dataclass(frozen=True)
class Scale:
    """How large the recorded trainings are.

    Attributes:
        epochs: Epochs of a training.
        train_images: Images to train on.
        ranges: Parameters whose range is narrowed, and to what.
    """

    epochs: int
    train_images: int
    ranges: Mapping[str, Mapping[str, Any]]


SCALES: Mapping[tuple[str, str], Scale] = {
    ("baseline_constrained", "narrow"): Scale(
        12, 4_000, {"channels1": {"high": 16}, "channels2": {"high": 32}}
    ),
    ("speed", "narrow"): Scale(
        27,
        2_000,
        {
            "channels1": {"low": 4, "high": 16},
            "channels2": {"low": 8, "high": 32},
            "channels3": {"low": 16, "high": 64},
        },
    ),
    # The scale of `make start` without a GPU, with learning rates as its LR-range test bounds them.
    ("baseline_constrained", "quick"): Scale(
        6,
        10_000,
        {
            "channels1": {"high": 32},
            "channels2": {"high": 64},
            "sgd_lr": {"low": 0.001, "high": 0.56},
            "adam_lr": {"low": 1.4e-4, "high": 0.019},
        },
    ),
}

AROUND: Mapping[str, Mapping[str, Any]] = {
    "one cycle": {
        "optimizer": "sgd",
        "sgd_lr": 0.05,
        "nesterov": True,
        "batch_size": 64,
        "weight_decay": 5e-4,
        "channels1": 32,
        "channels2": 64,
        "batch_norm": True,
        "dropout": 0.0,
        "init": "default",
        "schedule": "one_cycle",
        "label_smoothing": 0.1,
        "flip": 0.5,
        "crop_padding": 2,
        "cutout": 0,
        "policy": "trivial",
        "strength": 0.0,
    },
    "reference Net4": {
        "optimizer": "adam",
        "adam_lr": 0.002,
        "batch_size": 64,
        "weight_decay": 1e-4,
        "channels1": 32,
        "channels2": 64,
        "batch_norm": True,
        "dropout": 0.1,
        "init": "default",
        "schedule": "cosine",
        "label_smoothing": 0.0,
        "flip": 0.5,
        "crop_padding": 2,
        "cutout": 0,
        "policy": "auto",
        "strength": 1.0,
    },
}
"""Good configurations of `baseline_constrained`, cut to the quick widths: one written down without a search
(one-cycle SGD, Smith & Topin 2017), and the best found by hand."""
ORIGINS = ("one cycle", "reference Net4", "one cycle", "one cycle")
"""Which of them the odd numbers go around, in turn: the better one more often."""


class Averaged:
    """An exponential average of a training's weights, and of its BatchNorm's statistics."""

    def __init__(self) -> None:
        self.training: Training | None = None
        self._average: nn.Module | None = None
        self._pairs: list[tuple[Tensor, Tensor]] = []

    @torch.no_grad()
    def __call__(self) -> None:
        """Take in the weights after a step."""
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
        """Return the accuracy of the averaged network."""
        assert self.training is not None and self._average is not None  # noqa: PT018
        own, self.training.network = self.training.network, self._average
        try:
            return self.training.evaluate(part)[1]
        finally:
            self.training.network = own


def space_at(name: str, scale: str) -> Space:
    """Return the space with the ranges and epochs of a scale."""
    own = SCALES[name, scale]
    return with_ranges(load_space(name), own.ranges).with_epochs(own.epochs)


def configurations(space: Space, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield random configurations of the space, as Optuna draws them."""
    sampler = optuna.samplers.RandomSampler(seed=seed)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    for _ in range(count):
        trial = study.ask()
        yield dict(space.suggest(trial))
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def recorded_configurations(
    space: Space, count: int, seed: int, scale: str
) -> list[tuple[str, dict[str, Any]]]:
    """Return the configurations to record, each with its origin: ``random``, or what it is near to."""
    drawn = configurations(space, count, seed)
    if scale == "narrow":
        return [("random", values) for values in drawn]
    found: list[tuple[str, dict[str, Any]]] = []
    for number in range(count):
        origin = ORIGINS[number // 2 % len(ORIGINS)]
        if number % 2 == 0:
            found.append(("random", next(drawn)))
        elif number // 2 == ORIGINS.index(origin):
            found.append((origin, dict(AROUND[origin])))
        else:
            rng = np.random.default_rng([seed, number])
            found.append((f"near {origin}", nearby(space, AROUND[origin], rng)))
    return found


@dataclass(frozen=True)
class Images:
    """The images of recorded trainings.

    Attributes:
        splits: What is trained on, and what the score of a search is taken on.
        fewer: The first of the latter.
        check: Images that no score is taken on before the end.
    """

    splits: Splits
    fewer: Part
    check: Part

    @classmethod
    def read(cls, data: str, train_images: int) -> "Images":
        """Read them from `data`, a folder or ``auto``."""
        images = open_data(data).read_train()
        own = split(images, train_images)
        splits = splits_of(images, own)
        rest = np.setdiff1d(np.arange(len(images.labels)), np.r_[own.train, own.validation])
        chosen = np.random.default_rng(train_images).permutation(rest)[:CHECKED_ON]
        first = splits.validation
        return cls(
            replace(splits, train=splits.train.mirrored_too()),  # as a worker on the CPU has them
            Part(first.images[:FEWER], first.labels[:FEWER]),
            Part.of(images.images[chosen], images.labels[chosen]),
        )


def curve(recipe: Recipe, images: Images, seed: int, *, shortened: bool) -> dict[str, Any]:
    """Train to the end and return the curve as plain values.

    Args:
        recipe: What to train.
        images: What to train and score on.
        seed: Of the training.
        shortened: Train a second time, with the schedule of a training of `SHORT_EPOCHS` epochs.
    """
    averaged = Averaged()
    training = Training(
        recipe, images.splits, seed=seed, device=CPU, clock=time.process_time, each_step=averaged
    )
    averaged.training = training
    accuracy, fewer, average, seconds = [], [], [], []
    for epoch in training.epochs():
        accuracy.append(epoch.validation_accuracy)
        fewer.append(training.evaluate(images.fewer)[1])
        average.append(averaged.score(images.fewer))
        seconds.append(epoch.seconds)
    # A training whose loss is no number any more ends early, and stays what it is.
    for column in (accuracy, fewer, average, seconds):
        column += column[-1:] * (recipe.epochs - len(column))
    row: dict[str, Any] = {
        "accuracy": [round(value, 4) for value in accuracy],
        "fewer": [round(value, 4) for value in fewer],
        "average": [round(value, 4) for value in average],
        "seconds": [round(value, 2) for value in seconds],
        "check": round(training.evaluate(images.check)[1], 4),
    }
    if shortened:
        short = recipe.model_copy(update={"epochs": SHORT_EPOCHS})
        again = Training(short, images.splits, seed=seed, device=CPU)
        row["short"] = [round(epoch.validation_accuracy, 4) for epoch in again.epochs()]
    return row


_IMAGES: list[Images] = []  # of a process, which reads them once


def _begin(data: str, train_images: int) -> None:
    torch.set_num_threads(1)
    _IMAGES.append(Images.read(data, train_images))


def _record(number: int, origin: str, recipe: Recipe, values: Any, seed: int) -> dict[str, Any]:
    found = curve(recipe, _IMAGES[0], derive(seed, "curve", number), shortened=number % 3 == 0)
    return {"number": number, "origin": origin, "values": values, **found}


def write(path: Path, about: Mapping[str, Any], rows: Mapping[int, Mapping[str, Any]]) -> None:
    """Write a file of records, a line for each training, in the order of their numbers."""
    lines = ",\n".join(json.dumps(rows[one], separators=(",", ":")) for one in sorted(rows))
    write_atomically(path, f'{{"about": {json.dumps(about)},\n"curves": [\n{lines}\n]}}\n'.encode())


def main() -> None:
    """Read the command line, train, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.search.curves", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--space", required=True, choices=sorted({name for name, _ in SCALES}))
    parser.add_argument("--scale", choices=["narrow", "quick"], default="quick")
    parser.add_argument("--data", default=AUTO, help="folder or auto")
    parser.add_argument("--out", type=Path, required=True, help="file to write the curves to")
    parser.add_argument("--configurations", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    if (wanted.space, wanted.scale) not in SCALES:
        parser.error(f"there is no scale {wanted.scale} of space {wanted.space}.")
    scale, space = SCALES[wanted.space, wanted.scale], space_at(wanted.space, wanted.scale)
    found = open_data(wanted.data)
    about = {
        "space": wanted.space,
        "scale": wanted.scale,
        "ranges": scale.ranges,
        "epochs": scale.epochs,
        "data": found.name + ("" if found.read_train().official else ", not the official files"),
        "train": scale.train_images,
        "fewer": FEWER,
        "check": CHECKED_ON,
        "seed": wanted.seed,
        "machine": described_machine(CPU),
    }
    rows: dict[int, Mapping[str, Any]] = {}
    if wanted.out.exists():
        before = json.loads(wanted.out.read_text(encoding="utf-8"))
        if {**before["about"], "machine": ""} != {**about, "machine": ""}:
            parser.error(f"{wanted.out} holds records that were made differently.")
        rows = {row["number"]: row for row in before["curves"]}
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    planned = recorded_configurations(space, wanted.configurations, wanted.seed, wanted.scale)
    began = time.monotonic()
    with ProcessPoolExecutor(
        wanted.workers,
        multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(wanted.data, scale.train_images),
    ) as processes:
        jobs = [
            processes.submit(_record, number, origin, space.recipe_of(values), values, wanted.seed)
            for number, (origin, values) in islice(enumerate(planned), wanted.configurations)
            if number not in rows
        ]
        for job in as_completed(jobs):
            row = job.result()
            rows[row["number"]] = row
            write(wanted.out, about, rows)
            print(
                f"{row['number']:>4}  {row['origin']:<20} {100 * row['accuracy'][-1]:5.2f} %  "
                f"{sum(row['seconds']):.0f} s",
                flush=True,
            )
    print(f"{len(rows)} curves in {time.monotonic() - began:.0f} s: {wanted.out}")


if __name__ == "__main__":
    main()
