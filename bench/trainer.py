"""Compare the trainer's speed with that of the bare training step.

    python -m bench.trainer --data DIR [--threads 2] [--repetitions 7] [--seconds 1.5]
        [--networks net ...] [--levels standard ...] [--rivals pil_2 ...] [--device cpu] [--json FILE]

The limit is forward, backward and optimizer step on one fixed batch. Against it stand our training, and the
same steps fed by `DataLoader` with PIL images (0, 1, 2 worker processes), by torchvision's v2
transforms on batches, and by the airbench package's loader. All take turns of one epoch, in an order that
is reversed every time; the figures are medians, and medians of ratios of the same round.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from bench.columns import in_columns
from bench.contenders import contenders_of
from bench.loaders import AUGMENTATIONS, RIVALS, Level
from bench.machine import described_machine
from cifar_core.data.dataset import AUTO, open_data
from cifar_core.data.resident import Part, Splits, splits_of
from cifar_core.data.split import split
from cifar_core.device import available_cores, settle_on
from cifar_core.networks import Net, Network, ResNet18ImageNet
from cifar_core.recipe import Recipe, Sgd
from cifar_core.throughput import measure_throughput

NETWORKS: dict[str, tuple[Network, int]] = {
    "net": (Net(), 64),
    "net_32_64": (Net(channels1=32, channels2=64), 128),
    "resnet18_imagenet": (ResNet18ImageNet(), 128),
}
"""Networks by name, with their batch sizes."""
HEAD = ("network, batch, augmentation", "limit", "ours", "of limit", "whole epoch")
RIVAL_HEAD = ("DataLoader", "v2 batches", "airbench")


@dataclass(frozen=True)
class Cell:
    """What was measured of one network at one level of augmentation.

    Attributes:
        network: Key of `NETWORKS`.
        level: Level of augmentation.
        batch_size: Images in a step.
        images: Images in an epoch of this measurement.
        rates: Images/s of each contender, in every round.
        evaluation: Images/s of validation.
    """

    network: str
    level: Level
    batch_size: int
    images: int
    rates: dict[str, list[float]]
    evaluation: float

    def rate(self, name: str) -> float:
        """The median rate of a contender."""
        return statistics.median(self.rates[name])

    def ratio(self, name: str, other: str) -> float:
        """The median of a contender's rates against another's of the same round."""
        pairs = zip(self.rates[name], self.rates[other], strict=True)
        return statistics.median(one / two for one, two in pairs)

    @property
    def pil(self) -> str:
        """`DataLoader` with the number of workers that serves it best; empty if it took no part."""
        taking_part = [name for name in self.rates if name.startswith("pil")]
        return max(taking_part, key=self.rate, default="")

    @property
    def whole_epoch(self) -> float:
        """Ours with validation, of nine training images to one, against the limit without."""
        training = self.ratio("ours", "limit")
        return 1 / (1 / training + self.rate("limit") / (9 * self.evaluation))

    def line(self) -> list[str]:
        """The cell as a row of the table."""
        pil = self.pil
        shown = [
            f"{self.rate(name):,.0f} ({self.ratio('ours', name):.2f}x)"
            if name in self.rates
            else "-"
            for name in (pil, "batched", "airbench")
        ]
        if pil in self.rates:
            shown[0] += f", {pil.removeprefix('pil_')} w"
        return [
            f"{self.network}, {self.batch_size}, {self.level}",
            f"{self.rate('limit'):,.0f}",
            f"{self.rate('ours'):,.0f}",
            f"{self.ratio('ours', 'limit'):.1%}",
            f"{self.whole_epoch:.1%}",
            *shown,
        ]


def measure(
    name: str,
    level: Level,
    rivals: Sequence[str],
    splits: Splits,
    device: torch.device,
    seconds: float,
    repetitions: int,
) -> Cell:
    """Let all contenders of one cell take turns."""
    network, batch_size = NETWORKS[name]
    recipe = Recipe(
        network=network,
        # So small that weights stay what they are: no contender's arithmetic gets easier than another's.
        optimizer=Sgd(lr=1e-5),
        batch_size=batch_size,
        augmentation=AUGMENTATIONS[level],
    )
    speed = measure_throughput(recipe, splits, device, seconds)
    steps = max(4, min(len(splits.train), int(seconds * speed.training)) // batch_size)
    train = Part(
        splits.train.images[: steps * batch_size], splits.train.labels[: steps * batch_size]
    )
    fewer = Splits(train, splits.validation, splits.mean, splits.std, splits.digest)
    contenders = contenders_of(recipe, level, rivals, fewer, device, time.perf_counter)
    rates: dict[str, list[float]] = {one.name: [] for one in contenders}
    try:
        for one in contenders:
            one.turn()  # processes start, memory is taken, images are prepared
        for round_number in range(repetitions):
            for one in contenders if round_number % 2 else reversed(contenders):
                rates[one.name].append(one.turn())
    finally:
        for one in contenders:
            one.close()
    return Cell(name, level, batch_size, len(train), rates, speed.evaluation)


def table(cells: Sequence[Cell]) -> str:
    """Medians, in images/s; in brackets how many times faster ours is."""
    return in_columns((*HEAD, *RIVAL_HEAD), [cell.line() for cell in cells])


def main() -> None:
    """Read the command line, measure, print, and write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.trainer", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--data", default=AUTO, help="folder, auto or synthetic")
    parser.add_argument("--device", default="cpu", help="such as cpu or cuda:0")
    parser.add_argument("--threads", type=int, default=available_cores(), help="of the training")
    parser.add_argument("--repetitions", type=int, default=7, help="turns of each contender")
    parser.add_argument("--seconds", type=float, default=1.5, help="of a turn at our speed")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--levels", nargs="+", choices=AUGMENTATIONS, default=list(AUGMENTATIONS))
    parser.add_argument("--rivals", nargs="*", choices=RIVALS, default=list(RIVALS))
    parser.add_argument("--json", type=Path, help="file to write every turn to")
    wanted = parser.parse_args()
    if wanted.threads < 1 or wanted.repetitions < 1 or wanted.seconds <= 0:
        parser.error("--threads and --repetitions must be at least 1, --seconds above 0.")
    torch.set_num_threads(wanted.threads)
    device = torch.device(wanted.device)
    settle_on(device)

    found = open_data(wanted.data)
    labelled = found.read_train()
    splits = splits_of(labelled, split(labelled)).to(device)
    about = {
        "data": found.name + ("" if labelled.official else ", not the official files"),
        "machine": described_machine(device),
        "threads": wanted.threads,
        "repetitions": wanted.repetitions,
    }
    print(*(f"{key}: {value}" for key, value in about.items()), sep="\n", flush=True)
    cells = []
    for name in wanted.networks:
        for level in wanted.levels:
            cells.append(
                measure(
                    name,
                    level,
                    wanted.rivals,
                    splits,
                    device,
                    wanted.seconds,
                    wanted.repetitions,
                )
            )
            print("  ".join(cells[-1].line()), flush=True)
    print("", table(cells), sep="\n")
    if wanted.json is not None:
        text = json.dumps({**about, "cells": [asdict(cell) for cell in cells]}, indent=2)
        wanted.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
