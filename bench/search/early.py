"""Does an early score tell how a training ends, and what kind of score tells it best?

    python -m bench.search.early [--records start net speed] [--part all]

For each epoch of the recorded trainings (`bench.search.curves`): the rank correlation of a score after
it with the accuracy at the end, on images that no score was taken on; over all configurations, and over
the better half, which is what a search has to tell apart. Scores are those of the network as it stands and,
where they were recorded, those on fewer images, of averaged weights on the fewer images, and at the end
of a short training whose schedule ends there. Intervals are the middle 95 % of bootstrap samples of the
configurations.
"""

import argparse

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from bench.columns import in_columns
from bench.search.records import Records, read_records
from bench.search.tasks import RECORDED_SETS

__all__ = ["difference", "rank_correlation", "rows_of"]

RESAMPLES = 1_000
SHOWN = (1, 2, 3, 4, 6, 9, 12, 18, 24)
KINDS = {"accuracy": "as it stands", "fewer": "on fewer images", "average": "averaged weights"}

Floats = npt.NDArray[np.float64]


def rank_correlation(early: Floats, late: Floats) -> float:
    """Return Spearman's; 0 where all scores are the same."""
    return float(_correlations(early[None], late[None])[0])


def _correlations(early: Floats, late: Floats) -> Floats:
    """The rank correlation of each row, (R,) of (R, N)."""
    ranks = [rankdata(one, axis=1) for one in (early, late)]
    first, second = (one - one.mean(1, keepdims=True) for one in ranks)
    scale = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    return np.asarray((first * second).sum(1) / np.where(scale > 0, scale, 1.0))


def difference(first: Floats, second: Floats, late: Floats) -> tuple[float, float, float]:
    """Return how much better `second` is correlated with `late` than `first`, with its interval."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(late), size=(RESAMPLES, len(late)))
    gains = _correlations(second[drawn], late[drawn]) - _correlations(first[drawn], late[drawn])
    low, high = np.percentile(gains, [2.5, 97.5])
    own = rank_correlation(second, late) - rank_correlation(first, late)
    return own, float(low), float(high)


def rows_of(records: Records) -> list[list[str]]:
    """Return a row for each epoch and kind of score."""
    late, rows = records.check, []
    half = late >= np.median(late)
    for epoch in [one for one in SHOWN if one <= records.epochs]:
        scores = {
            words: np.array([row[key][epoch - 1] for row in records.rows])
            for key, words in KINDS.items()
            if key in records.rows[0]
        }
        # Averaged weights are scored on the fewer images: like is compared with like.
        base = scores.get("on fewer images", scores["as it stands"])
        for words, early in scores.items():
            rows.append([f"{epoch} of {records.epochs}", words, *_cells(base, early, late, half)])
        short = np.array([epoch == len(row.get("short", ())) for row in records.rows])
        if short.any():
            own, late_own = scores["as it stands"][short], late[short]
            early = np.array([row["short"][-1] for row in records.rows if "short" in row])
            mask = late_own >= np.median(late_own)
            for words, one in ((f"the same {len(own)}", own), ("trained shorter", early)):
                rows.append(
                    [f"{epoch} of {records.epochs}", words, *_cells(own, one, late_own, mask)]
                )
    return rows


def _cells(base: Floats, early: Floats, late: Floats, half: npt.NDArray[np.bool_]) -> list[str]:
    cells = []
    for part in (np.ones_like(half), half):
        cells.append(f"{rank_correlation(early[part], late[part]):.2f}")
        gain = "-"
        if early is not base:
            own, low, high = difference(base[part], early[part], late[part])
            gain = f"{own:+.2f} ({low:+.2f} to {high:+.2f})"
        cells.append(gain)
    return cells


def main() -> None:
    """Read the command line, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.search.early", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--records", nargs="+", choices=RECORDED_SETS, default=list(RECORDED_SETS))
    parser.add_argument("--part", choices=["open", "held out", "all"], default="all")
    wanted = parser.parse_args()
    for name in wanted.records:
        records = read_records(name, wanted.part)
        print(f"\n{name}: {len(records.values)} trainings, {records.about['data']}")
        head = ["epoch", "score", "all", "gain on fewer", "better half", "gain on fewer"]
        print(in_columns(head, rows_of(records)))


if __name__ == "__main__":
    main()
