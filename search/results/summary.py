"""The state of a study as one record, and as the JSON document that commands print."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

from search.confirmation.planning import conclusion_of
from search.formatting import points
from search.results.grid import Cell, cells_of, incomparable
from search.results.lr_edge import LrEdge, edge_of
from search.storage.urls import shown_url
from search.study import attributes
from search.study.bounds import Bounds
from search.study.confirmation import Confirmation
from search.study.rows import TrialRow, best_rows, gains
from search.study.settings import Budget, Settings
from search.study.study import SearchStudy

__all__ = ["RecentGain", "State", "Summary", "TrialCounts", "recent_gain", "summarize"]

State = Literal["running", "stopped", "finished"]
HOUR = 3600.0


@dataclass(frozen=True)
class TrialCounts:
    """Numbers of trials.

    Attributes:
        total: The study's budget.
        finished: Trials that will not change any more.
        complete: Of these, trained to the last epoch.
        pruned: Of these, stopped early or diverged.
        failed: Of these, failed.
        running: In training now.
        paused: Interrupted, or waiting at a rung.
    """

    total: int
    finished: int
    complete: int
    pruned: int
    failed: int
    running: int
    paused: int

    @classmethod
    def of(cls, rows: list[TrialRow], total: int, *, running: bool) -> "TrialCounts":
        """Count trials; without a `running` process, unfinished ones are paused."""
        states = [row.state for row in rows]
        unfinished = states.count("running")
        return cls(
            total=total,
            finished=sum(row.finished for row in rows),
            complete=states.count("complete"),
            pruned=states.count("pruned"),
            failed=states.count("failed"),
            running=unfinished if running else 0,
            paused=states.count("paused") + (0 if running else unfinished),
        )


@dataclass(frozen=True)
class RecentGain:
    """Progress in the most recent part of a study.

    Attributes:
        seconds: Length of that part, which ends with the last finished trial.
        gain: Increase of the best validation accuracy in it, 0-1.
    """

    seconds: float
    gain: float


@dataclass(frozen=True)
class Summary:
    """The state of a study.

    Attributes:
        study: Its name.
        settings: What it searches, and on which images.
        budget: What it may cost.
        storage: Where it is kept; passwords are hidden.
        state: Whether a process runs it now, and if not, whether its budget is used up.
        rows: Its trials.
        seconds: Time spent on it, over all sessions.
        sweep_epochs: Cost of the LR-range test, in epochs.
        bounds: Learning-rate ranges; none before they are known.
        exported: File of the best configuration, or None.
        foreign: Numbers of the finished trials that another program has added, which count for nothing.
        confirmation: What trainings on fresh seeds say about the best; None without any.
    """

    study: str
    settings: Settings
    budget: Budget
    storage: str
    state: State
    rows: list[TrialRow]
    seconds: float
    sweep_epochs: float
    bounds: list[Bounds]
    exported: str | None
    foreign: tuple[int, ...] = ()
    confirmation: Confirmation | None = None

    @property
    def trials(self) -> TrialCounts:
        """The numbers of trials."""
        return TrialCounts.of(self.rows, self.budget.trials, running=self.state == "running")

    @property
    def trained_epochs(self) -> int:
        """Epochs of all trials together."""
        return sum(row.epochs for row in self.rows)

    @property
    def full_cost(self) -> int:
        """Epochs if every trial trained to its end; cells of a grid may differ, and count by their mean."""
        space, total = self.settings.space, self.budget.trials
        if self.settings.seeds is None:
            return total * space.epochs
        cells = space.cells()
        return round(total * sum(space.recipe_of(cell).epochs for cell in cells) / len(cells))

    @property
    def best(self) -> TrialRow | None:
        """The complete trial with the highest validation accuracy; None before the first."""
        return next(iter(best_rows(self.rows)), None)

    @property
    def references(self) -> list[TrialRow]:
        """The space's known configurations that are complete, in the order of the trials."""
        return [row for row in self.rows if row.known and row.state == "complete"]

    @property
    def comparisons(self) -> list[str]:
        """The best trial against each other reference, in words."""
        best = self.best
        itself = [f"this is {best.label} itself"] if best is not None and best.known else []
        return itself + [f"{points(gain)} over {name}" for name, gain in gains(self.rows)]

    @property
    def last_hour(self) -> RecentGain | None:
        """Progress in the hour before the last trial ended; None for a younger study."""
        return recent_gain(self.rows)

    @property
    def edge(self) -> LrEdge | None:
        """The end of its range at which the best trial's learning rate lies, or None."""
        return edge_of(self.best, self.bounds)

    @property
    def cells(self) -> list[Cell] | None:
        """The cells of a grid; None where the space is searched."""
        if self.settings.seeds is None:
            return None
        comparable = self.incomparable is None
        return cells_of(self.settings.space, self.rows, comparable=comparable)

    @property
    def incomparable(self) -> str | None:
        """Why a grid's figures must not stand beside the published ones, in a sentence; else None."""
        return incomparable(self.settings)

    def to_dict(self) -> dict[str, Any]:
        """Return the document that ``status --json`` prints."""
        references = [_reference(row) for row in self.references]
        recent, cells = self.last_hour, self.cells
        return {
            "study": self.study,
            "space": self.settings.space.name,
            "scale": self.settings.scale,
            "storage": self.storage,
            "state": self.state,
            "data": self.settings.data.model_dump(mode="json"),
            "trials": asdict(self.trials),
            "foreign": list(self.foreign),
            "epochs": {
                "trained": float(self.trained_epochs),
                "full_cost": float(self.full_cost),
                "lr_range": round(self.sweep_epochs, 2),
            },
            "seconds": self.seconds,
            "last_hour": None if recent is None else {"gain": round(recent.gain, 6)},
            "timeout": self.budget.timeout,
            "baseline": references[0] if references else None,
            "references": references,
            "best": self._best_to_dict(),
            "confirmation": (
                None if self.confirmation is None else self.confirmation.model_dump(mode="json")
            ),
            "lr_bounds": {
                one.optimizer: {
                    "low": one.low,
                    "high": one.high,
                    "suggested": one.suggested,
                    "conclusive": one.conclusive,
                    "how": one.how,
                }
                for one in self.bounds
            },
            "table": None if cells is None else [cell.to_dict() for cell in cells],
            "failures": {str(row.number): row.reason for row in self.rows if row.state == "failed"},
        }

    def _best_to_dict(self) -> dict[str, Any] | None:
        row, edge = self.best, self.edge
        if row is None:
            return None
        return {
            "number": row.number,
            "validation_accuracy": row.validation_accuracy,
            "epoch": row.epochs,
            "seed": row.seed,
            "recipe": row.recipe,
            "exported": self.exported,
            "at_edge": None if edge is None else {"words": edge.words, "option": edge.option},
        }


