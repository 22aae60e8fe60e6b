"""Coverage of the intervals of `search.results.importance`, on made-up functions of known shares.

    python -m bench.importance --studies 20

Each study has 30 random trials over six parameters, 60 % of them stopped after a third of their epochs. A
trial rises to the value of a random function, a sum of lines and V shapes of random weights, with a little
noise. The true share of a parameter is that of the function's normal scores over the whole space.
"""

import argparse
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import optuna
from scipy.special import ndtri

from search.results.importance import importance_of
from search.results.shares import Importance
from search.study.rows import TrialRow
from spaces.reading import read_space
from spaces.space import Space

Floats = npt.NDArray[np.float64]

HIGHS = {
    "network.dropout": 0.5,
    "label_smoothing": 0.4,
    "augmentation.flip": 1.0,
    "optimizer.weight_decay": 0.01,
    "augmentation.strength": 1.0,
    "augmentation.probability": 1.0,
}
"""The parameters, by the field that they set, and the upper end of their ranges; the lower one is 0."""
EPOCHS, STOPPED, TRIALS = 6, 2, 30
NOISE = 0.004
LEVELS = 100
"""Levels of a parameter by which its true share is computed; the ends of the scores need many."""


@dataclass(frozen=True)
class MadeUp:
    """A sum of lines and V shapes over the unit cube.

    Attributes:
        weights: (p,) of the terms.
        bends: (p,) where the V shapes have their lowest point; NaN for lines.
    """

    weights: Floats
    bends: Floats

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "MadeUp":
        """Draw one; few of its terms are large."""
        shares = rng.gamma(0.6, size=len(HIGHS))
        bends = np.where(rng.random(len(HIGHS)) < 0.5, np.nan, rng.random(len(HIGHS)))
        return cls(np.sqrt(shares / shares.sum()), bends)

    def __call__(self, units: Floats) -> Floats:
        """(n,) values at (n, p) points."""
        shaped = np.where(np.isnan(self.bends), units, 2.0 * np.abs(units - self.bends))
        return np.asarray((shaped * self.weights).sum(axis=1))

    def shares(self, rng: np.random.Generator) -> Floats:
        """(p,) true shares of the variance of the normal scores."""
        units = rng.random((20_000, len(HIGHS)))
        ordered = np.sort(self(units))

        def scores(points: Floats) -> Floats:
            place = (np.searchsorted(ordered, self(points)) + 0.5) / len(ordered)
            return np.asarray(ndtri(np.clip(place, 1e-4, 1.0 - 1e-4)))

        whole = scores(units).var()
        found = []
        for index in range(len(HIGHS)):
            means = []
            for level in (np.arange(LEVELS) + 0.5) / LEVELS:
                moved = units[:400].copy()
                moved[:, index] = level
                means.append(scores(moved).mean())
            found.append(np.var(means) / whole)
        return np.array(found)


def space() -> Space:
    """Return the space of the six parameters."""
    parameters = {
        field.replace(".", "_"): {"sets": field, "low": 0.0, "high": high}
        for field, high in HIGHS.items()
    }
    recipe = {"epochs": EPOCHS, "network": {"name": "net"}, "optimizer": {"name": "sgd"}}
    plain = {"name": "made_up", "title": "Made up", "recipe": recipe, "parameters": parameters}
    return read_space(plain, "made_up")


def trials(function: MadeUp, names: list[str], rng: np.random.Generator) -> list[TrialRow]:
    """Return random trials, most of them stopped early."""
    found = []
    units = rng.random((TRIALS, len(HIGHS)))
    for number, (unit, end) in enumerate(zip(units, function(units), strict=True)):
        last = STOPPED if rng.random() < 0.6 else EPOCHS
        noise = NOISE * rng.normal(size=last)
        scores = {
            e: float(0.15 + 0.3 * end * (1 - 0.5 / e) + noise[e - 1]) for e in range(1, last + 1)
        }
        found.append(
            TrialRow(
                number=number,
                state="complete" if last == EPOCHS else "pruned",
                validation_accuracy=scores[last],
                epochs=last,
                values={
                    name: float(part * high)
                    for name, part, high in zip(names, unit, HIGHS.values(), strict=True)
                },
                recipe=None,
                seed=number,
                label=None,
                known=False,
                reason=None,
                seconds=1.0,
                scores=scores,
            )
        )
    return found


def main() -> None:
    """Print how many intervals have the true share, and how many verdicts are right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=20)
    studies = parser.parse_args().studies
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    searched, inside, errors = space(), 0, list[float]()
    verdicts = {"yes": [0, 0], "no": [0, 0], "unclear": [0, 0]}
    for seed in range(studies):
        rng = np.random.default_rng(seed)
        function = MadeUp.drawn(rng)
        truths = function.shares(rng)
        found = importance_of(searched, trials(function, list(searched.parameters), rng), seed)
        if not isinstance(found, Importance):
            raise SystemExit(found.reason)
        known = {one.name: one for one in found.parameters}
        for name, truth in zip(searched.parameters, truths, strict=True):
            one = known[name]
            # Shares are shown in whole percents.
            inside += one.share.low - 0.005 <= truth <= one.share.high + 0.005
            errors.append(abs(one.share.middle - truth))
            verdicts[one.verdict][int(truth >= 0.05)] += 1
    print(f"{inside} of {len(errors)} intervals of 90 % have the true share")
    print(f"mean error of a share: {100 * np.mean(errors):.1f} points")
    for verdict, (below, above) in verdicts.items():
        print(f"{verdict}: {above} of {above + below} have a true share of 5 % or more")


if __name__ == "__main__":
    main()
