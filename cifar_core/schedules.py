"""Learning-rate schedules: their records, and pure functions from a step to the factor on the rate.

No torch is imported here.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, assert_never

from pydantic import Field

from cifar_core.records import Record

__all__ = [
    "Constant",
    "Cosine",
    "Linear",
    "OneCycle",
    "Plateau",
    "Schedule",
    "Step",
    "constant",
    "cosine",
    "linear",
    "one_cycle",
    "schedule_of",
    "step_decay",
]

START_OF_ONE_CYCLE = 1 / 25
"""The first rate of one-cycle against its peak, as in fast.ai's and PyTorch's implementations."""


class Constant(Record):
    """The learning rate stays what it is."""

    name: Literal["constant"] = "constant"


class Step(Record):
    """The learning rate is multiplied by `factor` after every `epochs` epochs.

    Attributes:
        epochs: Epochs from one change to the next.
        factor: What the rate is multiplied by, in (0, 1].
    """

    name: Literal["step"] = "step"
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 5
    factor: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5


class Cosine(Record):
    """The learning rate falls to 0 along half a cosine (Loshchilov & Hutter 2017), step by step."""

    name: Literal["cosine"] = "cosine"


class OneCycle(Record):
    """Linear rise from a 25th of the learning rate, then a cosine to 0 (Smith & Topin 2017).

    Attributes:
        warmup: Share of all steps spent rising, in (0, 1).
    """

    name: Literal["one_cycle"] = "one_cycle"
    warmup: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.25


class Linear(Record):
    """Linear rise from 0 to the learning rate, then linear decay to 0 (Goyal et al. 2017, section 2.2).

    Attributes:
        warmup: Share of all steps spent rising, in [0, 1).
    """

    name: Literal["linear"] = "linear"
    warmup: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1


class Plateau(Record):
    """The learning rate is divided when validation accuracy has stopped rising, as is done by hand.

    After `patience` epochs without a new best, training continues from the best epoch so far (of equals the
    latest) with the learning rate divided by `divisor`. It has converged when a divided rate brings
    nothing better. The run ends with the network of its best epoch, unless its loss becomes non-finite.

    Attributes:
        patience: Epochs without a new best after which the rate is divided.
        divisor: What it is divided by, above 1.
    """

    name: Literal["plateau"] = "plateau"
    patience: Annotated[int, Field(ge=1, le=10_000)] = 3
    divisor: Annotated[float, Field(gt=1.0, le=1e6)] = 10.0


Schedule = Annotated[
    Constant | Step | Cosine | OneCycle | Linear | Plateau, Field(discriminator="name")
]


def constant(_step: int) -> float:
    """The rate never changes.

    >>> constant(7)
    1.0
    """
    return 1.0


def step_decay(step: int, steps_per_decay: int, factor: float) -> float:
    """The rate is multiplied by `factor` each time `steps_per_decay` steps have passed.

    >>> [step_decay(step, steps_per_decay=2, factor=0.5) for step in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    return factor ** (step // steps_per_decay)


def cosine(step: int, steps: int) -> float:
    """Half a cosine from 1 at step 0 towards 0 at step `steps` (Loshchilov & Hutter 2017, eq. 5).

    >>> [round(cosine(step, steps=4), 3) for step in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """
    return 0.5 * (1.0 + math.cos(math.pi * step / steps))


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """A linear rise over the first share `warmup` of the steps, then half a cosine towards 0.

    >>> [round(one_cycle(step, steps=8, warmup=0.25), 2) for step in range(9)]
    [0.04, 0.52, 1.0, 0.93, 0.75, 0.5, 0.25, 0.07, 0.0]
    """
    rising = min(max(1, round(steps * warmup)), steps - 1)  # one step at least is at the peak
    if step < rising:
        return START_OF_ONE_CYCLE + (1.0 - START_OF_ONE_CYCLE) * step / rising
    return cosine(step - rising, max(1, steps - rising))


def linear(step: int, steps: int, warmup: float) -> float:
    """A linear rise from 0 over the first share `warmup` of the steps, then a linear fall towards 0.

    >>> [round(linear(step, steps=8, warmup=0.25), 2) for step in range(9)]
    [0.5, 1.0, 1.0, 0.83, 0.67, 0.5, 0.33, 0.17, 0.0]
    """
    rising = min(round(steps * warmup), steps - 1)  # one step at least is at the peak
    if step < rising:
        return (step + 1) / rising  # a first step at rate 0 would change nothing
    return 1.0 - (step - rising) / (steps - rising)


def schedule_of(schedule: Schedule, epochs: int, steps_per_epoch: int) -> Callable[[int], float]:
    """The function from a step, counted from 0, to the factor on the learning rate.

    Args:
        schedule: The recipe's schedule. What a plateau divides by depends on the training; `PlateauControl`
            has it.
        epochs: Epochs of the whole run.
        steps_per_epoch: Optimizer steps in an epoch.
    """
    steps = epochs * steps_per_epoch
    match schedule:
        case Constant() | Plateau():
            return constant
        case Step():
            return partial(
                step_decay,
                steps_per_decay=schedule.epochs * steps_per_epoch,
                factor=schedule.factor,
            )
        case Cosine():
            return partial(cosine, steps=steps)
        case OneCycle():
            return partial(one_cycle, steps=steps, warmup=schedule.warmup)
        case Linear():
            return partial(linear, steps=steps, warmup=schedule.warmup)
        case _:
            assert_never(schedule)
