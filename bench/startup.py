"""Seconds that the command line takes to answer, against the imports that no command can do without.

Runs alternate, so that other load on the machine slows all of them alike; the ratios of the medians count.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from bench.machine import described_machine

__all__ = ["main"]

PROGRAM = str(Path(sys.executable).with_name("cifar-search"))
FLOOR = "imports of click and rich"
Case = tuple[Sequence[str], Mapping[str, str]]
"""A command and what it adds to the environment."""
CASES: dict[str, Case] = {
    FLOOR: ([sys.executable, "-c", "import click, rich.console"], {}),
    "cifar-search --help": ([PROGRAM, "--help"], {}),
    "completion of a command": ([PROGRAM], {"COMP_WORDS": "cifar-search st", "COMP_CWORD": "1"}),
    "completion of an option": (
        [PROGRAM],
        {"COMP_WORDS": "cifar-search start --sp", "COMP_CWORD": "2"},
    ),
}


def main() -> None:
    """Time all cases, and print their medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=11, metavar="N")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(options.repetitions):
        for name, case in CASES.items():
            seconds[name].append(_timed(case))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    machine = described_machine(torch.device("cpu"))
    if options.json:
        print(json.dumps({"machine": machine, "seconds": seconds}, indent=2))
        return
    print(f"{machine}; medians of {options.repetitions} alternating runs (lowest to highest)")
    for name, median in medians.items():
        spread = f"{min(seconds[name]):.2f} to {max(seconds[name]):.2f}"
        print(
            f"{name:28} {median:.2f} s ({spread}), {median / medians[FLOOR]:.2f} times the imports"
        )


def _timed(case: Case) -> float:
    command, environment = case
    completing = {"_CIFAR_SEARCH_COMPLETE": "bash_complete"} if environment else {}
    began = time.perf_counter()
    subprocess.run(
        command,
        env={**os.environ, **environment, **completing},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
