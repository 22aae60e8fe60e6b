"""Programs that were written for a recipe, as modules that tests can look into."""

import sys
from functools import cache
from types import ModuleType

from cifar_core.recipe import Recipe
from cifar_core.standalone.program import standalone_program
from cifar_core.standalone.training import Facts

FACTS = Facts(mean=(0.5, 0.45, 0.4), std=(0.25, 0.2, 0.3), train_images=1_000)


@cache
def text_of(recipe: Recipe) -> str:
    """The text of the program for a recipe."""
    return standalone_program(recipe, FACTS, "A program of the tests.")


def program_of(recipe: Recipe) -> ModuleType:
    """The program for a recipe, imported from its text alone."""
    module = ModuleType("program_of_the_tests")
    sys.modules[module.__name__] = module  # where dataclasses look for their module
    exec(compile(text_of(recipe), module.__name__, "exec"), module.__dict__)  # noqa: S102 - our own text
    return module
