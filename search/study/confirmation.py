"""Records of a confirmation: who is trained anew, each finished training, and what they say together.

A study keeps the plan under one user attribute and each finished training under one of its own. The
conclusion is never stored: `search.confirmation.conclusion` computes it from these, for every view and
report alike.
"""

import base64
import binascii
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field, model_validator

from cifar_core.records import Record, no_control
from search.study import attributes

__all__ = [
    "Confirmation",
    "ConfirmationPlan",
    "ConfirmationRun",
    "Confirmed",
    "Contender",
    "Difference",
    "ImagesIdentity",
    "Role",
    "packed",
    "run_key",
    "unpacked",
]

Role = Literal["finalist", "reference"]
Name = Annotated[str, AfterValidator(no_control)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class ImagesIdentity(Record):
    """The images that a confirmation is measured on.

    Attributes:
        count: Their number.
        split: Hash of the study's images and their parts, as in its `DataIdentity`.
        took_no_part: None of them has scored a trial; false in studies of versions that had no part for
            confirming.
    """

    count: Annotated[int, Field(ge=1)]
    split: Name
    took_no_part: bool

    def described(self) -> str:
        """Return the images in words, to stand beside a figure."""
        if self.took_no_part:
            return f"{self.count:,} validation images that took no part in the search"
        return f"the {self.count:,} validation images that also scored the search"


class Contender(Record):
    """A configuration that is trained anew.

    Attributes:
        trial: The trial that it comes from.
        role: ``reference`` for a known configuration of the space, ``finalist`` for any other.
        name: How it is called: ``trial 48``, or ``reference Net4``.
        search_accuracy: Its score in the search, 0 to 1.
        multiply_adds: Of its network, for one image.
        epochs: Epochs of a training.
    """

    trial: Annotated[int, Field(ge=0)]
    role: Role
    name: Name
    search_accuracy: Share
    multiply_adds: Annotated[int, Field(ge=0)]
    epochs: Annotated[int, Field(ge=1)]


class ConfirmationPlan(Record):
    """The plan of a confirmation, decided once: a resumed one goes on with the same.

    Attributes:
        top: Number of finalists that was asked for.
        seeds: Trainings of a contender at most.
        images: The images that it is measured on.
        contenders: The finalists, the best score of the search first, then the references likewise.
        ended: It is over, because nothing is left to decide or because the study's time was used up.
    """

    top: Annotated[int, Field(ge=1)]
    seeds: Annotated[int, Field(ge=1)]
    images: ImagesIdentity
    contenders: Annotated[list[Contender], Field(min_length=1)]
    ended: bool = False


class ConfirmationRun(Record):
    """One finished training of a contender.

    Attributes:
        trial: The trial that the configuration comes from.
        role: As in `Contender`.
        repeat: Which of the contender's trainings it is, from 1 on.
        seed: Seed of the training: fresh, and the same for this repeat of each contender.
        epochs: Epochs trained.
        seconds: Time spent training.
        accuracy: Share of the confirming images that it classifies right, 0 to 1; None if it failed.
        correct: Which ones those are, see `packed`; empty if it failed.
        images: The images it was measured on, as in the plan.
        failure: Reason for which it could not be trained; None otherwise.
    """

    trial: Annotated[int, Field(ge=0)]
    role: Role
    repeat: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)]
    epochs: Annotated[int, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0.0)]
    accuracy: Share | None
    correct: str
    images: ImagesIdentity
    failure: Name | None = None

    @model_validator(mode="after")
    def _has_answers_or_a_failure(self) -> Self:
        if (self.failure is None) != (self.accuracy is not None):
            raise ValueError("must have either an accuracy or a failure")
        if self.failure is None:
            unpacked(self.correct, self.images.count)
        return self


class Difference(Record):
    """The difference of two contenders' mean accuracy, measured on the same images.

    Attributes:
        to: The trial of the other one.
        name: The name of the other one.
        points: This one's accuracy less the other one's, in percentage points.
        half_width: Half the width of its interval, in percentage points.
        told_apart: The interval does not include 0.
    """

    to: int
    name: Name
    points: float
    half_width: Annotated[float, Field(ge=0.0)]
    told_apart: bool


class Confirmed(Record):
    """A contender with what its trainings say.

    Attributes:
        contender: The contender.
        accuracies: Of its trainings, in the order of their repeats, 0 to 1.
        mean: Their mean, 0 to 1.
        half_width: Half the width of the interval of the mean, 0 to 1: seed and image noise.
        shrinkage: Percentage points by which the mean is lower than the score of the search.
        difference: The difference to the best reference; None for itself, or where there is none.
        tied_with_leader: It has the highest mean, or cannot be told apart from the one that has.
    """

    contender: Contender
    accuracies: list[Share]
    mean: Share
    half_width: Annotated[float, Field(ge=0.0)]
    shrinkage: float
    difference: Difference | None
    tied_with_leader: bool

    @property
    def seeds(self) -> int:
        """Number of its trainings."""
        return len(self.accuracies)


class Confirmation(Record):
    """The conclusion of a confirmation, or what is known so far.

    Attributes:
        ended: It is over.
        images: The images that it is measured on.
        level: Share of confirmations whose intervals of differences all hold, 0 to 1.
        most_seeds: Trainings of a contender at most.
        ranking: The contenders with at least one training, the highest mean first.
        winner: Trial of the winner: the cheapest of those that cannot be told apart from the highest mean
            and are at most half a point below it.
        reference: Trial of the reference of the highest mean; None without one.
        search_best: Trial of the best score of the search.
        verdict: The conclusion in one sentence.
        trainings: Finished trainings.
        epochs: Epochs of these.
        seconds: Time spent on these, summed over the workers.
        failures: Contenders that could not be trained, and why.
    """

    ended: bool
    images: ImagesIdentity
    level: Share
    most_seeds: int
    ranking: list[Confirmed]
    winner: int
    reference: int | None
    search_best: int
    verdict: str
    trainings: int
    epochs: int
    seconds: float
    failures: dict[str, str] = {}

    def of(self, trial: int) -> Confirmed | None:
        """Return what is known of the contender from a trial; None if it has no training."""
        return next((one for one in self.ranking if one.contender.trial == trial), None)


def run_key(trial: int, repeat: int) -> str:
    """Return the user attribute that keeps a training.

    >>> run_key(48, 1)
    'confirmation:48:1'
    """
    return f"{attributes.CONFIRMATION}:{trial}:{repeat}"


def packed(correct: npt.NDArray[np.bool_]) -> str:
    """Return which images were right, (N,), as base64 of their bits, the first image in the highest bit.

    >>> packed(np.array([True, False, True]))
    'oA=='
    """
    return base64.b64encode(np.packbits(correct).tobytes()).decode()


def unpacked(text: str, count: int) -> npt.NDArray[np.bool_]:
    """Return which of `count` images were right, (count,), from what `packed` returned.

    Raises:
        ValueError: The text is none for so many images.
    """
    try:
        bits = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    except binascii.Error as error:
        raise ValueError(f"the answers are no base64: {error}") from error
    if len(bits) != (count + 7) // 8:
        raise ValueError(f"the answers are {8 * len(bits)} bits, but there are {count} images")
    return np.unpackbits(bits, count=count).astype(bool)
