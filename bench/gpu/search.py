"""The main search at full scale on a GPU: `start --space baseline_constrained`.

12 epochs, 45,000 images, up to 256 channels, for as long as this part has. The next part trains its winner.
"""

import json
import sys
import time
from pathlib import Path

import torch

from bench.gpu.commands import command
from bench.gpu.report import REHEARSAL_IMAGES, Report, parser_of

RESERVE = 14.0
"""Seconds for start-up, the last epochs and the export, which the search's own clock does not count."""
LEAST = 10.0
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
    most = max(plain.values(), default=0.0)
    return min(
        (count for count, rate in plain.items() if rate >= 0.95 * most), default=DEFAULT_WORKERS
    )


def main() -> None:
    """Read the command line, search, and write."""
    parser = parser_of("search", __doc__ or "")
    parser.add_argument("--home", type=Path, required=True, help="home of the study")
    parser.add_argument(
        "--workers-from", type=Path, required=True, help="figures of bench.gpu.workers"
    )
    wanted = parser.parse_args()
    report = Report(wanted.json, torch.device(wanted.device))
    workers = best_count(wanted.workers_from)
    report.add("workers", workers)
    size: tuple[object, ...] = ("--scale", "full", "--trials", 10_000)
    if wanted.rehearse:
        size = ("--trials", 2, "--epochs", 1, "--train-images", REHEARSAL_IMAGES)
    seconds = max(LEAST, wanted.seconds - RESERVE)
    report.add("seconds", round(seconds, 1))
    began = time.monotonic()
    code, text = command(
        *("start", "--space", "baseline_constrained", "--workers", workers, "--home", wanted.home),
        *(*size, "--timeout", f"{seconds:.0f}s"),
        *("--device", wanted.device, "--data", wanted.data, "--json"),
    )
    report.add("search", {"code": code, "seconds": round(time.monotonic() - began, 1)})
    if code:
        sys.exit(f"The search ended with exit code {code}.")
    report.add("summary", json.loads(text))


if __name__ == "__main__":
    main()
