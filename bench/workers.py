"""Measure the numbers of workers and threads that get most out of this machine, and the cost of a worker.

    python -m bench.workers --data DIR [--seconds 4] [--repetitions 5] [--networks net ...] [--json FILE]

**Throughput**: all cores shared out among one worker, two, and so on up to one a core. These are the
service's own processes, all training at the same time; the ways to share take turns, and their figures
are medians of the images/s of all workers together.

**Start**: seconds from a process's start until its worker holds the images, beside what `import torch`
takes in a bare one; and what a trial costs a worker that is up, beyond its epoch: network, optimizer,
checkpoint, messages.

**Memory**: what a worker has for itself while it trains, and what it shares with the others, the images
above all, as Linux counts them.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.columns import in_columns
from bench.machine import described_machine
from cifar_core.data.dataset import AUTO, open_data
from cifar_core.device import available_cores
from cifar_core.networks import Net
from cifar_core.recipe import Augmentation, Recipe
from search.doctor.speed import measure_speeds
from search.workers.local_pool import LocalPool
from search.workers.messages import EpochsDone, Finished, TrainTask
from search.workers.shared_images import prepare_images
from search.workers.slots import Slot

STANDARD = Augmentation(flip=0.5, crop_padding=4, cutout=8)
RECIPES = {
    "net": Recipe(batch_size=64, augmentation=STANDARD),
    "net_32_64": Recipe(
        network=Net(channels1=32, channels2=64, batch_norm=True),
        batch_size=128,
        augmentation=STANDARD,
    ),
    "net_128_128": Recipe(
        network=Net(channels1=128, channels2=128, batch_norm=True),
        batch_size=128,
        augmentation=STANDARD,
    ),
}
"""The tutorial's network, small and wide, with standard augmentation."""
FEW = 1_000
"""Training images where the cost of a trial is measured: its epoch is short."""
TRIALS = 7


def shares(cores: int) -> list[list[Slot]]:
    """The ways to share out the cores: 1, 2, 4, ... workers, all cores in use."""
    counts = [count for count in (1, 2, 4, 8, 16) if count <= cores]
    return [[Slot("cpu", cores // count)] * count for count in counts]


def up(pool: LocalPool) -> None:
    """Wait until every worker holds the images."""
    while not all(worker.ready for worker in pool.workers):
        pool.poll(0.25)


def throughput(
    images: Path, names: Sequence[str], seconds: float, repetitions: int
) -> dict[str, dict[str, list[float]]]:
    """Images/s of all workers together: by recipe and way to share, every repetition."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    with ExitStack() as stack:
        pools = {}
        for slots in shares(available_cores()):
            pool = stack.enter_context(LocalPool(slots, images, images.parent))
            up(pool)
            pools[f"{len(slots)} x {slots[0].threads}"] = pool
        for _ in range(repetitions):
            for name in names:
                for way, pool in pools.items():
                    (speed,) = measure_speeds({name: RECIPES[name]}, seconds, pool)
                    found[name].setdefault(way, []).append(speed.training)
    return found


def starts(images: Path, repetitions: int) -> dict[str, list[float]]:
    """Seconds until a bare process has imported torch, and until a lone worker is up."""
    found: dict[str, list[float]] = {"import torch": [], "worker": []}
    for _ in range(repetitions):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import torch"], check=True)
        found["import torch"].append(time.perf_counter() - began)
        began = time.perf_counter()
        with LocalPool([Slot("cpu", 1)], images, images.parent) as pool:
            up(pool)
            found["worker"].append(time.perf_counter() - began)
    return found


def trials(images: Path, recipe: Recipe) -> list[float]:
    """Seconds of one-epoch trials in a worker that is up, less those of the epoch itself."""
    short, costs = recipe.model_copy(update={"epochs": 1}), []
    with LocalPool([Slot("cpu", 1)], images, images.parent) as pool:
        up(pool)
        (worker,) = pool.workers
        for number in range(TRIALS + 1):
            began = time.perf_counter()
            pool.assign(worker, TrainTask(number, short, number, images.parent / f"{number}.pt"))
            trained, at_work = 0.0, True
            while at_work:
                for _, _, message in pool.poll(1.0):
                    match message:
                        case EpochsDone(epochs):
                            trained += epochs[-1].seconds
                            pool.answer(worker, True)
                        case Finished():
                            at_work = False
                        case _:
                            raise RuntimeError(f"A trial went wrong: {message}")
            costs.append(time.perf_counter() - began - trained)
    return costs[1:]  # the first use of a library is no trial's cost


def memory(images: Path, recipe: Recipe) -> dict[str, dict[str, float]]:
    """Megabytes of each worker after training: its own, and its part of what it shares."""
    found = {}
    for slots in shares(available_cores()):
        with LocalPool(slots, images, images.parent) as pool:
            measure_speeds({"": recipe}, 1.0, pool)
            rolled = [_rolled_up(worker.pid) for worker in pool.workers]
        found[f"{len(slots)} x {slots[0].threads}"] = {
            "own": statistics.mean(one["Private_Clean"] + one["Private_Dirty"] for one in rolled),
            "with its part of what is shared": statistics.mean(one["Pss"] for one in rolled),
        }
    return found


def _rolled_up(pid: int | None) -> dict[str, float]:
    """Linux's sums over a process's memory, in megabytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    pairs = (line.split(":") for line in lines)
    return {name: int(value.split()[0]) / 1024 for name, value in pairs}


def spread(values: Sequence[float], scale: float = 1.0, unit: str = "") -> str:
    """Median, least and most."""
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{scale * middle:,.1f}{unit} ({scale * least:,.1f} to {scale * most:,.1f})"


def main() -> None:
    """Read the command line, measure, print, and write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.workers", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--data", default=AUTO, help="folder, auto or synthetic")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--repetitions", type=int, default=5, help="measurements of each kind")
    parser.add_argument("--networks", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--json", type=Path, help="file to write every figure to")
    wanted = parser.parse_args()
    if wanted.seconds <= 0 or wanted.repetitions < 1:
        parser.error("--seconds must be above 0 and --repetitions at least 1.")

    import torch

    document: dict[str, Any] = {"machine": described_machine(torch.device("cpu"))}
    print(document["machine"], flush=True)
    with TemporaryDirectory() as folder:
        whole, few = Path(folder, "images"), Path(folder, "few")
        prepare_images(open_data(wanted.data), None, whole)
        prepare_images(open_data(wanted.data), FEW, few)
        rates = throughput(whole, wanted.networks, wanted.seconds, wanted.repetitions)
        ways = list(next(iter(rates.values())))
        rows = [[name, *(spread(rates[name][way]) for way in ways)] for name in rates]
        print("", in_columns(["images/s", *(f"{way} threads" for way in ways)], rows), sep="\n")
        document["rates"] = rates

        document["starts"] = starts(whole, wanted.repetitions)
        for what, seconds in document["starts"].items():
            print(f"{what}: {spread(seconds, unit=' s')}", flush=True)
        document["trials"] = {name: trials(few, RECIPES[name]) for name in wanted.networks}
        for name, costs in document["trials"].items():
            print(f"a trial of {name} beyond its epoch: {spread(costs, 1000, ' ms')}", flush=True)

        document["memory"] = memory(whole, RECIPES[wanted.networks[0]])
        for way, sums in document["memory"].items():
            told = ", ".join(f"{name} {value:,.0f} MB" for name, value in sums.items())
            print(f"memory of each of {way} threads: {told}", flush=True)
        document["images"] = whole.stat().st_size / 2**20
        print(f"the images, mapped by all: {document['images']:,.0f} MB")
    if wanted.json is not None:
        wanted.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
