"""Measure what the wait of two threads for each other costs, with the processor to themselves and shared.

python -m bench.spinning              # --busy 5, --steps 200
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import time

import torch
from torch.nn.functional import cross_entropy

from bench.machine import described_machine
from cifar_core.models import network_of
from cifar_core.recipe import Recipe
from cifar_core.spinning import ROUNDS, VARIABLE

SETTINGS: tuple[tuple[str, int, str | None], ...] = (
    ("1 thread", 1, None),
    ("2 threads, OpenMP's own number of rounds", 2, None),
    (f"2 threads, {ROUNDS:,} rounds", 2, str(ROUNDS)),
    ("2 threads, 1,000 rounds", 2, "1000"),
)
WARM_UP = 5


def measure(threads: int, steps: int) -> tuple[float, float]:
    """Return milliseconds of a training step of `Net` 6/16 at batch 64: in all, and of the processor."""
    torch.set_num_threads(threads)
    network = network_of(Recipe().network)
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    images, labels = torch.randn(64, 3, 32, 32), torch.randint(0, 10, (64,))
    for step in range(steps + WARM_UP):
        if step == WARM_UP:
            began, used = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        loss = cross_entropy(network(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    return 1000 * wall / steps, 1000 * cpu / steps


def spin() -> None:
    """Keep a core busy."""
    while True:
        pass


def main() -> None:
    """Measure every setting alone, then beside busy processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", type=int, default=5, help="busy processes beside it")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.threads:
        wall, cpu = measure(given.threads, given.steps)
        print(f"{wall:6.1f} ms a step, {cpu:6.1f} ms of the processor")
        return
    print(described_machine(torch.device("cpu")))
    for busy in (0, given.busy):
        print(f"beside {busy} busy processes:")
        others = [multiprocessing.Process(target=spin, daemon=True) for _ in range(busy)]
        for one in others:
            one.start()
        for name, threads, rounds in SETTINGS:
            environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
            if rounds is not None:
                environment[VARIABLE] = rounds
            print(f"  {name:<42}", end="", flush=True)
            # OpenMP reads it when it is loaded.
            command = [sys.executable, "-m", "bench.spinning", "--steps", str(given.steps)]
            command += ["--threads", str(threads)]
            subprocess.run(command, env=environment, check=True)
        for one in others:
            one.terminate()


if __name__ == "__main__":
    main()
