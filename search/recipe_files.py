"""Configuration files: an exported one, or a recipe of the user's own, in TOML, JSON or YAML."""

import json
from pathlib import Path
from typing import Any

import yaml

from cifar_core.recipe import Recipe
from cifar_core.text_files import parse_toml, read_text
from search.errors import UsageError

__all__ = ["ENDINGS", "read_configuration"]

YAML = (".yaml", ".yml")
ENDINGS = (".toml", ".json", *YAML)
TEXT = "tag:yaml.org,2002:str"
LARGEST_YAML = 1 << 16  # bytes; PyYAML needs a second for some tens of thousands


def read_configuration(path: Path) -> Recipe:
    """The recipe of a configuration file; where it has a `recipe` section, that section.

    Raises:
        UsageError: The file is not there, or is not what its name says.
        RecipeError: It holds no valid recipe.
    """
    try:
        text = read_text(path, LARGEST_YAML) if path.suffix in YAML else read_text(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"{path} is no configuration: {error}.") from error
    values = _parse(text, path)
    section = values.get("recipe", values) if isinstance(values, dict) else values
    return Recipe.read(section, str(path))


def _parse(text: str, path: Path) -> Any:
    if path.suffix not in ENDINGS:
        raise UsageError(f"{path} must end in one of {', '.join(ENDINGS)}.")
    kind = path.suffix[1:].upper()
    try:
        match path.suffix:
            case ".toml":
                return parse_toml(text)
            case ".json":
                return json.loads(text, object_pairs_hook=_without_twins)
            case _:
                return _parse_yaml(text)
    except RecursionError as error:
        raise UsageError(f"{path} is not valid {kind}: it is nested too deeply.") from error
    except ValueError as error:
        raise UsageError(f"{path} is not valid {kind}: {error}.") from error


def _parse_yaml(text: str) -> Any:
    """The values of a YAML text without aliases, by which a small text can stand for a huge one.

    Raises:
        ValueError: It is not YAML, or not YAML's safe part; the text says where.
    """
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ValueError("aliases are not allowed")
        return yaml.load(text, _Loader)  # noqa: S506 - it is PyYAML's safe one, and stricter
    except yaml.MarkedYAMLError as error:
        line = f" (at line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise ValueError(f"{error.problem or error.context}{line}") from error
    except (yaml.YAMLError, LookupError, AttributeError, TypeError) as error:
        # PyYAML lets what its converters of tagged values raise through.
        raise ValueError(" ".join(str(error).split())[:200] or type(error).__name__) from error


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which takes the last of two equal keys without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A dictionary whose keys all stand there once."""
        _without_twins([(key.value, None) for key, _ in node.value if key.tag == TEXT])
        return super().construct_mapping(node, deep)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a dictionary. TOML refuses a key that stands there twice; here JSON and YAML do.

    Raises:
        ValueError: One does.
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r:.60} stands there twice")
        found[key] = value
    return found
