"""What is known of a search from its events."""

from dataclasses import replace

import pytest

from search.events import BoundsFound, Event, SearchStarted, Stopping, SweepsProgress
from search.views.progress import Progress
from tests.search.script import HandClock, begins, ends, epoch, pauses, row, started


def progress_after(*events: Event, clock: HandClock | None = None) -> Progress:
    progress = Progress(clock or HandClock())
    for event in events:
        progress.handle(event)
    return progress


def test_each_way_to_end_is_counted() -> None:
    progress = progress_after(
        started(),
        *(begins(number) for number in range(4)),
        ends(0),
        ends(1, "pruned", 0.2, 2),
        ends(2, "failed", None, 0),
    )
    assert [progress.count(state) for state in ("complete", "pruned", "failed")] == [1, 1, 1]
    assert (progress.done, progress.total) == (3, 40)
    assert list(progress.running) == [3]


def test_a_trial_that_fails_before_it_starts_is_done() -> None:
    assert progress_after(started(), ends(0, "failed", None, 0)).done == 1


def test_the_best_trial_is_a_complete_one() -> None:
    progress = progress_after(
        started(), ends(0, accuracy=0.5), ends(1, "pruned", 0.9, 2), ends(2, accuracy=0.6)
    )
    assert progress.best is not None
    assert progress.best.number == 2


def test_gains_are_over_complete_known_configurations() -> None:
    progress = progress_after(
        started(),
        ends(0, accuracy=0.45, known="base"),
        ends(1, accuracy=0.58, known="Net4"),
        ends(2, "failed", 0.1, 1, known="broken"),
        ends(3, accuracy=0.63),
    )
    assert [label for label, _ in progress.gains()] == ["base", "Net4"]
    assert [gain for _, gain in progress.gains()] == pytest.approx([0.18, 0.05])


def test_a_known_configuration_gains_nothing_over_itself() -> None:
    progress = progress_after(
        started(), ends(0, accuracy=0.45, known="base"), ends(1, accuracy=0.58, known="Net4")
    )
    assert [label for label, _ in progress.gains()] == ["base"]


def test_without_a_complete_trial_there_are_neither_best_nor_gains() -> None:
    progress = progress_after(started(), ends(0, "pruned", 0.4, 2))
    assert progress.best is None
    assert list(progress.gains()) == []


def test_images_per_second_are_those_of_the_running_trials() -> None:
    progress = progress_after(
        started(),
        begins(0),
        begins(1),
        epoch(0, 1, rate=900.0),
        epoch(0, 2, rate=1000.0),
        epoch(1, 1, rate=500.0),
    )
    assert progress.images_per_second == 1500.0
    progress.handle(ends(1))
    assert progress.images_per_second == 1000.0


def test_a_running_trial_shows_its_newest_epoch() -> None:
    trial = progress_after(started(), begins(7), epoch(7, 1, 0.3), epoch(7, 2, 0.4)).running[7]
    assert (trial.epochs_done, trial.validation_accuracy) == (2, 0.4)


def test_a_trial_goes_on_with_its_accuracy_after_its_worker_died() -> None:
    progress = progress_after(started(), begins(7), epoch(7, 2, 0.4), begins(7, epochs_done=2))
    trial = progress.running[7]
    assert (trial.epochs_done, trial.validation_accuracy, trial.images_per_second) == (2, 0.4, 0.0)


def test_a_trial_that_begins_anew_has_no_accuracy() -> None:
    progress = progress_after(started(), begins(7), epoch(7, 2, 0.4), begins(7))
    assert progress.running[7].validation_accuracy is None


def test_a_resumed_search_counts_what_was_done_before() -> None:
    progress = progress_after(
        started(
            row(0, accuracy=0.45, known="base"),
            row(1, "pruned", 0.2, 2),
            row(2, "running", 0.35, 3),
            row(3, "waiting", None, 0),
        ),
        begins(2, epochs_done=3),
    )
    assert progress.done == 2
    assert progress.best is not None
    assert progress.best.number == 0
    assert progress.running[2].validation_accuracy == 0.35
    progress.handle(ends(2, accuracy=0.5))
    assert dict(progress.gains()) == pytest.approx({"base": 0.05})


