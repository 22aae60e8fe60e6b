"""Grids as a user runs them: every cell, a table at the end, and the same table later."""

import json
from pathlib import Path

import pytest

from tests.search.conftest import Here
from tests.search.running import run

SMALL = ("--epochs", 1, "--train-images", 100, "--workers", 1)


@pytest.mark.slow
def test_a_grid_ends_with_its_table_and_keeps_it(
    plain_images: Path, tmp_path: Path, here: Here
) -> None:
    home = ("--home", tmp_path / "home")
    command = ("start", "--space", "optimizer", *home, *SMALL)
    ended = run(*command, folder=tmp_path, data=plain_images)
    assert ended.code == 0, ended
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["optimizer", "measured", "n"] in lines
    (sgd,) = [line for line in lines if line[:1] == ["SGD"]]
    assert (sgd[2], sgd[-1]) == ("+-", "2")
    assert "Grid optimizer finished: 4 of 4 trials" in ended.out
    said = " ".join(ended.out.split())
    assert (
        "Published figures are not shown: they are of 45,000 training images, and these of 100; they are "
        "of up to 12 epochs, and these of 1."
    ) in said
    assert "official images, one run each" not in said

    later = here("status", "optimizer", *home)
    assert sgd in [line.split() for line in later.out.splitlines()]
    told = here("status", "optimizer", *home, "--json")
    first, second = json.loads(told.out)["table"]
    assert (first["values"], first["n"]) == ({"optimizer": "SGD"}, 2)
    assert first["published"] is None
    assert sgd[1] == f"{100 * first['mean']:.1f}"
    assert len(second["accuracies"]) == 2

    again = here(*command)
    assert again.code == 0
    assert sgd in [line.split() for line in again.out.splitlines()]

    resume = ("resume", "optimizer", *home, "--workers", 1, "--patience", 3)
    refused = here(*resume)
    assert refused.code == 2
    assert "every cell is trained; leave --patience out" in " ".join(refused.err.split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("--space", "optimizer", "--sampler", "random"),
            "leave --sampler, --pruner and --patience out",
        ),
        (("--space", "optimizer", "--patience", 3), "leave --sampler, --pruner and --patience out"),
        (("--space", "optimizer", "--trials", 99), "has 4 trainings with 2 seeds"),
        (("--space", "tutorial", "--epochs", 3), "leave --epochs out"),
        (("--space", "baseline_constrained", "--seeds", 3), "--seeds is for grids"),
    ],
)
def test_what_has_no_meaning_is_refused_before_anything_is_made(
    options: tuple[str | int, ...], words: str, tmp_path: Path, here: Here
) -> None:
    ended = here("start", *options, "--home", tmp_path / "home")
    assert ended.code == 2
    assert words in " ".join(ended.err.split())
    assert not (tmp_path / "home").exists()