def summarize(study: SearchStudy, storage_url: str, state: State, exported: str | None) -> Summary:
    """Summarize a study.

    Args:
        study: The study.
        storage_url: Where it is kept.
        state: Whether a process runs it now, and if not, whether its budget is used up.
        exported: File of its best configuration, or None.
    """
    swept = study.note(attributes.LR_CURVES) or {}
    return Summary(
        study=study.name,
        settings=study.settings,
        budget=study.budget,
        storage=shown_url(storage_url),
        state=state,
        rows=study.rows(),
        seconds=study.seconds,
        sweep_epochs=swept.get("epochs", 0.0),
        bounds=study.lr_bounds() or [],
        exported=exported,
        foreign=tuple(study.foreign()),
        confirmation=conclusion_of(study),
    )


def recent_gain(rows: list[TrialRow], seconds: float = HOUR) -> RecentGain | None:
    """Return the progress in the time before the last trial ended; None for a younger study.

    Args:
        rows: The trials.
        seconds: The time to look back.
    """
    ended = [(row.ended, row) for row in rows if row.ended is not None]
    if not ended:
        return None
    since = max(when for when, _ in ended) - timedelta(seconds=seconds)
    before = best_rows([row for when, row in ended if when <= since])
    after = best_rows([row for _, row in ended])
    if not before or not after:
        return None
    gain = (after[0].validation_accuracy or 0.0) - (before[0].validation_accuracy or 0.0)
    return RecentGain(seconds, gain)


def _reference(row: TrialRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "name": row.label,
        "validation_accuracy": row.validation_accuracy,
    }
