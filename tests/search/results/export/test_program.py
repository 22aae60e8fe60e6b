"""A trial as a program: what its first lines say."""

import ast
from typing import Any

import pytest

from cifar_core.recipe import Recipe
from search.errors import UsageError
from search.results.export.program import program_of
from tests.search.scripted import DATA

DOCUMENT: dict[str, Any] = {
    "recipe": Recipe().to_dict(),
    "preprocessing": {"mean": [0.5] * 3, "std": [0.5] * 3, "classes": [*"abcdefghij"]},
    "provenance": {
        "study": 'mine"""\nraise SystemExit #\\',
        "trial": 7,
        "validation_accuracy": 0.612,
        "epochs": 3,
        "data": DATA.model_dump() | {"train": 4_000, "name": "cifar10", "official": False},
    },
}


def test_a_program_says_what_it_is_and_no_name_of_a_study_becomes_code() -> None:
    tree = ast.parse(program_of(DOCUMENT, "best-1.py", "best-1.pt"))
    words = ast.get_docstring(tree) or ""
    assert "It is trial 7 of the study mine'''" in words
    assert "61.2 % validation accuracy after 3 epochs" in words
    assert "on 4,000 images of CIFAR-10 (not the official files)." in words
    assert "python best-1.py --data DIR --weights best-1.pt" in words
    assert not any(isinstance(one, ast.Raise) for one in tree.body)


def test_a_study_that_does_not_know_its_normalisation_makes_no_program() -> None:
    older = {**DOCUMENT, "preprocessing": {"classes": []}}
    with pytest.raises(UsageError, match="does not say how images are normalised"):
        program_of(older, "best-1.py", None)
