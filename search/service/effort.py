"""The parts of a search in one unit, so that one part foretells the time of the others."""

from collections.abc import Sequence
from statistics import fmean

from cifar_core.epoch_cost import image_cost
from cifar_core.recipe import Recipe
from search.confirmation.elimination import expected_trainings
from search.doctor.speed import Speed
from search.events import Notice, Observer
from search.execution.outlook import planned
from search.formatting import counted
from search.lr_range.sweep_plan import SweepPlan, sweeps_for
from search.plan import Plan
from search.study.settings import Budget
from search.study.study import SearchStudy
from spaces.space import Space

__all__ = [
    "after_test_of",
    "effort_after_test",
    "say_what_the_test_costs",
    "seconds_of_search",
]

Images = tuple[int, int]

OF_SCORING = 1 / 3
"""An image that is scored against one that is trained on: forward alone, not forward and backward."""
TRAINED_BY_OTHERS = 1 / 2
"""Epochs that other policies than freeze-thaw train, against all: half is what halving leaves."""


def effort_after_test(
    space: Space, budget: Budget, images: Images, pruner: str, known: str
) -> float:
    """Return the expected cost of trials and confirmation, in million multiply-adds.

    Args:
        space: The space as it is searched.
        budget: Its number of trials, and who is confirmed.
        images: Images to train on, and to score on after each epoch.
        pruner: Method by which trials are stopped early.
        known: ``on`` if the known configurations are tried.
    """
    recipes = [space.recipe_of(space.fit(one.values)) for one in space.known] or [Recipe()]
    epoch = (images[0] + OF_SCORING * images[1]) * fmean(image_cost(one) for one in recipes)
    exempt = len(space.known) if known == "on" else 0
    if pruner == "freeze-thaw":
        epochs: float = planned(budget.trials, space.epochs, min(exempt, budget.trials))
    else:
        share = 1.0 if pruner == "none" else TRAINED_BY_OTHERS
        epochs = share * budget.trials * space.epochs
    trainings = fmean(expected_trainings(budget, has_known=exempt > 0))
    return epoch * (epochs + trainings * space.epochs)


def after_test_of(study: SearchStudy) -> float:
    """Return the same of a study."""
    settings, data = study.settings, study.settings.data
    images = data.train, data.validation
    return effort_after_test(settings.space, study.budget, images, settings.pruner, settings.known)


def seconds_of_search(plan: Plan, images: Images, speeds: Sequence[Speed]) -> tuple[float, float]:
    """Return the expected time of a whole search, its LR-range test and its confirmation included.

    Args:
        plan: The search.
        images: Images to train on, and to score on after each epoch.
        speeds: Measured speeds of recipes.

    Returns:
        The time by the recipe that is computed fastest, and by the one that is computed slowest.
    """
    work = effort_after_test(plan.space, plan.budget, images, plan.pruner, "on")
    test = sweeps_for(plan.space, work)
    work += test.cost if test else 0.0
    rates = [one.training * image_cost(one.recipe) for one in speeds]
    return work / max(rates), work / min(rates)


def say_what_the_test_costs(study: SearchStudy, observe: Observer) -> None:
    """Say before an LR-range test what it costs, and how it was shortened."""
    settings = study.settings
    work_after = after_test_of(study)
    whole, plan = sweeps_for(settings.space), sweeps_for(settings.space, work_after)
    if study.lr_bounds() is not None or settings.lr_bounds != "auto" or not whole or not plan:
        return
    epochs = plan.images / settings.data.train
    share = plan.cost / (plan.cost + work_after)
    words = (
        f"The LR-range test comes first: {counted(plan.sweeps, 'sweep')}, as many images as "
        f"{epochs:.1f} epochs, about {100 * share:.0f} % of this search"
    )
    if plan != whole:
        uncut = whole.cost / (whole.cost + work_after)
        words += (
            f". It was shortened from {100 * uncut:.0f} %, as this search is small: "
            f"{_difference(plan, whole)}. Without: --lr-bounds off, or --lr-bounds LOW:HIGH, with a "
            "new --study"
        )
    observe(Notice(words))


def _difference(plan: SweepPlan, whole: SweepPlan) -> str:
    changes = []
    if plan.seeds < whole.seeds:
        changes.append(f"{counted(plan.seeds, 'seed')} instead of {whole.seeds}")
    if plan.ramp != whole.ramp:
        share = plan.images * whole.seeds / (plan.seeds * whole.images)
        changes.append(f"{100 * share:.0f} % of the steps")
    return " and ".join(changes)
