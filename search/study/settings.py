"""Settings of a study, which never change, and its budget, which may."""

from re import fullmatch
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from cifar_core.data.dataset import DataName, classes_of, title_of
from cifar_core.records import Record, flatten, no_control
from search.study.choices import (
    DEFAULT_CONFIRM_SEEDS,
    DEFAULT_KEEP,
    MOST_CONFIRM_SEEDS,
    MOST_FINALISTS,
    OptunaPruner,
    Pruner,
    Sampler,
    SearchSampler,
    Switch,
)
from spaces.space import Space

__all__ = [
    "CONFIRM_SHARE",
    "DEFAULT_KEEP",
    "LARGEST_LR",
    "Budget",
    "DataIdentity",
    "LrBoundsWish",
    "OptunaPruner",
    "Pruner",
    "Sampler",
    "SearchSampler",
    "Settings",
    "Switch",
    "differences",
    "given_range",
]

ClassName = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(no_control)]
LrBoundsWish = Annotated[str, Field(pattern=r"^(auto|off|[0-9.eE+-]+:[0-9.eE+-]+)$")]
LARGEST_LR = 1000.0
CONFIRM_SHARE = 0.25
"""Share of a study's time that is kept for its confirmation."""


class DataIdentity(Record):
    """The images on which every figure of a study is measured.

    Attributes:
        name: ``cifar10``, ``cifar100``, ``folder`` for a user's own images, or ``synthetic``.
        official: The files have the official checksums.
        train: Images trained on.
        validation: Images scored on.
        split: Hash over the pixels and labels of all parts.
        confirming: Images that score no trial and confirm the result; 0 where nothing was set aside, as in
            grids and in studies of earlier versions.
        classes: Names of the classes of a user's own images; empty where `name` says them.
    """

    name: DataName
    official: bool
    train: int
    validation: int
    split: Annotated[str, AfterValidator(no_control)]
    confirming: Annotated[int, Field(ge=0)] = 0
    classes: Annotated[list[ClassName], Field(max_length=1_000)] = []

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels."""
        return tuple(self.classes) or classes_of(self.name)

    @property
    def is_cifar10(self) -> bool:
        """Figures that were published for CIFAR-10 may stand beside those that are measured on it."""
        return self.name == "cifar10"

    @property
    def title(self) -> str:
        """The data set in a few words."""
        return title_of(self.name, len(self.class_names), official=self.official)

    def described(self) -> str:
        """Return the images in words, to stand beside a figure."""
        confirming = f" / {self.confirming:,} confirming" if self.confirming else ""
        return (
            f"{self.title}, {self.train:,} training / {self.validation:,} validation{confirming}, "
            f"split {self.split}"
        )


class Settings(Record):
    """The settings that must be the same whenever a study is continued.

    Attributes:
        space: The space as searched: a quick run's is narrowed already.
        scale: ``full``, or ``quick`` for a narrowed space.
        data: The images.
        seed: Random seed of the study.
        seeds: Trainings of each cell of a grid; None where the space is searched.
        sampler: Method by which configurations are chosen; ``model`` if and only if the pruner is
            ``freeze-thaw``.
        pruner: Method by which trials are stopped early.
        lr_bounds: ``auto``, ``off``, or ``LOW:HIGH``.
        known: ``on`` if the space's known configurations are tried first; as in all older studies.
        experience: ``on`` if the policy learns from trials of older studies, noted at the study's start.
        beliefs: ``on`` if the policy looks first where priors and the LR-range test expect the best.
    """

    space: Space
    scale: Literal["full", "quick"]
    data: DataIdentity
    seed: int
    seeds: Annotated[int, Field(ge=1, le=1000)] | None = None
    sampler: Sampler
    pruner: Pruner
    lr_bounds: LrBoundsWish
    known: Switch = "on"
    experience: Switch = "on"
    beliefs: Switch = "on"


class Budget(Record):
    """The cost limits of a study, which may be raised when it is continued.

    Attributes:
        trials: Finished trials.
        timeout: Seconds of running, over all its sessions; None for no limit.
        keep: Number of best trials whose trained networks are kept.
        patience: Trials without a new best after which none is started; None for no such limit.
        confirm: Number of finalists that are confirmed after the search; None for no confirmation, as in
            grids and in studies of earlier versions.
        confirm_seeds: Trainings of each of them at most.
    """

    trials: Annotated[int, Field(ge=1)]
    timeout: Annotated[float, Field(gt=0)] | None = None
    keep: Annotated[int, Field(ge=0)] = DEFAULT_KEEP
    patience: Annotated[int, Field(ge=1)] | None = None
    confirm: Annotated[int, Field(ge=1, le=MOST_FINALISTS)] | None = None
    confirm_seeds: Annotated[int, Field(ge=1, le=MOST_CONFIRM_SEEDS)] = DEFAULT_CONFIRM_SEEDS

    @property
    def search_timeout(self) -> float | None:
        """Seconds after which no trial is trained any more: the rest is for the confirmation."""
        if self.timeout is None or self.confirm is None:
            return self.timeout
        return self.timeout * (1.0 - CONFIRM_SHARE)


def given_range(wish: str) -> tuple[float, float] | None:
    """Return the ends of a ``LOW:HIGH``; None for ``auto`` and ``off``.

    Raises:
        ValueError: The text is none of the three.
    """
    if wish in {"auto", "off"}:
        return None
    ends = wish.split(":") if fullmatch(r"[0-9.eE+-]+:[0-9.eE+-]+", wish) else []
    low, high = (float(end) for end in ends)
    if not 0.0 < low < high <= LARGEST_LR:
        raise ValueError(f"not 0 < {low:g} < {high:g} <= {LARGEST_LR:g}")
    return low, high


def differences(stored: Record, wanted: Record) -> list[str]:
    """Return the differences between two records of a kind, a line each."""
    old, new = (flatten(one.model_dump(mode="json")) for one in (stored, wanted))
    return [
        f"{key}: the study has {old.get(key)!r}, this command asks for {new.get(key)!r}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
