"""A network as a user writes one: this file is imported as `own_nets`, from its own folder."""

import sys

from torch import Tensor, nn


class Small(nn.Module):
    """Two convolutions, with BatchNorm or dropout."""

    def __init__(self, width: int, classes: int, norm: bool, dropout: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1, bias=not norm)
        self.norm = nn.BatchNorm2d(width) if norm else nn.Dropout(dropout)
        self.second = nn.Conv2d(width, 2 * width, 3, stride=2)
        self.last = nn.Linear(2 * width * 3**2, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = nn.functional.max_pool2d(self.norm(self.first(images)).relu(), 4)
        logits: Tensor = self.last(self.second(maps).relu().flatten(1))
        return logits


def small(width: int = 8, norm: bool = True, dropout: float = 0.0, *, classes: int) -> nn.Module:
    sys.stdout.write("made by the user")  # which must not stand among results
    return Small(width, classes, norm, dropout)
