"""The functions for Python programs: they are the package's names, and do what the commands do."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import search
from cifar_core.recipe import Recipe
from search import api
from search.errors import UsageError
from tests.search.conftest import Undisturbed

PAGE = Path(__file__).parents[2] / "docs" / "PYTHON.md"


def test_the_packages_names_are_those_of_the_api_and_come_on_use() -> None:
    assert set(search.__all__) == {*api.__all__, "__version__"}
    assert all(getattr(search, name) is getattr(api, name) for name in api.__all__)
    assert set(search.__all__) <= set(dir(search))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        search.nothing  # noqa: B018
    lines = "import sys, search; print('torch' in sys.modules, 'pydantic' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", lines], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "False False\n"


@pytest.mark.slow
def test_the_blocks_of_the_page_run_one_after_the_other(
    tmp_path: Path,
    plain_images: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 8
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIFAR_SEARCH_DATA", str(plain_images))
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks:
        exec(block, names)  # noqa: S102 - the project's own text
    shown = capsys.readouterr().out
    assert shown.startswith("finished\n")
    assert "epochs: must be at least 1, but got 0" in shown
    assert {path.name for path in names["files"]} == {"best-1.toml", "best-1.pt", "best-2.toml"}
    assert names["page"].read_bytes().startswith(b"<!doctype html>")
    assert names["result"].cost.epochs == 4
    assert names["report"].findings


def test_trials_are_a_table_with_a_column_for_each_parameter(undisturbed: Undisturbed) -> None:
    rows = api.open_search(home=undisturbed.home).trials(sort="accuracy")
    assert len({tuple(row) for row in rows}) == 1
    assert {"number", "state", "validation_accuracy", "sgd_lr", "batch_size"} <= rows[0].keys()
    best = api.open_search(home=undisturbed.home).summary().best
    assert best is not None
    assert rows[0]["number"] == best.number
    assert all(isinstance(one, int | float | str | None) for row in rows for one in row.values())


def test_what_the_command_line_refuses_is_refused_with_the_same_sentence(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    with pytest.raises(search.CifarSearchError, match="There is no space named 'nowhere'"):
        api.run_search("nowhere", home=tmp_path)
    with pytest.raises(UsageError, match="There is no study named 'missing' here"):
        api.open_search("missing", home=undisturbed.home)
    with pytest.raises(UsageError, match="trials: 0 is not in the range x>=1"):
        api.run_search("baseline_constrained", home=tmp_path, trials=0)
    with pytest.raises(UsageError, match="sampler: 'luck' is not one of"):
        api.run_search("baseline_constrained", home=tmp_path, sampler="luck")
    with pytest.raises(UsageError, match="seeds: 0 is not in the range"):
        api.train(Recipe(), seeds=0)
    with pytest.raises(TypeError, match="no_such_option"):
        api.run_search("baseline_constrained", home=tmp_path, no_such_option=1)
    with pytest.raises(search.CifarSearchError, match="cannot be read"):
        api.train(tmp_path / "missing.toml")
    with pytest.raises(search.CifarSearchError, match="cannot be read"):
        api.measure_lr_range(tmp_path / "missing.toml")
    with pytest.raises(search.CifarSearchError, match="A device must be auto"):
        api.train(Recipe(), device="bogus")


def test_options_of_the_engine_reach_a_search_that_goes_on(
    undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    for name in ("resume", "confirm"):
        monkeypatch.setattr(api, name, lambda home, request, *rest: asked.append(request))
    found = api.open_search(home=undisturbed.home)
    found.resume(workers=2, trials=20)
    found.resume()
    found.confirm(workers=2)
    assert [one.engine.workers for one in asked] == [2, None, 2]
    assert [getattr(one, "trials", None) for one in asked] == [20, None, None]


def test_code_of_a_network_is_run_with_consent_alone(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text("raise RuntimeError('it ran')\n")
    recipe = tmp_path / "mine.toml"
    recipe.write_text('epochs = 1\nnetwork = { builder = "nets:make" }\n')
    with pytest.raises(UsageError, match="look at it first"):
        api.train(recipe)
    with pytest.raises(search.CifarSearchError, match="it ran"):
        api.train(recipe, trust=True, data="synthetic")
