"""A study is an ordinary Optuna study: Optuna's own tools read it, during the search and after."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, download_artifact
from optuna_dashboard import wsgi

from tests.search.conftest import Undisturbed
from tests.search.running import COMMAND

App = Callable[..., Any]


def get(app: App, path: str) -> Any:
    """The JSON that a WSGI app answers with."""
    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    answers: list[str] = []
    body = b"".join(app(environ, lambda status, *_: answers.append(status)))
    assert answers == ["200 OK"], (path, answers, body[:500])
    return json.loads(body)


def the_study(app: App) -> dict[str, Any]:
    """The one study that optuna-dashboard lists."""
    (study,) = get(app, "/api/studies")["study_summaries"]
    assert study["study_name"] == "tiny"
    detail: dict[str, Any] = get(app, f"/api/studies/{study['study_id']}")
    return detail


def test_the_optuna_command_names_the_best_trial(undisturbed: Undisturbed) -> None:
    optuna_command = COMMAND.with_name("optuna")
    where = ["--storage", undisturbed.database.url, "--study-name", "tiny", "--format", "json"]
    result = subprocess.run(
        [optuna_command, "best-trial", *where],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result
    best = json.loads(result.stdout)
    expected = max(
        (trial for trial in undisturbed.database.trials() if trial.state.name == "COMPLETE"),
        key=lambda trial: (trial.value or 0.0, -trial.number),
    )
    assert best["number"] == expected.number
    assert best["params"] == expected.params


def test_a_script_of_the_users_loads_the_study(undisturbed: Undisturbed) -> None:
    with undisturbed.database.opened() as study:
        assert study.direction is optuna.study.StudyDirection.MAXIMIZE
        assert study.metric_names == ["validation accuracy"]
        assert {"settings", "budget", "lr_bounds", "seconds", "versions"} <= study.user_attrs.keys()
        trials = study.get_trials()
        assert len(trials) == 11
        assert study.best_value == max(
            trial.value for trial in trials if trial.state.name == "COMPLETE" and trial.value
        )
        for trial in trials:
            assert trial.state.is_finished()
            assert trial.params.keys() == {"sgd_lr", "batch_size", "dropout"}
            assert {"recipe", "seed", "epochs", "seconds"} <= trial.user_attrs.keys()
            numbers = [epoch["number"] for epoch in trial.user_attrs["epochs"]]
            assert numbers == list(trial.intermediate_values) == list(range(1, len(numbers) + 1))
        # One range for each parameter throughout: samplers model nothing else jointly.
        assert len({str(trial.distributions) for trial in trials}) == 1


def test_optuna_dashboard_reads_a_finished_study(undisturbed: Undisturbed) -> None:
    storage = optuna.storages.RDBStorage(undisturbed.database.url)
    try:
        detail = the_study(wsgi(storage))
    finally:
        storage.remove_session()
        storage.engine.dispose()
    assert len(detail["trials"]) == 11
    assert {trial["state"] for trial in detail["trials"]} == {"Complete", "Pruned"}
    assert detail["objective_names"] == ["validation accuracy"]


def test_the_curves_of_the_lr_range_test_are_an_artifact_of_the_study(
    undisturbed: Undisturbed, tmp_path: Path
) -> None:
    every = undisturbed.database.artifacts()
    (artifact,) = [one for one in every if one.filename == "lr-range-sgd_lr.png"]
    assert artifact.mimetype == "image/png"
    folder = undisturbed.home / "artifacts"
    assert {path.name for path in folder.iterdir()} == {one.artifact_id for one in every}
    image = tmp_path / "image.png"
    download_artifact(
        artifact_store=FileSystemArtifactStore(folder),
        file_path=str(image),
        artifact_id=artifact.artifact_id,
    )
    assert image.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    (curve,) = undisturbed.database.note("lr_range_curves")["corners"]
    assert curve["parameter"] == "sgd_lr"
    assert len(curve["lr"]) == len(curve["loss"]) == len(curve["smoothed"]) > 100
    assert curve["conclusive"] is True


def test_optuna_takes_no_trial_for_its_own(undisturbed: Undisturbed) -> None:
    """Nothing is left waiting or running that a user's `study.optimize` would stumble over."""
    assert set(undisturbed.database.states().values()) == {"COMPLETE", "PRUNED"}
    with pytest.raises(KeyError):
        undisturbed.database.note("nothing")
