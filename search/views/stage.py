"""The stage that a search is at, and its share done and time left, as every view shows them."""

from dataclasses import dataclass
from typing import Any, Literal

from rich.console import RenderableType
from rich.text import Text

from search.formatting import about_range, duration
from search.views.bars import bar
from search.views.progress import Progress

__all__ = ["Stage", "progress_lines", "progress_to_dict", "stage_of", "times"]


@dataclass(frozen=True)
class Stage:
    """A part of a search.

    Attributes:
        name: Its name.
        done: What of it is done.
        total: Of how many, at most.
        unit: What is counted.
    """

    name: Literal["LR-range test", "search", "confirmation"]
    done: int
    total: int
    unit: Literal["sweeps", "epochs", "trials", "trainings"]

    def bar(self) -> RenderableType:
        """Return a bar of what is done that fills a line."""
        return bar(self.done, self.total, f" {self.unit}")


def stage_of(progress: Progress) -> Stage | None:
    """Return the stage of a search; None before its first."""
    if (confirming := progress.confirming) is not None:
        return Stage("confirmation", confirming.done, confirming.start.most, "trainings")
    if progress.search is not None:
        planned = progress.planned_epochs
        if planned is None:
            return Stage("search", progress.done, progress.total, "trials")
        return Stage("search", min(progress.epochs_done, planned), planned, "epochs")
    if (sweeps := progress.sweeps) is not None:
        return Stage("LR-range test", sweeps.done, sweeps.total, "sweeps")
    return None


def times(progress: Progress) -> str:
    """Return the time that has passed, and the time left where it is known."""
    words = f"{duration(progress.elapsed)} elapsed"
    if (left := progress.time_left) and left[1] > 0.0:
        words += f", {about_range(*left)} left"
    return words


def progress_lines(progress: Progress) -> list[RenderableType]:
    """Return stage and times as lines of a page."""
    stage = stage_of(progress)
    if stage is None:
        return [Text(f"preparing: {times(progress)}")]
    return [Text(f"{stage.name}: {times(progress)}"), stage.bar()]


def progress_to_dict(progress: Progress) -> dict[str, Any]:
    """Return stage and times as plain JSON; what is unknown is None."""
    stage, left = stage_of(progress), progress.time_left
    return {
        "stage": None if stage is None else stage.name,
        "done": None if stage is None else stage.done,
        "total": None if stage is None else stage.total,
        "unit": None if stage is None else stage.unit,
        "seconds": round(progress.elapsed, 1),
        "seconds_left": None if left is None else [round(one, 1) for one in left],
    }
