"""The command line under measurement, run as a user runs it."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["command", "train_final"]


def command(*words: object) -> tuple[int, str]:
    """Run `cifar-search`, its progress on this process's output; return its exit code and its document."""
    done = subprocess.run(
        [sys.executable, "-m", "search", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def train_final(recipe: Path, seeds: int, out: Path, device: str, data: str) -> dict[str, Any]:
    """Train a recipe on all 50,000 images and test it; return accuracies and seconds of each seed."""
    began = time.monotonic()
    code, text = command(
        *("train", recipe, "--final", "--seeds", seeds, "--out", out, "--no-plots"),
        *("--device", device, "--data", data, "--json"),
    )
    if code:
        return {"code": code}
    document = json.loads(text)
    runs = document["runs"]
    return {
        "code": code,
        "split": document["measured_on"],
        "data": document["data"]["name"],
        "accuracy": [run["accuracy"] for run in runs],
        "seconds_of_training": [
            round(sum(epoch["seconds"] for epoch in run["epochs"]), 2) for run in runs
        ],
        "seconds_of_the_command": round(time.monotonic() - began, 1),
    }
