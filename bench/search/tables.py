"""Tables of compared searches: means with bootstrap intervals, and paired comparisons with one arm."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from bench.columns import in_columns
from bench.search.runs import BUDGETS, LIMIT, NEAR, Run

__all__ = ["interval", "near_table", "paired", "regret_table"]

Floats = npt.NDArray[np.float64]
RESAMPLES = 4_000
NEVER = 2 * LIMIT
"""Whole trainings that a search counts with that never came near."""


def interval(values: Floats, of: Callable[[Floats], Floats]) -> tuple[float, float, float]:
    """Return a statistic of the rows of `values`, and the middle 95 % of it over bootstrap samples of them.

    Args:
        values: (N, ...), a row for each search.
        of: The statistic of (..., N, K) values, over their second axis from the end.
    """
    rng = np.random.default_rng(0)
    drawn = values[rng.integers(len(values), size=(RESAMPLES, len(values)))]
    low, high = np.percentile(of(drawn), [2.5, 97.5])
    return float(of(values[None])[0]), float(low), float(high)


def paired(runs: Iterable[Run], first: str, arm: str, of: Callable[[Run], float]) -> Floats:
    """Return a figure of two arms, (N, 2), for each task and seed that both have."""
    by_arm: dict[str, dict[tuple[str, int], float]] = {first: {}, arm: {}}
    for run in runs:
        if run.arm in by_arm:
            by_arm[run.arm][run.task, run.seed] = of(run)
    both = sorted(by_arm[first].keys() & by_arm[arm].keys())
    return np.array([[by_arm[one][key] for one in (first, arm)] for key in both])


def _difference(pairs: Floats) -> Floats:
    """Mean of the second less the first, of (..., N, 2) pairs."""
    return np.asarray((pairs[..., 1] - pairs[..., 0]).mean(-1))


def _ratio(pairs: Floats) -> Floats:
    """Geometric mean of the second over the first, of (..., N, 2) pairs."""
    return np.asarray(np.exp(np.log(pairs[..., 1] / pairs[..., 0]).mean(-1)))


def _shown(values: tuple[float, float, float], digits: int) -> str:
    middle, low, high = (f"{one:.{digits}f}" for one in values)
    return f"{middle} ({low} to {high})"


def arms_of(runs: Iterable[Run]) -> list[str]:
    """Return the arms, in the order in which they come."""
    return list(dict.fromkeys(run.arm for run in runs))


def regret_table(runs: Sequence[Run], first: str) -> str:
    """Return a table of the mean regret in points, and how much larger it is than that of the first arm.

    Args:
        runs: All searches to be counted together.
        first: The arm that the others are compared with.
    """
    rows = []
    for arm in arms_of(runs):
        cells = [arm]
        for budget, _ in enumerate(BUDGETS):
            for by in ("by_epochs", "by_seconds"):
                pairs = paired(runs, first, arm, lambda run: getattr(run, by)[budget])  # noqa: B023
                cells.append(f"{pairs[:, 1].mean():.1f}")
                if budget and arm != first:
                    cells[-1] += "; " + _shown(interval(pairs, _difference), 1)
        rows.append(cells)
    head = ["policy"]
    for budget in BUDGETS:
        head += [f"{budget} by epochs", f"{budget} by seconds"]
    return in_columns(head, rows)


def near_table(runs: Sequence[Run], first: str) -> str:
    """Return a table of the whole trainings until what is returned is near the best known.

    Args:
        runs: All searches to be counted together.
        first: The arm that the others are compared with.
    """
    rows = []
    for arm in arms_of(runs):
        cells = [arm]
        for index in range(len(NEAR)):
            pairs = paired(runs, first, arm, lambda run: run.near[index] or NEVER)  # noqa: B023
            own = pairs[:, 1]
            cells += [
                f"{np.median(own):.1f}" if np.median(own) < NEVER else "never",
                f"{100 * np.mean(own == NEVER):.0f} %",
                "-" if arm == first else _shown(interval(pairs, _ratio), 1),
            ]
        within = [run.by_epochs[1] <= NEAR[0] for run in runs if run.arm == arm]
        cells.append(f"{100 * np.mean(within):.0f} %")
        cells.append(f"{1e3 * np.mean([run.decision for run in runs if run.arm == arm]):.0f}")
        rows.append(cells)
    head = ["policy"]
    for points in NEAR:
        head += [f"to {points:g}", "never", "times the first's"]
    return in_columns([*head, "within 1 in 10", "ms a decision"], rows)
