"""Trials written and read as a whole are those that Optuna would have written and read."""

import hashlib
import inspect
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import cycle, product
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.models import BaseModel
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import event, select

from search.home import StudyFolder
from search.storage.fast_rdb import FastRDBStorage
from search.storage.opening import open_storage
from search.storage.retrying import RetryingStorage
from tests.search.scripted import ScriptedPool, new_study, search
from tests.spaces.making import small_space

MAXIMIZE = [StudyDirection.MAXIMIZE]
PRIVATE_PARTS: dict[str, Any] = {
    name: getattr(RDBStorage, name)
    for name in (
        *("_create_new_trial", "_get_prepared_new_trial", "_build_frozen_trial_from_trial_model"),
        *("_set_trial_intermediate_value_without_commit", "_set_trial_attr_without_commit"),
        *("get_trial", "set_trial_state_values", "delete_study", "check_trial_is_updatable"),
    )
} | {"models": models, "_create_scoped_session": _create_scoped_session}
"""What `FastRDBStorage` replaces, or calls, of Optuna's database storage."""
DIGESTS = {
    "_create_new_trial": "a676d02d4c89411c",
    "_get_prepared_new_trial": "c30a91f40fe7bbf1",
    "_build_frozen_trial_from_trial_model": "1a7af04d4f861489",
    "_set_trial_intermediate_value_without_commit": "e6197cfb6513a322",
    "_set_trial_attr_without_commit": "71fa6668f43faabd",
    "get_trial": "dad050543be3ee56",
    "set_trial_state_values": "7456a10801d0d72f",
    "delete_study": "6797d76eabad9de2",
    "check_trial_is_updatable": "c86b51723df5ce86",
    "models": "edc3bab66f4d2cf4",
    "_create_scoped_session": "6046e0a93e167a45",
}
"""The first digits of the SHA-256 of each part's source in Optuna 5.0.0, however it is indented."""
STATES = list(TrialState)
# Optuna's times are local; the clocks change between these two.
BEFORE, AFTER = (datetime(2024, month, 1, 12, 59, 59, 7) for month in (1, 7))  # noqa: DTZ001


@pytest.fixture
def opened() -> Iterator[Callable[[type[RDBStorage], str], RDBStorage]]:
    """Return a function that opens storages, and close their connections at the end."""
    found: list[RDBStorage] = []

    def open_one(kind: type[RDBStorage], url: str) -> RDBStorage:
        found.append(kind(url))
        return found[-1]

    yield open_one
    for storage in found:
        storage.remove_session()
        storage.engine.dispose()


Opener = Callable[[type[RDBStorage], str], RDBStorage]


def whole(state: TrialState, **changes: Any) -> FrozenTrial:
    """Return a trial with everything that a trial of this state can have."""
    finished = state.is_finished()
    parts: dict[str, Any] = {
        "state": state,
        "params": {"z": 0.5, "lr": 1e-3, "width": 8, "optimizer": "adam", "odd": None},
        "distributions": {
            "z": FloatDistribution(0.0, 1.0, step=0.25),
            "lr": FloatDistribution(1e-4, 0.1, log=True),
            "width": IntDistribution(2, 64, log=True),
            "optimizer": CategoricalDistribution(["sgd", "adam"]),
            "odd": CategoricalDistribution([None, True, 1.5]),
        },
        "user_attrs": {"seed": 2**62, "recipe": {"lr": 0.1, "ü": [1, None, "x"]}, "empty": ""},
        "system_attrs": {"fixed_params": {"z": 0.5}},
        "intermediate_values": {
            2: 0.5,
            1: float("nan"),
            3: float("inf"),
            4: -float("inf"),
            7: 0.1,
        },
    }
    if state in (TrialState.COMPLETE, TrialState.PRUNED):
        parts["value"] = 0.1 if state is TrialState.COMPLETE else float("-inf")
    trial = create_trial(**parts | changes)
    trial.datetime_start = None if state is TrialState.WAITING else BEFORE
    trial.datetime_complete = AFTER if finished else None
    return trial


def rows_of(storage: RDBStorage) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that is stored, table by table, except the database's version."""
    found = {}
    with storage.engine.connect() as connection:
        for table in BaseModel.metadata.sorted_tables:
            order = list(table.primary_key.columns)
            found[table.name] = [
                tuple(row) for row in connection.execute(select(table).order_by(*order))
            ]
    return found


