"""The invariants of a search under faults; each check yields a sentence for everything that breaks one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cifar_core.checkpoint import load_state
from cifar_core.errors import CifarSearchError
from cifar_core.recipe import Recipe
from search.home import REPORT, StudyFolder
from search.recipe_files import read_configuration
from search.study import attributes
from tests.chaos.probe import Progress, Snapshot, TrialSnapshot

__all__ = ["Expected", "broken_at_the_end", "broken_between", "broken_now", "fell", "left_behind"]

DEATHS_THAT_FAIL_A_TRIAL = 3
STAY_IN_STUDY = (
    attributes.SETTINGS,
    attributes.VERSIONS,
    attributes.STORED_AT,
    attributes.LR_CURVES,
    attributes.LR_BOUNDS,
)
"""Notes of a study that stay what they are once they are there."""
STAY_IN_TRIAL = (
    attributes.KNOWN,
    attributes.SUGGESTED,
    attributes.WARM,
    attributes.SEED,
    attributes.RECIPE,
)
"""Notes of a trial that stay what they are once they are there."""
LASTING = ("studies.db", "studies.db.lock", "studies.db-wal", "studies.db-shm")
"""What lies in a home for good, beside exports, artifacts and logs. SQLite keeps the last two when it was
killed, until the database is closed in order."""


@dataclass(frozen=True)
class Expected:
    """The size of a search.

    Attributes:
        trials: Trials in all.
        workers: Its workers.
        struck: Numbers of the trials that another program has added, ended or deleted: what is checked
            of the others is not true of these.
    """

    trials: int
    workers: int
    struck: frozenset[int] = frozenset()


def broken_now(now: Snapshot, expected: Expected) -> Iterator[str]:
    """Yield what is broken that must be true of a study at every moment."""
    yield from now.damage
    now = now.without(expected.struck)
    numbers = sorted(trial.number for trial in now.trials)
    if numbers != [
        one for one in range(max(numbers, default=-1) + 1) if one not in expected.struck
    ]:
        yield f"The trials' numbers are {numbers}, and not each from 0 on once."
    if len(numbers) > expected.trials:
        yield f"There are {len(numbers)} trials, but {expected.trials} were asked for."
    # A trial that has waited is taken up for the moment in which it is ended, too.
    running = [trial.number for trial in now.in_state("RUNNING") if not _has_just_waited(trial)]
    if len(running) > expected.workers:
        yield f"Trials {running} are running, more than the {expected.workers} workers."
    for trial in now.trials:
        for broken in (*_in_epochs(trial), *_in_state(trial)):
            yield f"Trial {trial.number}, {trial.state}: {broken}"


def _in_epochs(trial: TrialSnapshot) -> Iterator[str]:
    reported = sorted(trial.epochs)
    if reported != list(range(1, len(reported) + 1)):
        yield f"its reported epochs are {reported}, and not each from 1 on once."
    noted = trial.notes.get(attributes.EPOCHS, [])
    if trial.state != "RUNNING":
        yield from _in_place(trial, reported, "its notes", noted)
    if not trial.finished:
        yield from _in_place(trial, reported, "its checkpoint", trial.saved)


def _in_place(
    trial: TrialSnapshot, reported: Sequence[int], where: str, known: Sequence[dict[str, Any]]
) -> Iterator[str]:
    numbers = [epoch["number"] for epoch in known]
    # A worker saves an epoch, then says so; one that was killed in between has left one more.
    ahead = 1 if trial.state in {"RUNNING", "FAIL"} else 0
    if numbers != list(range(1, len(numbers) + 1)) or not (
        len(reported) <= len(numbers) <= len(reported) + ahead
    ):
        yield f"{where} hold epochs {numbers}, but {reported} were reported."
    for epoch in known:
        accuracy = trial.epochs.get(epoch["number"], (0, None))[1]
        if accuracy is not None and abs(accuracy - epoch["validation_accuracy"]) > 1e-6:
            yield (
                f"{where} have {epoch['validation_accuracy']} for epoch {epoch['number']}, "
                f"but {accuracy} was reported."
            )


def _has_just_waited(trial: TrialSnapshot) -> bool:
    """Return whether no epoch was reported since the trial was paused."""
    return len(trial.notes.get(attributes.EPOCHS, ())) == len(trial.epochs) > 0


def _in_state(trial: TrialSnapshot) -> Iterator[str]:
    deaths = trial.notes.get(attributes.INTERRUPTIONS, 0)
    reason = trial.notes.get(attributes.REASON)
    if deaths >= DEATHS_THAT_FAIL_A_TRIAL and trial.state not in {"FAIL", "RUNNING"}:
        yield f"its workers were killed {deaths} times, and it has not failed."
    if trial.state in {"PRUNED", "FAIL"} and not reason:
        yield "it has no reason."
    if trial.state == "FAIL":
        if deaths != DEATHS_THAT_FAIL_A_TRIAL:
            yield f"it has failed, but its workers were killed {deaths} times: {reason}"
        elif f"its worker ended {deaths} times" not in str(reason):
            yield f"its reason does not say that its workers were killed: {reason}"
    if trial.state == "COMPLETE":
        epochs = Recipe.read(trial.notes[attributes.RECIPE]).epochs
        last = trial.epochs.get(epochs)
        if len(trial.epochs) != epochs or last is None:
            yield f"it has {len(trial.epochs)} of {epochs} epochs."
        elif trial.values != (last[1],):
            yield f"its value is {trial.values}, but its last epoch's {last[1]}."


def broken_between(before: Snapshot, now: Snapshot) -> Iterator[str]:
    """Yield what was lost, changed or trained again between two moments."""
    for key in STAY_IN_STUDY:
        if key in before.notes and now.notes.get(key) != before.notes[key]:
            yield f"The study's note {key!r} has changed."
    if now.notes.get(attributes.SECONDS, 0.0) < before.notes.get(attributes.SECONDS, 0.0):
        yield "The study has been running for less time than before."
    if attributes.LR_BOUNDS not in now.notes:
        for name in sorted(before.sweeps):
            if now.sweeps.get(name) != before.sweeps[name]:
                yield f"Sweep {name} of the LR-range test is lost or was done again."
    found = {trial.row: trial for trial in now.trials}
    for old in before.trials:
        new = found.get(old.row)
        if new is None:
            yield f"Trial {old.number} is lost."
        else:
            for broken in _changed(old, new):
                yield f"Trial {old.number}, {old.state} before and {new.state} now: {broken}"


def _changed(old: TrialSnapshot, new: TrialSnapshot) -> Iterator[str]:
    if old.finished:
        for part in ("number", "state", "dates", "values", "params", "notes", "epochs"):
            if getattr(new, part) != getattr(old, part):
                yield (
                    f"it was final, but its {part} changed "
                    f"from {getattr(old, part)} to {getattr(new, part)}."
                )
        return
    if new.number != old.number:
        yield f"its number was {old.number} and is {new.number}."
    if old.state == "RUNNING" and new.state == "WAITING" and not new.paused:
        yield "it was running and waits to be begun."
    for name, value in old.params.items():
        if new.params.get(name) != value:
            yield f"parameter {name} changed from {value} to {new.params.get(name)}."
    for key in STAY_IN_TRIAL:
        if key in old.notes and new.notes.get(key) != old.notes[key]:
            yield f"its note {key!r} has changed."
    if new.notes.get(attributes.INTERRUPTIONS, 0) < old.notes.get(attributes.INTERRUPTIONS, 0):
        yield "deaths of its workers are forgotten."
    for epoch, kept in old.epochs.items():
        if new.epochs.get(epoch) != kept:
            yield f"epoch {epoch} was {kept} (row, accuracy) and is {new.epochs.get(epoch)}."
    for epoch, seconds in old.seconds.items():
        again = new.seconds.get(epoch)
        if again is None and new.state == "FAIL" and epoch not in new.epochs:
            continue  # saved, but not reported any more
        if again != seconds:
            yield f"epoch {epoch} was saved, but trained again: it took {seconds} s, then {again} s."


def fell(before: Progress, now: Progress) -> Iterator[str]:
    """Yield the counts that are lower after a fault than right before it."""
    for name, old, new in zip(Progress._fields, before, now, strict=True):
        if new < old:
            yield f"There were {old} {name} right before the fault and {new} after it."


def broken_at_the_end(
    end: Snapshot, expected: Expected, worker_kills: int, home: Path, study: str
) -> Iterator[str]:
    """Yield what is broken that must be true of a study whose search has ended by itself.

    Args:
        end: The study.
        expected: What was asked of it.
        worker_kills: Number of workers that were killed while their coordinator lived.
        home: Its home, which has no other study.
        study: Its name.
    """
    if end.progress.finished != expected.trials:
        yield f"{end.progress.finished} trials are final, but {expected.trials} were asked for."
    for trial in end.in_state("RUNNING", "WAITING"):
        # What was enqueued when all trials had been started waits for a larger total.
        if trial.state == "RUNNING" or trial.epochs or trial.number not in expected.struck:
            yield f"Trial {trial.number} is {trial.state}."
    deaths = sum(trial.notes.get(attributes.INTERRUPTIONS, 0) for trial in end.trials)
    if deaths > worker_kills:
        yield f"{deaths} deaths of workers are held against trials, but {worker_kills} were killed."
    best = _best(end)
    if best is not None:
        yield from _in_export(best, home, study)
    kept = StudyFolder(home / "studies" / study).checkpoints()
    if kept != ({best.number} if best is not None else set()):
        which = "none" if best is None else f"trial {best.number}, the best"
        yield f"The trained networks of trials {sorted(kept)} are kept, but it should be {which}."


def _best(end: Snapshot) -> TrialSnapshot | None:
    # One that another program told to be complete has no epochs among its notes.
    complete = [trial for trial in end.in_state("COMPLETE") if attributes.EPOCHS in trial.notes]
    return max(
        complete,
        key=lambda trial: (trial.epochs[max(trial.epochs)][1] or 0.0, -trial.number),
        default=None,
    )


def _in_export(best: TrialSnapshot, home: Path, study: str) -> Iterator[str]:
    exported = home / "exports" / study / "best-1.toml"
    try:
        recipe = read_configuration(exported)
        weights = load_state(exported.with_suffix(".pt"))
        state = load_state(StudyFolder(home / "studies" / study).checkpoint(best.number))
    except CifarSearchError as error:
        yield f"The best configuration, or its network, cannot be read: {error}"
        return
    if recipe != Recipe.read(best.notes[attributes.RECIPE]):
        yield f"{exported} is not the recipe of trial {best.number}, the best."
    learned = state["network"]
    if weights.keys() != learned.keys() or any(
        not torch.equal(weights[name], learned[name]) for name in learned
    ):
        yield f"The exported network is not the one of trial {best.number}, the best."
    if [one["number"] for one in state["history"]] != sorted(best.epochs):
        yield f"The kept network of trial {best.number} is not the one after its last epoch."


def left_behind(home: Path, study: str, temporary: Path) -> Iterator[str]:
    """Yield the files that a finished search should have removed.

    Args:
        home: The study's home, which has no other.
        study: Its name.
        temporary: The folder for temporary files that the search was given.
    """
    own, exports = home / "studies" / study, home / "exports" / study
    lasting = {home / name for name in LASTING} | {own / "lock", own / "holder.json"}
    lasting.add(home / f"studies.db.{study}.hold")
    lasting |= {exports / "best-1.toml", exports / "best-1.pt", exports / REPORT}
    # How many networks are kept is checked elsewhere; here is only said which files are none.
    folders = {own / "logs": ".log", own / "checkpoints": ".pt", home / "artifacts": ""}
    for path in sorted(path for path in home.rglob("*") if not path.is_dir()):
        lasts = folders.get(path.parent)
        named = lasts is not None and path.name.endswith(lasts) and not path.name.startswith(".")
        if path not in lasting and not named:
            yield f"{path.relative_to(home)} is left behind in the home."
    for path in sorted(temporary.iterdir()):
        if path.name.startswith("torchinductor_"):
            continue  # PyTorch's own, made by its first optimizer step
        yield f"{path.name} is left behind among the temporary files."
