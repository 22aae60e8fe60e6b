"""A search with random faults ends as promised, and the checks find what breaks an invariant.

`make chaos` injects hundreds of faults.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import optuna
import pytest
import tomli_w
import torch
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from cifar_core.checkpoint import save_state
from cifar_core.epoch import Epoch
from cifar_core.recipe import Recipe
from search.study import attributes
from tests.chaos.faults import Fault, wrong_code
from tests.chaos.faulty_search import BrokenInvariantError, FaultySearch, InjectedFault
from tests.chaos.invariants import (
    Expected,
    broken_at_the_end,
    broken_between,
    broken_now,
    fell,
    left_behind,
)
from tests.chaos.probe import Progress, Snapshot, StudyProbe
from tests.chaos.scenario import SCENARIOS, Pace, Reference, Trainer, differences, sample
from tests.chaos.timing import Phase
from tests.search.running import needs_proc, values_of

SEED, KILLS, TRIALS = 1, 6, 4
RECIPE = Recipe(epochs=2)
EXPECTED = Expected(trials=4, workers=1)
NETWORK = {"weight": torch.ones(2)}


@needs_proc
@pytest.mark.chaos
def test_a_search_with_random_faults_breaks_no_invariant(
    plain_images: Path, tmp_path: Path
) -> None:
    scenario, random = replace(SCENARIOS[0], trials=TRIALS), np.random.default_rng(SEED)
    pace = Pace(start=3.0, sweeps=3.0, trials=6.0)
    faults: list[InjectedFault] = []
    search = FaultySearch(
        scenario,
        tmp_path,
        plain_images,
        random,
        pace,
        lambda: len(faults) < KILLS,
        told=faults.append,
    )
    end = search.run()
    assert len(end.trials) == scenario.trials
    assert len(search.sessions) > 1
    trials = search.probe.trials()
    (trial,) = sample(trials, 1, random)
    assert not list(Trainer(plain_images).differences(trial, scenario)), search.story("")


def epoch(number: int, seconds: float = 0.25) -> Epoch:
    """Return an epoch after which a tenth more of the images are right than after the one before."""
    return Epoch(number, 2.0, 0.1, 2.0, number / 10, 0.001, seconds, 1600.0)


def write_checkpoint(probe: StudyProbe, number: int, epochs: Iterable[Epoch]) -> Path:
    path = probe.folder.checkpoint(number)
    save_state({"network": NETWORK, "history": [asdict(one) for one in epochs]}, path)
    return path


@pytest.fixture
def home(killed: Path, tmp_path: Path) -> Path:
    """Return a home that a test may change."""
    return Path(shutil.copytree(killed, tmp_path / "home"))


@pytest.fixture
def probe(home: Path) -> StudyProbe:
    return StudyProbe(home, "tiny")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home as a killed coordinator leaves it: a trial of every kind, the last one running."""
    home = tmp_path_factory.mktemp("killed") / "home"
    probe = StudyProbe(home, "tiny")
    probe.folder.create()
    exports = home / "exports" / "tiny"
    exports.mkdir(parents=True)
    storage = RDBStorage(probe.url)
    study = optuna.create_study(storage=storage, study_name="tiny", direction="maximize")
    for key, value in ((attributes.SETTINGS, {}), (attributes.LR_BOUNDS, [0.1])):
        study.set_user_attr(key, value)
    lr = optuna.distributions.FloatDistribution(0.0, 1.0)
    deaths = {
        attributes.INTERRUPTIONS: 3,
        attributes.REASON: "its worker ended 3 times, at last so",
    }
    kinds: tuple[tuple[TrialState, int, dict[str, object]], ...] = (
        (TrialState.COMPLETE, 2, {}),
        (TrialState.PRUNED, 1, {attributes.REASON: "stopped early"}),
        (TrialState.FAIL, 1, deaths),
        (TrialState.RUNNING, 1, {}),
    )
    for state, epochs, notes in kinds:
        history = [epoch(number) for number in range(1, epochs + 1)]
        own = {attributes.RECIPE: RECIPE.to_dict(), attributes.SEED: 7, **notes}
        if state.is_finished():
            own[attributes.EPOCHS] = [asdict(one) for one in history]
        study.add_trial(
            create_trial(
                state=state,
                value=0.2 if state is TrialState.COMPLETE else None,
                params={"lr": 0.5},
                distributions={"lr": lr},
                user_attrs=own,
                intermediate_values={one.number: one.validation_accuracy for one in history},
            )
        )
    storage.remove_session()
    storage.engine.dispose()
    write_checkpoint(probe, 0, [epoch(1), epoch(2)])
    write_checkpoint(probe, 3, [epoch(1), epoch(2)])
    (exports / "best-1.toml").write_text(tomli_w.dumps({"recipe": RECIPE.to_dict()}))
    save_state(NETWORK, exports / "best-1.pt")
    return home


