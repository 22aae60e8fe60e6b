"""What the chaos test does as other programs do it, and that a wrong account of it is found."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.chaos.hands import Hand, Struck, accounted, moved_away, strike
from tests.chaos.invariants import Expected, broken_now
from tests.chaos.probe import StudyProbe
from tests.chaos.test_chaos import home, killed, probe, seen

__all__ = ["home", "killed", "probe"]

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("hand", "done", "number", "state"),
    [
        ("a trial told to fail", "a trial told to fail", 3, "FAIL"),
        ("a trial told to be complete", "a trial told to be complete", 3, "COMPLETE"),
        ("a trial deleted", "a trial deleted", 3, None),
        ("a value outside enqueued", "a value outside enqueued", 4, "WAITING"),
        ("a foreign trial added", "a foreign trial added", 4, "COMPLETE"),
    ],
)
def test_a_strike_does_what_it_says_and_only_this_trial_is_not_checked(
    hand: Hand, done: Hand, number: int, state: str | None, probe: StudyProbe
) -> None:
    before = seen(probe)
    struck = strike(hand, probe.url, "tiny", RANDOM)
    assert (struck.hand, struck.number) == (done, number)
    now = seen(probe)
    assert {one.number: one.state for one in now.trials}.get(number) == state
    others = [one for one in now.trials if one.number != number]
    assert others == [one for one in before.trials if one.number != number]
    expected = Expected(4, 1, frozenset({number}))
    assert list(broken_now(now, expected)) == []
    assert now.progress == probe.progress()
    assert now.progress.finished == (4 if hand.startswith("a trial told") else 3)


def test_where_no_trial_runs_a_foreign_one_is_added(probe: StudyProbe) -> None:
    strike("a trial deleted", probe.url, "tiny", RANDOM)
    assert strike("a trial deleted", probe.url, "tiny", RANDOM).hand == "a foreign trial added"


@pytest.mark.parametrize("kind", ["the database removed", "the database replaced"])
def test_a_database_that_was_taken_away_is_put_back(kind: str, tmp_path: Path) -> None:
    file, aside = tmp_path / "studies.db", tmp_path / "aside"
    aside.mkdir()
    file.write_text("first")
    first = file.stat().st_ino
    with moved_away(kind, file, aside):
        assert file.exists() is (kind == "the database replaced")
        assert not file.exists() or file.stat().st_ino != first
    assert (file.read_text(), file.stat().st_ino) == ("first", first)
    shutil.rmtree(aside)


def test_a_wrong_account_of_what_others_did_is_found() -> None:
    struck = [
        Struck("a trial told to fail", 1, 2),
        Struck("a foreign trial added", 2, 3),
        Struck("a value outside enqueued", 3, 4),
    ]
    status = {
        "trials": {"finished": 4, "running": 0, "paused": 0},
        "foreign": [2],
        "failures": {
            "1": "ended from outside",
            "3": "enqueued with dropout = 5.0, which is not in",
        },
    }
    assert list(accounted(status, 4, struck, {})) == []
    assert len(list(accounted(status, 5, struck, {}))) == 1
    assert len(list(accounted(status | {"foreign": []}, 4, struck, {}))) == 1
    assert len(list(accounted(status | {"failures": {}}, 4, struck, {}))) == 2
    assert len(list(accounted(status | {"failures": {}}, 4, struck, {3: "WAITING"}))) == 1
