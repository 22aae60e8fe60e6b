"""Where should trials wait, and how many go on? Recorded trainings in random order, without a sampler.

    python -m bench.rungs [--records net speed] [--orders 300] [--json FILE]

The recorded configurations (`bench.curves`) arrive in a random order, again and again in another, and wait
at the rungs of a ladder, until one that is among the best twentieth of them at the end is complete, and
among the best fiftieth. No surrogate and no sampler are in between, so many ladders can be compared.
Given are medians in whole trainings, over the orders; beside ours the ratio of the medians, with the
2.5th and 97.5th percentiles of that ratio over bootstrap samples of the orders.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bench.columns import in_columns
from bench.curves import space_of
from bench.search import HERE, SPACES, Floats, ratio
from bench.surrogate import read_records
from search.policy import RungSystem, rungs_of
from search.policy.factory import ladder_of

PERCENTILES = (95, 98)
LADDERS: Mapping[str, tuple[int, int, int, int | None]] = {
    # The first rung's share of the epochs, how far rungs are apart, of how many one goes on, and at first.
    "1/12, 3, a third": (12, 3, 3, None),
    "1/12, 3, a third, first of 5": (12, 3, 3, 5),
    "1/12, 3, a third, first of 8": (12, 3, 3, 8),
    "1/12, 3, half, first of 5": (12, 3, 2, 5),
    "1/12, 3, half, first of 8": (12, 3, 2, 8),
    "1/12, 2, half, first of 8": (12, 2, 2, 8),
    "1/18, 3, a third": (18, 3, 3, None),
    "1/18, 3, half, first of 12": (18, 3, 2, 12),
    "1/27, 3, half, first of 8": (27, 3, 2, 8),
    "1/6, 3, half, first of 8": (6, 3, 2, 8),
}


def ladder(parts: tuple[int, int, int, int | None], epochs: int) -> RungSystem:
    """One of `LADDERS`."""
    share, apart, factor, screen = parts
    return RungSystem(rungs_of(epochs, max(1, round(epochs / share)), apart), factor, screen=screen)


def replay(
    own: RungSystem, curves: Floats, order: Sequence[int], marks: Sequence[float]
) -> list[int]:
    """Epochs until a complete configuration reaches each mark.

    Args:
        own: The ladder, with nobody on it.
        curves: (N, epochs) recorded accuracies.
        order: The numbers of the configurations as they arrive; whoever waits at their end may go on.
        marks: Accuracies at the end of training, ascending.
    """
    epochs, steps = curves.shape[1], (*own.rungs, curves.shape[1])
    paused: dict[int, int] = {}
    reached: list[int] = []
    spent, arrived = 0, 0
    while len(reached) < len(marks):
        last = arrived == len(order)
        number = own.promotable(paused, last=last)
        if number is None and last:
            break
        if number is None:
            number, begun = order[arrived], 0
            arrived += 1
        else:
            begun = paused.pop(number)
            own.go_on(number, begun)
        end = next(step for step in steps if step > begun)
        spent += end - begun
        score = float(curves[number, end - 1])
        own.reach(number, {end: score})
        if end < epochs:
            paused[number] = end
        while end == epochs and len(reached) < len(marks) and score >= marks[len(reached)]:
            reached.append(spent)
    return reached + [2 * len(order) * epochs] * (len(marks) - len(reached))


def costs(name: str, orders: int) -> dict[str, Floats]:
    """For each ladder (orders, marks) whole trainings."""
    path = HERE / f"{name}.json"
    about = json.loads(path.read_text(encoding="utf-8"))["about"]
    curves = read_records(path, space_of(SPACES[name], about["epochs"])).curves
    epochs = curves.shape[1]
    marks = [float(one) for one in np.percentile(curves[:, -1], PERCENTILES)]
    makes = {"ours": partial(ladder_of, epochs), "no rungs": partial(RungSystem, [], 2)}
    makes |= {label: partial(ladder, parts, epochs) for label, parts in LADDERS.items()}
    found: dict[str, Floats] = {}
    for label, make in makes.items():
        rows = []
        for seed in range(orders):
            order = [int(one) for one in np.random.default_rng(seed).permutation(len(curves))]
            rows.append(replay(make(), curves, order, marks))
        found[label] = np.array(rows, dtype=np.float64) / epochs
    return found


def main() -> None:
    """Read the command line, replay, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.rungs", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--records", nargs="+", choices=SPACES, default=list(SPACES))
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--json", type=Path, help="file to write every cost to")
    wanted = parser.parse_args()
    written = {}
    for name in wanted.records:
        found = costs(name, wanted.orders)
        written[name] = {label: one.tolist() for label, one in found.items()}
        rows = []
        for label, own in found.items():
            cells = [label]
            for index in range(len(PERCENTILES)):
                times, low, high = ratio(own[:, index], found["ours"][:, index])
                cells += [f"{np.median(own[:, index]):.1f}", f"{times:.2f} ({low:.2f}-{high:.2f})"]
            rows.append(cells)
        head = ["ladder"]
        for percentile in PERCENTILES:
            head += [f"p{percentile}: trainings", "times ours"]
        print(f"\n{name}: {wanted.orders} random orders")
        print(in_columns(head, rows), flush=True)
    if wanted.json is not None:
        wanted.json.write_text(json.dumps(written) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
