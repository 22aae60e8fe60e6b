"""Records of reports for tests: studies of made-up trials, without images or training."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

from search.report.record import Diagnosis, Missing, ReportRecord, Versions
from search.results.shares import Importance, Interval, Level, ParameterImportance, Unknown
from search.results.summary import Summary
from search.study.bounds import Bounds
from search.study.confirmation import Confirmation
from search.study.rows import TrialRow
from search.study.settings import Budget
from tests.search.asking import PNG
from tests.search.script import row
from tests.search.scripted import settings_of
from tests.spaces.making import small_space

CLASSES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BOUNDS = Bounds("sgd_lr", "sgd", 0.004, 0.4, 0.05, True, "measured", 3.0)


class Page(HTMLParser):
    """A page taken apart.

    Attributes:
        elements: Names and attributes of all elements, in order.
        text: All text, but for that of the style.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._styled = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._styled = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._styled = False

    def handle_data(self, data: str) -> None:
        if not self._styled:
            self.text += f"{data}\n"

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def trial(number: int, last: float, epochs: int = 4, **changes: Any) -> TrialRow:
    """A trial that rises to its last accuracy; complete after four epochs."""
    state = changes.pop("state", "complete" if epochs == 4 else "pruned")
    made = row(number, state, last, epochs, changes.pop("known", None), changes.pop("reason", None))
    values = {"optimizer": "sgd", "sgd_lr": 0.01 * (1 + number % 9), "batch_size": 32}
    values |= {"channels1": 2 + number % 7, "dropout": 0.04 * (number % 10)}
    scores = {epoch: last * epoch / epochs for epoch in range(1, epochs + 1)}
    recipe = small_space().recipe_of(values).to_dict()
    return replace(made, values=values, scores=scores, recipe=recipe, **changes)


def summary(rows: Sequence[TrialRow], name: str = "mine", **settings: Any) -> Summary:
    return Summary(
        study=name,
        settings=settings_of(**settings),
        budget=Budget(trials=max(6, len(rows))),
        storage="sqlite:///runs/studies.db",
        state="finished",
        rows=list(rows),
        seconds=590.0,
        sweep_epochs=2.0,
        bounds=[BOUNDS],
        exported=None,
    )


def importance(rows: Sequence[TrialRow]) -> Importance:
    half = Interval(0.3, 0.5, 0.6)

    def one(name: str, verdict: Any, *values: Any) -> ParameterImportance:
        levels = tuple(Level(value, half) for value in values)
        return ParameterImportance(name, half, Interval(0.4, 0.6, 0.7), 1.0, verdict, levels)

    parameters = (
        one("sgd_lr", "yes", 0.004, 0.04, 0.4),
        one("optimizer", "unclear", "sgd", "adam"),
        one("batch_size", "no", 32, 64),
        one("dropout", "no", 0.0, 0.4),
    )
    stopped = [each for each in rows if each.state != "complete"]
    ends = {each.number: half for each in rows}
    return Importance(parameters, len(rows), len(stopped), ends)


def record(rows: Sequence[TrialRow], name: str = "mine", **changes: Any) -> ReportRecord:
    known = changes.pop("summary", None) or summary(rows, name)
    known = replace(known, confirmation=changes.pop("confirmation", None))
    values: dict[str, Any] = {
        "summary": known,
        "space": known.settings.space,
        "importance": importance(rows) if rows else Unknown("no trials have a score."),
        "diagnosis": Missing("The images cannot be read."),
        "sheet": Missing("The images cannot be read."),
        "lr_curves": {},
        "versions": {"cifar-search": "0.1.0", "torch": "2.14.1"},
        "where": "",
        "data": None,
        "made": datetime.fromisoformat("2026-05-01T12:00"),
    }
    return ReportRecord(**(values | changes))


def diagnosis(number: int) -> Diagnosis:
    confusion = [[40 if a == b else (a + b) % 3 for b in range(10)] for a in range(10)]
    return Diagnosis(number, "the search", 0.8, dict.fromkeys(CLASSES, 0.8), confusion)


def sheet(words: str = "flip 0.5") -> Versions:
    return Versions(PNG, CLASSES, 8, words, unchanged=False)


def confirmation(**changes: Any) -> Confirmation:
    plain: dict[str, Any] = {
        "ended": True,
        "images": {"count": 2500, "split": "0123456789abcdef", "took_no_part": True},
        "level": 0.95,
        "most_seeds": 4,
        "ranking": [
            confirmed(1, "finalist", "trial 1", 0.62, 0.7, to=0),
            confirmed(0, "reference", "base", 0.60, 0.61),
        ],
        "winner": 1,
        "reference": 0,
        "search_best": 1,
        "verdict": "trial 1 is 2.0 points better than base. Told apart over 4 seeds.",
        "trainings": 8,
        "epochs": 32,
        "seconds": 100.0,
        "failures": {"trial 5": "out of memory"},
    }
    return Confirmation.model_validate(plain | changes)


def confirmed(
    number: int, role: str, name: str, mean: float, before: float, to: int | None = None
) -> dict[str, Any]:
    difference = {"to": to, "name": "base", "points": 2.0, "half_width": 1.1, "told_apart": True}
    return {
        "contender": {
            "trial": number,
            "role": role,
            "name": name,
            "search_accuracy": before,
            "multiply_adds": 1000,
            "epochs": 4,
        },
        "accuracies": [mean - 0.01, mean + 0.01],
        "mean": mean,
        "half_width": 0.012,
        "shrinkage": 100 * (before - mean),
        "difference": None if to is None else difference,
        "tied_with_leader": number == 1,
    }
