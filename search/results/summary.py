"""What a study has come to, as one JSON document and in words."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from search.formatting import points
from search.results.grid import cells_of, plain
from search.results.lr_edge import Edge, edge_of
from search.storage.urls import shown_url
from search.study import attributes
from search.study.rows import TrialRow, best_rows, gains
from search.study.study import SearchStudy

__all__ = ["Lately", "State", "compared", "gained_lately", "summarize"]

State = Literal["running", "stopped", "finished"]


def summarize(
    study: SearchStudy, storage_url: str, state: State, exported: str | None
) -> dict[str, Any]:
    """The study as plain JSON.

    Args:
        study: The study.
        storage_url: Where it is kept; a password in it is not shown.
        state: Whether a process runs it now, and if not, whether its budget is used up.
        exported: The file of its best configuration, if there is one.
    """
    rows = study.rows()
    finished = [row for row in rows if row.finished]
    unfinished = [row for row in rows if row.state == "running"]
    paused = [row for row in rows if row.state == "paused"]
    counts = {
        name: sum(row.state == name for row in rows) for name in ("complete", "pruned", "failed")
    }
    settings = study.settings
    best = next(iter(best_rows(rows)), None)
    lately = gained_lately(rows)
    swept = study.note(attributes.LR_CURVES)
    bounds = study.lr_bounds() or []
    return {
        "study": study.name,
        "space": settings.space.name,
        "scale": settings.scale,
        "storage": shown_url(storage_url),
        "state": state,
        "data": settings.data.model_dump(mode="json"),
        "trials": {
            "total": study.budget.trials,
            "finished": len(finished),
            **counts,
            "running": len(unfinished) if state == "running" else 0,
            "paused": len(paused) + (0 if state == "running" else len(unfinished)),
        },
        "epochs": {
            "trained": float(sum(row.epochs for row in rows)),
            "full_cost": float(_full_cost(study)),
            "lr_range": round((swept or {}).get("epochs", 0.0), 2),
        },
        "seconds": study.seconds,
        "last_hour": None if lately is None else {"gain": round(lately.gain, 6)},
        "timeout": study.budget.timeout,
        "baseline": _reference(_known(rows)[0]) if _known(rows) else None,
        "references": [_reference(row) for row in _known(rows)],
        "best": None if best is None else _best(best, exported, edge_of(best, bounds)),
        "lr_bounds": {
            one.optimizer: {
                "low": one.low,
                "high": one.high,
                "suggested": one.suggested,
                "conclusive": one.conclusive,
                "how": one.how,
            }
            for one in bounds
        },
        "table": None if settings.seeds is None else plain(cells_of(settings.space, rows)),
        "failures": {str(row.number): row.reason for row in rows if row.state == "failed"},
    }


def _full_cost(study: SearchStudy) -> int:
    """Epochs if every trial is trained to its end; a grid's cells may differ, and count by their mean."""
    space = study.settings.space
    if study.settings.seeds is None:
        return study.budget.trials * space.epochs
    cells = space.cells()
    return round(
        study.budget.trials * sum(space.recipe_of(cell).epochs for cell in cells) / len(cells)
    )


def compared(rows: list[TrialRow]) -> list[str]:
    """The best complete trial against the known configurations of the same study, in words."""
    best = next(iter(best_rows(rows)), None)
    itself = [f"this is {best.label} itself"] if best is not None and best.known else []
    return itself + [f"{points(gain)} over {name}" for name, gain in gains(rows)]


def _known(rows: list[TrialRow]) -> list[TrialRow]:
    return [row for row in rows if row.known and row.state == "complete"]


def _reference(row: TrialRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "name": row.label,
        "validation_accuracy": row.validation_accuracy,
    }


def _best(row: TrialRow, exported: str | None, edge: Edge | None) -> dict[str, Any]:
    return {
        "number": row.number,
        "validation_accuracy": row.validation_accuracy,
        "epoch": row.epochs,
        "seed": row.seed,
        "recipe": row.recipe,
        "exported": exported,
        "at_edge": None if edge is None else {"words": edge.words, "option": edge.option},
    }


HOUR = 3600.0


@dataclass(frozen=True)
class Lately:
    """What the last stretch of a study brought.

    Attributes:
        seconds: How long it was: up to the last trial that ended.
        gain: By how much the best validation accuracy rose in it, 0-1.
    """

    seconds: float
    gain: float


def gained_lately(rows: list[TrialRow], seconds: float = HOUR) -> Lately | None:
    """What the last hour before the last trial ended brought; None for a study that is not older.

    Args:
        rows: The trials.
        seconds: The stretch that is looked at.
    """
    ended = [row for row in rows if row.ended is not None]
    last = max((row.ended for row in ended if row.ended), default=None)
    if last is None:
        return None
    since = last - timedelta(seconds=seconds)
    before = best_rows([row for row in ended if row.ended and row.ended <= since])
    after = best_rows(ended)
    if not before or not after:
        return None
    gain = (after[0].validation_accuracy or 0.0) - (before[0].validation_accuracy or 0.0)
    return Lately(seconds, gain)
