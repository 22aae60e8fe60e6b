"""Workers that share one GPU: images/s of 1, 2, 4, 8 and 16 of them, together.

They are the service's own processes, all training at the same time. Where the CUDA multi-process
service (MPS) can be started, everything is measured again with it.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from bench.gpu.report import REHEARSAL_IMAGES, Report, parser_of
from bench.workers import STANDARD
from cifar_core.data.dataset import open_data
from cifar_core.networks import Net
from cifar_core.recipe import Recipe
from search.doctor.speed import measure_speeds
from search.workers.pool import Pool
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
COUNTS = (1, 2, 4, 8, 16)
SECONDS = 1.5
MPS = "nvidia-cuda-mps-control"


def rates(
    recipes: Mapping[str, Recipe],
    images: Path,
    device: torch.device,
    count: int,
    seconds: float,
) -> Mapping[str, float]:
    """Return the images/s of all workers together, by recipe."""
    with Pool(slots_of([device], count), images, images.parent) as pool:
        speeds = measure_speeds(recipes, seconds, pool)
    return {one.name: round(one.training, 1) for one in speeds}


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
    with TemporaryDirectory(prefix="mps-") as folder:
        own = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        started = subprocess.run(
            [program, "-d"], env=os.environ | own, capture_output=True, text=True, check=False
        )
        if started.returncode:
            yield (started.stderr or started.stdout).strip()[:300] or "it does not start"
            return
        os.environ.update(own)
        try:
            yield None
        finally:
            subprocess.run([program], input="quit\n", text=True, timeout=10, check=False)
            for name in own:
                os.environ.pop(name)


def main() -> None:
    """Read the command line, measure, print, and write."""
    wanted = parser_of("workers", __doc__ or "").parse_args()
    device = torch.device(wanted.device)
    report = Report(wanted.json, device)
    counts, seconds = ((1, 2), 0.1) if wanted.rehearse else (COUNTS, SECONDS)
    recipes = REHEARSED if wanted.rehearse else RECIPES
    with TemporaryDirectory() as name:
        images = Path(name) / "images"
        few = REHEARSAL_IMAGES if wanted.rehearse else None
        prepare_images(open_data(wanted.data), few, images)
        found: dict[str, Mapping[str, float]] = {}

        def measure(how: str) -> None:
            for count in counts:
                try:
                    found[f"{count}{how}"] = rates(recipes, images, device, count, seconds)
                except Exception as error:  # more workers may not fit; fewer are measured already
                    report.add(f"error with {count}{how}", f"{type(error).__name__}: {error}"[:500])
                    return
                report.add("images_per_second", found)

        measure("")
        if device.type == "cuda":
            with multi_process_service() as missing:
                if missing is None:
                    measure(" with MPS")
                else:
                    report.add("no MPS", missing)


if __name__ == "__main__":
    main()
