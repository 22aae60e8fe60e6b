"""Everything that a report shows, gathered before any of it is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cifar_core.plots.lr_curve import Curve
from search.results.shares import Importance, Unknown
from search.results.summary import Summary
from search.study.confirmation import Confirmation
from search.study.rows import TrialRow, best_rows
from spaces.space import Space

__all__ = ["Diagnosis", "Missing", "ReportRecord", "Versions"]


@dataclass(frozen=True)
class Missing:
    """Something that cannot be shown.

    Attributes:
        reason: Why, as a sentence.
    """

    reason: str


@dataclass(frozen=True)
class Diagnosis:
    """The trained network of one trial on the validation images.

    Attributes:
        trial: The trial.
        origin: The training that the network is from, in words.
        accuracy: Share of images that are classified right, 0-1.
        per_class: The same by class, in the order of the labels; None for a class without images.
        confusion: Images by true class (row) and predicted class (column).
    """

    trial: int
    origin: str
    accuracy: float
    per_class: Mapping[str, float | None]
    confusion: Sequence[Sequence[int]]

    @property
    def classes(self) -> list[str]:
        """Names of the classes."""
        return list(self.per_class)


@dataclass(frozen=True)
class Versions:
    """Versions of an augmentation's training images: a sheet.

    Attributes:
        png: The sheet as a PNG file: a row for each class, first as it is, then augmented.
        classes: Names of the rows.
        columns: Number of images in a row.
        words: The augmentation in words.
        unchanged: No image differs from its original.
    """

    png: bytes
    classes: tuple[str, ...]
    columns: int
    words: str
    unchanged: bool


@dataclass(frozen=True)
class ReportRecord:
    """A study as its report shows it.

    Attributes:
        summary: The study.
        space: Its space in the ranges that were searched.
        importance: What mattered.
        diagnosis: The winner's network on the validation images.
        sheet: What the winner's augmentation does to images.
        lr_curves: Curves of the LR-range test by parameter.
        versions: Versions of the programs that made the study.
        where: Options that name the study's place in commands, as `where_flags` returns them.
        data: Value of ``--data`` that commands need; None for the default.
        made: Time at which the report was made.
    """

    summary: Summary
    space: Space
    importance: Importance | Unknown
    diagnosis: Diagnosis | Missing
    sheet: Versions | Missing
    lr_curves: Mapping[str, Sequence[Curve]]
    versions: Mapping[str, str]
    where: str
    data: str | None
    made: datetime

    @property
    def confirmation(self) -> Confirmation | None:
        """Return the conclusion of the confirmation; None if nothing has been trained anew."""
        return self.summary.confirmation

    @property
    def winner(self) -> TrialRow | None:
        """The trial to use: the confirmed winner, else the best complete one; None before the first."""
        if self.confirmation is not None:
            number = self.confirmation.winner
            return next((row for row in self.rows if row.number == number), None)
        return self.summary.best

    @property
    def rows(self) -> list[TrialRow]:
        """The trials that were started."""
        return [row for row in self.summary.rows if row.state != "waiting"]

    @property
    def finalists(self) -> list[TrialRow]:
        """The trials that are drawn in colour, at most five: those confirmed, else the best."""
        if self.confirmation is None:
            return best_rows(self.rows, 5)
        order = [one.contender.trial for one in self.confirmation.ranking]
        found = [row for row in self.rows if row.number in order]
        return sorted(found, key=lambda row: order.index(row.number))[:5]
