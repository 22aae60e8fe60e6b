"""A study and its trials in the terminal: the best with intervals, what mattered, and one trial."""

import io
from dataclasses import replace
from typing import Any

from rich.console import Console

from search.results.shares import Unknown
from search.views.closing import closing_words
from search.views.study_pages import study_page
from search.views.trial_page import trial_page
from tests.search.report.records import importance, summary, trial

ROWS = [trial(0, 0.40, known="base"), trial(1, 0.62), trial(2, 0.35, 2), trial(3, 0.58)]


def printed(shown: Any, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(shown, crop=False)
    return capture.get()


def test_the_best_are_shown_with_the_intervals_of_their_accuracy() -> None:
    for page in (study_page(summary(ROWS)), closing_words(summary(ROWS))):
        lines = [line.split() for line in printed(page).splitlines()]
        best = [line[:6] for line in lines if line[:1] == ["trial"] and "to" in line]
        assert best[:2] == [
            ["trial", "1", "62.0", "%", "60.7", "to"],
            ["trial", "3", "58.0", "%", "56.6", "to"],
        ]


def test_what_mattered_and_the_report_are_told() -> None:
    told = {"mattered": importance(ROWS), "report": "runs/exports/mine/report.html"}
    for page in (study_page(summary(ROWS), **told), closing_words(summary(ROWS), **told)):
        text = " ".join(printed(page).split())
        assert "Clearly mattered: sgd_lr 50 % (30 to 60)" in text
        assert "Report: runs/exports/mine/report.html" in text
        assert "cifar-search report" not in text
    unknown = " ".join(printed(closing_words(summary(ROWS), mattered=Unknown("few."))).split())
    assert "What mattered: cannot be said yet: few." in unknown
    assert "cifar-search report mine" in unknown


def test_the_trial_that_leads_so_far_is_shown_while_none_is_complete() -> None:
    rows = [trial(0, 0.3, 2, state="running"), trial(1, 0.4, 1, state="paused")]
    known = replace(summary(rows), state="running")
    words = "No trial is complete yet. So far: trial 1, 40.0 % after epoch 1 of 4"
    assert words in printed(study_page(known))
    assert words in printed(closing_words(replace(known, state="stopped")))


def test_chosen_trials_are_the_only_ones_listed() -> None:
    text = printed(study_page(summary(ROWS), rows=[ROWS[3]]))
    listed = [line.split()[0] for line in text.splitlines() if line[:5].strip().isdigit()]
    assert listed == ["3"]
    assert "95 % interval" not in text


def test_one_trial_is_shown_with_its_parameters_and_epochs() -> None:
    history = tuple({"train_loss": 1.0 / n, "validation_accuracy": 0.2 * n} for n in (1, 2))
    made = replace(ROWS[2], history=history, reason="out of memory", ending="error", state="failed")
    text = printed(trial_page(summary(ROWS), made))
    assert "trial 2 of mine: failed, 35.0 % after epoch 2 of 4, 1 min of training" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["out", "of", "memory"] in lines
    assert ["sgd_lr", "0.03"] in lines
    assert ["2", "0.500", "-", "-", "40.0", "%"] in lines
