"""What was best in older studies and files is tried early in another study."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from cifar_core.errors import CifarSearchError, RecipeError
from search.cli import run as run_here
from search.errors import UsageError
from search.events import Event, Notice
from search.execution.warm_start import (
    BEST_OF_A_STUDY,
    Sources,
    enqueue,
    note_sources,
    read_sources,
)
from search.home import Home
from search.results.export.formats import TEXTS
from search.service.known_configurations import enqueue_known
from search.storage.opening import open_storage
from search.storage.study_lock import StudyLock
from search.study import attributes
from search.study.rows import TrialRow, best_rows, row_of
from search.study.study import SearchStudy
from spaces.files import load_space
from spaces.reading import with_ranges
from spaces.space import Values
from tests.search.conftest import Undisturbed
from tests.search.running import Database, run
from tests.search.scripted import NAME, ScriptedPool, folder_in, new_study, reopened, search
from tests.spaces.making import small_space

FOUND: Values = {
    "optimizer": "adam",
    "adam_lr": 0.004,
    "batch_size": 64,
    "channels1": 7,
    "dropout": 0.2,
}
"""A configuration of the small space that is none of its known ones."""


def plain(**changes: Any) -> dict[str, Any]:
    """The recipe of `FOUND` as plain values, with some whole fields, or fields of sections, changed."""
    found = small_space().recipe_of(FOUND).to_dict()
    for key, value in changes.items():
        found[key] = {**found[key], **value} if isinstance(value, dict) else value
    return found


def with_dropout(dropout: float) -> dict[str, Any]:
    return plain(network={"dropout": dropout})


def older(
    storage: BaseStorage, *trials: tuple[float, dict[str, Any]], name: str = "old"
) -> SearchStudy:
    """A study with complete trials of these accuracies and recipes."""
    study = new_study(storage, name=name, trials=99)
    for accuracy, recipe in trials:
        study.optuna.add_trial(
            create_trial(
                value=accuracy,
                intermediate_values={4: accuracy},
                user_attrs={attributes.RECIPE: recipe, attributes.SEED: 0},
            )
        )
    return study


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def read(home: Home, *wanted: str, study: str = NAME) -> Sources:
    return read_sources(home, home.storage_url(), study, small_space(), wanted)


def refusal(home: Home, *wanted: str, kind: type[CifarSearchError] = UsageError) -> str:
    with pytest.raises(kind) as caught:
        read(home, *wanted)
    return str(caught.value)


# ------------------------------------------------------------------------------------------ reading


def test_the_best_configurations_of_an_older_study_are_read_each_once(home: Home) -> None:
    scores = (0.3, 0.5, 0.1, 0.5, 0.2, 0.45, 0.4, 0.39, 0.38, 0.37, 0.36, 0.35)
    trials = [(score, with_dropout(score / 2)) for score in scores]
    study = older(open_storage(home.storage_url()), *trials)
    pruned = create_trial(
        state=TrialState.PRUNED,
        intermediate_values={1: 0.9},
        user_attrs={attributes.RECIPE: with_dropout(0.0), attributes.SEED: 0},
    )
    study.optuna.add_trial(pruned)
    study.optuna.ask()
    assert read(home, "old") == {
        "old": {
            f"from study old, trial {number}": trials[number][1]
            for number in (1, 5, 6, 7, 8, 9, 10, 11, 0, 4)
        }
    }


def test_an_older_study_is_only_read_even_while_it_runs(home: Home) -> None:
    storage = open_storage(home.storage_url())
    study = older(storage, (0.5, plain()))
    study.optuna.ask()
    with StudyLock(home, storage, "old"):
        before = study.optuna.get_trials(), study.optuna.user_attrs
        assert list(read(home, "old")["old"]) == ["from study old, trial 0"]
        assert (study.optuna.get_trials(), study.optuna.user_attrs) == before


@pytest.mark.parametrize("ending", ["toml", "json", "yaml"])
def test_a_file_is_its_one_configuration(home: Home, tmp_path: Path, ending: Any) -> None:
    file = tmp_path / f"best-1.{ending}"
    file.write_text(TEXTS[ending]({"recipe": plain(), "provenance": {"study": "old"}}))
    assert read(home, str(file)) == {str(file): {f"from {file}": plain()}}
    assert not home.root.exists()


def test_what_is_named_with_letters_that_steer_a_terminal_is_read_and_noted_without(
    home: Home, tmp_path: Path
) -> None:
    file = tmp_path / "a\x1b[31m  b.json"
    file.write_text(json.dumps(plain()))
    ((name, configurations),) = read(home, str(file)).items()
    assert name == f"{tmp_path}/a [31m b.json"
    study = new_study()
    note_sources(study, {name: configurations}, lambda _: None)
    enqueue(study, small_space(), lambda _: None)
    (row,) = reopened(study).rows()
    assert row.label == f"from {name}"


def test_nothing_that_was_asked_for_is_nothing_read(home: Home) -> None:
    assert read(home) == {}
    space = load_space("batch_size")
    assert read_sources(home, home.storage_url(), "batch_size", space, []) == {}
    assert not home.root.exists()


def test_a_study_that_is_not_there_is_answered_with_those_that_are(home: Home) -> None:
    assert refusal(home, "old") == (
        "--warm-start names study 'old', but there are no studies here yet."
    )
    older(open_storage(home.storage_url()), name="older")
    assert refusal(home, "old") == "There is no study named 'old' here. Studies: older."


def test_a_study_is_no_older_study_of_itself(home: Home) -> None:
    older(open_storage(home.storage_url()), (0.5, plain()), name=NAME)
    words = (
        "--warm-start must name an older study, or a file that ends in .toml, .json, .yaml, .yml"
    )
    assert refusal(home, NAME) == f"{words}, but got the study itself, {NAME}."
    assert refusal(home, "") == f"{words}, but got ''."


@pytest.mark.parametrize(
    ("name", "content", "kind", "words"),
    [
        ("none.toml", None, UsageError, "cannot be read: No such file or directory."),
        ("it.txt", "epochs = 1", UsageError, "must end in one of .toml, .json, .yaml, .yml."),
        ("it.toml", "epochs = ", UsageError, "is not valid TOML"),
        ("it.toml", "epochs = 0", RecipeError, "epochs: must be at least 1, but got 0."),
        ("it.json", f'"{"x" * (1 << 20)}"', UsageError, "it is larger than 1048576 bytes"),
    ],
)
def test_a_file_that_is_none_is_refused(
    home: Home,
    tmp_path: Path,
    name: str,
    content: str | None,
    kind: type[CifarSearchError],
    words: str,
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    assert words in refusal(home, str(tmp_path / name), kind=kind)


def test_a_grid_has_all_its_cells(home: Home) -> None:
    with pytest.raises(UsageError, match=r"Space batch_size is a grid: .* leave --warm-start out"):
        read_sources(home, "", "batch_size", load_space("batch_size"), ["old"])


def test_what_a_study_has_taken_is_not_read_again(home: Home, tmp_path: Path) -> None:
    storage = open_storage(home.storage_url())
    older(storage, (0.5, plain()))
    file = tmp_path / "best-1.json"
    file.write_text(json.dumps(with_dropout(0.0)))
    study = new_study(storage)
    note_sources(study, read(home, "old", str(file)), lambda _: None)
    file.unlink()
    assert read(home, "old", str(file)) == {}
    older(storage, (0.5, plain()), name="another")
    assert read(home, "old", "another").keys() == {"another"}
    assert read(home, "old", study="second").keys() == {"old"}


# ----------------------------------------------------------------------------------------- enqueuing


def warm(
    study: SearchStudy, sources: Sources | None = None, events: list[Event] | None = None
) -> list[str]:
    """What is said while a study takes these sources, as at the beginning of a search."""
    told: list[Event] = [] if events is None else events
    study = reopened(study)
    note_sources(study, sources or {}, told.append)
    enqueue_known(study, study.settings.space)
    enqueue(reopened(study), study.settings.space, told.append)
    reopened(study)  # and what was noted can be read
    assert all(isinstance(one, Notice) for one in told)
    return [one.text for one in told if isinstance(one, Notice)]


def waiting(study: SearchStudy) -> list[tuple[str | None, Values]]:
    """What waits in a study, in order."""
    return [
        (row.label, trial.system_attrs["fixed_params"])
        for row, trial in zip(study.rows(), study.optuna.get_trials(), strict=True)
        if row.state == "waiting"
    ]


def labels(study: SearchStudy) -> list[str | None]:
    return [row.label for row in study.rows()]


def test_older_configurations_come_after_the_known_and_suggested_ones(tmp_path: Path) -> None:
    study = new_study(trials=8)
    bounds = {"parameter": "sgd_lr", "optimizer": "sgd", "low": 0.001, "high": 0.1}
    bounds |= {"suggested": 0.05, "conclusive": True, "how": "measured"}
    study.write(attributes.LR_BOUNDS, [bounds])
    assert warm(study, {"old": {"from study old, trial 3": plain()}}) == []
    expected = ["base", "best", "LR-range test, sgd", "from study old, trial 3"]
    assert labels(study) == expected
    assert waiting(study)[3][1] == FOUND
    search(reopened(study), ScriptedPool(), folder_in(tmp_path))
    row = study.rows()[3]
    assert (row.values, row.label, row.known) == (FOUND, "from study old, trial 3", False)
    assert labels(study)[4:] == [None] * 4


def test_an_older_configuration_can_be_stopped_early_as_any_other(tmp_path: Path) -> None:
    poor = plain(network={"channels1": 2, "dropout": 0.4})
    study = new_study(trials=12, pruner="halving")
    warm(study, {"old": {"from study old, trial 3": poor}})
    for number in range(6):  # something better than it, to be compared with
        study.optuna.enqueue_trial({**FOUND, "dropout": 0.01 * number})
    search(reopened(study), ScriptedPool(workers=12), folder_in(tmp_path))
    assert study.rows()[2].state == "pruned"


def test_every_configuration_is_enqueued_once_however_often_the_search_begins() -> None:
    study = new_study(trials=9)
    sources = {"old": {"from study old, trial 3": plain()}}
    warm(study, sources)
    before = waiting(study)
    assert warm(study) == []
    assert waiting(study) == before
    assert reopened(study).note(attributes.WARM_SOURCES) == {"old": {}}
    # Killed after the trial was enqueued and before that was noted:
    study.write(attributes.WARM_SOURCES, sources)
    assert warm(study) == []
    assert waiting(study) == before
    assert reopened(study).note(attributes.WARM_SOURCES) == {"old": {}}


def test_a_search_that_was_stopped_before_its_trials_still_takes_what_it_was_given() -> None:
    study = new_study(trials=9)
    note_sources(study, {"old": {"from study old, trial 3": plain()}}, lambda _: None)
    warm(study)
    assert labels(study) == ["base", "best", "from study old, trial 3"]


def test_of_further_sources_only_the_new_configurations_are_enqueued() -> None:
    study = new_study(trials=9)
    warm(study, {"old": {"from study old, trial 3": plain()}})
    said = warm(
        study, {"a.toml": {"from a.toml": plain()}, "b.toml": {"from b.toml": with_dropout(0)}}
    )
    assert said == [
        "Warm start from a.toml: left out, this study has a trial of the same configuration."
    ]
    assert labels(study) == ["base", "best", "from study old, trial 3", "from b.toml"]
    noted = reopened(study).note(attributes.WARM_SOURCES)
    assert noted == {"old": {}, "a.toml": {}, "b.toml": {}}


def test_a_known_configuration_is_not_trained_again_because_it_was_best_before() -> None:
    study = new_study(trials=9)
    best = small_space().recipe_of(small_space().known[1].values).to_dict()
    (said,) = warm(study, {"old": {"from study old, trial 1": best}})
    assert "left out, this study has a trial of the same configuration" in said
    assert labels(study) == ["base", "best"]


@pytest.mark.parametrize("trials", [5, 20])
def test_of_an_older_study_five_that_are_new_here_are_tried_whatever_else_was_good(
    trials: int,
) -> None:
    assert BEST_OF_A_STUDY == 5
    known = small_space().recipe_of(small_space().known[1].values).to_dict()
    recipes = [known, plain(batch_size=48), *(with_dropout(number / 20) for number in range(8))]
    configurations = {f"from study old, trial {n}": recipe for n, recipe in enumerate(recipes)}
    study = new_study(trials=trials)
    said = warm(study, {"old": configurations})
    assert any("trial 0: left out, this study has a trial of the same" in one for one in said)
    assert any("trial 1: left out, it does not fit" in one for one in said)
    expected = ["base", "best", *list(configurations)[2:7]]
    assert labels(study) == expected[:trials]
    more = reopened(study, trials=30)
    warm(more)
    assert labels(more) == expected
    # Killed after some trials were enqueued and before that was noted:
    more.write(attributes.WARM_SOURCES, {"old": configurations})
    warm(more)
    assert labels(more) == expected


@pytest.mark.parametrize(("trials", "room"), [(2, 0), (3, 1), (4, 2)])
def test_no_more_is_enqueued_than_there_is_room_for(tmp_path: Path, trials: int, room: int) -> None:
    study = new_study(trials=trials)
    configurations = {
        f"from study old, trial {number}": with_dropout(number / 10) for number in range(2)
    }
    said = warm(study, {"old": configurations})
    assert labels(study) == ["base", "best", *list(configurations)[:room]]
    left = list(configurations)[room:]
    words = f"Warm start {'; '.join(left)}: waits for a larger total of trials (resume --trials N)."
    assert said == ([words] if left else [])
    search(reopened(study), ScriptedPool(), folder_in(tmp_path))
    assert len(study.rows()) == trials
    more = reopened(study, trials=9)
    assert warm(more) == []
    assert labels(more) == ["base", "best", *configurations]


def test_what_does_not_fit_is_left_out_and_said_once() -> None:
    study = new_study(trials=9)
    configurations = {
        "from study old, trial 3": plain(batch_size=48),
        "from study old, trial 1": plain(),
        "from study old, trial 2": {"epochs": 0},
    }
    assert warm(study, {"old": configurations}) == [
        (
            "Warm start from study old, trial 3: left out, it does not fit this space: "
            "batch_size is 48; this space has 32, 64."
        ),
        (
            "Warm start from study old, trial 2: left out, it does not fit this space: "
            "epochs: must be at least 1, but got 0."
        ),
    ]
    assert labels(study) == ["base", "best", "from study old, trial 1"]
    assert warm(study) == []


def test_what_was_moved_and_what_differs_is_said_for_all_alike_together() -> None:
    study = new_study(trials=9)
    quick = {"epochs": 2}
    configurations = {
        "from study old, trial 3": plain(**quick),
        "from study old, trial 5": plain(**quick, network={"channels1": 100}),
    }
    assert warm(study, {"old": configurations}) == [
        (
            "Warm start from study old, trial 3; from study old, trial 5: "
            "trained here with epochs 4 instead of 2."
        ),
        (
            "Warm start from study old, trial 5: moved into this space's ranges: "
            "channels1 8 instead of 100."
        ),
    ]
    assert waiting(study)[2:] == [
        ("from study old, trial 3", FOUND),
        ("from study old, trial 5", {**FOUND, "channels1": 8}),
    ]


def test_values_are_moved_into_the_measured_range() -> None:
    study = new_study(trials=9)
    note_sources(study, {"old": {"from study old, trial 3": plain()}}, lambda _: None)
    told: list[Event] = []
    measured = with_ranges(small_space(), {"adam_lr": {"low": 0.0001, "high": 0.003}})
    enqueue(study, measured, told.append)
    assert waiting(study) == [("from study old, trial 3", {**FOUND, "adam_lr": 0.003})]
    (notice,) = told
    assert "adam_lr 0.003 instead of 0.004" in str(notice)


def test_a_study_without_a_complete_trial_can_be_named_again_later(home: Home) -> None:
    storage = open_storage(home.storage_url())
    old = older(storage)
    study = new_study(storage, trials=9)
    assert warm(study, read(home, "old")) == [
        "Warm start: study old has no complete trial yet; nothing is taken from it."
    ]
    older_trial = create_trial(
        value=0.5,
        intermediate_values={4: 0.5},
        user_attrs={attributes.RECIPE: plain(), attributes.SEED: 0},
    )
    old.optuna.add_trial(older_trial)
    warm(study, read(home, "old"))
    assert labels(study)[2:] == ["from study old, trial 0"]


def test_a_study_says_nothing_of_what_it_was_not_given() -> None:
    study = new_study(trials=9)
    assert warm(study) == []
    assert study.note(attributes.WARM_SOURCES) is None


# ---------------------------------------------------------------------------------- by the command


@pytest.mark.parametrize("source", ["nobody", "./none.toml", "tiny"])
def test_a_wrong_source_is_refused_before_anything_is_done(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, source: str
) -> None:
    home = tmp_path / "home"
    options = ("--space", "speed", "--study", "tiny", "--device", "cpu", "--home", str(home))
    assert run_here(["start", *options, "--data", "synthetic", "--warm-start", source]) == 2
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert out == ""
    assert line.startswith("Error: ")
    assert source.removeprefix("./") in line
    assert not home.exists()


@pytest.mark.slow
def test_a_search_tries_what_older_studies_found(
    undisturbed: Undisturbed,
    plain_images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = tmp_path / "home"
    shutil.copytree(undisturbed.home, home)
    exported = home / "exports" / "tiny" / "best-1.toml"
    command = ("start", *undisturbed.options, "--home", home, "--study", "next", "--epochs", 1)
    command += ("--lr-bounds", "off", "--trials", 5, "--json", "--data", plain_images)
    command += ("--warm-start", exported, "--warm-start", "tiny")
    result = run(*command, folder=tmp_path)
    assert result.code == 0, result
    assert "trained here with epochs 1 instead of 4." in result.err

    before = [row for row in rows_of_study(undisturbed.database) if row.state == "complete"]
    best = [row for row in best_rows(before, len(before)) if not row.known][:3]
    assert best
    there = rows_of_study(Database(home, "next"))
    assert len(there) == 5
    warm_started = [row for row in there if (row.label or "").startswith("from ")]
    assert warm_started == there[2 : 2 + len(best)]
    space = load_space(str(undisturbed.space))
    assert [row.values for row in warm_started] == [space.fit(row.values) for row in best]

    assert run_here([str(word) for word in command]) == 0  # it goes on, though all is done
    assert json.loads(capsys.readouterr().out)["state"] == "finished"
    assert rows_of_study(Database(home, "next")) == there


def rows_of_study(database: Database) -> list[TrialRow]:
    return [row_of(trial, small_space()) for trial in database.trials()]
