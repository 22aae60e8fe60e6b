"""The knowledge before the first trial: beliefs of the space, and trials of older studies."""

import math
from collections import Counter

from search.execution.experience import noted_experience
from search.policy.knowledge import Belief, Knowledge
from search.study.study import SearchStudy
from spaces.parameter import Parameter
from spaces.space import Space

__all__ = ["beliefs_of", "described", "knowledge_of"]


def knowledge_of(study: SearchStudy, space: Space) -> Knowledge:
    """Return all that a study's policy may know from the start; the same whenever the study is resumed.

    Args:
        study: The study, with its experience noted.
        space: Its space, with the learning-rate bounds it is searched in and what they suggest.
    """
    beliefs = beliefs_of(space) if study.settings.beliefs == "on" else {}
    return Knowledge(beliefs, noted_experience(study))


def beliefs_of(space: Space) -> dict[str, Belief]:
    """Return the priors of a space as a policy has them: spreads are shares of the searched range."""
    found = {name: _belief(parameter) for name, parameter in space.parameters.items()}
    return {name: belief for name, belief in found.items() if belief is not None}


def described(knowledge: Knowledge) -> str | None:
    """Return in a sentence what a search begins with; None if it is nothing."""
    parts = []
    if knowledge.beliefs:
        parts.append(
            f"likely values of {', '.join(knowledge.beliefs)} "
            "(a study started with --beliefs off has none)"
        )
    if knowledge.experience:
        counts = Counter(record.task for record in knowledge.experience)
        studies = ", ".join(f"{count} of study {name}" for name, count in counts.items())
        parts.append(
            f"trials of older studies ({studies}; a study started with --experience off has none)"
        )
    return f"The search begins with {' and '.join(parts)}." if parts else None


def _belief(parameter: Parameter) -> Belief | None:
    """The belief about one parameter; None where there is none, or nothing to choose."""
    prior = parameter.prior
    if prior is None:
        return None
    if parameter.options is not None:
        named = zip(parameter.options, parameter.choice_names, strict=True)
        weights = prior.weights or {}
        return Belief(weights={choice: weights.get(name, 1.0) for choice, name in named})
    if prior.value is None or prior.spread is None or parameter.span == 0.0:
        return None
    spread = math.log(prior.spread) if parameter.log else prior.spread
    return Belief(prior.value, spread / parameter.span)
