"""Divide the time of a training among its pieces.

    python -m bench.pieces [--threads 1] [--repetitions 25] [--json FILE]

Taken apart, in microseconds an image: the step of `Net` 6/16 at batch 64 and its largest operations,
what is around it for each batch, what each augmentation costs on as many images as are augmented at once,
and scoring. And in milliseconds what comes once an epoch or a trial: a checkpoint, and the collection of
garbage that a worker was spared. On random bytes as images, because what is in an image does not matter
for its cost.
"""

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from bench.columns import in_columns
from bench.machine import described_machine
from cifar_core.augmentation.geometry import crop, cutout, flip
from cifar_core.augmentation.layout import taken
from cifar_core.augmentation.policies import POLICIES, policy
from cifar_core.checkpoint import save_state
from cifar_core.data.resident import Part, Splits
from cifar_core.device import backend_of
from cifar_core.networks import Net
from cifar_core.recipe import Recipe, Sgd
from cifar_core.stepping import train_step
from cifar_core.trainer import Training

CPU = torch.device("cpu")
HELD, BATCH = 45_000, 64
LARGEST = 6
"""Operations of the step that are named."""

Piece = tuple[Callable[[], object], int]
"""A measured piece of work, and its number of images."""


def pieces(training: Training, splits: Splits) -> dict[str, Piece]:
    """What a training does, piece by piece."""
    together = backend_of(training.recipe, CPU).images_together
    generator, choices = torch.Generator().manual_seed(0), np.random.default_rng(0)
    order = torch.randperm(HELD, generator=generator)
    some = taken(splits.train.images, order[:together])
    batch = some[:BATCH]
    labels = splits.train.labels[:BATCH]
    logits, loss, loss_sum = torch.zeros(BATCH, 10), torch.zeros(()), torch.zeros(())
    correct = torch.zeros((), dtype=torch.int64)
    steps = training.steps(iter(lambda: 1e-5, None))
    images, classes = training._normalize(batch), labels  # noqa: SLF001 - to be taken apart

    def metrics() -> None:
        nonlocal loss_sum, correct
        loss_sum += loss
        correct += (logits.argmax(1) == labels).sum()

    def step() -> None:
        train_step(
            training.network,
            training._optimizer,  # noqa: SLF001
            images,
            classes,
            0.0,
            backend_of(training.recipe, CPU),
        )

    def policy_of(name: str) -> Callable[[], object]:
        return lambda: policy(some, name, 1.0, 1.0, generator, choices)

    return {
        "the step alone, on one batch": (step, BATCH),
        "the step with all around it, no augmentation": (lambda: next(steps), BATCH),
        "gather": (lambda: taken(splits.train.images, order[:together]), together),
        "make floats and normalise": (lambda: training._normalize(some[::8]), together // 8),  # noqa: SLF001
        "loss and accuracy": (metrics, BATCH),
        "flip (where mirrored images are not kept)": (
            lambda: flip(some, 0.5, generator),
            together,
        ),
        "crop": (lambda: crop(some, 4, generator), together),
        "cutout": (lambda: cutout(some, 8, generator), together),
        **{f"policy {name}": (policy_of(name), together) for name in POLICIES},
        "score": (lambda: training.evaluate(splits.validation), len(splits.validation)),
    }


def largest_operations(training: Training) -> dict[str, float]:
    """The operations that take most of a step, with their share of its time."""
    steps = training.steps(iter(lambda: 1e-5, None))
    for _ in range(20):
        next(steps)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
        for _ in range(100):
            next(steps)
    times = {one.key: one.self_cpu_time_total for one in profiled.key_averages()}
    total = sum(times.values())
    ranked = sorted(times, key=lambda key: -times[key])[:LARGEST]
    return {key: times[key] / total for key in ranked}


def once_an_epoch(splits: Splits, repetitions: int) -> dict[str, list[float]]:
    """Milliseconds of what comes once an epoch or once a trial."""
    found: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder:
        for name, network in {
            "Net 6/16": Net(),
            "Net 256/256": Net(channels1=256, channels2=256),
        }.items():
            training = Training(Recipe(network=network), splits, seed=0, device=CPU)
            next(training.steps([1e-5]))
            for _ in range(repetitions):
                began = time.perf_counter()
                save_state(training.state_dict(), Path(folder, "state.pt"))
                key = f"a checkpoint of {name}"
                found.setdefault(key, []).append(1000 * (time.perf_counter() - began))
    for key in ("collection of garbage", "the same with gc.freeze before it"):
        for _ in range(repetitions):
            began = time.perf_counter()
            gc.collect()
            found.setdefault(key, []).append(1000 * (time.perf_counter() - began))
        gc.freeze()
    gc.unfreeze()
    return found


def main() -> None:
    """Read the command line, measure, print, and write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.pieces", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=25, help="turns of each piece")
    parser.add_argument("--json", type=Path, help="file to write every figure to")
    wanted = parser.parse_args()
    if wanted.threads < 1 or wanted.repetitions < 1:
        parser.error("--threads and --repetitions must be at least 1.")
    torch.set_num_threads(wanted.threads)
    print(described_machine(CPU), flush=True)

    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (HELD, 3, 32, 32), dtype=torch.uint8, generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    train = Part(images, torch.randint(10, (HELD,), generator=generator))
    validation = Part(images[:2_500], train.labels[:2_500])
    splits = Splits(train, validation, (127.5,) * 3, (127.5,) * 3, "random bytes")
    recipe = Recipe(batch_size=BATCH, optimizer=Sgd(lr=1e-5))
    training = Training(recipe, splits, seed=0, device=CPU)

    measured = pieces(training, splits)
    costs: dict[str, list[float]] = {name: [] for name in measured}
    for turn in range(wanted.repetitions + 1):
        for name, (run, count) in measured.items():
            began = time.perf_counter()
            run()
            if turn:  # the first turn takes memory and makes ready
                costs[name].append(1e6 * (time.perf_counter() - began) / count)
    shares = largest_operations(training)
    rare = once_an_epoch(splits, wanted.repetitions)
    head = ("microseconds an image", "median", "least")
    rows = [
        [name, f"{statistics.median(each):.2f}", f"{min(each):.2f}"] for name, each in costs.items()
    ]
    print(in_columns(head, rows))
    print("", "share of the step, by PyTorch's profiler:", sep="\n")
    print(in_columns(("", ""), [[name, f"{share:.0%}"] for name, share in shares.items()]))
    rows = [
        [name, f"{statistics.median(each):.1f}", f"{min(each):.1f}"] for name, each in rare.items()
    ]
    print("", in_columns(("milliseconds", "median", "least"), rows), sep="\n")
    if wanted.json is not None:
        document = {
            "machine": described_machine(CPU),
            "microseconds": costs,
            "shares": shares,
            "milliseconds": rare,
        }
        wanted.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
