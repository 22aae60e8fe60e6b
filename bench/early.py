"""Does an early score tell how a training ends? Rank correlations over recorded trainings.

    python -m bench.early [--records net speed]

For each epoch of the recorded curves (`bench.curves`): how the scores after it are correlated, by rank,
with those after the last one, over all configurations and over the better half; the same with averaged
weights; and what share of the best tenth at the end is not among the best third after that epoch, which is
who a rung there would lose.
"""

import argparse

import numpy as np
import numpy.typing as npt
import optuna
from scipy.stats import spearmanr

from bench.columns import in_columns
from bench.search import HERE, SPACES, stage
from bench.surrogate import Records

KEPT, TOP = 3, 10

Floats = npt.NDArray[np.float64]


def rank_correlation(early: Floats, late: Floats) -> float:
    """Spearman's."""
    return float(spearmanr(early, late).statistic)


def lost(early: Floats, late: Floats) -> float:
    """Share of the best tenth at the end that is not among the best third early."""
    best = set(np.argsort(-late)[: len(late) // TOP])
    kept = set(np.argsort(-early)[: len(early) // KEPT])
    return len(best - kept) / len(best)


def rows_of(records: Records) -> list[list[str]]:
    """A row for each epoch that tells something."""
    end = records.curves[:, -1]
    half = end >= np.median(end)
    epochs = records.curves.shape[1]
    shown = [epoch for epoch in (1, 2, 3, 4, 6, 9, 12, 18, 24) if epoch < epochs]
    rows = []
    for epoch in shown:
        raw, average = records.curves[:, epoch - 1], records.average[:, epoch - 1]
        rows.append(
            [
                f"{epoch} of {epochs}",
                f"{rank_correlation(raw, end):.2f}",
                f"{rank_correlation(raw[half], end[half]):.2f}",
                f"{100 * lost(raw, end):.0f} %",
                f"{rank_correlation(average, end):.2f}",
                f"{rank_correlation(average[half], end[half]):.2f}",
                f"{100 * lost(average, end):.0f} %",
            ]
        )
    return rows


def main() -> None:
    """Read the command line, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.early", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--records", nargs="+", choices=SPACES, default=list(SPACES))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name in parser.parse_args().records:
        surrogate, _ = stage(name)
        head = ["epoch", "all", "better half", "lost", "averaged: all", "better half", "lost"]
        print(f"\n{HERE.name}/{name}.json: {surrogate.described()}")
        print(in_columns(head, rows_of(surrogate.records)))


if __name__ == "__main__":
    main()
