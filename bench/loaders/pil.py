"""The loader of PyTorch's tutorial: a DataLoader over PIL images, each transformed by itself.

https://docs.pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html, with the transforms that
torchvision's own documentation calls v1.
"""

from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from bench.loaders.rival import Level
from cifar_core.data.resident import Part

__all__ = ["PilLoader"]

HALF = (0.5, 0.5, 0.5)
CUTOUT = 8 * 8 / (32 * 32)  # RandomErasing wants the square's share of the image


class PilLoader:
    """`DataLoader` over single images that torchvision transforms.

    What is cut out is grey and lies within the image, as `RandomErasing` has it. The training
    process only brings the finished batches into channels-last order.

    Args:
        part: The images.
        batch_size: Images in a batch; all images if there are fewer.
        level: What happens to each image.
        seed: Decides the order, and what workers draw; without workers see `Rival`.
        workers: Processes that transform beside the training process, kept from epoch to epoch; with 0
            the training process does it itself.
    """

    def __init__(
        self, part: Part, batch_size: int, level: Level, seed: int, workers: int = 0
    ) -> None:
        self.name = f"DataLoader, PIL, {workers} worker{'' if workers == 1 else 's'}"
        self._loader = DataLoader(
            _Images(part, _transform(level)),
            batch_size=min(batch_size, len(part)),
            shuffle=True,
            num_workers=workers,
            drop_last=True,
            generator=torch.Generator().manual_seed(seed),
            persistent_workers=workers > 0,
        )

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch in a fresh random order; see `Rival`."""
        for images, labels in self._loader:
            yield images.to(memory_format=torch.channels_last), labels

    def close(self) -> None:
        """End the worker processes."""
        # They also end with the last reference to their iterator, but an abandoned epoch may hold one.
        iterator = self._loader._iterator  # noqa: SLF001
        if iterator is not None:
            iterator._shutdown_workers()  # type: ignore[attr-defined] # noqa: SLF001


class _Images(Dataset[tuple[Tensor, int]]):
    """As `torchvision.datasets.CIFAR10` holds and gives them."""

    def __init__(self, part: Part, transform: transforms.Compose) -> None:
        self._data = part.images.permute(0, 2, 3, 1).contiguous().numpy()
        self._targets: list[int] = part.labels.tolist()
        self._transform = transform

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self._data[index])  # (32, 32, 3)
        return self._transform(image), self._targets[index]


def _transform(level: Level) -> transforms.Compose:
    steps = [transforms.ToTensor(), transforms.Normalize(HALF, HALF)]
    if level != "none":
        policy = transforms.AutoAugment(transforms.AutoAugmentPolicy.CIFAR10)
        steps = [
            transforms.RandomHorizontalFlip(),
            transforms.RandomCrop(32, padding=4),
            *([policy] if level == "strong" else []),
            *steps,
            transforms.RandomErasing(p=1.0, scale=(CUTOUT, CUTOUT), ratio=(1.0, 1.0)),
        ]
    return transforms.Compose(steps)
