"""Configuration files in TOML, JSON or YAML: exported ones, and recipes written by hand."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cifar_core.recipe import Recipe
from cifar_core.text_files import parse_toml, read_text
from search.command_lines import command_line
from search.errors import UsageError
from spaces.files import shipped_names

__all__ = ["ENDINGS", "ConfigurationFile", "read_configuration", "read_configuration_file"]

YAML = (".yaml", ".yml")
ENDINGS = (".toml", ".json", *YAML)
TEXT = "tag:yaml.org,2002:str"
LARGEST_YAML = 1 << 16  # bytes; PyYAML needs a second for some tens of thousands


@dataclass(frozen=True)
class ConfigurationFile:
    """The content of a configuration file.

    Attributes:
        recipe: The recipe.
        provenance: Section `provenance` of an exported file, as it stands there; None without one.
        preprocessing: Section `preprocessing` of an exported file, as it stands there; None without one.
    """

    recipe: Recipe
    provenance: Mapping[str, Any] | None = None
    preprocessing: Mapping[str, Any] | None = None


def read_configuration(path: Path, command: str = "start") -> Recipe:
    """Read the recipe of a configuration file, from its `recipe` section if it has one.

    Args:
        path: The file.
        command: The command that takes a space instead, for the error about a space.

    Raises:
        UsageError: The file is missing, is not of the format that its name says, or is a space.
        RecipeError: It has no valid recipe.
    """
    return read_configuration_file(path, command).recipe


def read_configuration_file(path: Path, command: str = "start") -> ConfigurationFile:
    """Read a configuration file: its recipe, and what it says of its origin.

    Args:
        path: The file.
        command: The command that takes a space instead, for the error about a space.

    Raises:
        UsageError: The file is missing, is not of the format that its name says, or is a space.
        RecipeError: It has no valid recipe.
    """
    if not path.exists() and str(path) in shipped_names():
        raise _is_a_space(path, command)
    try:
        text = read_text(path, LARGEST_YAML) if path.suffix in YAML else read_text(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"{path} is not a configuration: {error}.") from error
    values = _parse(text, path)
    if not isinstance(values, dict):
        return ConfigurationFile(Recipe.read(values, str(path)))
    if "parameters" in values:
        raise _is_a_space(path, command)
    if "recipe" not in values:
        return ConfigurationFile(Recipe.read(values, str(path)))
    recipe = Recipe.read(values["recipe"], str(path))
    sections = (values.get(name) for name in ("provenance", "preprocessing"))
    return ConfigurationFile(recipe, *(one if isinstance(one, dict) else None for one in sections))


def _is_a_space(path: Path, command: str) -> UsageError:
    instead = command_line(command, space=path)
    return UsageError(f"{path} is a space, and not a configuration. To use it: {instead}")


def _parse(text: str, path: Path) -> Any:
    if path.suffix not in ENDINGS:
        raise UsageError(f"{path} must end in one of {', '.join(ENDINGS)}.")
    kind = path.suffix[1:].upper()
    try:
        match path.suffix:
            case ".toml":
                return parse_toml(text)
            case ".json":
                return json.loads(text, object_pairs_hook=_without_duplicates)
            case _:
                return _parse_yaml(text)
    except RecursionError as error:
        raise UsageError(f"{path} is not valid {kind}: it is nested too deeply.") from error
    except ValueError as error:
        raise UsageError(f"{path} is not valid {kind}: {error}.") from error


def _parse_yaml(text: str) -> Any:
    """The values of a YAML text without aliases, with which a small text can expand to a huge one.

    Raises:
        ValueError: It is not YAML, or not in its safe subset; the text says where.
    """
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ValueError("aliases are not allowed")
        return yaml.load(text, _Loader)  # noqa: S506 - a stricter version of the safe loader
    except yaml.MarkedYAMLError as error:
        line = f" (at line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise ValueError(f"{error.problem or error.context}{line}") from error
    except (yaml.YAMLError, LookupError, AttributeError, TypeError) as error:
        # PyYAML does not wrap the errors of its converters of tagged values.
        raise ValueError(" ".join(str(error).split())[:200] or type(error).__name__) from error


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which by itself silently takes the last of two equal keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a dictionary, after a check that no key is repeated."""
        _without_duplicates([(key.value, None) for key, _ in node.value if key.tag == TEXT])
        return super().construct_mapping(node, deep)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a dictionary. TOML refuses duplicate keys; here JSON and YAML do too.

    Raises:
        ValueError: A key is repeated.
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r:.60} is repeated")
        found[key] = value
    return found
