"""How far can the LR-range test be trusted, and does it pay?

    python -m bench.lr_range score                  what the records say, in seconds
    python -m bench.lr_range calibration            how the suggested rate was chosen, in seconds
    python -m bench.lr_range truth  --data DIR      train every cell at every rate of its grid: hours
    python -m bench.lr_range curves --data DIR      sweep every cell: half an hour
    python -m bench.lr_range worth  --data DIR      the same search in three kinds of range: an hour

What is recorded already is not measured again; give --records a folder of your own to begin anew.
"""

import argparse
from pathlib import Path

from bench.lr_range import curves, truth, worth
from bench.lr_range.calibration import calibration_page
from bench.lr_range.cells import CELLS
from bench.lr_range.score import grids, ours
from bench.lr_range.tables import score_page, worth_page

RECORDS = Path(__file__).parent / "records"
TRUTH_SEEDS = (0, 1)
SLOWER = 3
"""As in `search.lr_range.sweeps`: how much slower a cell is swept again whose loss hardly fell."""


def main() -> None:
    """Read the command line, measure, and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.lr_range",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("score", "calibration", "truth", "curves", "worth"))
    parser.add_argument("--data", help="folder of the images")
    parser.add_argument("--records", type=Path, default=RECORDS, help="folder of the records")
    parser.add_argument("--processes", type=int, default=2, help="at the same time")
    parser.add_argument("--seeds", type=int, default=5, help="searches of each kind, for worth")
    wanted = parser.parse_args()
    if wanted.what not in {"score", "calibration"} and wanted.data is None:
        parser.error("--data is needed to measure.")
    wanted.records.mkdir(parents=True, exist_ok=True)
    files = {name: wanted.records / f"{name}.jsonl" for name in ("truth", "curves", "worth")}
    match wanted.what:
        case "truth":
            everything = [
                (cell, lr, seed) for cell in CELLS for seed in TRUTH_SEEDS for lr in cell.rates
            ]
            truth.measure(wanted.data, everything, files["truth"], wanted.processes)
            # What the test suggests is trained too, not only read off between the rates of the grid.
            swept = curves.read(files["curves"])
            trained = grids(truth.read(files["truth"]))
            # Cells that are not swept yet have none; the command can be given again behind `curves`.
            known = ours([one for one in trained if curves.as_used(swept, one.cell.name)], swept)
            suggested = [
                (one.grid.cell, one.suggested, seed)
                for one in known
                for seed in TRUTH_SEEDS
                if one.suggested is not None
            ]
            truth.measure(wanted.data, suggested, files["truth"], wanted.processes)
        case "curves":
            curves.measure(wanted.data, CELLS, files["curves"], wanted.processes, 1)
            known_curves = curves.read(files["curves"])
            flat = [cell for cell in CELLS if curves.is_flat(known_curves, cell.name)]
            curves.measure(wanted.data, flat, files["curves"], wanted.processes, SLOWER)
        case "worth":
            worth.measure(wanted.data, range(wanted.seeds), files["worth"])
            print(worth_page(worth.read(files["worth"])))
        case "calibration":
            trained = grids(truth.read(files["truth"]))
            print(calibration_page(trained, curves.read(files["curves"])))
        case "score":
            print(score_page(truth.read(files["truth"]), curves.read(files["curves"])))
            print(worth_page(worth.read(files["worth"])))


if __name__ == "__main__":
    main()
