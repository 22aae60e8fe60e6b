"""A small space, as it stands in a file, for tests to change."""

from typing import Any

from spaces.reading import read_space
from spaces.space import Space

ORIGIN = "my_space.toml"


def plain_space(**changes: Any) -> dict[str, Any]:
    """A valid space that uses every section, with some top-level keys changed; None takes one out."""
    plain: dict[str, Any] = {
        "name": "small",
        "title": "A small space",
        "trials": 6,
        "recipe": {"epochs": 4, "network": {"name": "net", "channels2": 4}},
        "parameters": {
            "optimizer": {"sets": "optimizer.name", "choices": ["sgd", "adam"]},
            "sgd_lr": {
                "sets": "optimizer.lr",
                "when": {"optimizer": ["sgd"]},
                "low": 1e-3,
                "high": 0.1,
                "log": True,
                "measured": True,
            },
            "adam_lr": {
                "sets": "optimizer.lr",
                "when": {"optimizer": ["adam"]},
                "low": 1e-4,
                "high": 1e-2,
                "log": True,
                "measured": True,
            },
            "batch_size": {"sets": "batch_size", "choices": [32, 64]},
            "channels1": {"sets": "network.channels1", "low": 2, "high": 8, "log": True},
            "dropout": {"sets": "network.dropout", "low": 0.0, "high": 0.4},
        },
        "known": [
            {
                "name": "base",
                "values": {
                    "optimizer": "sgd",
                    "sgd_lr": 0.001,
                    "batch_size": 64,
                    "channels1": 6,
                    "dropout": 0.0,
                },
            },
            {
                "name": "best",
                "about": "Found by hand.",
                "values": {
                    "optimizer": "adam",
                    "adam_lr": 0.002,
                    "batch_size": 32,
                    "channels1": 8,
                    "dropout": 0.1,
                },
            },
        ],
        "lr_range": {"base": "best", "corners": [["batch_size"], ["channels1"]], "seeds": 2},
        "quick": {
            "epochs": 2,
            "train_images": 100,
            "trials": 3,
            "ranges": {"channels1": {"high": 4}},
        },
    }
    plain |= changes
    return {key: value for key, value in plain.items() if value is not None}


def one_parameter(**parameter: Any) -> dict[str, Any]:
    """A space with this parameter alone, named `it`."""
    return {"name": "one", "title": "One parameter", "parameters": {"it": parameter}}


def small_space(**changes: Any) -> Space:
    return read_space(plain_space(**changes), ORIGIN)
