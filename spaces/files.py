"""Space files: those that come with the project, by name, and a user's own, by path."""

import tomllib
from importlib import resources
from pathlib import Path

from spaces.errors import SpaceError
from spaces.space import Space

__all__ = ["load_space", "shipped_names"]

LARGEST_FILE = 1 << 20


def shipped_names() -> list[str]:
    """The names of the spaces that come with the project."""
    files = resources.files("spaces.shipped").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_space(name: str) -> Space:
    """Read a space by its name, or from a TOML file.

    Args:
        name: The name of a shipped space; anything with a slash or ending in ``.toml`` is a path.

    Raises:
        SpaceError: There is no such space or file, or it is not valid.
    """
    if "/" in name or name.endswith(".toml"):
        return _parse(_read(Path(name).expanduser()), name)
    if name not in shipped_names():
        raise SpaceError(
            f"There is no space named {name!r}. The spaces are: {', '.join(shipped_names())}. "
            "A file of your own is given by its path, such as ./my_space.toml."
        )
    text = resources.files("spaces.shipped").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return _parse(text, f"{name}.toml")


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise SpaceError(f"{path} is no space file: it is larger than {LARGEST_FILE} bytes.")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SpaceError(f"There is no space file {path}.") from error
    except UnicodeDecodeError as error:
        raise SpaceError(f"{path} is no space file: it is not text in UTF-8.") from error
    except OSError as error:
        raise SpaceError(f"{path} cannot be read: {error.strerror or error}.") from error


def _parse(text: str, origin: str) -> Space:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpaceError(f"{origin} is not valid TOML: {error}.") from error
    except RecursionError as error:
        raise SpaceError(f"{origin} is not a valid space: it is nested too deeply.") from error
    return Space.read(values, origin)
