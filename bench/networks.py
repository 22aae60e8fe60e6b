"""Compare what networks learn from the same CPU time.

    python -m bench.networks --data DIR [--cpu-seconds 60] [--seeds 3]
        [--networks net speednet ...] [--json FILE]

Every network trains on one thread for the same number of CPU seconds, augmentation included and validation
not. Its speed is measured first; from that follow epochs and images, so that the one-cycle schedule ends
with the budget: as few epochs as can spend it, over as many of the training images as then fit.
"""

import argparse
import json
import math
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from bench.columns import in_columns
from cifar_core.data.dataset import AUTO, open_data
from cifar_core.data.labelled_images import LabelledImages
from cifar_core.data.resident import Part, Splits, splits_of
from cifar_core.data.split import VALIDATION_IMAGES, split
from cifar_core.epoch import Epoch
from cifar_core.recipe import (
    Adam,
    Augmentation,
    Net,
    Network,
    OneCycle,
    PreActResNet18,
    Recipe,
    ResNet9,
    ResNet18Cifar,
    ResNet18ImageNet,
    SpeedNet,
)
from cifar_core.trainer import Training

CPU = torch.device("cpu")


def recipe(network: Network, lr: float, batch_size: int) -> Recipe:
    """What all share, but for the network and its family's peak learning rate and batch size."""
    return Recipe(
        network=network,
        optimizer=Adam(lr=lr),
        schedule=OneCycle(),
        batch_size=batch_size,
        augmentation=Augmentation(flip=0.5, crop_padding=2),
        label_smoothing=0.1,
        normalization="standard",
        precision="float32",
    )


RECIPES = {
    "net": recipe(Net(), 0.002, 128),
    "net_bn": recipe(Net(batch_norm=True), 0.003, 128),
    "net_32_64_bn": recipe(Net(channels1=32, channels2=64, batch_norm=True), 0.003, 128),
    "speednet": recipe(SpeedNet(), 0.01, 128),
    "resnet9": recipe(ResNet9(), 0.001, 64),
    "resnet18_cifar": recipe(ResNet18Cifar(), 0.001, 64),
    "resnet18_imagenet": recipe(ResNet18ImageNet(), 0.001, 64),
    "preact_resnet18": recipe(PreActResNet18(), 0.001, 64),
}


@dataclass
class Row:
    """What one network got and made of it.

    Attributes:
        network: Its name in `RECIPES`.
        parameters: Numbers in its weights.
        lr: Peak of Adam's one-cycle schedule.
        batch_size: Images in a step.
        images_per_second: Training speed, per second of CPU time.
        epochs: Passes over `images`.
        images: Training images that fit the budget.
        cpu_seconds: What each seed's training took, validation excluded.
        accuracy: Validation accuracy of each seed's last epoch, in [0, 1].
    """

    network: str
    parameters: int
    lr: float
    batch_size: int
    images_per_second: float
    epochs: int
    images: int
    cpu_seconds: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)

    def cells(self) -> list[str]:
        """The row as it is printed."""
        mean = statistics.mean(self.accuracy)
        spread = f"{100 * (max(self.accuracy) - min(self.accuracy)):.1f}"
        return [
            self.network,
            f"{self.parameters:,}",
            f"{self.lr:g}",
            str(self.batch_size),
            f"{self.images_per_second:,.0f}",
            f"{self.epochs} x {self.images:,}",
            f"{statistics.mean(self.cpu_seconds):.0f}",
            f"{100 * mean:.1f} %",
            spread if len(self.accuracy) > 1 else "-",
            str(len(self.accuracy)),
        ]


HEAD = [
    "network",
    "parameters",
    "lr",
    "batch",
    "images/s",
    "epochs",
    "CPU s",
    "accuracy",
    "spread",
    "n",
]


def first(part: Part, count: int) -> Part:
    """The first `count` images."""
    return Part(part.images[:count], part.labels[:count])


def train(the_recipe: Recipe, splits: Splits, seed: int) -> tuple[Training, list[Epoch]]:
    """Train to the end; the epochs' speeds are in images per second of CPU time."""
    training = Training(the_recipe, splits, seed=seed, device=CPU, clock=time.process_time)
    return training, list(training.epochs())


def plan(name: str, splits: Splits, budget: float) -> Row:
    """Measure a network's speed, and share the budget out: as many epochs as it takes to spend it."""
    wanted = RECIPES[name].model_copy(update={"epochs": 3})
    few = replace(splits, validation=first(splits.validation, wanted.batch_size))
    images = 2 * wanted.batch_size
    while True:
        training, epochs = train(wanted, replace(few, train=first(splits.train, images)), seed=0)
        # The fastest: the first epoch warms up, and a neighbour on the machine only ever slows down.
        speed = max(epoch.images_per_second for epoch in epochs)
        images *= 4
        if images > min(len(splits.train), 0.1 * budget * speed):
            break
    affordable = max(wanted.batch_size, int(budget * speed))
    passes = math.ceil(affordable / len(splits.train))
    return Row(
        network=name,
        parameters=sum(weight.numel() for weight in training.network.parameters()),
        lr=wanted.optimizer.lr,
        batch_size=wanted.batch_size,
        images_per_second=speed,
        epochs=passes,
        images=affordable // passes,
    )


def measure(row: Row, labelled: LabelledImages, seed: int) -> None:
    """Train what `row` plans once more, and note the outcome in it."""
    wanted = RECIPES[row.network].model_copy(update={"epochs": row.epochs})
    steps = row.images // wanted.batch_size
    _, epochs = train(wanted, splits_of(labelled, split(labelled, row.images)), seed)
    seen = steps * wanted.batch_size
    row.cpu_seconds.append(sum(seen / epoch.images_per_second for epoch in epochs))
    row.accuracy.append(epochs[-1].validation_accuracy)


def table(rows: Sequence[Row]) -> str:
    """The rows, best first, in columns."""
    ranked = sorted(rows, key=lambda row: -statistics.mean(row.accuracy))
    return in_columns(HEAD, [row.cells() for row in ranked])


def main() -> None:
    """Read the command line, train, print, and write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.networks", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--data", default=AUTO, help="folder, auto or synthetic")
    parser.add_argument("--cpu-seconds", type=float, default=60.0, help="of each training")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each network")
    parser.add_argument("--networks", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    wanted = parser.parse_args()
    if wanted.cpu_seconds <= 0 or wanted.seeds < 1:
        parser.error("--cpu-seconds must be above 0 and --seeds at least 1.")
    torch.set_num_threads(1)

    found = open_data(wanted.data)
    labelled = found.read_train()
    splits = splits_of(labelled, split(labelled))
    rows = [plan(name, splits, wanted.cpu_seconds) for name in wanted.networks]
    for seed in range(wanted.seeds):  # seed by seed, so that a change of the machine meets all
        for row in rows:
            measure(row, labelled, seed)
            print(f"seed {seed}  {row.network:<18} {100 * row.accuracy[-1]:.2f} %", flush=True)

    about = {
        "data": found.name + ("" if labelled.official else ", not the official files"),
        "train": f"up to {len(splits.train):,} images, flip, crop by 2, label smoothing 0.1",
        "validation": f"{VALIDATION_IMAGES:,} images",
        "budget": f"{wanted.cpu_seconds:g} s of one thread's CPU time",
        "machine": f"{platform.machine()}, {platform.system()}, torch {torch.__version__}",
    }
    print(*(f"{key}: {value}" for key, value in about.items()), table(rows), sep="\n")
    if wanted.json is not None:
        text = json.dumps({**about, "rows": [asdict(row) for row in rows]}, indent=2)
        wanted.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