def plain(trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial in a form that can be compared: NaN equals itself, the order of parameters counts."""
    shown = {key: repr(value) for key, value in trial.__dict__.items()}
    for key in ("user_attrs", "system_attrs", "intermediate_values"):
        shown[f"_{key}"] = repr(sorted(getattr(trial, key).items()))
        shown.pop(key, None)
    return shown


def test_the_private_parts_of_optuna_are_those_that_this_storage_was_written_for() -> None:
    sources = {name: inspect.getsource(part).split() for name, part in PRIVATE_PARTS.items()}
    found = {
        name: hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]
        for name, words in sources.items()
    }
    changed = [name for name in DIGESTS if found[name] != DIGESTS[name]]
    assert not changed, (
        f"Optuna {optuna.__version__} has changed private parts that search/storage/fast_rdb.py replaces "
        f"or calls: {', '.join(changed)}. Compare each with its replacement, adapt that, then update "
        "DIGESTS and the upper bound of Optuna in setup.cfg."
    )


def test_a_new_trial_is_stored_and_read_as_optuna_does_it(
    url: str, tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        theirs, ours = (
            opened(RDBStorage, f"sqlite:///{tmp_path}/optuna.db"),
            opened(FastRDBStorage, url),
        )
        for storage in (theirs, ours):
            study = storage.create_new_study(MAXIMIZE, "mine")
            for state in STATES:
                storage.create_new_trial(study, whole(state))
            bare = create_trial(state=TrialState.RUNNING)
            bare.datetime_start = BEFORE
            storage.create_new_trial(study, bare)
        assert rows_of(ours) == rows_of(theirs)
        expected = theirs.get_all_trials(1)
        assert len(expected) == len(STATES) + 1
        for reader in (ours, opened(RDBStorage, url)):
            assert [plain(one) for one in reader.get_all_trials(1)] == list(map(plain, expected))
            assert [plain(reader.get_trial(one._trial_id)) for one in expected] == list(
                map(plain, expected)
            )
    finally:
        monkeypatch.undo()
        time.tzset()


def test_what_a_storage_returns_of_a_new_trial_is_what_it_has(
    sqlite_url: str, opened: Opener
) -> None:
    storage = opened(FastRDBStorage, sqlite_url)
    study = storage.create_new_study(MAXIMIZE, "mine")
    for state in STATES:
        made = storage._create_new_trial(study, whole(state))
        assert plain(made) == plain(storage.get_trial(made._trial_id))


def test_scores_and_notes_are_overwritten_as_optuna_does_it(
    url: str, tmp_path: Path, opened: Opener
) -> None:
    theirs, ours = (
        opened(RDBStorage, f"sqlite:///{tmp_path}/optuna.db"),
        opened(FastRDBStorage, url),
    )
    for storage in (theirs, ours):
        study = storage.create_new_study(MAXIMIZE, "mine")
        for trial in [storage.create_new_trial(study, whole(TrialState.RUNNING)) for _ in range(2)]:
            for step, score in ((1, 0.25), (2, float("nan")), (9, float("inf")), (9, 0.5)):
                storage.set_trial_intermediate_value(trial, step, score)
            for key, value in (("seed", 1), ("new", {"a": []}), ("new", None)):
                storage.set_trial_user_attr(trial, key, value)
                storage.set_trial_system_attr(trial, key, value)
    starts = {row[3] for row in rows_of(ours)["trials"]}
    assert len(starts) == 1
    assert rows_of(ours) == rows_of(theirs)


def test_a_state_is_changed_or_refused_as_optuna_does_it(
    url: str, tmp_path: Path, opened: Opener
) -> None:
    storages = opened(RDBStorage, f"sqlite:///{tmp_path}/optuna.db"), opened(FastRDBStorage, url)
    for storage in storages:
        storage.create_new_study(MAXIMIZE, "mine")
        with pytest.raises(KeyError):
            storage.set_trial_state_values(1, TrialState.RUNNING)
    every_values = cycle((None, [0.5], [float("-inf"), 2.0]))
    for (before, after), values in zip(product(STATES, STATES), every_values, strict=False):
        began, answers, found = datetime.now(), [], []  # noqa: DTZ005 - as Optuna's are
        for storage in storages:
            trial, other = (storage.create_new_trial(1, whole(before)) for _ in range(2))
            try:
                answers.append(repr(storage.set_trial_state_values(trial, after, values)))
            except UpdateFinishedTrialError as error:
                answers.append(repr(error))
            found.append(storage.get_trial(trial))
            untouched = storage.get_trial(other)
            assert (untouched.state, untouched.datetime_start) == (
                before,
                whole(before).datetime_start,
            )
        assert answers[0] == answers[1], (before, after, values)
        if answers[0] == "False":
            continue  # Optuna then writes the values although it refuses the state
        theirs, ours = found
        for name in ("datetime_start", "datetime_complete"):
            if getattr(theirs, name) not in (None, BEFORE, AFTER):
                assert began <= getattr(ours, name) <= datetime.now(), (before, after)  # noqa: DTZ005
                setattr(ours, name, getattr(theirs, name))
        assert plain(ours) == plain(theirs), (before, after, values)


@pytest.mark.parametrize(
    "table",
    [
        *("trials", "trial_params", "trial_intermediate_values"),
    ],
)
def test_of_a_trial_that_cannot_be_written_whole_nothing_is_left(
    sqlite_url: str, opened: Opener, table: str
) -> None:
    storage = opened(FastRDBStorage, sqlite_url)
    study = storage.create_new_study(MAXIMIZE, "mine")
    storage.create_new_trial(study, whole(TrialState.COMPLETE))
    before = rows_of(storage)

    def fail(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(f"INSERT INTO {table} "):
            raise ValueError(table)

    event.listen(storage.engine, "before_cursor_execute", fail)
    with pytest.raises(ValueError, match=table):
        storage.create_new_trial(study, whole(TrialState.COMPLETE))
    event.remove(storage.engine, "before_cursor_execute", fail)
    assert rows_of(storage) == before
    made = storage.create_new_trial(study, whole(TrialState.COMPLETE))
    assert storage.get_trial(made).number == 1


def test_a_parameter_of_another_kind_is_refused_until_the_study_is_gone(
    sqlite_url: str, opened: Opener
) -> None:
    storage = opened(FastRDBStorage, sqlite_url)
    other = create_trial(
        state=TrialState.RUNNING, params={"lr": 3}, distributions={"lr": IntDistribution(1, 5)}
    )
    study = storage.create_new_study(MAXIMIZE, "mine")
    for _ in range(3):  # the first time it is not there, then it is looked up, then it is known
        storage.create_new_trial(study, whole(TrialState.RUNNING))
        with pytest.raises(ValueError, match="different distribution kind"):
            storage.create_new_trial(study, other)
    assert len(storage.get_all_trials(study)) == 3
    storage.create_new_trial(storage.create_new_study(MAXIMIZE, "another"), other)
    for name in ("another", "mine"):
        storage.delete_study(storage.get_study_id_from_name(name))
    storage.create_new_trial(storage.create_new_study(MAXIMIZE, "new"), other)


def test_a_refused_trial_teaches_the_storage_nothing(sqlite_url: str, opened: Opener) -> None:
    storage = opened(FastRDBStorage, sqlite_url)
    study = storage.create_new_study(MAXIMIZE, "mine")
    unwritable = whole(TrialState.RUNNING, user_attrs={"not JSON": {1, 2}})
    with pytest.raises(TypeError):
        storage.create_new_trial(study, unwritable)
    other = create_trial(
        state=TrialState.RUNNING, params={"lr": 3}, distributions={"lr": IntDistribution(1, 5)}
    )
    storage.create_new_trial(study, other)


def test_a_trial_takes_few_statements_however_much_it_has(sqlite_url: str, opened: Opener) -> None:
    storage = opened(FastRDBStorage, sqlite_url)
    study = storage.create_new_study(MAXIMIZE, "mine")
    for _ in range(2):
        storage.create_new_trial(study, whole(TrialState.RUNNING))
    asked: list[str] = []
    event.listen(
        storage.engine, "before_cursor_execute", lambda *heard: asked.append(heard[2].split()[0])
    )
    made = storage.create_new_trial(study, whole(TrialState.COMPLETE))
    # The study; the trial, its number, and what it becomes; and its five parts.
    assert sorted(asked) == ["INSERT"] * 6 + ["SELECT"] * 2 + ["UPDATE"]
    asked.clear()
    storage.get_trial(made)
    assert asked == ["SELECT"] * 6
    asked.clear()
    storage.set_trial_intermediate_value(made - 1, 100, 0.5)
    assert asked == ["SELECT", "UPDATE", "INSERT"]
    asked.clear()
    storage.set_trial_state_values(made - 1, TrialState.WAITING)
    assert asked == ["SELECT", "UPDATE"]


def test_no_trial_is_read_because_of_an_epoch(
    tmp_path: Path, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    read = RetryingStorage.get_trial

    def counted(self: RetryingStorage, trial_id: int) -> FrozenTrial:
        reads[-1] += 1
        return read(self, trial_id)

    monkeypatch.setattr(RetryingStorage, "get_trial", counted)
    for epochs in (1, 3):
        reads.append(0)
        space = small_space(recipe={"epochs": epochs, "network": {"name": "net", "channels2": 4}})
        storage = open_storage(f"sqlite:///{tmp_path}/{epochs}.db")
        study = new_study(storage, trials=2, space=space)
        pool = ScriptedPool()
        assert search(study, pool, folder) == "finished"
        assert len(pool.trained) == 2 * epochs
        storage.remove_session()
        storage.engine.dispose()
    few, many = reads
    assert few == many > 0
