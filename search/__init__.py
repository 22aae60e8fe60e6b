"""The service: studies, the coordinator, its workers, the command line, and functions for Python programs.

The names of `search.api` are those of this package, too. They are imported when they are used, so that
``import search``, ``--help`` and shell completion are instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search.api import (
        CifarSearchError,
        Recipe,
        Search,
        Space,
        load_export,
        load_recipe,
        load_space,
        measure_lr_range,
        open_search,
        run_search,
        train,
    )

__all__ = [
    "CifarSearchError",
    "Recipe",
    "Search",
    "Space",
    "__version__",
    "load_export",
    "load_recipe",
    "load_space",
    "measure_lr_range",
    "open_search",
    "run_search",
    "train",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("search.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