def seen(probe: StudyProbe) -> Snapshot:
    snapshot = probe.look()
    assert snapshot is not None
    return snapshot


def change(probe: StudyProbe, *statements: str) -> None:
    with closing(sqlite3.connect(probe.url.removeprefix("sqlite:///"))) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount != 0, statement


def ended(probe: StudyProbe) -> Snapshot:
    """Return the study once its last trial is done."""
    change(
        probe,
        "UPDATE trials SET state = 'PRUNED' WHERE number = 3",
        "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (4, 'reason', '\"so\"')",
    )
    probe.folder.checkpoint(3).unlink()
    return seen(probe)


NOTED = "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (4, 'epochs', '{}')"


def paused(probe: StudyProbe) -> Snapshot:
    """Return the study once its last trial waits at a rung, after its first epoch."""
    change(
        probe,
        "UPDATE trials SET state = 'WAITING' WHERE number = 3",
        NOTED.format(json.dumps([asdict(epoch(1))])),
    )
    return seen(probe)


def test_a_study_as_it_should_be_breaks_no_invariant(probe: StudyProbe, home: Path) -> None:
    before = seen(probe)
    assert list(broken_now(before, EXPECTED)) == []
    assert list(broken_between(before, before)) == []
    assert probe.progress() == before.progress == Progress(4, 3, 5, 14, 1)
    temporary = home.parent / "temporary"
    temporary.mkdir()
    assert list(broken_at_the_end(ended(probe), EXPECTED, 3, home, "tiny")) == []
    assert list(left_behind(home, "tiny", temporary)) == []


NOTE = "UPDATE trial_user_attributes SET value_json = '{}' WHERE key = '{}' AND trial_id = {}"
EPOCH = (
    "INSERT INTO trial_intermediate_values "
    "(trial_id, step, intermediate_value, intermediate_value_type) VALUES (2, 2, 0.1, 'FINITE')"
)


@pytest.mark.parametrize(
    ("words", "statement"),
    [
        ("numbers are [0, 1, 1, 3]", "UPDATE trials SET number = 1 WHERE number = 2"),
        ("numbers are [0, 1, 3]", "DELETE FROM trials WHERE number = 2"),
        (
            "[2, 3] are running",
            (
                "UPDATE trials SET state = 'RUNNING' WHERE number = 2; "
                "DELETE FROM trial_user_attributes WHERE trial_id = 3 AND key = 'epochs'"
            ),
        ),
        ("its value is (0.9,)", "UPDATE trial_values SET value = 0.9"),
        ("it has 1 of 2 epochs", "UPDATE trials SET state = 'COMPLETE' WHERE number = 1"),
        ("it has no reason", "DELETE FROM trial_user_attributes WHERE key = 'reason'"),
        ("were killed 1 times", NOTE.format(1, "interruptions", 3)),
        ("does not say that", NOTE.format('"some error"', "reason", 3)),
        ("and it has not failed", "UPDATE trials SET state = 'PRUNED' WHERE number = 2"),
        ("epochs are [2]", "DELETE FROM trial_intermediate_values WHERE step = 1"),
        ("hold epochs [1], but [1, 2] were reported", EPOCH),
        ("but 0.7 was reported", "UPDATE trial_intermediate_values SET intermediate_value = 0.7"),
        (
            "WAITING: its notes hold epochs [], but [1] were reported",
            "UPDATE trials SET state = 'WAITING' WHERE number = 3",
        ),
        (
            "WAITING: its checkpoint hold epochs [1, 2], but [1] were reported",
            "UPDATE trials SET state = 'WAITING' WHERE number = 3",
        ),
    ],
)
def test_what_must_be_true_at_every_moment_and_is_not_is_found(
    words: str, statement: str, probe: StudyProbe
) -> None:
    change(probe, *statement.split("; "))
    broken = list(broken_now(seen(probe), EXPECTED))
    assert any(words in one for one in broken), broken


