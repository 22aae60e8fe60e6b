"""torchvision's transforms, version 2, on whole batches of a tensor of bytes.

https://docs.pytorch.org/vision/stable/transforms.html
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torchvision.transforms import v2

from bench.loaders.rival import Level
from cifar_core.data.resident import Part

__all__ = ["BatchedLoader"]

HALF = (0.5, 0.5, 0.5)
CUTOUT = 8 * 8 / (32 * 32)  # RandomErasing wants the square's share of the image


class BatchedLoader:
    """A tensor of images, indexed by a permutation, and `torchvision.transforms.v2` on each batch.

    Version 2 draws once for each call: all images of a batch are mirrored or none, and they share
    one shift, one of the policy's pairs and one square. That is less augmentation than the other loaders'
    for the same pixels computed, and what users get who put a batch in.

    Args:
        part: The images.
        batch_size: Images in a batch; all images if there are fewer.
        level: What happens to each batch.
        seed: Decides the order; see `Rival`.
    """

    def __init__(self, part: Part, batch_size: int, level: Level, seed: int) -> None:
        self.name = "transforms.v2 on batches"
        self._part = part
        self._batch_size = min(batch_size, len(part))
        self._transform = _transform(level)
        self._generator = torch.Generator().manual_seed(seed)

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch in a fresh random order; see `Rival`."""
        order = torch.randperm(len(self._part), generator=self._generator)
        for rows in torch.split(order, self._batch_size):
            if len(rows) < self._batch_size:
                return
            images = self._transform(self._part.images[rows])  # (B, 3, 32, 32) float32
            yield images.to(memory_format=torch.channels_last), self._part.labels[rows]

    def close(self) -> None:
        """Nothing runs beside the training process."""


def _transform(level: Level) -> v2.Compose:
    steps = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(HALF, HALF)]
    if level != "none":
        policy = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)
        steps = [
            v2.RandomHorizontalFlip(),
            v2.RandomCrop(32, padding=4),
            *([policy] if level == "strong" else []),
            *steps,
            v2.RandomErasing(p=1.0, scale=(CUTOUT, CUTOUT), ratio=(1.0, 1.0)),
        ]
    return v2.Compose(steps)
