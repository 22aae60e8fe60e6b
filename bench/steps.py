"""Measure the gain of each step on the way to a fast trainer.

    python -m bench.steps [--threads 1] [--repetitions 15] [--networks net ...] [--compiled]
        [--json FILE]

The same code, with one measure after the other taken back: images in planes instead of channels last,
every batch augmented by itself instead of several at once, small pages of memory instead of large ones,
images mirrored anew in every epoch; with --compiled also a compiled network, which takes minutes to
begin. Each has a process of its own; they take turns of a short epoch, on random bytes as images, because
what is in an image does not matter for its cost.
"""

import argparse
import json
import multiprocessing
import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from bench.columns import in_columns
from bench.loaders import AUGMENTATIONS
from bench.machine import described_machine
from bench.trainer import NETWORKS
from cifar_core import trainer
from cifar_core.data.resident import Part, Splits
from cifar_core.device import backend_of
from cifar_core.pages import large_pages
from cifar_core.recipe import Recipe, Sgd
from cifar_core.trainer import Training

CPU = torch.device("cpu")
TURNS = {"net": 24 * 64, "net_32_64": 5 * 128, "resnet18_imagenet": 2 * 128}
"""Images in a turn: some tenths of a second."""
HELD = 45_000
"""Images in memory, as many as a search has: they don't fit into a cache."""


@dataclass(frozen=True)
class Variant:
    """A way to train.

    Attributes:
        planes: Images lie in planes, not channels last.
        together: Several batches are augmented at once.
        pages: Memory comes in large pages.
        mirrored: Mirrored images are kept.
        compiled: The network is compiled.
    """

    planes: bool = False
    together: bool = True
    pages: bool = True
    mirrored: bool = True
    compiled: bool = False


VARIANTS = {
    "planes, batch by batch, small pages": Variant(
        planes=True, together=False, pages=False, mirrored=False
    ),
    "channels last": Variant(together=False, pages=False, mirrored=False),
    "and several batches at once": Variant(pages=False, mirrored=False),
    "and large pages": Variant(mirrored=False),
    "and mirrored images kept (as it is)": Variant(),
}
COMPILED = {"and compiled": Variant(compiled=True)}


def serve(connection: Connection, variant: Variant, networks: list[str], threads: int) -> None:
    """A variant's process: train a turn of every cell whenever it is told to."""
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (HELD, 3, 32, 32), dtype=torch.uint8, generator=generator)
    if not variant.planes:
        images = images.contiguous(memory_format=torch.channels_last)
    whole = Part(images, torch.randint(10, (HELD,), generator=generator))
    few = Part(images[:10], whole.labels[:10])
    turns: dict[str, Any] = {}
    for name in networks:
        network, batch_size = NETWORKS[name]
        for level, augmentation in AUGMENTATIONS.items():
            start = len(turns) * 4_000
            part = Part(
                images[start : start + TURNS[name]], whole.labels[start : start + TURNS[name]]
            )
            recipe = Recipe(
                network=network,
                optimizer=Sgd(lr=1e-5),
                batch_size=batch_size,
                epochs=10_000,
                augmentation=augmentation,
            )
            backend = backend_of(recipe, CPU)
            if not variant.together:
                backend = replace(backend, images_together=batch_size)
            if variant.mirrored:
                part = part.mirrored_too()
            splits = Splits(part, few, (127.5,) * 3, (127.5,) * 3, "random bytes")
            with mock.patch.object(trainer, "backend_of", return_value=backend):
                training = Training(
                    recipe, splits, seed=0, device=CPU, compile_network=variant.compiled
                )
            turns[f"{name}, {level}"] = training.epochs()
    for epochs in turns.values():
        next(epochs)
    connection.send(None)
    while connection.recv():
        connection.send({name: next(epochs).images_per_second for name, epochs in turns.items()})


def measure(
    variants: dict[str, Variant], networks: list[str], threads: int, repetitions: int
) -> dict[str, Any]:
    """Images/s by cell and variant, every repetition."""
    context = multiprocessing.get_context("spawn")
    served = {}
    for name, variant in variants.items():
        ours, theirs = context.Pipe()
        process = context.Process(
            target=serve, args=(theirs, variant, networks, threads), daemon=True
        )
        with large_pages() if variant.pages else nullcontext():
            process.start()
        theirs.close()
        ours.recv()
        served[name] = (process, ours)
    found: dict[str, Any] = {}
    try:
        for round_number in range(repetitions):
            order = list(served.items())
            for name, (_, connection) in order if round_number % 2 else reversed(order):
                connection.send(True)
                for cell, rate in connection.recv().items():
                    found.setdefault(cell, {}).setdefault(name, []).append(rate)
                time.sleep(0.05)  # threads that wait actively have gone to sleep
    finally:
        for process, connection in served.values():
            connection.send(False)
            process.join()
    return found


def main() -> None:
    """Read the command line, measure, print, and write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.steps", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--threads", type=int, default=1, help="of each training")
    parser.add_argument("--repetitions", type=int, default=15, help="turns of each variant")
    parser.add_argument("--networks", nargs="+", choices=TURNS, default=["net", "net_32_64"])
    parser.add_argument("--compiled", action="store_true", help="a compiled network too")
    parser.add_argument("--json", type=Path, help="file to write every turn to")
    wanted = parser.parse_args()
    if wanted.threads < 1 or wanted.repetitions < 1:
        parser.error("--threads and --repetitions must be at least 1.")
    print(described_machine(CPU), flush=True)
    variants = VARIANTS | (COMPILED if wanted.compiled else {})
    found = measure(variants, wanted.networks, wanted.threads, wanted.repetitions)
    first = next(iter(variants))
    rows = []
    for name in variants:
        cells = []
        for rates in found.values():
            gain = statistics.median(
                one / base for one, base in zip(rates[name], rates[first], strict=True)
            )
            cells.append(f"{statistics.median(rates[name]):,.0f} ({gain:.2f}x)")
        rows.append([name, *cells])
    print(in_columns(["images/s", *found], rows))
    if wanted.json is not None:
        document = {"machine": described_machine(CPU), "rates": found}
        wanted.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
