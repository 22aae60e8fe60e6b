"""Simulate confirmations: how often intervals hold, what elimination saves, what images are worth.

    python -m bench.confirm [--studies 2000]

Nothing is trained. A study is simulated from the true accuracies of its configurations: whether a training
classifies an image right depends on the configuration, on the luck of the training, on how hard the image
is, on what this configuration makes of it, and on chance. `NOISE` has the sizes of these, as measured on
real trainings. True accuracies come from the recorded trainings of `bench/recorded/start.json`, each of
which was checked on 10,000 images that no score was taken on.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from bench.search.records import read_records
from search.confirmation.conclusion import conclude
from search.confirmation.elimination import needed, runs_of
from search.confirmation.planning import CLOSE
from search.study.confirmation import (
    Confirmation,
    ConfirmationPlan,
    ConfirmationRun,
    Contender,
    ImagesIdentity,
    packed,
)

VALIDATION = 5_000
EPOCHS = 6
"""Of a training at the scale of `make start` without a GPU."""
SEARCHED = 20
"""Configurations of a study that came to their end, and so may be chosen."""
REFERENCES = ("one cycle", "reference Net4")

Answers = npt.NDArray[np.bool_]
Plan = Callable[["Study", int], Confirmation]


@dataclass(frozen=True)
class Noise:
    """The sizes of what a score depends on besides its configuration.

    Attributes:
        seeds: Standard deviation of an accuracy between seeds, on infinitely many images.
        hard: Spread of how hard images are for all, in units of the chance of a single answer.
        own: Spread of what one configuration makes of an image beyond that, likewise.
    """

    seeds: float
    hard: float
    own: float


NOISE = Noise(seeds=0.007, hard=2.75, own=0.4)


class Study:
    """A simulated study: configurations whose truth is known, and as many trainings as anybody asks for.

    Args:
        truths: True accuracy of each configuration, 0 to 1.
        known: Which of them are references.
        noise: The noise.
        scoring: Images that score trials.
        confirming: Images that confirm.
        seed: Of all luck.
    """

    def __init__(
        self,
        truths: Sequence[float],
        known: Sequence[int],
        noise: Noise,
        scoring: int,
        confirming: int,
        seed: int,
    ) -> None:
        self.truths = truths
        self.known = known
        self.confirming = confirming
        self._random = np.random.default_rng(seed)
        spread = np.sqrt(1.0 + noise.hard**2 + noise.own**2)
        middle = ndtri(np.asarray(truths))
        # A shift of the latent quality changes the accuracy by this much.
        slope = np.exp(-0.5 * middle**2) / np.sqrt(2.0 * np.pi) / spread
        self._luck = noise.seeds / slope  # (configurations,)
        self._quality = middle * np.sqrt(spread**2 + self._luck**2)
        self._own = noise.own
        self._hard = noise.hard * self._random.standard_normal(scoring + confirming)
        self._tastes: dict[int, npt.NDArray[np.float64]] = {}
        self._scoring = scoring
        self.scores = [float(self._train(one)[:scoring].mean()) for one in range(len(truths))]

    def answers(self, configuration: int) -> Answers:
        """Train a configuration anew, and return what it makes of the confirming images."""
        return self._train(configuration)[self._scoring :]

    def contenders(self, top: int) -> list[Contender]:
        """Return who is confirmed, as `search.confirmation.planning` chooses."""
        order = sorted(range(len(self.truths)), key=lambda one: -self.scores[one])
        finalists = [one for one in order if one not in self.known][:top]
        known = [one for one in order if one in self.known]
        close = [one for one in known if self.scores[one] >= self.scores[known[0]] - CLOSE]
        roles = [*((one, "finalist") for one in finalists), *((one, "reference") for one in close)]
        return [
            Contender(
                trial=one,
                role=role,  # type: ignore[arg-type]
                name=f"trial {one}",
                search_accuracy=self.scores[one],
                multiply_adds=1_000_000,
                epochs=EPOCHS,
            )
            for one, role in roles
        ]

    def _train(self, configuration: int) -> Answers:
        images = len(self._hard)
        if configuration not in self._tastes:
            self._tastes[configuration] = self._own * self._random.standard_normal(images)
        luck = self._luck[configuration] * self._random.standard_normal()
        right: Answers = (
            self._quality[configuration]
            + luck
            + self._hard
            + self._tastes[configuration]
            + self._random.standard_normal(images)
            > 0.0
        )
        return right


def eliminating(study: Study, top: int, seeds: int) -> Confirmation:
    """Confirm as the service does."""
    images = ImagesIdentity(count=study.confirming, split="simulated", took_no_part=True)
    plan = ConfirmationPlan(
        top=top, seeds=seeds, images=images, contenders=study.contenders(top), ended=True
    )
    return _confirmed(study, plan, lambda runs: needed(plan, runs_of(plan, runs)))


def even(study: Study, top: int, seeds: int) -> Confirmation:
    """Train every contender from as many seeds."""
    images = ImagesIdentity(count=study.confirming, split="simulated", took_no_part=True)
    plan = ConfirmationPlan(
        top=top, seeds=seeds, images=images, contenders=study.contenders(top), ended=True
    )
    every = [(one, repeat) for repeat in range(1, seeds + 1) for one in plan.contenders]
    return _confirmed(study, plan, lambda runs: every[len(runs) :])


def _confirmed(
    study: Study,
    plan: ConfirmationPlan,
    wanted: Callable[[list[ConfirmationRun]], list[tuple[Contender, int]]],
) -> Confirmation:
    runs: list[ConfirmationRun] = []
    while missing := wanted(runs):
        for one, repeat in missing:
            right = study.answers(one.trial)
            runs.append(
                ConfirmationRun(
                    trial=one.trial,
                    role=one.role,
                    repeat=repeat,
                    seed=repeat,
                    epochs=one.epochs,
                    seconds=1.0,
                    accuracy=float(right.mean()),
                    correct=packed(right),
                    images=plan.images,
                )
            )
    found = conclude(plan, runs)
    assert found is not None
    return found


@dataclass
class Coverage:
    """Frequencies with which intervals hold and verdicts are right."""

    studies: int = 0
    together: int = 0
    verdict: int = 0
    of_verdicts: int = 0
    means: int = 0
    of_means: int = 0
    better: int = 0
    wrongly: int = 0

    def add(self, study: Study, found: Confirmation) -> None:
        """Count one study."""
        self.studies += 1
        held = {}
        for one in found.ranking:
            trial = one.contender.trial
            self.of_means += 1
            self.means += abs(one.mean - study.truths[trial]) <= one.half_width
            if (gap := one.difference) is not None:
                true = 100.0 * (study.truths[trial] - study.truths[gap.to])
                held[trial] = abs(gap.points - true) <= gap.half_width
        self.together += all(held.values())
        leader = found.ranking[0]
        if leader.contender.trial in held:
            self.of_verdicts += 1
            self.verdict += held[leader.contender.trial]
            assert leader.difference is not None
            if leader.difference.told_apart:
                self.better += 1
                self.wrongly += (
                    study.truths[leader.contender.trial] <= study.truths[leader.difference.to]
                )


CASES: dict[str, tuple[Sequence[float], Sequence[int], Noise]] = {
    "three as good as the reference": ((0.65,) * 4, (3,), NOISE),
    "two, one and no points better": ((0.67, 0.66, 0.65, 0.65), (3,), NOISE),
    "as good, half the seed noise": ((0.65,) * 4, (3,), Noise(0.0035, NOISE.hard, NOISE.own)),
    "as good, one and a half times": ((0.65,) * 4, (3,), Noise(0.0105, NOISE.hard, NOISE.own)),
}


def print_coverage(studies: int, images: int, seeds: int) -> None:
    """Simulate studies of each kind, and print the shares of intervals that hold."""
    print(
        f"\nCoverage, {studies:,} studies each, {images:,} confirming images, {seeds} seeds at most"
    )
    print("| truth | all differences together | the leader's | means | 'better', and wrongly so |")
    print("|---|---|---|---|---|")
    for name, (truths, known, noise) in CASES.items():
        tally = Coverage()
        for seed in range(studies):
            study = Study(truths, known, noise, VALIDATION - images, images, seed)
            tally.add(study, eliminating(study, 3, seeds))
        verdicts = tally.verdict / max(1, tally.of_verdicts)
        print(
            f"| {name} | {tally.together / studies:.1%} | {verdicts:.1%} "
            f"| {tally.means / tally.of_means:.1%} "
            f"| {tally.better / studies:.1%}, {tally.wrongly / studies:.1%} |"
        )


def recorded_truths() -> tuple[list[float], list[int]]:
    """Return the recorded accuracies on unseen images, and which of them are the references."""
    records = read_records("start")
    known = [index for index, row in enumerate(records.rows) if row["origin"] in REFERENCES]
    return [float(one) for one in records.check], known


def print_spending(studies: int, images: int) -> None:
    """Print the chance to name the best, and the epochs spent, of ways to spend seeds."""
    ways: dict[str, Plan | None] = {
        "the best score of the search": None,
        "even, 1 seed": lambda study, top: even(study, top, 1),
        "even, 2 seeds": lambda study, top: even(study, top, 2),
        "even, 3 seeds": lambda study, top: even(study, top, 3),
        "even, 4 seeds": lambda study, top: even(study, top, 4),
        "elimination, 3 seeds at most": lambda study, top: eliminating(study, top, 3),
        "elimination, 4 seeds at most": lambda study, top: eliminating(study, top, 4),
        "elimination, 6 seeds at most": lambda study, top: eliminating(study, top, 6),
        "elimination, 8 seeds at most": lambda study, top: eliminating(study, top, 8),
    }
    truths, known = recorded_truths()
    print(f"\nSpending, {studies:,} studies, {images:,} confirming images, 3 finalists")
    print(
        "| way | names the best contender | points lost | trainings | epochs | told from reference |"
    )
    print("|---|---|---|---|---|---|")
    for name, way in ways.items():
        best = lost = trainings = apart = 0.0
        for seed in range(studies):
            random = np.random.default_rng([seed, 1])
            others = [one for one in range(len(truths)) if one not in known]
            chosen = [*known, *random.permutation(others)[:SEARCHED].tolist()]
            study = Study(
                [truths[one] for one in chosen],
                list(range(len(known))),
                NOISE,
                VALIDATION - images,
                images,
                seed,
            )
            trials = [one.trial for one in study.contenders(3)]
            if way is None:
                named = max(trials, key=lambda one: study.scores[one])
            else:
                found = way(study, 3)
                named = found.ranking[0].contender.trial
                trainings += found.trainings
                differences = [one.difference for one in found.ranking if one.difference]
                apart += all(one.told_apart for one in differences)
            top = max(study.truths[one] for one in trials)
            best += study.truths[named] == top
            lost += 100.0 * (top - study.truths[named])
        print(
            f"| {name} | {best / studies:.1%} | {lost / studies:.2f} | {trainings / studies:.1f} "
            f"| {EPOCHS * trainings / studies:.0f} | {apart / studies:.0%} |"
        )


def print_shares(studies: int) -> None:
    """Print what each way to share the validation images costs in noise."""
    print(
        f"\nShares of the {VALIDATION:,} validation images, standard deviations in points, "
        f"{studies:,} studies"
    )
    print(
        "| score / confirm | difference of two scores | of two confirmed, 2 seeds | 4 seeds "
        "| names the best of 20 |"
    )
    print("|---|---|---|---|---|")
    truths, _ = recorded_truths()
    for images in (1_500, 2_000, 2_500, 3_000):
        scores: list[float] = []
        gaps: dict[int, list[float]] = {2: [], 4: []}
        best = 0
        for seed in range(studies):
            alike = Study((0.65, 0.65), (1,), NOISE, VALIDATION - images, images, seed)
            scores.append(alike.scores[0] - alike.scores[1])
            one, other = ([alike.answers(side).mean() for _ in range(4)] for side in (0, 1))
            for seeds, found in gaps.items():
                found.append(float(np.mean(one[:seeds]) - np.mean(other[:seeds])))
            random = np.random.default_rng([seed, 1])
            chosen = random.permutation(len(truths))[:SEARCHED].tolist()
            own = [truths[index] for index in chosen]
            study = Study(own, [own.index(min(own))], NOISE, VALIDATION - images, images, seed)
            winner = eliminating(study, 3, 4).ranking[0].contender.trial
            best += own[winner] == max(own)
        print(
            f"| {VALIDATION - images:,} / {images:,} | {100 * np.std(scores):.2f} "
            f"| {100 * np.std(gaps[2]):.2f} | {100 * np.std(gaps[4]):.2f} | {best / studies:.1%} |"
        )


def main() -> None:
    """Read the command line, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--studies", type=int, default=2_000)
    parser.add_argument("--images", type=int, default=2_500)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--only", choices=["coverage", "spending", "shares"])
    wanted = parser.parse_args()
    if wanted.only in {None, "coverage"}:
        print_coverage(wanted.studies, wanted.images, wanted.seeds)
    if wanted.only in {None, "spending"}:
        print_spending(wanted.studies // 8, wanted.images)
    if wanted.only in {None, "shares"}:
        print_shares(wanted.studies // 8)


if __name__ == "__main__":
    main()
