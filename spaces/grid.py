"""A grid: every combination of a space's choices, trained over several seeds, beside published figures."""

from typing import Annotated

from pydantic import AfterValidator, Field

from cifar_core.records import Record, no_control
from spaces.parameter import Values

__all__ = ["MOST_CELLS", "Grid", "Published"]

MOST_CELLS = 10_000

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Loss = Annotated[float, Field(ge=0.0)]
Text = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(no_control)]


class Published(Record):
    """Published figures of one cell of a grid.

    Attributes:
        values: The cell: a value for every parameter of the space.
        accuracy: Test accuracy, 0-1, or its lowest and highest value; None where none was given.
        train_accuracy: Accuracy on the training images, 0-1.
        train_loss: Mean training loss of the last epoch.
        epochs: Test accuracy after each epoch, 0-1.
    """

    values: Values
    accuracy: Share | Annotated[list[Share], Field(min_length=2, max_length=2)] | None = None
    train_accuracy: Share | None = None
    train_loss: Loss | None = None
    epochs: list[Share] = []


class Grid(Record):
    """Options of a grid, and the published figures to compare with.

    Attributes:
        seeds: Trainings of each cell, from seed 0 on.
        source: Where the published figures come from, and on what they were measured.
        published: The published figures.
    """

    seeds: Annotated[int, Field(ge=1, le=1000)] = 2
    source: Text | None = None
    published: Annotated[list[Published], Field(max_length=MOST_CELLS)] = []
