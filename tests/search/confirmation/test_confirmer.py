"""A confirmation over scripted workers: killed, stopped or out of time, it ends as it should."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from cifar_core.epoch import Epoch
from search.confirmation.confirmer import Confirmer
from search.confirmation.planning import (
    chosen,
    conclusion_of,
    is_pending,
    read_runs,
)
from search.events import (
    ConfirmationEnded,
    ConfirmationStarted,
    ConfirmationTrained,
    Event,
    Notice,
)
from search.execution.coordinator import Outcome
from search.study.confirmation import packed
from search.study.study import SearchStudy
from search.workers.messages import Died, Failed, TrainTask, WorkerMessage
from tests.search.confirmation.made_up import answers
from tests.search.scripted import (
    DATA,
    Killed,
    ScriptedPool,
    enqueue_known,
    folder_in,
    kill_at,
    new_study,
    reopened,
    search,
)

Saved = dict[int | str, list[Epoch]]
CONFIRMING = DATA.model_copy(update={"validation": 3_000, "confirming": 2_000})


def right(task: TrainTask) -> str:
    """What a training gets right: the wider and the less dropout the better, and some luck of its seed."""
    net = task.recipe.network
    accuracy = 0.5 + 0.01 * net.channels1 - 0.2 * net.dropout + (task.seed % 7) / 1_000
    return packed(answers(accuracy, task.seed % 1_000, net.channels1))


@pytest.fixture
def study(tmp_path: Path) -> SearchStudy:
    """A search that is over, with a confirmation to come."""
    made = new_study(optuna.storages.InMemoryStorage(), trials=8, data=CONFIRMING)
    enqueue_known(made)
    assert search(made, ScriptedPool(), folder_in(tmp_path)) == "finished"
    return reopened(made, trials=8, confirm=2, confirm_seeds=3)


def confirm(
    study: SearchStudy,
    path: Path,
    pool: ScriptedPool | None = None,
    stop: Callable[[], bool] = lambda: False,
    seconds_left: Callable[[], float | None] = lambda: None,
    events: list[Event] | None = None,
) -> Outcome:
    observed = [] if events is None else events
    return Confirmer(
        study,
        pool or ScriptedPool(answers=right),  # type: ignore[arg-type] # it does what a pool does
        folder_in(path),
        observed.append,
        stop,
        seconds_left=seconds_left,
        clock=lambda: 0.0,
    ).run()


def test_the_best_trials_and_the_best_known_configurations_are_trained_anew(
    study: SearchStudy, tmp_path: Path
) -> None:
    events: list[Event] = []
    pool = ScriptedPool(workers=2, answers=right)
    assert is_pending(study)
    assert confirm(study, tmp_path, pool, events=events) == "finished"
    assert not is_pending(study)
    found = conclusion_of(study)
    assert found is not None
    assert found.ended
    roles = [one.contender.role for one in found.ranking]
    assert roles.count("finalist") == 2
    assert "reference" in roles
    assert found.images.count == 2_000
    assert found.images.took_no_part
    # Fresh seeds, the same for all contenders.
    trials = {trial.user_attrs["seed"] for trial in study.optuna.get_trials()}
    seeds = {task.seed for task in pool.tasks}
    assert len(seeds) <= 3
    assert not seeds & trials
    assert sum(isinstance(one, ConfirmationTrained) for one in events) == len(pool.tasks)
    assert events[-1] == ConfirmationEnded(found)
    (start,) = [one for one in events if isinstance(one, ConfirmationStarted)]
    assert start.most == 3 * len(start.plan.contenders) >= len(pool.tasks)
    assert all(len(str(value)) < 32_000 for value in study.optuna.user_attrs.values())


def test_a_confirmation_that_is_killed_anywhere_ends_as_one_that_is_not(
    study: SearchStudy, tmp_path: Path
) -> None:
    twin = new_study(optuna.storages.InMemoryStorage(), trials=8, data=CONFIRMING)
    enqueue_known(twin)
    search(twin, ScriptedPool(), folder_in(tmp_path))
    twin = reopened(twin, trials=8, confirm=2, confirm_seeds=3)
    assert confirm(twin, tmp_path) == "finished"
    saved: Saved = {}
    trained: list[tuple[str, int]] = []
    for poll in range(1, 200):
        pool = ScriptedPool(answers=right, checkpoints=saved, after=kill_at(poll % 7 + 1))
        before = {key: len(history) for key, history in saved.items()}
        try:
            assert confirm(study, tmp_path, pool) == "finished"
        except Killed:
            continue
        finally:
            trained += [
                (str(key), epoch)
                for key, history in saved.items()
                for epoch in range(before.get(key, 0), len(history))
            ]
            study = reopened(study)
        break
    assert poll > 5
    assert len(trained) == len(set(trained))  # no saved epoch was trained again
    assert conclusion_of(study) == conclusion_of(twin)


@pytest.mark.parametrize("kind", [Failed, Died])
def test_a_contender_that_cannot_be_trained_is_left_out_and_named(
    study: SearchStudy, tmp_path: Path, kind: Callable[[str], WorkerMessage]
) -> None:
    first = chosen(study, 2)[0][0].number
    pool = ScriptedPool(answers=right)

    def trouble(number: int, epoch: int) -> WorkerMessage | None:
        task = next(one for one in reversed(pool.tasks) if one.number == number)
        return kind("out of memory") if task.checkpoint.stem == f"{first}-1" else None

    pool._trouble = trouble
    events: list[Event] = []
    assert confirm(study, tmp_path, pool, events=events) == "finished"
    found = conclusion_of(study)
    assert found is not None
    assert list(found.failures) == [f"trial {first}"]
    assert first not in [one.contender.trial for one in found.ranking]
    told = [one.text for one in events if isinstance(one, Notice)]
    assert told[-1].startswith(f"trial {first} is left out of the confirmation: ")
    assert "out of memory" in told[-1]


def test_a_stop_saves_and_the_rest_is_done_later(study: SearchStudy, tmp_path: Path) -> None:
    saved: Saved = {}
    events: list[Event] = []

    def two_are_done() -> bool:
        return sum(isinstance(one, ConfirmationTrained) for one in events) >= 2

    pool = ScriptedPool(answers=right, checkpoints=saved)
    assert confirm(study, tmp_path, pool, two_are_done, events=events) == "stopped"
    assert is_pending(reopened(study))
    found = conclusion_of(study)
    assert found is not None
    assert (found.trainings, found.ended) == (2, False)
    assert confirm(reopened(study), tmp_path, ScriptedPool(answers=right, checkpoints=saved)) == (
        "finished"
    )
    assert not is_pending(reopened(study))


def test_when_the_time_is_used_up_what_is_there_is_the_conclusion(
    study: SearchStudy, tmp_path: Path
) -> None:
    left = iter([9.0] * 8)
    assert confirm(study, tmp_path, seconds_left=lambda: next(left, 0.0)) == "finished"
    found = conclusion_of(reopened(study))
    assert found is not None
    assert 1 <= found.trainings < 8
    assert found.ended
    assert not is_pending(reopened(study))


def test_a_search_that_went_on_is_confirmed_again_and_keeps_what_was_trained(
    study: SearchStudy, tmp_path: Path
) -> None:
    confirm(study, tmp_path)
    done = len(read_runs(study))
    more = reopened(study, trials=8, confirm=4, confirm_seeds=3)
    assert is_pending(more)
    pool = ScriptedPool(answers=right)
    assert confirm(more, tmp_path, pool) == "finished"
    assert len(read_runs(more)) == done + len(pool.tasks)
    found = conclusion_of(more)
    assert found is not None
    assert len(found.ranking) >= 4


@pytest.mark.parametrize("confirm_", [None, 2])
def test_a_study_without_a_complete_trial_has_nothing_to_confirm(confirm_: int | None) -> None:
    empty = reopened(new_study(), trials=6, confirm=confirm_)
    assert chosen(empty, confirm_) == []
    assert not is_pending(empty)


def test_a_conclusion_is_not_over_once_there_are_better_trials(
    study: SearchStudy, tmp_path: Path
) -> None:
    confirm(study, tmp_path)
    more = reopened(study, trials=9, confirm=2, confirm_seeds=3)
    trial = more.optuna.ask()
    with_recipe = study.optuna.get_trials()[0].user_attrs["recipe"] | {"label_smoothing": 0.05}
    trial.set_user_attr("seed", 1)
    trial.set_user_attr("recipe", with_recipe)
    trial.report(0.99, 4)
    more.optuna.tell(trial, 0.99)
    found = conclusion_of(reopened(more))
    assert found is not None
    assert not found.ended
    assert is_pending(reopened(more, trials=9, confirm=2, confirm_seeds=3))
    assert not is_pending(reopened(more, trials=9, confirm=None))


def test_workers_that_are_not_ready_yet_are_waited_for(study: SearchStudy, tmp_path: Path) -> None:
    pool = ScriptedPool(answers=right)
    (worker,) = pool.workers
    worker.ready = False

    def come_up(polls: int) -> None:
        worker.ready = polls > 2

    pool._after = come_up
    assert confirm(study, tmp_path, pool) == "finished"
    assert pool.tasks