def test_a_paused_trial_is_done_until_it_ends_and_counted_once() -> None:
    progress = progress_after(started(), begins(0), begins(1), pauses(0))
    assert (progress.done, progress.waiting, list(progress.running)) == (1, 1, [1])
    assert progress.ended == []
    progress.handle(begins(0, epochs_done=2))
    assert (progress.done, progress.waiting, list(progress.running)) == (1, 0, [1, 0])
    progress.handle(pauses(0, epochs=4))  # at the next rung
    assert (progress.done, progress.waiting, list(progress.running)) == (1, 1, [1])
    progress.handle(ends(0, "pruned", 0.3, 4))
    assert (progress.done, progress.waiting, list(progress.running)) == (1, 0, [1])
    assert progress.count("pruned") == 1


@pytest.mark.parametrize("session", ["same", "next"])
def test_a_paused_trial_goes_on_with_its_accuracy(session: str) -> None:
    if session == "same":
        progress = progress_after(started(), begins(7), pauses(7, 0.35), begins(7, epochs_done=2))
    else:
        progress = progress_after(started(row(7, "paused", 0.35, 2)), begins(7, epochs_done=2))
        assert progress.done == 1
    trial = progress.running[7]
    assert (trial.epochs_done, trial.validation_accuracy) == (2, 0.35)


def test_a_paused_trial_that_lost_its_checkpoint_begins_without_accuracy() -> None:
    progress = progress_after(started(row(7, "paused", 0.35, 2)), begins(7))
    assert progress.running[7].validation_accuracy is None


def test_a_trial_that_ended_where_it_waited_is_not_shown_as_running() -> None:
    progress = progress_after(started(row(7, "paused", 0.35, 2)), ends(7, "pruned", 0.35, 2))
    assert (progress.done, progress.waiting, progress.running) == (1, 0, {})


def test_time_left_is_unknown_until_two_trials_of_this_session_ended() -> None:
    progress = progress_after(started(row(0), row(1), row(2)), begins(3), ends(3))
    assert progress.time_left is None
    progress.handle(ends(4))
    assert progress.time_left is not None


def test_failed_trials_say_nothing_about_time() -> None:
    progress = progress_after(
        started(), ends(0, "failed", None, 0, seconds=0.0), ends(1, "failed", None, 0, seconds=0.0)
    )
    assert progress.time_left is None


def test_time_left_is_mean_time_times_what_remains_over_workers() -> None:
    progress = progress_after(
        started(trials=12),
        begins(0),
        begins(1),
        ends(0, seconds=60.0),
        ends(1, "pruned", 0.2, 2, seconds=20.0),
    )
    assert progress.time_left == pytest.approx((40.0 * 10 / 2,) * 2)
    progress.handle(begins(2))
    progress.handle(epoch(2, 3))  # half of its six epochs
    assert progress.time_left == pytest.approx((40.0 * 9.5 / 2,) * 2)


def test_trials_that_go_on_make_the_mean_longer_and_are_not_counted_twice() -> None:
    progress = progress_after(
        started(trials=6), begins(0), pauses(0, seconds=20.0), begins(1), pauses(1, seconds=20.0)
    )
    assert progress.time_left == pytest.approx((20.0 * 4,) * 2)
    progress.handle(begins(0, epochs_done=2))
    progress.handle(epoch(0, 5))
    assert progress.time_left == pytest.approx(
        (20.0 * 4,) * 2
    )  # all four that remain are still to be begun
    progress.handle(ends(0, seconds=60.0))
    assert progress.time_left == pytest.approx((40.0 * 4,) * 2)


def test_time_left_is_never_negative() -> None:
    progress = progress_after(started(trials=3), begins(0), pauses(0), begins(1), pauses(1))
    for number in (2, 0, 1):
        progress.handle(begins(number, epochs_done=2))
        progress.handle(epoch(number, 6))
        assert progress.time_left is not None
        assert min(progress.time_left) >= 0.0
    progress.handle(ends(2))
    assert progress.time_left == pytest.approx((0.0,) * 2)


def test_the_last_trial_is_not_shared_by_workers() -> None:
    progress = progress_after(started(trials=3), begins(0), begins(1), ends(0), begins(2), ends(1))
    assert progress.time_left == pytest.approx((60.0,) * 2)