def test_trials_beyond_the_total_are_found(probe: StudyProbe) -> None:
    (broken,) = broken_now(seen(probe), Expected(trials=3, workers=1))
    assert broken == "There are 4 trials, but 3 were asked for."


def test_a_damaged_database_is_found(probe: StudyProbe) -> None:
    change(
        probe,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, 'datetime_complete DATETIME', "
        "'datetime_complete DATETIME NOT NULL')",
    )
    broken = list(broken_now(seen(probe), EXPECTED))
    assert broken == ["integrity_check says: NULL value in trials.datetime_complete"]


def test_a_checkpoint_that_is_lost_or_damaged_is_found(probe: StudyProbe) -> None:
    path = probe.folder.checkpoint(3)
    path.write_bytes(path.read_bytes()[:-100])
    assert any("is not a whole training state" in one for one in broken_now(seen(probe), EXPECTED))
    path.unlink()
    (broken,) = broken_now(seen(probe), EXPECTED)
    assert broken == "Trial 3, RUNNING: its checkpoint hold epochs [], but [1] were reported."


@pytest.mark.parametrize(
    ("words", "statement"),
    [
        ("Trial 1 is lost", "DELETE FROM trials WHERE number = 1"),
        ("final, but its number changed", "UPDATE trials SET number = 9 WHERE number = 1"),
        ("final, but its state changed", "UPDATE trials SET state = 'RUNNING' WHERE number = 0"),
        ("final, but its values changed", "UPDATE trial_values SET value = 0.3"),
        ("final, but its dates changed", "UPDATE trials SET datetime_complete = '2000-01-01'"),
        ("final, but its params changed", "UPDATE trial_params SET param_value = 0.6"),
        ("final, but its notes changed", NOTE.format(8, "seed", 1)),
        ("final, but its epochs changed", EPOCH),
        (
            "it was running and waits to be begun",
            (
                "UPDATE trials SET state = 'WAITING' WHERE number = 3; "
                "DELETE FROM trial_intermediate_values WHERE trial_id = 4"
            ),
        ),
        ("parameter lr changed", "UPDATE trial_params SET param_value = 0.6 WHERE trial_id = 4"),
        ("its note 'seed' has changed", NOTE.format(8, "seed", 4)),
        ("its number was 3", "UPDATE trials SET number = 9 WHERE number = 3"),
        (
            "epoch 1 was (5, 0.1) (row, accuracy) and is (9, 0.1)",  # written anew
            "UPDATE trial_intermediate_values SET trial_intermediate_value_id = 9 WHERE trial_id = 4",
        ),
        ("epoch 1 was (5, 0.1)", "DELETE FROM trial_intermediate_values WHERE trial_id = 4"),
        ("note 'lr_bounds' has changed", "UPDATE study_user_attributes SET value_json = '[0.2]'"),
    ],
)
def test_what_was_there_and_is_lost_or_changed_is_found(
    words: str, statement: str, probe: StudyProbe
) -> None:
    before = seen(probe)
    change(probe, *statement.split("; "))
    broken = list(broken_between(before, seen(probe)))
    assert any(words in one for one in broken), broken


def test_a_trial_that_waits_at_a_rung_breaks_no_invariant(probe: StudyProbe) -> None:
    write_checkpoint(probe, 3, [epoch(1)])
    running, waiting = seen(probe), paused(probe)
    assert [one.number for one in waiting.trials if one.paused] == [3]
    change(probe, "UPDATE trials SET state = 'RUNNING' WHERE number = 3")
    write_checkpoint(probe, 3, [epoch(1), epoch(2)])
    moments = [running, waiting, seen(probe)]
    assert not [one for now in moments for one in broken_now(now, EXPECTED)]
    assert not [one for pair in pairwise(moments) for one in broken_between(*pair)]
    at_the_end = broken_at_the_end(waiting, EXPECTED, 3, probe.home, "tiny")
    assert "Trial 3 is WAITING." in list(at_the_end)


