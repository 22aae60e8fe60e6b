"""Strikes of other programs at a study that a search runs: at its trials, and at its database file."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import NullPool, TextClause, text
from sqlalchemy.engine import make_url

__all__ = ["HANDS", "Hand", "Struck", "accounted", "moved_away", "strike", "takes_file"]

Hand = Literal[
    "a trial told to fail",
    "a trial told to be complete",
    "a trial deleted",
    "a value outside enqueued",
    "a misspelled parameter enqueued",
    "a foreign trial added",
    "the database removed",
    "the database replaced",
]
HANDS: frozenset[str] = frozenset(get_args(Hand))
NONSENSE = {
    "a value outside enqueued": {"dropout": 5.0},
    "a misspelled parameter enqueued": {"droput": 0.1},
}
"""Both spaces of the scenarios have a parameter `dropout`, up to 0.3."""
OTHERWISE: Hand = "a foreign trial added"
"""What is done where no trial is running."""
REASONS = {
    "a trial told to fail": "ended from outside",
    "a trial told to be complete": "ended from outside",
    "a value outside enqueued": "enqueued with dropout = 5.0, which is not in",
    "a misspelled parameter enqueued": "enqueued with droput, which is no parameter; did you mean dropout?",
}
PARTS = ("", "-wal", "-shm")
"""What follows the name of an SQLite database in its files' names."""


@dataclass(frozen=True)
class Struck:
    """A trial that another program has added, ended or deleted.

    Attributes:
        hand: What was done.
        number: The trial's number.
        row: Its row in the database.
    """

    hand: Hand
    number: int
    row: int


def takes_file(kind: str) -> bool:
    """Return whether the database file is taken away from the search, which must end then."""
    return kind in {"the database removed", "the database replaced"}


def strike(hand: Hand, url: str, study: str, random: np.random.Generator) -> Struck:
    """Do to a study what a user's script or the dashboard does.

    Args:
        hand: What to do.
        url: The database.
        study: The study, which exists.
        random: Chooses among running trials.

    Returns:
        The trial that was struck, and what was done to it: a foreign one is added where none runs.
    """
    patient = {"timeout": 60} if make_url(url).get_backend_name() == "sqlite" else {}
    storage = RDBStorage(url, engine_kwargs={"poolclass": NullPool, "connect_args": patient})
    try:
        opened = optuna.load_study(study_name=study, storage=storage)
        struck = _hit(hand, storage, opened, random)
        if struck is None:
            hand = hand if hand in NONSENSE else OTHERWISE
            if hand in NONSENSE:
                opened.enqueue_trial(NONSENSE[hand])
            else:
                opened.add_trial(create_trial(value=0.999))
            struck = opened.get_trials(deepcopy=False)[-1]
        return Struck(hand, struck.number, struck._trial_id)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _hit(
    hand: Hand, storage: RDBStorage, study: optuna.Study, random: np.random.Generator
) -> FrozenTrial | None:
    """End or delete a running trial and return it; None if `hand` is something else, or none runs."""
    ends = {"a trial told to fail", "a trial told to be complete", "a trial deleted"}
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    # One without a recipe was just begun: it would count as foreign.
    running = [trial for trial in running if "recipe" in trial.user_attrs]
    if hand not in ends or not running:
        return None
    trial = running[int(random.integers(len(running)))]
    if hand == "a trial deleted":
        with storage.engine.begin() as connection:
            for table in ("values", "params", "user_attributes", "system_attributes"):
                connection.execute(_deletion(f"trial_{table}"), {"trial": trial._trial_id})
            for name in ("trial_intermediate_values", "trials"):
                connection.execute(_deletion(name), {"trial": trial._trial_id})
        return trial
    complete = hand == "a trial told to be complete"
    state = TrialState.COMPLETE if complete else TrialState.FAIL
    try:
        storage.set_trial_state_values(trial._trial_id, state, [0.999] if complete else None)
    except UpdateFinishedTrialError:  # the search has just ended it
        return None
    return trial


def _deletion(table: str) -> TextClause:
    return text(f"DELETE FROM {table} WHERE trial_id = :trial")  # noqa: S608 - constants


@contextmanager
def moved_away(kind: str, database: Path, aside: Path) -> Iterator[None]:
    """Remove or replace an SQLite database within this context, and put it back at its end.

    Args:
        kind: What is done.
        database: The file.
        aside: An empty folder on the same file system.
    """
    there = [file for part in PARTS if (file := Path(f"{database}{part}")).exists()]
    for file in there:
        (aside / file.name).hardlink_to(file)
    if kind == "the database replaced":
        copy = shutil.copy(database, aside / "copy")
        Path(copy).replace(database)
    else:
        database.unlink()
    try:
        yield
    finally:
        for part in PARTS:
            Path(f"{database}{part}").unlink(missing_ok=True)
        for file in there:
            (aside / file.name).replace(file)


def accounted(
    status: dict[str, Any], total: int, struck: Sequence[Struck], states: Mapping[int, str]
) -> Iterator[str]:
    """Yield what `status --json` says wrongly about a finished study that others have changed.

    Args:
        status: The document.
        total: Trials that the search was asked for.
        struck: What was done to it.
        states: The state of each trial in the database, by number.
    """
    counts = status["trials"]
    if (counts["finished"], counts["running"], counts["paused"]) != (total, 0, 0):
        yield f"The status counts {counts}, but {total} trials were asked for."
    foreign = sorted(one.number for one in struck if one.hand == OTHERWISE)
    if status["foreign"] != foreign:
        yield f"The status names trials {status['foreign']} as foreign, but it was {foreign}."
    for one in struck:
        reason = REASONS.get(one.hand)
        # What was enqueued when all trials had been started still waits.
        waits = one.hand in NONSENSE and states.get(one.number) == "WAITING"
        told = str(status["failures"].get(str(one.number)))
        if reason is not None and not waits and not told.startswith(reason):
            yield f"Trial {one.number} was struck ({one.hand}), but its reason is: {told}"