def test_nothing_is_left_when_all_trials_are_done() -> None:
    assert progress_after(started(trials=1), begins(0), ends(0)).time_left == (0.0, 0.0)


def test_the_timeout_bounds_the_time_left() -> None:
    clock = HandClock()
    progress = progress_after(started(timeout=100.0), begins(0), clock=clock)
    clock.now += 30.0
    assert progress.time_left == pytest.approx((70.0,) * 2)
    progress.handle(ends(0, seconds=10.0))
    progress.handle(ends(1, seconds=10.0))
    assert progress.time_left == pytest.approx((70.0,) * 2)  # 38 trials of 10 s would take longer
    clock.now += 100.0
    assert progress.time_left == pytest.approx((0.0,) * 2)


def test_the_trials_end_before_the_timeout_where_they_are_short() -> None:
    progress = progress_after(
        started(trials=4, timeout=1000.0), begins(0), ends(0, seconds=10.0), ends(1, seconds=10.0)
    )
    assert progress.time_left == pytest.approx((20.0,) * 2)


def planned(trials: int, confirming: tuple[int, int] = (0, 0)) -> SearchStarted:
    """A search of 60 epochs in all, whatever the number of its trials."""
    return replace(started(trials=trials), planned_epochs=60, confirming=confirming)


def test_time_left_is_that_of_the_planned_epochs_although_all_trials_are_begun() -> None:
    clock = HandClock()
    progress = progress_after(planned(trials=2), begins(0), begins(1), clock=clock)
    assert progress.time_left is None
    clock.now += 90.0  # its workers come up
    for done in range(1, 7):
        clock.now += 10.0
        progress.handle(epoch(0, done))
    progress.handle(pauses(0, epochs=6))
    progress.handle(pauses(1, epochs=0))
    assert progress.work_done == "10 %"
    assert progress.time_left is not None
    low, high = progress.time_left
    assert low < 54 * 10.0 < high < 1.5 * 54 * 10.0


def test_a_confirmation_to_come_is_part_of_the_time_left() -> None:
    clock = HandClock()
    progress = progress_after(planned(trials=2, confirming=(4, 8)), begins(0), clock=clock)
    for done in range(1, 7):
        clock.now += 10.0
        progress.handle(epoch(0, done))
    progress.handle(ends(0, seconds=60.0))
    alone = progress_after(planned(trials=2), begins(0), clock=clock)
    for done in range(1, 7):
        clock.now += 10.0
        alone.handle(epoch(0, done))
    assert progress.time_left is not None
    assert alone.time_left is not None
    more = (sum(progress.time_left) - sum(alone.time_left)) / 2
    assert 4 * 60.0 < more < 8 * 60.0 * 1.08  # of two contenders, two to four trainings each


def test_the_sweeps_foretell_what_follows_them() -> None:
    clock = HandClock()
    progress = progress_after(SweepsProgress(0, 4, 0.0, 2.0), clock=clock)
    clock.now += 10.0
    progress.handle(SweepsProgress(1, 4, 0.25, 2.0))
    assert progress.time_left is None
    clock.now += 10.0
    progress.handle(SweepsProgress(2, 4, 0.5, 2.0))
    clock.now += 4.0
    left = progress.time_left
    assert left is not None
    assert sum(left) / 2 == pytest.approx(0.5 * 40.0 + 2.0 * 40.0 - 4.0)


def test_a_search_that_stops_has_no_time_left_to_tell() -> None:
    progress = progress_after(started(timeout=100.0), Stopping("enough"))
    assert progress.time_left is None
    assert progress.stopping == "enough"


def test_elapsed_time_runs_from_the_start_of_the_session() -> None:
    clock = HandClock()
    progress = progress_after(clock=clock)
    clock.now += 5.0
    assert progress.elapsed == 5.0


def test_sweeps_and_bounds_are_kept() -> None:
    found = BoundsFound("sgd", 0.004, 0.4, "measured")
    progress = progress_after(SweepsProgress(3, 8), found)
    assert progress.sweeps == SweepsProgress(3, 8)
    assert progress.bounds == {"sgd": found}
