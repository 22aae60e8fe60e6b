"""Every tracker keeps what happened in a search, in one run for each trial."""

from importlib.util import find_spec
from math import isnan
from pathlib import Path

import pytest

from search.confirmation.conclusion import conclude
from search.events import ConfirmationEnded, ConfirmationTrained, Event
from search.tracking.follower import Follower
from search.tracking.tracked import TRACKERS, Choice
from search.tracking.tracker import Subject
from tests.search.confirmation.made_up import contender, plan, run
from tests.search.script import VALUES, begins, ends, epoch, pauses, row
from tests.search.tracking.reading import READERS

FIRST, SECOND = contender(0), contender(1)
TRAININGS = [
    run(FIRST, 1, 0.5),
    run(FIRST, 2, 0.52),
    run(SECOND, 1, 0.7),
    run(SECOND, 2, 0.71),
]
CONCLUSION = conclude(plan(FIRST, SECOND), TRAININGS)
assert CONCLUSION is not None
SESSIONS: list[list[Event]] = [
    [
        begins(0, label="base"),
        epoch(0, 1, 0.25),
        begins(1),
        epoch(1, 1, 0.125),
        epoch(0, 2, 0.5),
        ends(0, accuracy=0.5, epochs=2),
        pauses(1, 0.125, 1),
        begins(2),
        epoch(2, 1, float("nan")),
        ends(2, "failed", reason="diverged"),
        begins(1, 1),
        epoch(1, 2, 0.25),
        begins(3),
        epoch(3, 1, 0.75),
        ends(1, "pruned", 0.25, 2, reason="stopped early after epoch 2"),
    ],
    [
        begins(3, 1),
        epoch(3, 2, 0.875),
        ends(3, accuracy=0.875, epochs=2),
        *(ConfirmationTrained(one, None) for one in TRAININGS),
        ConfirmationEnded(CONCLUSION),
    ],
]
CURVES = {
    "trial-0": [(1, 0.25), (2, 0.5)],
    "trial-1": [(1, 0.125), (2, 0.25)],
    "trial-3": [(1, 0.75), (2, 0.875)],
}
STATES = {
    "trial-0": "complete",
    "trial-1": "pruned: stopped early after epoch 2",
    "trial-2": "failed: diverged",
    "trial-3": "complete",
    "confirmation-0": "behind",
    "confirmation-1": "winner",
}


@pytest.mark.parametrize(
    "name",
    [
        # The others load for seconds, and are not among what tests need.
        pytest.param(name, marks=() if name == "tensorboard" else pytest.mark.slow)
        for name in TRACKERS
    ],
)
@pytest.mark.filterwarnings(
    "ignore"
)  # of the libraries about each other; ours are errors elsewhere
def test_a_search_of_two_sessions_is_read_back_from_each_tracker(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec(name) is None:
        pytest.skip(f"needs pip install '.[{name}]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    subject = Subject("mine", "0123456789abcdef0123", tmp_path)
    rows = [row(number) for number in range(3)]
    for session, there in zip(SESSIONS, ([], rows), strict=True):
        follower = Follower(Choice(name, None).open(subject), there)
        for event in session:
            follower(event)
        follower.close()
    seen = READERS[name](tmp_path)
    assert {run: one.state for run, one in seen.items()} == STATES
    for run_name, curve in CURVES.items():
        assert seen[run_name].figures["validation_accuracy"] == curve
        assert [step for step, _ in seen[run_name].figures["validation_loss"]] == [1, 2]
    ((_, diverged),) = seen["trial-2"].figures["validation_accuracy"]
    assert isnan(diverged)
    assert seen["confirmation-1"].figures["accuracy"] == [
        (one.repeat, pytest.approx(one.accuracy)) for one in TRAININGS[2:]
    ]
    ((last, mean),) = seen["confirmation-1"].figures["mean_accuracy"]
    assert (last, mean) == (2, pytest.approx(CONCLUSION.ranking[0].mean))
    wanted = {
        key: str(float(value) if name == "tensorboard" and type(value) is int else value)
        for key, value in VALUES.items()
    }
    assert [one.parameters for one in seen.values()] == [wanted] * len(STATES)
