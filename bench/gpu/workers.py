"""Workers that share one GPU: images/s of 1, 2, 4, 8 and 16 of them, together.

They are the service's own processes, all training at the same time while the others idle. Where the CUDA
multi-process service (MPS) can be started, everything is measured again with it.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from bench.gpu.report import REHEARSAL_IMAGES, Deadline, Report, parser_of
from bench.workers import STANDARD
from cifar_core.data.dataset import open_data
from cifar_core.networks import Net
from cifar_core.recipe import Recipe
from search.doctor.speed import measure_speeds
from search.workers.local_pool import LocalPool
from search.workers.shared_images import prepare_images
from search.workers.slots import slots_of

RECIPES = {
    "net 6/16 at 64": Recipe(batch_size=64, augmentation=STANDARD),
    "net 256/256 at 256": Recipe(
        network=Net(channels1=256, channels2=256, batch_norm=True),
        batch_size=256,
        augmentation=STANDARD,
    ),
}
"""A small network and the widest of the main search."""
REHEARSED = dict.fromkeys(RECIPES, RECIPES["net 6/16 at 64"])
COUNTS = (1, 4, 16, 2, 8)
"""Numbers of workers, those that say most first."""
SECONDS = 1.0
NEEDED = 4.0
"""Seconds for which a further measurement is begun."""
MPS = "nvidia-cuda-mps-control"


class Measurements:
    """Images/s by number of workers and recipe, reported as they come.

    Args:
        report: Where they go.
        deadline: The end of the part.
        images: File of the prepared images.
        device: The GPU.
        rehearse: Make everything tiny.
    """

    def __init__(
        self, report: Report, deadline: Deadline, images: Path, device: torch.device, rehearse: bool
    ) -> None:
        self._report = report
        self._deadline = deadline
        self._images = images
        self._device = device
        self._counts = (1, 2) if rehearse else COUNTS
        self._recipes = REHEARSED if rehearse else RECIPES
        self._seconds = 0.1 if rehearse else SECONDS
        self._found: dict[str, Mapping[str, float]] = {}

    def add(self, how: str) -> None:
        """Measure all numbers of workers, or as many as there is memory and time for."""
        for most in sorted({max(self._counts), 4, 1}, reverse=True):
            counts = [count for count in self._counts if count <= most]
            try:
                self._add(counts, how)
            except Exception as error:  # so many may not fit; fewer may
                self._report.add(
                    f"error with {most}{how}", f"{type(error).__name__}: {error}"[:500]
                )
            else:
                return

    def _add(self, counts: list[int], how: str) -> None:
        slots = slots_of([self._device], max(counts))
        with LocalPool(slots, self._images, self._images.parent) as pool:
            for count in counts:
                name = f"{count}{how}"
                if name in self._found:
                    continue
                if self._deadline.left < NEEDED:
                    self._report.add(f"skipped {name}", f"only {self._deadline.left:.0f} s left")
                    return
                speeds = measure_speeds(self._recipes, self._seconds, pool, count)
                self._found[name] = {one.name: round(one.training, 1) for one in speeds}
                self._report.add("images_per_second", self._found)


@contextmanager
def multi_process_service() -> Iterator[str | None]:
    """Run the CUDA multi-process service while this is open.

    Yields:
        Why there is none, or None.
    """
    program = shutil.which(MPS)
    if program is None:
        yield f"there is no {MPS} here"
        return
    with TemporaryDirectory(prefix="mps-", ignore_cleanup_errors=True) as folder:
        own = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        started = subprocess.run(
            [program, "-d"],
            stdin=subprocess.DEVNULL,
            env=os.environ | own,
            capture_output=True,
            text=True,
            check=False,
        )
        if started.returncode:
            yield (started.stderr or started.stdout).strip()[:300] or "it does not start"
            return
        os.environ.update(own)
        try:
            yield None
        finally:
            with suppress(subprocess.TimeoutExpired):
                subprocess.run([program], input="quit\n", text=True, timeout=3, check=False)
            for name in own:
                os.environ.pop(name)


def main() -> None:
    """Read the command line, measure, print, and write."""
    wanted = parser_of("workers", __doc__ or "").parse_args()
    # At its limit this process is asked to end, and then ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    deadline, device = Deadline(wanted.seconds), torch.device(wanted.device)
    report = Report(wanted.json, device)
    with TemporaryDirectory() as name:
        images = Path(name) / "images"
        few = REHEARSAL_IMAGES if wanted.rehearse else None
        prepare_images(open_data(wanted.data), few, images)
        measurements = Measurements(report, deadline, images, device, wanted.rehearse)
        measurements.add("")
        if device.type != "cuda":
            return
        with multi_process_service() as missing:
            if missing is None:
                measurements.add(" with MPS")
            else:
                report.add("no MPS", missing)


if __name__ == "__main__":
    main()
