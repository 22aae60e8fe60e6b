"""The tables in which Optuna keeps a trial, and the rows that its parts make there."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy import Table

__all__ = [
    "KEYS",
    "PARAMS",
    "PARTS",
    "TRIALS",
    "attribute_row",
    "parts_of",
    "score_row",
    "value_rows",
]

TRIALS: Table = models.TrialModel.__table__
PARAMS: Table = models.TrialParamModel.__table__
PARTS: Mapping[str, Table] = {
    "values": models.TrialValueModel.__table__,
    "params": PARAMS,
    "user_attributes": models.TrialUserAttributeModel.__table__,
    "system_attributes": models.TrialSystemAttributeModel.__table__,
    "intermediate_values": models.TrialIntermediateValueModel.__table__,
}
"""The tables of a trial's parts, by their names in Optuna's model of a trial."""
KEYS = {
    "values": "objective",
    "user_attributes": "key",
    "system_attributes": "key",
    "intermediate_values": "step",
}
"""The column that tells the rows of a trial's part from each other."""


def parts_of(trial: FrozenTrial) -> Mapping[str, list[dict[str, Any]]]:
    """Return the rows of a trial's parts, without the id of the trial."""
    return {
        "values": value_rows(trial.values),
        "params": [
            {
                "param_name": name,
                "param_value": trial.distributions[name].to_internal_repr(value),
                "distribution_json": distribution_to_json(trial.distributions[name]),
            }
            for name, value in trial.params.items()
        ],
        "user_attributes": _attribute_rows(trial.user_attrs),
        "system_attributes": _attribute_rows(trial.system_attrs),
        "intermediate_values": [
            score_row(step, score) for step, score in trial.intermediate_values.items()
        ],
    }


def value_rows(values: Sequence[float] | None) -> list[dict[str, Any]]:
    """Return the rows of the values that a finished trial has come to."""
    stored = map(models.TrialValueModel.value_to_stored_repr, values or ())
    return [
        {"objective": objective, "value": value, "value_type": kind}
        for objective, (value, kind) in enumerate(stored)
    ]


def score_row(step: int, score: float) -> dict[str, Any]:
    """Return the row of the value of a step."""
    stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(score)
    return {"step": step, "intermediate_value": stored, "intermediate_value_type": kind}


def _attribute_rows(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [attribute_row(key, value) for key, value in attributes.items()]


def attribute_row(key: str, value: Any) -> dict[str, Any]:
    """Return the row of an attribute, whose value is plain JSON."""
    return {"key": key, "value_json": json.dumps(value)}
