"""The main search at full scale on a GPU, and the final training of its winner on the test split.

`start --space baseline_constrained`: 12 epochs, 45,000 images, up to 256 channels, for most of the time
that this part has; then `train --final` of the exported winner. The published mark is 83 %.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from bench.gpu.report import REHEARSAL_IMAGES, Report, parser_of

SECONDS = 140
"""Of the search itself; its last epochs, its export and the final training come after them."""
SEEDS = 2
DEFAULT_WORKERS = 4
LARGEST = "net 256/256 at 256"


def best_count(figures: Path) -> int:
    """Return the number of workers that trained the widest network fastest; a default without figures."""
    try:
        rates = json.loads(figures.read_text(encoding="utf-8"))["images_per_second"]
    except (OSError, ValueError, KeyError):
        return DEFAULT_WORKERS
    plain = {int(count): rate[LARGEST] for count, rate in rates.items() if count.isdigit()}
    # More workers than needed take turns, so the fewest of about the best are taken.
    most = max(plain.values())
    return min(count for count, rate in plain.items() if rate >= 0.95 * most)


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


def train_final(
    recipe: Path, seeds: int, out: Path, common: tuple[str, ...], rehearse: bool
) -> dict[str, Any]:
    """Train a recipe on all images and test it; return accuracies and seconds of each seed.

    A rehearsal trains once on a few images, and opens no test split.
    """
    began = time.monotonic()
    size = ("--train-images", REHEARSAL_IMAGES) if rehearse else ("--final", "--seeds", seeds)
    code, text = command("train", recipe, *size, "--out", out, "--no-plots", "--json", *common)
    if code:
        return {"code": code}
    document = json.loads(text)
    runs = document["runs"]
    return {
        "code": code,
        "split": document["measured_on"],
        "accuracy": [run["accuracy"] for run in runs],
        "seconds_of_training": [
            round(sum(epoch["seconds"] for epoch in run["epochs"]), 2) for run in runs
        ],
        "seconds_of_the_command": round(time.monotonic() - began, 1),
    }


def main() -> None:
    """Read the command line, search, train, and write."""
    parser = parser_of("search", __doc__ or "")
    parser.add_argument("--folder", type=Path, required=True, help="where the study goes")
    parser.add_argument(
        "--workers-from", type=Path, required=True, help="figures of bench.gpu.workers"
    )
    wanted = parser.parse_args()
    report = Report(wanted.json, torch.device(wanted.device))
    workers = best_count(wanted.workers_from)
    report.add("workers", workers)
    common = ("--device", wanted.device, "--data", wanted.data)
    home = wanted.folder / "home"
    tiny = ("--trials", 2, "--epochs", 1, "--train-images", REHEARSAL_IMAGES, "--lr-bounds", "off")
    size = (
        tiny
        if wanted.rehearse
        else ("--scale", "full", "--timeout", f"{SECONDS}s", "--trials", 10_000)
    )
    began = time.monotonic()
    code, text = command(
        *("start", "--space", "baseline_constrained", "--workers", workers, "--home", home),
        *(*size, *common, "--json"),
    )
    report.add("search", {"code": code, "seconds": round(time.monotonic() - began, 1)})
    summary = json.loads(text)
    report.add("summary", summary)
    if summary["best"] is None:
        sys.exit("No trial was complete, so there is no winner to train.")
    recipe = Path(summary["best"]["exported"])
    out = wanted.folder / "final"
    report.add("final", train_final(recipe, SEEDS, out, common, wanted.rehearse))


if __name__ == "__main__":
    main()
