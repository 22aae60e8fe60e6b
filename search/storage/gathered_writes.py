"""Writes into unfinished trials that are gathered, and then done in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import BindParameter, Connection, Insert, Table, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from search.storage.trial_rows import KEYS, PARTS, TRIALS, attribute_row, score_row, value_rows

__all__ = ["GatheredWrites"]

STATES = (
    select(TRIALS.c.trial_id, TRIALS.c.state)
    .where(TRIALS.c.trial_id.in_(bindparam("some", expanding=True)))
    .with_for_update()
)
THE_TRIAL: BindParameter[int] = bindparam("the_trial")
CHANGE = TRIALS.update().where(TRIALS.c.trial_id == THE_TRIAL)
# For each state another statement: one changes the time of the start, one that of the end.
TIMES: Mapping[str, str | None] = {
    "RUNNING": "datetime_start",
    "WAITING": None,
    **dict.fromkeys(("COMPLETE", "PRUNED", "FAIL"), "datetime_complete"),
}
INSERTS: Mapping[str, Callable[[Table], Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


@dataclass
class _Writes:
    """Writes to one trial that wait.

    Attributes:
        rows: Rows by part of the trial and by their keys.
        states: The states that it is put into, one after the other.
        at: When it was put into the last one.
    """

    rows: dict[str, dict[int | str, dict[str, Any]]] = field(default_factory=dict)
    states: list[TrialState] = field(default_factory=list)
    at: datetime | None = None

    def may_be_done(self, stored: TrialState | None, *, again: bool) -> bool:
        """Return whether they may be written into a trial that the database has in this state."""
        if stored is None or stored.is_finished():
            return False
        is_taken_up = bool(self.states) and self.states[0] is TrialState.RUNNING
        return stored is TrialState.WAITING or not is_taken_up or again


class GatheredWrites:
    """Writes into unfinished trials of which this process is the only writer.

    To write one after the other, each in a transaction of its own, takes several times as long.
    """

    def __init__(self) -> None:
        self._trials: dict[int, _Writes] = {}

    def __bool__(self) -> bool:
        """Return whether there is anything to write."""
        return bool(self._trials)

    @property
    def ends_trials(self) -> bool:
        """A trial becomes final by them."""
        return any(one.states and one.states[-1].is_finished() for one in self._trials.values())

    def clear(self) -> None:
        """Forget all of them: they are done."""
        self._trials.clear()

    def add_score(self, trial_id: int, step: int, score: float) -> None:
        """Add the value of a step."""
        self._put(trial_id, "intermediate_values", step, score_row(step, score))

    def add_note(self, trial_id: int, key: str, value: Any) -> None:
        """Add a user attribute, in place of an earlier one."""
        self._put(trial_id, "user_attributes", key, attribute_row(key, value))

    def add_state(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> None:
        """Add a change of state; to run, a trial must wait until then."""
        writes = self._trials.setdefault(trial_id, _Writes())
        writes.states.append(state)
        writes.at = datetime.now(UTC).replace(tzinfo=None)
        for row in value_rows(values):
            self._put(trial_id, "values", row["objective"], row)

    def write(self, connection: Connection, *, again: bool = False) -> set[int]:
        """Write them within a transaction.

        Args:
            connection: The transaction's.
            again: It may have been done, if the answer of the database was lost.

        Returns:
            The trials into which nothing may be written, as another process has ended or removed them.
        """
        found = connection.execute(STATES, {"some": list(self._trials)})
        stored: dict[int, TrialState] = {row.trial_id: row.state for row in found}
        there = {
            trial_id
            for trial_id, writes in self._trials.items()
            if again and writes.states and stored.get(trial_id) is writes.states[-1]
        }
        done = {
            trial_id: writes
            for trial_id, writes in self._trials.items()
            if trial_id not in there and writes.may_be_done(stored.get(trial_id), again=again)
        }
        for part in KEYS:
            rows = [
                {"trial_id": trial_id, **row}
                for trial_id, writes in done.items()
                for row in writes.rows.get(part, {}).values()
            ]
            if rows:
                connection.execute(_putting(part, connection.dialect.name), rows)
        for state in TrialState:
            time = TIMES[state.name]
            changes = [
                {"the_trial": trial_id, "state": state} | ({time: writes.at} if time else {})
                for trial_id, writes in done.items()
                if writes.states and writes.states[-1] is state
            ]
            if changes:
                connection.execute(CHANGE, changes)
        return self._trials.keys() - done.keys() - there

    def _put(self, trial_id: int, part: str, key: int | str, row: dict[str, Any]) -> None:
        self._trials.setdefault(trial_id, _Writes()).rows.setdefault(part, {})[key] = row


_statements: dict[tuple[str, str], Insert] = {}


def _putting(part: str, dialect: str) -> Insert:
    """Return the statement that inserts rows of a part, each in place of the one with its key."""
    # Statements are built once: building one takes longer than SQLite takes to answer it.
    if (part, dialect) not in _statements:
        insert = INSERTS[dialect](PARTS[part])
        changed = {
            name: column
            for name, column in insert.excluded.items()
            if name != "trial_id" and not PARTS[part].c[name].primary_key
        }
        _statements[part, dialect] = insert.on_conflict_do_update(
            index_elements=["trial_id", KEYS[part]], set_=changed
        )
    return _statements[part, dialect]
