"""The cells: kinds of training whose best learning rate is found out by trying them all."""

from dataclasses import dataclass
from itertools import product
from typing import Literal

from cifar_core.recipe import (
    Adam,
    Augmentation,
    Constant,
    Cosine,
    Net,
    Network,
    OneCycle,
    Optimizer,
    Recipe,
    Schedule,
    Sgd,
    SpeedNet,
)

__all__ = ["CELLS", "EPOCHS", "TRAIN_IMAGES", "Cell"]

TRAIN_IMAGES, EPOCHS = 8_000, 5
"""Of every training: as short as the trials of a search on a laptop."""

Half = Literal["tuning", "held out"]

NARROW, WIDE = (6, 16), (20, 48)
SMALL, LARGE = 32, 256
RATES: dict[str, tuple[float, ...]] = {
    "sgd": tuple(10 ** (half / 2) for half in range(-6, 2)),
    "adam": tuple(10 ** (half / 2) for half in range(-8, 0)),
}
"""Learning rates of the grids: 8, half a decade apart."""


@dataclass(frozen=True)
class Cell:
    """One kind of training.

    Attributes:
        name: What is special about it, in words.
        half: ``tuning`` if the rules of the LR-range test were chosen by it; ``held out`` if it was
            looked at only when they stood.
        recipe: What is trained; its learning rate is set by the grid.
    """

    name: str
    half: Half
    recipe: Recipe

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates of its grid, ascending."""
        return RATES[self.recipe.optimizer.name]

    def at(self, lr: float) -> Recipe:
        """The recipe with this learning rate."""
        optimizer = self.recipe.optimizer.model_copy(update={"lr": lr})
        return self.recipe.model_copy(update={"optimizer": optimizer})


def _recipe(
    network: Network,
    optimizer: Optimizer,
    batch_size: int,
    schedule: Schedule,
    augmentation: Augmentation | None = None,
) -> Recipe:
    return Recipe(
        network=network,
        optimizer=optimizer,
        schedule=schedule,
        batch_size=batch_size,
        epochs=EPOCHS,
        augmentation=augmentation or Augmentation(),
        precision="float32",
    )


def _net_cells() -> list[Cell]:
    """All 32 combinations of five factors; the half with an even number of upper levels tunes."""
    cells = []
    for levels in product((False, True), repeat=5):
        batch_norm, wide, adam, large, cosine = levels
        channels1, channels2 = WIDE if wide else NARROW
        batch_size = LARGE if large else SMALL
        network = Net(channels1=channels1, channels2=channels2, batch_norm=batch_norm)
        optimizer = Adam() if adam else Sgd()
        schedule: Schedule = Cosine() if cosine else Constant()
        words = [
            f"net {channels1}/{channels2}" + (" BN" if batch_norm else ""),
            optimizer.name,
            f"batch {batch_size}",
            schedule.name,
        ]
        half: Half = "held out" if sum(levels) % 2 else "tuning"
        recipe = _recipe(network, optimizer, batch_size, schedule)
        cells.append(Cell(", ".join(words), half, recipe))
    return cells


def _speed_cells() -> list[Cell]:
    """Another family of networks, with its own schedule and augmentation; never tuned by."""
    augmentation = Augmentation(flip=0.5, crop_padding=2)
    optimizers: tuple[Optimizer, ...] = (Sgd(nesterov=True), Adam())
    return [
        Cell(
            f"speednet, {optimizer.name}, batch {batch_size}, one_cycle",
            "held out",
            _recipe(SpeedNet(), optimizer, batch_size, OneCycle(), augmentation),
        )
        for optimizer, batch_size in product(optimizers, (64, 256))
    ]


CELLS = sorted([*_net_cells(), *_speed_cells()], key=lambda cell: cell.half == "held out")
