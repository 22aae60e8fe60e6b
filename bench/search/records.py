"""Recorded learning curves, as `bench.search.curves` writes them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from spaces.files import load_space
from spaces.reading import with_ranges
from spaces.space import Space

__all__ = ["RECORDED", "Part", "Records", "is_held_out", "read_records"]

RECORDED = Path(__file__).parents[1] / "recorded"
Part = Literal["open", "held out", "all"]
"""The part of the records to work with while something is developed, the part kept for the last look, or
both."""
HELD_OUT = 3
"""One record of so many is held out."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Records:
    """Recorded trainings of one space.

    Attributes:
        about: How they were made.
        space: The space, with the ranges of the recordings.
        values: The configurations.
        curves: (N, epochs) validation accuracy after each epoch.
        seconds: (N,) mean seconds of an epoch.
        check: (N,) accuracy at the end on images that no score was taken on.
        rows: (N,) each record as it was written.
    """

    about: Mapping[str, Any]
    space: Space
    values: Sequence[Mapping[str, Any]]
    curves: Floats
    seconds: Floats
    check: Floats
    rows: Sequence[Mapping[str, Any]]

    @property
    def epochs(self) -> int:
        """Epochs of a training."""
        return int(self.curves.shape[1])


def is_held_out(values: Mapping[str, Any]) -> bool:
    """Return whether a configuration is one of the third kept for the last look: a hash of it says so."""
    text = json.dumps({key: values[key] for key in sorted(values)})
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") % HELD_OUT == 0


def read_records(name: str, part: Part = "all") -> Records:
    """Read a recorded set.

    Args:
        name: Name of a file of `RECORDED`, without its suffix.
        part: The part to return.
    """
    found = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    rows = [
        row
        for row in found["curves"]
        if part == "all" or is_held_out(row["values"]) == (part == "held out")
    ]
    return Records(
        found["about"],
        _space_of(found["about"], found["curves"]),
        [row["values"] for row in rows],
        np.array([row["accuracy"] for row in rows]),
        np.array([np.mean(row["seconds"]) for row in rows]),
        np.array([row["check"] for row in rows]),
        rows,
    )


def _space_of(about: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Space:
    """The space that was recorded: a parameter that came later is not in it."""
    space = load_space(about["space"])
    recorded = {name for row in rows for name in row["values"]}
    known = [
        one.model_copy(update={"values": {k: v for k, v in one.values.items() if k in recorded}})
        for one in space.known
    ]
    parameters = {name: one for name, one in space.parameters.items() if name in recorded}
    old = space.model_copy(update={"parameters": parameters, "known": known, "quick": None})
    return with_ranges(old, about["ranges"]).with_epochs(about["epochs"])
