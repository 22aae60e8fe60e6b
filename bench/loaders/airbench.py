"""The loader of the `airbench` package, which was made to train on CIFAR-10 as fast as can be.

Jordan 2024, arXiv 2404.00498; https://github.com/KellerJordan/cifar10-airbench. It is written for a
GPU, and runs on a CPU too.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from bench.loaders.rival import Level, MissingRivalError
from cifar_core.data.resident import Part
from cifar_core.random_state import RandomState

__all__ = ["AirbenchLoader"]


class AirbenchLoader:
    """`airbench.utils.CifarLoader`: images in half precision, a whole epoch augmented at once.

    In its first epoch, which takes longer, it also normalises, mirrors and pads all images for good;
    from then on each image is mirrored every other time, as in all of the package's own trainings.
    It pads by reflection, once, and normalises by mean and standard deviation of CIFAR-10, which
    costs no more than black edges and [-1, 1]. An epoch's images are all made before its first batch,
    so that only whole epochs can be timed. Batches are made float32 here: the CPU trains in that.

    Args:
        part: The images.
        batch_size: Images in a batch; all images if there are fewer.
        level: What happens to each image; it has no ``strong``.
        seed: Decides everything that is drawn.

    Raises:
        MissingRivalError: `level` is ``strong``, or `airbench` isn't installed.
    """

    def __init__(self, part: Part, batch_size: int, level: Level, seed: int) -> None:
        self.name = "airbench's CifarLoader"
        if level == "strong":
            raise MissingRivalError(
                "airbench's loader has the levels none and standard, not strong."
            )
        make = _imported()
        with TemporaryDirectory(prefix="loaders-") as folder:
            hwc = part.images.permute(0, 2, 3, 1).contiguous()  # (N, 32, 32, 3) uint8
            torch.save(
                {"images": hwc, "labels": part.labels, "classes": []},  # names, which it only keeps
                Path(folder) / "train.pt",
            )
            self._loader = make(
                folder,
                batch_size=min(batch_size, len(part)),
                aug={"flip": True, "translate": 4, "cutout": 8} if level == "standard" else {},
                altflip=True,
                gpu=str(part.labels.device),  # goes to torch.device
            )
        self._random = RandomState(seed, part.labels.device)

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch in a fresh random order; see `Rival`."""
        batches = iter(self._loader)
        with self._random.active():
            first = next(batches)  # behind all of the epoch's draws
        for images, labels in chain([first], batches):
            yield images.to(torch.float32, memory_format=torch.channels_last), labels

    def close(self) -> None:
        """Nothing runs beside the training process, and the folder is gone since the images were read."""


def _imported() -> Callable[..., Iterable[tuple[Tensor, Tensor]]]:
    """The package's loader class, without what importing it does to other trainings."""
    tuned = torch.backends.cudnn.benchmark
    try:
        from airbench.utils import CifarLoader
    except ModuleNotFoundError as error:
        raise MissingRivalError(
            f"airbench's loader is not installed ({error}): pip install 'cifar-search[bench]'"
        ) from error
    finally:
        torch.backends.cudnn.benchmark = tuned  # airbench switches it on
    loader: Callable[..., Iterable[tuple[Tensor, Tensor]]] = CifarLoader
    return loader