def test_a_trial_that_is_ended_where_it_waits_takes_no_workers_place(probe: StudyProbe) -> None:
    change(probe, "UPDATE trials SET state = 'RUNNING' WHERE number = 1")
    write_checkpoint(probe, 1, [epoch(1)])
    assert list(broken_now(seen(probe), EXPECTED)) == []


def test_what_a_waiting_trial_must_have_to_go_on_and_has_not_is_found(probe: StudyProbe) -> None:
    write_checkpoint(probe, 3, [epoch(1)])
    before = paused(probe)
    path = write_checkpoint(probe, 3, [epoch(1, seconds=0.26)])
    (broken,) = broken_between(before, seen(probe))
    assert "epoch 1 was saved, but trained again" in broken
    path.unlink()
    (broken,) = broken_now(seen(probe), EXPECTED)
    assert broken == "Trial 3, WAITING: its checkpoint hold epochs [], but [1] were reported."
    # A configuration that is queued has no epochs, also in no other place.
    change(probe, "DELETE FROM trial_intermediate_values WHERE trial_id = 4")
    (broken,) = broken_now(seen(probe), EXPECTED)
    assert broken == "Trial 3, WAITING: its notes hold epochs [1], but [] were reported."


def test_an_epoch_that_is_trained_again_is_found(probe: StudyProbe) -> None:
    """Though it comes to the same figures, and even if it had not been reported yet."""
    before = seen(probe)
    write_checkpoint(probe, 3, [epoch(1), epoch(2, seconds=0.26)])
    again = "epoch 2 was saved, but trained again: it took 0.25 s, then 0.26 s."
    (broken,) = broken_between(before, seen(probe))
    assert broken == f"Trial 3, RUNNING before and RUNNING now: {again}"
    # It is seen in the end, too, where checkpoints are gone.
    change(
        probe,
        "UPDATE trials SET state = 'COMPLETE' WHERE number = 3",
        "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (4, 'epochs', "
        """'[{"number": 1, "seconds": 0.25}, {"number": 2, "seconds": 0.26}]')""",
    )
    (broken,) = broken_between(before, seen(probe))
    assert broken.endswith(again)


def test_a_sweep_that_is_done_again_is_found(probe: StudyProbe) -> None:
    change(probe, "DELETE FROM study_user_attributes WHERE key = 'lr_bounds'")
    sweep = probe.folder.sweeps / "split" / "one.json"
    sweep.parent.mkdir()
    sweep.write_text("{}")
    before = seen(probe)
    assert list(broken_between(before, seen(probe))) == []
    os.utime(sweep, ns=(0, 0))
    (broken,) = broken_between(before, seen(probe))
    assert broken == "Sweep one.json of the LR-range test is lost or was done again."


def test_rows_that_a_kill_took_away_are_found() -> None:
    (broken,) = fell(Progress(4, 3, 5, 12, 1), Progress(4, 3, 4, 12, 1))
    assert broken == "There were 5 epochs right before the fault and 4 after it."


def test_a_search_that_ends_without_having_done_everything_is_found(
    probe: StudyProbe, home: Path
) -> None:
    broken = list(broken_at_the_end(seen(probe), Expected(5, 1), 2, home, "tiny"))
    assert broken == [
        "3 trials are final, but 5 were asked for.",
        "Trial 3 is RUNNING.",
        "3 deaths of workers are held against trials, but 2 were killed.",
        "The trained networks of trials [0, 3] are kept, but it should be trial 0, the best.",
    ]


