"""The best configurations as files."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from cifar_core.checkpoint import save_state
from cifar_core.models import network_of
from cifar_core.recipe import Recipe
from search.errors import ServiceError, UsageError
from search.home import StudyFolder
from search.recipe_files import read_configuration
from search.results.export.configurations import export_best, export_trial, exported_file
from search.results.export.formats import TEXTS, Format
from search.study import attributes
from search.study.confirmation import run_key
from search.study.rows import best_rows
from search.study.study import SearchStudy, versions
from spaces.reading import read_space
from tests.search.confirmation.made_up import contender, plan, runs
from tests.search.scripted import DATA, ScriptedPool, folder_in, new_study, search
from tests.spaces.making import plain_space, small_space

PARSERS: dict[str, Callable[[str], Any]] = {
    "toml": tomllib.loads,
    "json": json.loads,
    "yaml": yaml.safe_load,
}
OWN = StudyFolder(Path("not there"))
PIXELS = {"mean": [0.49, 0.48, 0.45], "std": [0.25, 0.24, 0.26]}
EVERY_FORMAT = pytest.mark.parametrize("format_", list(TEXTS))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SearchStudy:
    space = small_space(name="yes", title='Größe "quoted" # not a comment')
    made = new_study(trials=4, space=space, name="on")
    search(made, ScriptedPool(), folder_in(tmp_path_factory.mktemp("home")))
    return made


@EVERY_FORMAT
def test_an_exported_file_is_read_as_the_recipe_that_was_trained(
    study: SearchStudy, tmp_path: Path, format_: Format
) -> None:
    paths = export_best(study, OWN, tmp_path / "a" / "b", 4, format_).paths
    assert [path.name for path in paths] == [f"best-{rank}.{format_}" for rank in (1, 2, 3, 4)]
    for path, best in zip(paths, best_rows(study.rows(), 4), strict=True):
        assert read_configuration(path) == Recipe.read(best.recipe)
        assert read_configuration(path).digest == Recipe.read(best.recipe).digest


@EVERY_FORMAT
def test_an_exported_file_says_where_its_score_comes_from(
    study: SearchStudy, tmp_path: Path, format_: Format
) -> None:
    (path,) = export_best(study, OWN, tmp_path, 1, format_).paths
    (best,) = best_rows(study.rows())
    provenance = PARSERS[format_](path.read_text(encoding="utf-8"))["provenance"]
    expected = {
        "study": "on",
        "space": "yes",
        "scale": "full",
        "trial": best.number,
        "rank": 1,
        "seed": best.seed,
        "validation_accuracy": best.validation_accuracy,
        "epochs": 4,
        "recipe_digest": Recipe.read(best.recipe).digest,
        "data": DATA.model_dump(),
        "versions": dict(versions()),
    }
    assert expected.items() <= provenance.items()
    assert "validation accuracy" in provenance["score"]
    assert "test split was not opened" in provenance["score"]


@pytest.mark.parametrize(
    ("normalization", "noted", "expected"),
    [
        ("symmetric", None, {"mean": [0.5] * 3, "std": [0.5] * 3}),
        ("standard", PIXELS, PIXELS),
        ("standard", None, {}),  # a study of an earlier version
    ],
)
def test_an_exported_file_says_what_goes_into_the_network_and_comes_out(
    tmp_path: Path, normalization: str, noted: dict[str, Any] | None, expected: dict[str, Any]
) -> None:
    plain = plain_space()
    plain["recipe"] = {**plain.get("recipe", {}), "normalization": normalization}
    study = new_study(trials=1, space=read_space(plain, "here"))
    search(study, ScriptedPool(), folder_in(tmp_path))
    if noted is not None:
        study.write(attributes.PIXELS, noted)
    (path,) = export_best(study, OWN, tmp_path / "out").paths
    found = tomllib.loads(path.read_text())["preprocessing"]
    classes = found.pop("classes")
    assert found == {"normalization": normalization, **expected}
    assert (classes[0], classes[9], len(classes)) == ("airplane", "truck", 10)


@EVERY_FORMAT
@pytest.mark.parametrize("lr", [1e-5, 1.0, 0.1 + 0.2, 1 / 3, 1000.0, 5e-324])
def test_numbers_survive_to_the_last_bit(tmp_path: Path, format_: Format, lr: float) -> None:
    recipe = Recipe.read({"optimizer": {"name": "adam", "lr": lr, "weight_decay": 0.0}})
    path = tmp_path / f"it.{format_}"
    path.write_text(TEXTS[format_]({"recipe": recipe.to_dict()}), encoding="utf-8")
    assert read_configuration(path) == recipe


def test_fewer_trials_than_asked_for_are_all_exported(study: SearchStudy, tmp_path: Path) -> None:
    exported = export_best(study, OWN, tmp_path, 99)
    assert len(exported.paths) == 4
    few, weights = exported.notes
    assert few.startswith(
        "4 configurations were written, and not 99: study on has 4 complete trials. "
    )
    assert few.endswith("cifar-search export on --trial N")
    assert weights.startswith("Trials ")
    assert "have no kept network, so only configurations were written of them." in weights
    assert export_best(study, OWN, tmp_path, 1).notes == ()


def test_an_export_replaces_the_one_before(study: SearchStudy, tmp_path: Path) -> None:
    exported_file(tmp_path).write_text("old")
    (path,) = export_best(study, OWN, tmp_path).paths
    assert path == exported_file(tmp_path)
    assert "provenance" in path.read_text()
    assert [file.name for file in tmp_path.iterdir()] == ["best-1.toml"]


def test_the_versions_are_those_that_the_score_was_measured_with(tmp_path: Path) -> None:
    study = new_study(trials=1)
    search(study, ScriptedPool(), folder_in(tmp_path))
    study.write(attributes.VERSIONS, {"torch": "2.6.0"})
    (path,) = export_best(study, OWN, tmp_path).paths
    assert tomllib.loads(path.read_text())["provenance"]["versions"]["torch"] == "2.6.0"


def test_without_a_complete_trial_there_is_nothing_to_export(tmp_path: Path) -> None:
    study = new_study()
    study.optuna.ask()
    with pytest.raises(UsageError, match="Study mine has no complete trial yet"):
        export_best(study, OWN, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_to_is_named(study: SearchStudy, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ServiceError, match=r"best-1\.toml cannot be written: "):
            export_best(study, OWN, folder)


def test_a_network_that_was_kept_is_exported_beside_its_configuration(
    study: SearchStudy, tmp_path: Path
) -> None:
    own, out = folder_in(tmp_path), tmp_path / "out"
    first, second = best_rows(study.rows(), 2)
    weights = {"conv.weight": torch.arange(6.0).reshape(2, 3)}
    save_state({"network": weights, "optimizer": {}, "history": []}, own.checkpoint(second.number))
    paths = export_best(study, own, out, 2).paths
    assert [path.name for path in paths] == ["best-1.toml", "best-2.toml", "best-2.pt"]
    found = torch.load(out / "best-2.pt", weights_only=True)
    assert found.keys() == weights.keys()
    assert torch.equal(found["conv.weight"], weights["conv.weight"])
    # What lies there of another search's network must not be taken for this one's.
    own.checkpoint(first.number).unlink(missing_ok=True)
    (out / "best-1.pt").write_bytes(b"old")
    export_best(study, own, out, 2)
    assert not (out / "best-1.pt").exists()


def test_a_damaged_state_is_not_exported(study: SearchStudy, tmp_path: Path) -> None:
    own = folder_in(tmp_path)
    (best,) = best_rows(study.rows())
    own.checkpoint(best.number).write_bytes(b"PK\x03\x04 not a whole file")
    with pytest.raises(ServiceError, match=r"cannot be exported: .* is not a whole training state"):
        export_best(study, own, tmp_path / "out")


def test_the_winner_of_a_confirmation_is_exported_first_with_a_network_of_its_own(
    tmp_path: Path,
) -> None:
    study = new_study(trials=4)
    folder = folder_in(tmp_path)
    search(study, ScriptedPool(), folder)
    best, second = best_rows(study.rows(), 2)
    contenders = [contender(best.number), contender(second.number)]
    ended = plan(*contenders).model_copy(update={"top": 2})
    study.write(attributes.CONFIRMATION, ended.model_dump(mode="json"))
    for one, accuracy in zip(contenders, (0.5, 0.6), strict=True):
        for done in runs(one, [accuracy] * 2):
            study.write(run_key(done.trial, done.repeat), done.model_dump(mode="json"))
    network = network_of(Recipe.read(second.recipe).network)
    confirmed = folder.confirmation(second.number, 1)
    confirmed.parent.mkdir()
    save_state({"network": network.state_dict()}, confirmed)
    first, weights, _ = export_best(study, folder, tmp_path / "out", 2).paths
    found = tomllib.loads(first.read_text(encoding="utf-8"))["provenance"]
    assert (found["trial"], found["rank"]) == (second.number, 1)
    assert found["validation_accuracy"] == second.validation_accuracy
    assert found["confirmed"]["winner"] is True
    assert found["confirmed"]["validation_accuracy"] == pytest.approx(0.6)
    assert found["confirmed"]["verdict"].startswith(f"Trial {second.number} is better than trial ")
    network.load_state_dict(torch.load(weights, weights_only=True))


def test_any_trial_is_exported_by_its_number_and_says_how_to_train_it(
    study: SearchStudy, tmp_path: Path
) -> None:
    worst = best_rows(study.rows(), 4)[-1]
    exported = export_trial(study, OWN, tmp_path, worst.number)
    assert [path.name for path in exported.paths] == [f"trial-{worst.number}.toml"]
    found = tomllib.loads(exported.paths[0].read_text(encoding="utf-8"))
    assert Recipe.read(found["recipe"]) == Recipe.read(worst.recipe)
    assert (found["provenance"]["trial"], "rank" in found["provenance"]) == (worst.number, False)
    (note,) = exported.notes
    assert note.startswith(
        f"Trial {worst.number} has no kept network, so this is its recipe alone."
    )
    assert note.endswith(f"cifar-search train {exported.paths[0]}")
    with pytest.raises(UsageError, match="Study on has no trial 77 with a recipe; it has 4 that"):
        export_trial(study, OWN, tmp_path, 77)
    with pytest.raises(
        UsageError, match=r"has no kept network, so there is no trial-0\.onnx"
    ) as caught:
        export_trial(study, OWN, tmp_path, 0, "onnx")
    assert str(caught.value).endswith(f"cifar-search train {tmp_path / 'trial-0.toml'}")


def test_a_trial_that_was_stopped_early_says_after_which_epoch(tmp_path: Path) -> None:
    study = new_study(trials=8, pruner="median")
    search(study, ScriptedPool(), folder_in(tmp_path))
    early = next((row for row in study.rows() if row.state != "complete" and row.epochs), None)
    assert early is not None
    (path,) = export_trial(study, OWN, tmp_path, early.number).paths
    score = tomllib.loads(path.read_text(encoding="utf-8"))["provenance"]["score"]
    assert score.startswith(f"validation accuracy after epoch {early.epochs} of ")
