"""Configuration files: an exported one, or a recipe of the user's own, in TOML, JSON or YAML."""

import json
import tomllib
from pathlib import Path
from typing import Any

import yaml

from cifar_core.recipe import Recipe
from search.errors import UsageError

__all__ = ["read_configuration"]

LARGEST_FILE = 1 << 20


def read_configuration(path: Path) -> Recipe:
    """The recipe of a configuration file; where it has a `recipe` section, that section.

    Raises:
        UsageError: The file is not there, or is not what its name says.
        RecipeError: It holds no valid recipe.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UsageError(f"{path} is no configuration: it is larger than {LARGEST_FILE} bytes.")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no configuration: it is not text in UTF-8.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    values = _parse(text, path)
    section = values.get("recipe", values) if isinstance(values, dict) else values
    return Recipe.read(section, str(path))


def _parse(text: str, path: Path) -> Any:
    try:
        match path.suffix:
            case ".toml":
                return tomllib.loads(text)
            case ".json":
                return json.loads(text)
            case ".yaml" | ".yml":
                return yaml.safe_load(text)
    except (tomllib.TOMLDecodeError, ValueError, yaml.YAMLError, RecursionError) as error:
        cause = (str(error) or "it is nested too deeply").splitlines()[0]
        raise UsageError(f"{path} is not valid {path.suffix[1:].upper()}: {cause}") from error
    raise UsageError(f"{path} must end in .toml, .json or .yaml.")
