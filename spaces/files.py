"""Space files: those that come with the project, by name, and a user's own, by path."""

from importlib import resources
from pathlib import Path

from cifar_core.text_files import parse_toml, read_text
from spaces.errors import SpaceError
from spaces.reading import of_their_fields, read_space
from spaces.space import Space

__all__ = ["load_space", "shipped_names", "template"]


def shipped_names() -> list[str]:
    """The names of the spaces that come with the project."""
    files = resources.files("spaces.shipped").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def template() -> str:
    """A commented space file to begin with."""
    return resources.files("spaces").joinpath("template.toml").read_text(encoding="utf-8")


def load_space(name: str | Space) -> Space:
    """Read a space by its name, or from a TOML file.

    Args:
        name: The name of a shipped space; anything with a slash or ending in ``.toml`` is a path. A space
            is returned as it is.

    Raises:
        SpaceError: There is no such space or file, or it is not valid.
    """
    if isinstance(name, Space):
        return name
    if "/" in name or name.endswith(".toml"):
        return _parse(_read(name), name)
    if name not in shipped_names():
        raise SpaceError(
            f"There is no space named {name!r}. The spaces are: {', '.join(shipped_names())}. "
            "A file of your own is given by its path, such as ./my_space.toml."
        )
    text = resources.files("spaces.shipped").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return _parse(text, f"{name}.toml")


def _read(name: str) -> str:
    try:
        path = Path(name).expanduser()
    except RuntimeError as error:
        raise SpaceError(f"{name} begins with the home folder of an unknown user.") from error
    try:
        return read_text(path)
    except FileNotFoundError as error:
        raise SpaceError(f"There is no space file {path}.") from error
    except OSError as error:
        raise SpaceError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise SpaceError(f"{path} is not a space file: {error}.") from error


def _parse(text: str, origin: str) -> Space:
    try:
        space = read_space(parse_toml(text), origin)
    except ValueError as error:
        raise SpaceError(f"{origin} is not valid TOML: {error}.") from error
    except RecursionError as error:
        raise SpaceError(f"{origin} is not a valid space: it is nested too deeply.") from error
    return of_their_fields(space, space.parameters)