def test_an_export_that_is_missing_or_another_trials_is_found(
    probe: StudyProbe, home: Path
) -> None:
    end, exported = ended(probe), home / "exports" / "tiny" / "best-1.toml"

    def broken() -> str:
        (one,) = broken_at_the_end(end, EXPECTED, 3, home, "tiny")
        return one

    exported.write_text(tomli_w.dumps({"recipe": Recipe(epochs=3).to_dict()}))
    assert "is not the recipe of trial 0, the best" in broken()
    exported.write_text(tomli_w.dumps({"recipe": RECIPE.to_dict()}))
    save_state({"weight": torch.zeros(2)}, exported.with_suffix(".pt"))
    assert "The exported network is not the one of trial 0" in broken()
    exported.unlink()
    assert "cannot be read" in broken()


def test_files_that_are_left_behind_are_found(probe: StudyProbe, home: Path) -> None:
    temporary = home.parent / "temporary"
    temporary.mkdir()
    left = (
        "artifacts/.half",
        "exports/tiny/.best-1.toml.x",
        "studies/tiny/.holder.json.x",
        "studies/tiny/checkpoints/.3.pt.x",
        "studies/tiny/images",
        "studies/tiny/stop",
        "studies/tiny/sweeps/one.json",
    )
    for name in left:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    for name in ("drawing", "torchinductor_me"):
        (temporary / name).mkdir()
    assert list(left_behind(home, "tiny", temporary)) == [
        *(f"{name} is left behind in the home." for name in left),
        "drawing is left behind among the temporary files.",
    ]


@pytest.mark.parametrize(
    ("kind", "phase", "right", "wrong"),
    [
        (None, "trials", (0,), (1, 130, -9)),
        ("SIGKILL to the group", "trials", (0, -9), (1, 130, -15)),
        ("SIGTERM", "trials", (0, 130), (1, -15)),
        ("SIGINT twice", "LR-range test", (0, 130), (1, -2)),
        ("SIGTERM to the group", "before the study", (130, -15), (1, -1)),
    ],
)
def test_an_exit_code_that_is_not_documented_is_found(
    kind: Fault | None, phase: Phase, right: tuple[int, ...], wrong: tuple[int, ...]
) -> None:
    assert not [code for code in right if wrong_code(kind, phase, code)]
    assert all(wrong_code(kind, phase, code) for code in wrong)


def test_trials_that_differ_from_an_undisturbed_run_are_found() -> None:
    def trial(
        number: int, accuracy: float = 0.5, state: TrialState = TrialState.PRUNED
    ) -> FrozenTrial:
        made = create_trial(state=state, intermediate_values={1: accuracy})
        made.number = number
        made.user_attrs["epochs"] = [
            {"number": 1, "train_loss": 1 - accuracy, "validation_loss": 1.0}
        ]
        return made

    alone = [trial(number) for number in range(3)]
    reference = Reference(values_of(alone), Pace(1.0, 1.0, 1.0))
    one, two = SCENARIOS[0], replace(SCENARIOS[0], workers=2)
    assert [*differences(one, reference, alone), *differences(two, reference, alone)] == []
    other = [*alone[:2], trial(2, 0.6)]
    assert "Trial 2: accuracies is {1: 0.6}" in " ".join(differences(one, reference, other))
    assert list(differences(two, reference, other)) == []  # another order, other choices
    failed = replace(one, fails=True)
    other[1] = trial(1, 0.5, TrialState.FAIL)
    assert (
        list(differences(failed, reference, other)) == []
    )  # behind a failed one there may be others
    assert list(differences(failed, reference, [trial(0, 0.6), *other[1:]])) != []
    known = [trial(0, 0.6), *alone[1:]]
    assert "Trial 0: its losses are" in " ".join(differences(two, reference, known))
    assert "There are 2 trials" in " ".join(differences(one, reference, alone[:2]))


def test_a_search_that_breaks_an_invariant_is_reported_with_its_story(
    plain_images: Path, tmp_path: Path
) -> None:
    search = FaultySearch(
        replace(SCENARIOS[0], pruner="no such pruner"),
        tmp_path,
        plain_images,
        np.random.default_rng(0),
        Pace(1.0, 1.0, 1.0),
        lambda: False,
    )
    with pytest.raises(BrokenInvariantError, match="The exit code is 2") as error:
        search.run()
    assert "Invalid value for '--pruner'" in str(error.value)
    assert str(search.home) in str(error.value)
