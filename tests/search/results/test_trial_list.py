"""Trials as a list: sorted, cut, as CSV and as JSON."""

import csv
import io
import json
from dataclasses import replace

import pytest

from search.errors import UsageError
from search.results.trial_list import listed, row_to_dict, rows_to_csv, trial_of
from search.study.rows import TrialRow
from tests.search.script import row

ROWS = [
    replace(row(0, accuracy=0.5, seconds=9.0), values={"lr": 0.1, "optimizer": "sgd"}),
    replace(row(1, "pruned", 0.7, 2), values={"lr": 0.01, "optimizer": "adam"}),
    replace(row(2, accuracy=0.6, seconds=5.0), values={"optimizer": "adam"}),
    replace(row(3, "waiting", None, 0), values={}),
    replace(row(4, "failed", None, 0, reason="out, of\nmemory"), values={"lr": 0.05}),
]
NAMES = ["lr", "optimizer"]


def numbers(rows: list[TrialRow]) -> list[int]:
    return [one.number for one in rows]


@pytest.mark.parametrize(
    ("sort", "top", "expected"),
    [
        (None, None, [0, 1, 2, 4]),  # a trial that waits was not started
        (None, 2, [2, 0]),  # a stopped trial is not among the best, however high it is
        ("accuracy", None, [2, 0, 1, 4]),
        ("number", 1, [0]),
        ("epochs", 3, [0, 2, 1]),
        ("seconds", 2, [1, 4]),
        ("lr", None, [1, 4, 0, 2]),
        ("optimizer", None, [1, 2, 0, 4]),
    ],
)
def test_trials_are_sorted_and_cut(sort: str | None, top: int | None, expected: list[int]) -> None:
    assert numbers(listed(ROWS, NAMES, sort, top)) == expected


def test_a_wrong_key_is_answered_with_the_right_ones() -> None:
    with pytest.raises(UsageError, match=r"--sort takes one of number, .*, lr, optimizer; but got"):
        listed(ROWS, NAMES, "rate")


def test_a_csv_file_has_a_column_for_each_parameter_and_reads_back() -> None:
    found = list(csv.DictReader(io.StringIO(rows_to_csv(ROWS[:2] + ROWS[4:], NAMES))))
    assert [one["number"] for one in found] == ["0", "1", "4"]
    assert [one["lr"] for one in found] == ["0.1", "0.01", "0.05"]
    assert [one["optimizer"] for one in found] == ["sgd", "adam", ""]
    assert (found[2]["reason"], found[2]["validation_accuracy"]) == ("out, of\nmemory", "")
    assert found[1]["state"] == "pruned"


def test_a_trial_is_json_even_where_its_accuracy_is_no_number() -> None:
    made = replace(ROWS[0], scores={1: float("nan"), 2: 0.5}, validation_accuracy=float("nan"))
    found = json.loads(json.dumps(row_to_dict(made), allow_nan=False))
    assert found["scores"] == {"1": None, "2": 0.5}
    assert found["validation_accuracy"] is None
    assert found["values"] == {"lr": 0.1, "optimizer": "sgd"}


def test_one_trial_is_found_by_its_number() -> None:
    assert trial_of(ROWS, 2, "mine").number == 2
    with pytest.raises(UsageError, match=r"Study mine has no trial 7; its trials are 0 to 4\."):
        trial_of(ROWS, 7, "mine")
    with pytest.raises(UsageError, match="it has none yet"):
        trial_of([], 0, "mine")
