"""Our policy with knowledge before its first trial: known recipes, beliefs, and trainings of another scale.

A task that was made up has no known recipe, and nothing else is known of it: there these policies are the
one that knows nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna

from bench.search.nearby import uniform
from bench.search.records import read_records
from bench.search.tasks import Task
from search.policy import Belief, ExperienceRecord, Knowledge, Policy
from search.policy.factory import default_policy
from search.study import attributes
from spaces.space import Space

__all__ = ["informed"]

SPREAD, WEIGHT = 0.15, 4.0
"""How strong beliefs are: the spread as a share of a range, and the weight of a choice."""
EXPERIENCE = "net"
"""The recorded set that stands for an older study: narrower networks, fewer images, more epochs."""
MOST_RECORDS = 100
WORST_OF = 1_000
"""A recipe that is wrongly believed in is the worst of so many random ones."""


def informed(
    *, recipes: bool = False, experience: bool = False, beliefs: str = ""
) -> Callable[[optuna.Study, int, Task], Policy]:
    """Return the maker of our policy with knowledge.

    Args:
        recipes: Begin with the known recipes of the space.
        experience: Learn from the trainings of `EXPERIENCE`.
        beliefs: ``good`` believes in the first known recipe, ``wrong`` in one of the worst there are.
    """

    def make(study: optuna.Study, seed: int, task: Task) -> Policy:
        known = [dict(one.values) for one in task.space.known]
        if recipes:
            for one in known:
                study.enqueue_trial(one, user_attrs={attributes.KNOWN: "known"})
        believed: Mapping[str, Any] = {}
        if known and beliefs:
            believed = known[0] if beliefs == "good" else worst(task)
        return default_policy(
            study,
            choose=task.space.suggest,
            epochs=task.epochs,
            seed=seed,
            knowledge=Knowledge(
                {name: belief(task.space, name, value) for name, value in believed.items()},
                older_trainings() if experience and known else (),
            ),
            exempt=lambda trial: attributes.KNOWN in trial.user_attrs,
        )

    return make


def belief(space: Space, name: str, value: Any) -> Belief:
    """Return the belief that the best value of a parameter is near this one."""
    if space.parameters[name].options is not None:
        return Belief(weights={value: WEIGHT})
    return Belief(float(value), SPREAD)


def worst(task: Task) -> Mapping[str, Any]:
    """Return the worst of many random configurations that learn at all."""
    rng = np.random.default_rng(1)
    drawn = [uniform(task.space, rng) for _ in range(WORST_OF)]
    return min((one for one in drawn if task.truth(one) > 0.15), key=task.truth)


def older_trainings() -> tuple[ExperienceRecord, ...]:
    """Return the open records of another scale as a study would have noted them."""
    records = read_records(EXPERIENCE, "open")
    return tuple(
        ExperienceRecord(
            EXPERIENCE,
            values,
            {epoch: float(curve[epoch - 1]) for epoch in (1, 3, 6, records.epochs)},
            records.epochs,
        )
        for values, curve in zip(records.values, records.curves, strict=True)
    )[:MOST_RECORDS]
