"""The trials of a study as a list: sorted, cut, and as CSV and JSON."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from math import inf, isfinite
from typing import Any

from search.errors import UsageError
from search.formatting import how_it_ended
from search.study.rows import TrialRow

__all__ = ["listed", "row_to_dict", "rows_to_csv", "trial_of"]

KEYS: dict[str, Callable[[TrialRow], Any]] = {
    "number": lambda row: row.number,
    # An accuracy after fewer epochs is another thing, so complete trials come first.
    "accuracy": lambda row: (row.state != "complete", -row.score),
    "epochs": lambda row: -row.epochs,
    "seconds": lambda row: -row.seconds,
    "state": how_it_ended,
}
"""Keys that trials are sorted by, the default first."""
OWN = ("number", "state", "name", "validation_accuracy", "epochs", "seconds", "seed", "reason")
"""Columns of the CSV file before those of the parameters."""


def listed(
    rows: Iterable[TrialRow],
    parameters: Iterable[str],
    sort: str | None = None,
    top: int | None = None,
) -> list[TrialRow]:
    """Return the trials that were started, sorted and cut.

    Args:
        rows: The trials.
        parameters: Names of the study's parameters, by which trials can be sorted too.
        sort: Key or parameter to sort by; by default the number, or the accuracy if `top` is given.
        top: Most trials; None for all.

    Raises:
        UsageError: Trials cannot be sorted by `sort`.
    """
    key = sort or ("number" if top is None else "accuracy")
    names = list(parameters)
    if key not in KEYS and key not in names:
        known = ", ".join([*KEYS, *names])
        raise UsageError(f"--sort takes one of {known}; but got {key!r}.")
    by = KEYS.get(key) or (lambda row: _value_key(row, key))
    started = [row for row in rows if row.state != "waiting"]
    return sorted(started, key=lambda row: (by(row), row.number))[:top]


def trial_of(rows: Sequence[TrialRow], number: int, study: str) -> TrialRow:
    """Return one trial.

    Raises:
        UsageError: The study has no such trial.
    """
    found = next((row for row in rows if row.number == number), None)
    if found is None:
        there = (
            f"its trials are 0 to {max(row.number for row in rows)}" if rows else "it has none yet"
        )
        raise UsageError(f"Study {study} has no trial {number}; {there}.")
    return found


def row_to_dict(row: TrialRow) -> dict[str, Any]:
    """Return a trial as plain JSON; figures that are no numbers are None."""
    return {
        "number": row.number,
        "state": row.state,
        "name": row.label,
        "validation_accuracy": _number(row.validation_accuracy),
        "epochs": row.epochs,
        "seconds": row.seconds,
        "seed": row.seed,
        "ending": row.ending,
        "reason": row.reason,
        "values": row.values,
        "scores": {str(epoch): _number(score) for epoch, score in sorted(row.scores.items())},
    }


def rows_to_csv(rows: Iterable[TrialRow], parameters: Iterable[str]) -> str:
    """Return trials as a CSV file with a column for each parameter."""
    names = list(parameters)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*OWN, *names])
    for row in rows:
        plain = row_to_dict(row)
        writer.writerow([plain[one] for one in OWN] + [row.values.get(name) for name in names])
    return file.getvalue()


def _value_key(row: TrialRow, name: str) -> tuple[int, float, str]:
    """Numbers by size, then words, then trials that have no such value."""
    value = row.values.get(name)
    if value is None:
        return 2, inf, ""
    return (1, inf, value) if isinstance(value, str) else (0, float(value), "")


def _number(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
