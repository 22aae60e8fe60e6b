"""The plots of single parameters."""

from dataclasses import replace

from search.report.mattered import effects
from search.results.shares import Importance, Interval, Level
from tests.search.execution.test_zero import space_of
from tests.search.report.records import Page, importance, record, trial


def test_a_share_of_0_has_a_place_of_its_own_beside_a_logarithmic_range() -> None:
    rows = [trial(0, 0.4), trial(1, 0.5)]
    rows = [
        replace(row, values={**row.values, "weight_decay": value})
        for row, value in zip(rows, (0.0, 1e-3), strict=True)
    ]
    found = importance(rows)
    half = Interval(0.3, 0.5, 0.6)
    levels = tuple(Level(value, half) for value in (0.0, 1e-5, 1e-3, 1e-2))
    own = replace(found.parameters[0], name="weight_decay", levels=levels)
    page = Page(
        effects(record(rows, space=space_of(), importance=Importance((own,), 2, 0, found.ends)))
    )
    texts = [line.strip() for line in page.text.splitlines()]
    assert {"0", "1e-5", "0.01"} <= set(texts)
    places = [float(one["cx"]) for one in page.all("circle")]
    assert len(set(places)) == 2
