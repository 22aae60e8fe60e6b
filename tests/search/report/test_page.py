"""The page of a report: it is whole in every state of a study, needs nothing, and runs nothing."""

import re
from dataclasses import replace
from typing import Any

import pytest

from cifar_core.plots.lr_curve import Curve
from search.report.page import page_of
from search.report.record import ReportRecord
from search.results.shares import Unknown
from spaces.reading import read_space
from tests.search.report.records import (
    Page,
    confirmation,
    diagnosis,
    record,
    sheet,
    summary,
    trial,
)
from tests.spaces.making import plain_space

EVIL = "<script>alert(1)</script>\"'&"
ROWS = [
    trial(0, 0.40, known="base"),
    trial(1, 0.62),
    trial(2, 0.35, 2, reason="stopped early after epoch 2", ending="pruner"),
    trial(3, 0.30, 1, state="failed", reason="out of memory", ending="error"),
    trial(4, 0.33, 2, state="paused"),
    trial(5, 0.58),
]
CURVE = Curve("batch 32", [1e-4, 1e-3, 1e-2, 0.1], [2.3, 2.0, 1.5, 4.0], [2.3, 2.0, 1.5, 4.0], 2.3)


def full(**changes: Any) -> ReportRecord:
    whole = {"diagnosis": diagnosis(1), "sheet": sheet(), "lr_curves": {"sgd_lr": [CURVE]}}
    return record(ROWS, **(whole | changes))


def test_names_and_reasons_of_a_study_are_text_and_nothing_else() -> None:
    rows = [*ROWS[:3], trial(3, 0.3, 1, state="failed", reason=EVIL, ending="error")]
    rows[0] = replace(rows[0], label=EVIL)
    space = read_space(plain_space(about=EVIL, title=EVIL), "my_space.toml")
    known = summary(rows, EVIL, space=space)
    page = page_of(
        record(
            rows,
            summary=known,
            importance=Unknown(EVIL),
            sheet=sheet(EVIL),
            diagnosis=diagnosis(1),
            lr_curves={"sgd_lr": [replace(CURVE, label=EVIL)]},
            versions={EVIL: EVIL},
            where=f" --home {EVIL}",
            confirmation=confirmation(verdict=EVIL, failures={EVIL: EVIL}),
        )
    )
    taken_apart = Page(page)
    assert "<script" not in page
    assert taken_apart.all("script") == []
    assert taken_apart.text.count(EVIL) >= 8
    handlers = {n for _, attributes in taken_apart.elements for n in attributes if n[:2] == "on"}
    assert handlers == set()


def test_the_page_loads_nothing_and_forbids_itself_to() -> None:
    page = Page(page_of(full()))
    places = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "xlink:href", "data"}
    ]
    assert places
    assert all(place.startswith("data:image/png;base64,") for place in places)
    assert not re.search(r"url\(|@import|https?://", page_of(full()))
    policies = [one["content"] for one in page.all("meta") if "http-equiv" in one]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_every_picture_has_an_alternative_text_and_comes_in_two_widths() -> None:
    page = Page(page_of(full()))
    pictures = page.all("svg")
    assert len(pictures) >= 12
    assert all(one["role"] == "img" and len(one["aria-label"]) > 20 for one in pictures)
    widths = [one["class"] for one in pictures]
    assert widths.count("wide") >= 8
    assert all(len(one["alt"]) > 20 for one in page.all("img"))
    assert len(page.all("figcaption")) == len(page.all("figure"))
    assert len({one["id"] for one in page.all("section")}) == len(page.all("section")) == 12


def test_the_verdict_comes_first_and_says_that_nothing_is_confirmed() -> None:
    text = " ".join(Page(page_of(full())).text.split())
    verdict = text.index("Trial 1 leads with 62.0 % validation accuracy, +22.0 points over base")
    assert verdict < text.index("What was searched")
    assert "Nothing has been confirmed yet" in text
    assert "cifar-search confirm mine" in text
    assert "95 % interval" in text
    assert "38.6 to 41.4" in text  # 40 % of 5,000 images: 1.96 times a deviation of 0.69 %


def test_a_confirmation_takes_the_place_of_single_runs() -> None:
    text = " ".join(Page(page_of(full(confirmation=confirmation()))).text.split())
    assert text.index("Trial 1 is 2.0 points better than base.") < text.index("What was searched")
    assert "62.0 +- 1.2" in text
    assert "+2.0 +- 1.1" in text
    assert "trial 5: out of memory" in text
    assert "not confirmed" not in text
    assert "Nothing has been confirmed" not in text


def test_failures_are_told_with_their_reasons_and_trials_that_were_stopped_are_not_among_them() -> (
    None
):
    text = Page(page_of(full())).text
    failures = text[text.index("\nFailures\n") : text.index("The winner, class by class")]
    assert "out of memory" in failures
    assert "stopped early" not in failures
    fine = Page(page_of(record([trial(0, 0.4), trial(1, 0.5)]))).text
    assert "No trial failed or diverged." in fine


def test_what_mattered_is_told_with_its_uncertainty_and_why_the_dashboard_differs() -> None:
    text = " ".join(Page(page_of(full())).text.split())
    assert "Clearly mattered: sgd_lr 50 % (30 to 60)" in text
    assert "The dashboard's hyperparameter importance differs" in text
    assert "It uses complete trials only, here 3" in text
    text = " ".join(Page(page_of(full(importance=Unknown("two trials only.")))).text.split())
    assert "This cannot be said: two trials only." in text
    assert "One parameter at a time" not in text


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "No trial has a score yet."),
        (
            [trial(0, 0.3, 2, state="running")],
            "So far, trial 0 leads with 30.0 % after epoch 2 of 4.",
        ),
        ([trial(0, 0.4, known="base")], "Nothing better than base was found"),
        ([trial(0, 0.4)], "Trial 0 leads with 40.0 % validation accuracy."),
        ([trial(0, 0.4), trial(1, float("nan"), 2)], "Trial 0 leads with 40.0 %"),
    ],
)
def test_a_study_in_any_state_has_a_page(rows: Any, words: str) -> None:
    text = " ".join(Page(page_of(record(rows))).text.split())
    assert words in text


def test_a_grid_has_its_table_in_place_of_the_best() -> None:
    space = read_space(
        {
            "name": "flip",
            "title": "Flip",
            "recipe": {"epochs": 4},
            "parameters": {"flip": {"sets": "augmentation.flip", "choices": [0.0, 0.5]}},
            "grid": {"seeds": 2},
        },
        "flip.toml",
    )
    rows = [
        replace(trial(number, accuracy), values={"flip": flip, "seed": seed})
        for number, (flip, seed, accuracy) in enumerate(
            [(0.0, 0, 0.5), (0.0, 1, 0.52), (0.5, 0, 0.55), (0.5, 1, 0.57)]
        )
    ]
    known = summary(rows, space=space, sampler="grid", seeds=2)
    page = page_of(record(rows, summary=known, importance=Unknown("one parameter.")))
    text = " ".join(Page(page).text.split())
    assert "The best cell is flip 0.5, with 56.0 % +- 1.4 % over 2 trainings." in text
    assert "51.0 +- 1.4 %" in text


def test_thousands_of_trials_make_a_page_of_less_than_two_megabytes() -> None:
    rows = [
        trial(number, 0.2 + 0.0001 * number, 4 if number % 5 == 0 else 2) for number in range(40)
    ]
    many = [replace(rows[number % 40], number=number) for number in range(4_000)]
    page = page_of(full(summary=summary(many), importance=full().importance))
    assert len(page.encode()) < 1_000_000
    assert "500 of 4000 trials are drawn." in page
