"""The options that all parts of the GPU benchmark share, and a file of figures that grows as they come."""

import argparse
import json
import signal
import time
from pathlib import Path
from typing import Any

import torch

from bench.machine import described_machine
from cifar_core.data.dataset import open_data
from cifar_core.data.resident import Splits, splits_of
from cifar_core.data.split import split

__all__ = ["Deadline", "Report", "images_for", "parser_of"]

REHEARSAL_IMAGES = 600


class Deadline:
    """The end of a part's time.

    Args:
        seconds: From now on.
    """

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left, 0 at least."""
        return max(0.0, self._ends - time.monotonic())

    def interrupt(self, before: float) -> None:
        """Let whatever runs in the main thread so many seconds before the end fail, with `TimeoutError`.

        What is then under way, such as compiling, may take longer than a whole part has.
        """

        def fail(*_: object) -> None:
            raise TimeoutError("there was no more time for it")

        signal.signal(signal.SIGALRM, fail)
        signal.setitimer(signal.ITIMER_REAL, max(0.01, self.left - before))


class Report:
    """Figures by name, in a JSON file that is whole after each of them.

    Args:
        path: The file.
        device: What is measured on.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        self._path = path
        self._document: dict[str, Any] = {
            "machine": described_machine(device),
            "device": str(device),
        }

    def add(self, name: str, value: object) -> None:
        """Keep a figure under its name, and print it."""
        self._document[name] = value
        print(f"{name}: {json.dumps(value)}", flush=True)
        self._path.write_text(json.dumps(self._document, indent=2) + "\n", encoding="utf-8")


def parser_of(module: str, about: str) -> argparse.ArgumentParser:
    """Return a parser of the options that every part has.

    Args:
        module: The part's, such as ``trainer``.
        about: The docstring of its module.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.gpu.{module}", description=about.partition("\n")[0]
    )
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--device", default="cuda:0", help="such as cuda:0 or cpu")
    parser.add_argument("--data", default="auto", help="folder, auto or synthetic")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all of this part")
    parser.add_argument("--rehearse", action="store_true", help="tiny numbers")
    return parser


def images_for(data: str, rehearse: bool) -> Splits:
    """Return the images, on the CPU; a few of them for a rehearsal."""
    labelled = open_data(data).read_train()
    return splits_of(labelled, split(labelled, REHEARSAL_IMAGES if rehearse else None))
