"""The forms in which a configuration and its trained network can be written."""

import json
from collections.abc import Callable
from typing import Any, Literal

import tomli_w
import yaml

__all__ = ["ENDINGS", "FORMATS", "NETWORKS", "TEXTS", "Format"]

Format = Literal["toml", "json", "yaml", "python", "safetensors", "onnx"]

TEXTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "toml": tomli_w.dumps,
    "json": lambda document: json.dumps(document, indent=2) + "\n",
    "yaml": lambda document: yaml.safe_dump(document, sort_keys=False),
}
"""Configuration files, which `cifar-search train` reads."""

NETWORKS: frozenset[Format] = frozenset({"safetensors", "onnx"})
"""Files that hold a trained network; the others have one beside them."""

ENDINGS: dict[Format, str] = {
    "toml": ".toml",
    "json": ".json",
    "yaml": ".yaml",
    "python": ".py",
    "safetensors": ".safetensors",
    "onnx": ".onnx",
}

FORMATS: tuple[Format, ...] = tuple(ENDINGS)
