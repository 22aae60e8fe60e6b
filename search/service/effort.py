"""The parts of a search in one unit, so that one part foretells the time of the others."""

from collections.abc import Sequence
from statistics import fmean

from cifar_core.epoch_cost import image_cost
from cifar_core.lr_range import Ramp
from cifar_core.recipe import Recipe
from search.confirmation.elimination import expected_trainings
from search.doctor.speed import Speed
from search.events import Notice, Observer
from search.execution.outlook import planned
from search.lr_range.corners import corners_of
from search.lr_range.sweeps import cost_of_sweep
from search.plan import Plan
from search.study.settings import Budget
from search.study.study import SearchStudy
from spaces.space import Space

__all__ = [
    "after_test_of",
    "effort_after_test",
    "effort_of_test",
    "say_what_the_test_costs",
    "seconds_of_search",
]

Images = tuple[int, int]

OF_SCORING = 1 / 3
"""An image that is scored against one that is trained on: forward alone, not forward and backward."""
SHARE_TO_MENTION = 0.1
TRAINED_BY_OTHERS = 1 / 2
"""Epochs that other policies than freeze-thaw train, against all: half is what halving leaves."""


def effort_of_test(space: Space) -> float:
    """Return the cost of the LR-range test of a space, in million multiply-adds; 0 if it has none."""
    test = space.lr_range
    if test is None:
        return 0.0
    ramp = Ramp(test.low, test.high)
    return test.seeds * sum(cost_of_sweep(one.recipe, ramp) for one in corners_of(space))


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
    work = effort_of_test(plan.space)
    work += effort_after_test(plan.space, plan.budget, images, plan.pruner, "on")
    rates = [one.training * image_cost(one.recipe) for one in speeds]
    return work / max(rates), work / min(rates)


def say_what_the_test_costs(study: SearchStudy, observe: Observer) -> None:
    """Say beforehand what the LR-range test costs, if that is more than a tenth of the whole search."""
    space = study.settings.space
    if study.lr_bounds() is not None or study.settings.lr_bounds != "auto" or not space.measured():
        return
    test = effort_of_test(space)
    share = test / (test + after_test_of(study))
    if share > SHARE_TO_MENTION:
        observe(
            Notice(
                f"The LR-range test is about {100 * share:.0f} % of this search, which is small. Without: "
                "--lr-bounds off, or --lr-bounds LOW:HIGH, with a new --study"
            )
        )
