"""What a study has come to, as one JSON document and in words."""

from typing import Any, Literal

from search import attributes
from search.bounds import Bounds
from search.edges import Edge, edge_of
from search.enough import gained_lately
from search.rows import Row, best_rows, gains
from search.storage import shown_url
from search.study import SearchStudy
from search.table import cells_of, plain
from search.wording import points

__all__ = ["State", "compared", "summarize"]

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
    bounds = [Bounds(**one) for one in study.note(attributes.LR_BOUNDS) or []]
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


def compared(rows: list[Row]) -> list[str]:
    """The best complete trial against the known configurations of the same study, in words."""
    best = next(iter(best_rows(rows)), None)
    itself = [f"this is {best.label} itself"] if best is not None and best.known else []
    return itself + [f"{points(gain)} over {name}" for name, gain in gains(rows)]


def _known(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.known and row.state == "complete"]


def _reference(row: Row) -> dict[str, Any]:
    return {
        "number": row.number,
        "name": row.label,
        "validation_accuracy": row.validation_accuracy,
    }


def _best(row: Row, exported: str | None, edge: Edge | None) -> dict[str, Any]:
    return {
        "number": row.number,
        "validation_accuracy": row.validation_accuracy,
        "epoch": row.epochs,
        "seed": row.seed,
        "recipe": row.recipe,
        "exported": exported,
        "at_edge": None if edge is None else {"words": edge.words, "option": edge.option},
    }
