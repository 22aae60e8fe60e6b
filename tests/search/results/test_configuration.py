"""The scale of a training, and what the search said of its configuration."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from cifar_core.data.dataset import DataSet
from cifar_core.recipe import Recipe
from search.errors import UsageError
from search.results.comparison import compare
from search.results.configuration import Configuration, common_scale, read_configurations
from search.results.subject import Run
from search.results.training_result import Result
from search.study.settings import DataIdentity
from search.views.training_words import result_lines, scale_line
from tests.search.scripted import DATA

RECIPE = Recipe.read({"epochs": 6})
WROTE = Callable[..., Path]


@pytest.fixture
def exported(tmp_path: Path) -> WROTE:
    """Writes a file as `export` writes it."""

    def write(name: str = "best-1.toml", train: int = 10_000, **changes: Any) -> Path:
        provenance = {
            "study": "quick",
            "space": "baseline_constrained",
            "scale": "quick",
            "trial": 12,
            "validation_accuracy": 0.632,
            "recipe_digest": RECIPE.digest,
            "data": {**DATA.model_dump(), "train": train},
            **changes,
        }
        path = tmp_path / name
        document = {"recipe": RECIPE.to_dict(), "provenance": provenance}
        path.write_text(tomli_w.dumps(document))
        return path

    return write


def one_of(path: Path) -> Configuration:
    (found,) = read_configurations([path], None, "")
    return found


def result_of(
    configuration: Configuration, correct: list[float], split: str = "validation", **data: Any
) -> Result:
    """A result whose seeds get these shares of 1,000 images right, the same ones first."""
    runs = [
        Run(
            seed=seed,
            loss=1.0,
            accuracy=share,
            flip_averaged=share + 0.01 if split == "test" else None,
            per_class={"plane": share},
            confusion=[[1000]],
            correct=np.arange(1000) < 1000 * share,
            history=(),
        )
        for seed, share in enumerate(correct)
    ]
    identity = DataIdentity(**{**DATA.model_dump(), "train": 10_000, **data})
    return Result(configuration, "cpu", split, 0, identity, tuple(runs), ())


def test_the_number_of_images_is_that_of_the_search(exported: WROTE, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text("epochs = 2")
    found = read_configurations([exported(), mine], None, "")
    scale = common_scale(found)
    assert scale is not None
    assert (scale[0], scale[1].study) == (10_000, "quick")
    line = scale_line(found[0], DataSet("cifar10"), 10_000, "quick", final=False)
    assert line == (
        f"{tmp_path}/best-1.toml: 6 epochs on 10,000 training images, as in study quick "
        "(all 45,000: --train-images all)"
    )
    assert common_scale(read_configurations([mine], None, "")) is None
    assert scale_line(found[1], DataSet("cifar10"), None, None, final=False).endswith(
        "mine.toml: 2 epochs on all 45,000 training images"
    )


def test_configurations_of_different_scales_are_compared_only_at_a_given_one(
    exported: WROTE,
) -> None:
    found = read_configurations([exported(), exported("b.toml", train=45_000)], None, "")
    with pytest.raises(UsageError, match=r"(?s)b\.toml: 45,000 images.*--train-images 45000"):
        common_scale(found)


def test_configurations_that_would_share_a_folder_are_refused(exported: WROTE) -> None:
    toml = exported()
    with pytest.raises(UsageError, match="is given twice"):
        read_configurations([toml, Path(str(toml))], None, "")
    other = toml.with_suffix(".yaml")
    other.write_text("epochs: 2")
    with pytest.raises(UsageError, match="would both be written to"):
        read_configurations([toml, other], None, "")
    folders = [one.out for one in read_configurations([toml], Path("out"), "-final")]
    assert folders == [Path("out")]
    assert one_of(toml).out == toml.with_suffix("")


def test_a_provenance_that_was_not_exported_is_refused_with_its_key(exported: WROTE) -> None:
    with pytest.raises(UsageError, match=r"(?s)\[provenance\] of .*trial: .*-3.*Export"):
        one_of(exported(trial=-3))


def test_the_result_stands_beside_the_score_of_the_search(exported: WROTE) -> None:
    confirmed = {"validation_accuracy": 0.62, "half_width": 0.008, "seeds": 4, "verdict": "No."}
    one = one_of(exported(confirmed=confirmed))
    lines = result_lines(result_of(one, [0.61, 0.62, 0.63]))
    # Student's t of two degrees of freedom is 4.303: 4.303 * 1.0 / sqrt(3) = 2.5.
    assert (
        lines[0] == "validation accuracy 62.0 +- 1.0 % over 3 seeds, 95 % interval 59.5 to 64.5 %"
    )
    assert (
        "the search: 63.2 % validation accuracy for trial 12 of study quick, one run; confirmed "
        "62.0 +- 0.8 %; the difference is -1.2 points"
    ) in lines


def test_scores_that_mean_something_else_are_not_subtracted(exported: WROTE) -> None:
    one = one_of(exported())
    said = {
        "on 10,000 training images": result_of(one, [0.7], train=45_000),
        "on other images, so the difference means nothing": result_of(one, [0.7], name="synthetic"),
        "no longer that of trial 12": result_of(
            replace(one, recipe=Recipe.read({"epochs": 7})), [0.7]
        ),
    }
    for words, result in said.items():
        text = "\n".join(result_lines(result))
        assert words in text
        assert "points" not in text


def test_a_test_stands_beside_the_published_one(exported: WROTE) -> None:
    one = one_of(exported())
    lines = result_lines(result_of(one, [0.8], "test"))
    assert lines[:2] == [
        "test accuracy 80.0 %, one run",
        "test accuracy 81.0 %, one run, averaged over each image and its mirror image",
    ]
    assert "published: 83 % test accuracy for reference Net4" in lines
    for other in (
        result_of(one, [0.8]),
        result_of(one, [0.8], "test", name="synthetic"),
        result_of(one_of(exported(space="speed")), [0.8], "test"),
    ):
        assert "published" not in "\n".join(result_lines(other))


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [
        ({"a": 0.6, "b": 0.7}, "b is better than a by 10.0 +- "),
        ({"a": 0.700, "b": 0.701}, "b is no better than a within noise: +0.1 +- "),
        ({"a": 0.5, "b": 0.7, "c": 0.701}, "c is better than a, but no better than b within noise"),
        ({"a": 0.5, "b": 0.6, "c": 0.7}, "c is better than all others, the next best by 10.0 +- "),
    ],
)
def test_several_configurations_are_compared_in_a_sentence(
    exported: WROTE, shares: dict[str, float], verdict: str
) -> None:
    one = one_of(exported())
    results = [
        result_of(replace(one, name=name), [share, share + 0.002]) for name, share in shares.items()
    ]
    found = compare(results)
    assert found.verdict.startswith(verdict)
    best = max(shares.values())
    gaps = [gap.value for gap in found.differences]
    assert gaps == pytest.approx(sorted((share - best for share in shares.values()), reverse=True))
