"""The importance of each parameter: its share of the variance of the predicted final accuracy.

The prediction is that of the search's own model of training curves, fitted to this study's trials alone.
It uses every trial with a score, so those that were stopped early count too, where they were stopped.
Functions are drawn from the model; for each, the variance over the whole space is divided among the
parameters (Sobol' 1993; Saltelli et al. 2008, "Global Sensitivity Analysis"). The spread of the shares over
the functions is what the model does not know.

A parameter that applies only beside certain choices, such as one optimizer's learning rate, has the
variance that it causes where it applies, times the share of the space in which it applies. With this
weight, the shares of all parameters alone add up to at most 1.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cifar_core.seeds import derive
from search.lr_range.bounds import with_bounds
from search.policy.model.curve_model import Curve, CurveModel
from search.policy.model.encoding import Encoding
from search.policy.model.gaussian_process import FitError
from search.policy.model.warping import normal_scores
from search.results.decomposition import Decomposition
from search.results.shares import Importance, ParameterImportance, Unknown
from search.results.summary import Summary
from search.study.rows import TrialRow
from spaces.space import Space

__all__ = ["importance_of", "what_mattered"]

LEAST_TRIALS = 10
"""Trials with a score without which nothing is said."""


def importance_of(space: Space, rows: Sequence[TrialRow], seed: int = 0) -> Importance | Unknown:
    """Return what mattered, or why that cannot be said.

    The same trials give the same figures.

    Args:
        space: The space in the ranges that it was searched in.
        rows: The trials.
        seed: Random seed.
    """
    scored = [row for row in sorted(rows, key=lambda row: row.number) if row.scores and row.values]
    if len(scored) < LEAST_TRIALS:
        trials = "trial has" if len(scored) == 1 else "trials have"
        return Unknown(
            f"{len(scored) or 'no'} {trials} a score; at least {LEAST_TRIALS} are needed to tell "
            "parameters apart."
        )
    encoding = Encoding(space.suggest, space.zero_below)
    if len(encoding) < 2:
        return Unknown("the space has fewer than two parameters, so there is nothing to compare.")
    # What matters is asked of the whole space, not of its best part alone.
    model = CurveModel(encoding, space.epochs, warp=normal_scores)
    try:
        forecasts, known = model.observe(
            [Curve(encoding.unit(row.values), row.scores) for row in scored], None
        )
        if forecasts is None or known is None:
            return Unknown("all trials have the same score, so there is nothing to explain.")
        rng = np.random.default_rng(derive(seed, "importance"))
        found = Decomposition(encoding, model, forecasts, space.epochs, rng)
        return Importance(
            tuple(_in_words_of(space, one) for one in found.parameters(np.array(known.logs))),
            len(scored),
            sum(row.state != "complete" for row in scored),
            found.ends(scored),
        )
    except FitError as error:
        return Unknown(f"the model cannot be fitted ({error}).")


def _in_words_of(space: Space, found: ParameterImportance) -> ParameterImportance:
    """Return the importance of a parameter with the values that its values in Optuna stand for."""
    parameter = space.parameters[found.name]
    levels = (replace(one, value=parameter.value_of(one.value)) for one in found.levels)
    return replace(found, levels=tuple(levels))


def what_mattered(summary: Summary) -> Importance | Unknown:
    """Return what mattered in a study, in the ranges that it searches."""
    settings = summary.settings
    return importance_of(with_bounds(settings.space, summary.bounds), summary.rows, settings.seed)
