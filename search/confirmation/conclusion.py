"""The conclusion of a confirmation: a pure function of its plan and its finished trainings."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from search.confirmation.elimination import Runs, answers_of, runs_of, tied
from search.confirmation.statistics import LEVEL, Estimate, Noise
from search.study.confirmation import (
    Confirmation,
    ConfirmationPlan,
    ConfirmationRun,
    Confirmed,
    Contender,
    Difference,
)

__all__ = ["conclude"]

WORTH = 0.005
"""Accuracy that is not given up for fewer multiply-adds."""
LEVEL_SHOWN = f"{100 * LEVEL:.0f} %"


def conclude(plan: ConfirmationPlan, runs: Sequence[ConfirmationRun]) -> Confirmation | None:
    """Return what the finished trainings say; None before the first that counts.

    Args:
        plan: The plan.
        runs: All finished trainings of the study; those that belong to another plan do not count.
    """
    found = runs_of(plan, runs)
    failures = {
        one.name: run.failure
        for one in plan.contenders
        for (trial, _), run in sorted(found.items())
        if trial == one.trial and run.failure is not None
    }
    answers = {one.trial: answers_of(found, one, plan.seeds) for one in plan.contenders}
    trained = [
        one for one in plan.contenders if len(answers[one.trial]) and one.name not in failures
    ]
    if not trained:
        return None
    noise = Noise([answers[one.trial] for one in trained], len(plan.contenders) - 1)
    field = _Field(plan, trained, noise)
    return Confirmation(
        ended=plan.ended,
        images=plan.images,
        level=LEVEL,
        most_seeds=plan.seeds,
        ranking=[field.confirmed(place, found) for place in field.places],
        winner=trained[field.winner].trial,
        reference=None if field.reference is None else trained[field.reference].trial,
        search_best=max(plan.contenders, key=lambda one: (one.search_accuracy, -one.trial)).trial,
        verdict=field.verdict(),
        trainings=len(found),
        epochs=sum(run.epochs for run in found.values()),
        seconds=round(sum(run.seconds for run in found.values()), 1),
        failures=failures,
    )


@dataclass(frozen=True)
class _Field:
    """The trained contenders side by side; each is known by its place among them."""

    plan: ConfirmationPlan
    trained: Sequence[Contender]
    noise: Noise

    @cached_property
    def places(self) -> list[int]:
        """The places, the highest mean first; of equal ones the cheaper."""
        return sorted(range(len(self.trained)), key=lambda one: (-self._mean(one), self._cost(one)))

    @cached_property
    def leader(self) -> int:
        return self.places[0]

    @cached_property
    def tied(self) -> list[int]:
        return tied(self.noise, self.places)

    @cached_property
    def reference(self) -> int | None:
        """The reference of the highest mean."""
        return next((one for one in self.places if self.trained[one].role == "reference"), None)

    @cached_property
    def winner(self) -> int:
        """The cheapest of those that are as good as the leader, in every way that can be told.

        Few trainings tell little apart, so a mean that is much lower is no match even where it might be.
        """
        least = self._mean(self.leader) - WORTH
        alike = [one for one in self.tied if self._mean(one) >= least]
        reference = self.reference
        if reference is not None and reference not in self.tied:
            # What cannot be told apart from the leader may be no better than the reference either.
            alike = [one for one in alike if self._beats(one, reference)]
        return min(alike, key=lambda one: (self._cost(one), -self._mean(one)))

    def confirmed(self, place: int, runs: Runs) -> Confirmed:
        contender, mean = self.trained[place], self.noise.mean(place)
        accuracies = [
            run.accuracy
            for (trial, _), run in sorted(runs.items())
            if trial == contender.trial and run.accuracy is not None
        ]
        reference = self.reference
        return Confirmed(
            contender=contender,
            accuracies=accuracies,
            mean=mean.value,
            half_width=mean.half_width,
            shrinkage=100.0 * (contender.search_accuracy - mean.value),
            difference=None if reference in {None, place} else self._against(place, reference),
            tied_with_leader=place in self.tied,
        )

    def verdict(self) -> str:
        """Return the conclusion in one sentence."""
        if len(self.trained) == 1:
            return self._alone(self.trained[0])
        reference, leader = self.reference, self.leader
        if reference is None:
            return self._without_reference()
        finalists = [one for one in self.places if self.trained[one].role == "finalist"]
        if not finalists:
            return self._without_reference()
        if leader == reference:
            second = finalists[0]
            gap = self.noise.difference(reference, second)
            if gap.told_apart:
                name = self.trained[reference].name
                return f"No trial is better than {name}; {self._worse(second, reference, gap)}."
            return self._no_better(second, reference)
        winner = self.winner
        if self._beats(leader, reference):
            gap = self.noise.difference(winner, reference)
            return (
                f"{_capital(self.trained[winner].name)} is better than {self.trained[reference].name} "
                f"by {_points(gap)}."
            )
        return self._no_better(leader, reference)

    def _alone(self, contender: Contender) -> str:
        mean = self.noise.mean(0)
        share, half = 100.0 * mean.value, 100.0 * mean.half_width
        return (
            f"{_capital(contender.name)} reaches {share:.1f} +- {half:.1f} % ({LEVEL_SHOWN}); there is "
            "nothing to compare it with."
        )

    def _without_reference(self) -> str:
        first, second = self.places[0], self.places[1]
        gap = self.noise.difference(first, second)
        names = self.trained[first].name, self.trained[second].name
        if gap.told_apart:
            return f"{_capital(names[0])} is better than {names[1]} by {_points(gap)}."
        return f"{_capital(names[0])} is no better than {names[1]} within noise: {_signed(gap)}."

    def _no_better(self, finalist: int, reference: int) -> str:
        gap = self.noise.difference(finalist, reference)
        return (
            f"{_capital(self.trained[finalist].name)} is no better than {self.trained[reference].name} "
            f"within noise: {_signed(gap)}."
        )

    def _worse(self, finalist: int, reference: int, gap: Estimate) -> str:
        return f"{self.trained[finalist].name} is worse by {_points(gap)}"

    def _against(self, place: int, other: int | None) -> Difference:
        assert other is not None  # noqa: S101 - for mypy; the caller looked
        gap = self.noise.difference(place, other)
        return Difference(
            to=self.trained[other].trial,
            name=self.trained[other].name,
            points=100.0 * gap.value,
            half_width=100.0 * gap.half_width,
            told_apart=gap.told_apart,
        )

    def _beats(self, one: int, other: int) -> bool:
        gap = self.noise.difference(one, other)
        return gap.told_apart and gap.value > 0.0

    def _mean(self, place: int) -> float:
        return self.noise.value(place)

    def _cost(self, place: int) -> int:
        return self.trained[place].multiply_adds


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _points(gap: Estimate) -> str:
    return f"{100 * abs(gap.value):.1f} +- {100 * gap.half_width:.1f} points ({LEVEL_SHOWN})"


def _signed(gap: Estimate) -> str:
    return f"{100 * gap.value:+z.1f} +- {100 * gap.half_width:.1f} points ({LEVEL_SHOWN})"
