"""An LR-range test as words, a table and charts in a terminal."""

import io
import math
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from cifar_core.lr_range import Finding, Sweep, find_bounds
from cifar_core.recipe import Recipe
from search.lr_range.bounds import combine_all
from search.lr_range.corners import Corner, corners_of, curves_document
from search.lr_range.curves import curves_of, stored_curves
from search.lr_range.report import Report
from search.study.bounds import Bounds
from search.views.lr_range_page import report_page
from spaces.space import Space, Values
from tests.search.scripted import DATA
from tests.search.sweeping import BEST, curve
from tests.spaces.making import small_space

LR = tuple(10 ** (-5 + index / 30) for index in range(181))
RECIPE = Recipe()


def found(best: float, seeds: int = 2) -> Finding:
    return find_bounds([curve(best, LR)] * seeds)


def two_minima() -> Finding:
    """Lowest at 0.001 and, as deep, at 0.1."""

    def loss(rate: float) -> float:
        dips = (math.exp(-((math.log10(rate / at) / 0.4) ** 2)) for at in (0.001, 0.1))
        return 2.3 - sum(dips)

    return find_bounds([Sweep(LR, tuple(map(loss, LR)), 0.5)])


INCONCLUSIVE = find_bounds([curve(0.1, LR, depth=0.01)])
BLANK = find_bounds([Sweep(LR, (), 0.1)])


def of_a_recipe(finding: Finding, seeds: int = 3) -> Report:
    corner = Corner("lr", {}, RECIPE)
    return Report("my.toml", None, DATA, 7, seeds, (corner,), (finding,), ())


def of_a_space(space: Space | None = None, findings: Sequence[Finding] | None = None) -> Report:
    space = space or small_space(lr_range={"base": "best", "corners": [["batch_size"]]})
    corners = corners_of(space)
    if findings is None:
        findings = [found(BEST[corner.recipe.optimizer.name]) for corner in corners]
    bounds = tuple(combine_all(space, corners, findings))
    return Report(space.name, space, DATA, 0, 2, tuple(corners), tuple(findings), bounds)


def of_a_grid(*values: Values, findings: Sequence[Finding] | None = None) -> Report:
    corners = tuple(Corner("lr", one, RECIPE) for one in values)
    findings = findings or [found(0.1)] * len(corners)
    return Report("grid", small_space(), DATA, 0, 3, corners, tuple(findings), ())


def lines_of(report: Report, width: int = 160, *, ascii_only: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(report_page(report, width, ascii_only=ascii_only))
    return capture.get().splitlines()


def table_of(report: Report) -> list[list[str]]:
    """The rows of the table, each cell by its place below its heading."""
    lines = lines_of(report)
    (top,) = [at for at, line in enumerate(lines) if line.startswith("learning rate")]
    names = ("learning rate", "at", "steepest", "minima", "back at start")
    starts = [lines[top].index(name) for name in (*names, "search", "start at", "epochs")]
    ends = [*starts[1:], None]
    rows = lines[top + 1 : top + 1 + len(report.corners)]
    return [
        [row[start:end].strip() for start, end in zip(starts, ends, strict=True)] for row in rows
    ]


# ---------------------------------------------------------------------------------------- advice


def test_a_recipes_report_says_where_to_search_and_where_to_start() -> None:
    report = of_a_recipe(found(0.1))
    (line,) = [line for line in lines_of(report) if "Search lr between" in line]
    finding = report.findings[0]
    assert line == finding.words
    assert line.startswith(f"Search lr between {finding.low:.2g} and {finding.high:.2g}; start at")


def test_a_recipes_report_says_why_there_is_no_conclusion() -> None:
    text = " ".join(lines_of(of_a_recipe(INCONCLUSIVE)))
    assert "Inconclusive: The loss hardly fell" in text
    assert "Search lr between" not in text


def test_a_recipes_report_names_every_minimum_and_the_one_that_counts() -> None:
    report = of_a_recipe(two_minima())
    assert len(report.findings[0].minima) == 2
    text = " ".join(lines_of(report))
    assert "The loss has 2 minima, at 0.001, 0.1: the one at 0.1 counts" in text
    (row,) = table_of(report)
    assert row[3] == "0.001, 0.1"


def test_a_spaces_report_says_for_each_rate_where_to_search_and_where_that_comes_from() -> None:
    report = of_a_space()
    text = " ".join(lines_of(report))
    for bounds in report.bounds:
        assert f"{bounds.parameter}: search between " in text
        assert f"({bounds.how})" in text
    sgd, _ = report.bounds
    assert f"search between {sgd.low:.2g} and {sgd.high:.2g}; start at {sgd.suggested:.2g}" in text


def test_a_spaces_report_says_that_a_rate_has_no_conclusion() -> None:
    space = small_space(lr_range={"base": "best"})
    report = of_a_space(space, [INCONCLUSIVE, found(0.01)])
    text = " ".join(lines_of(report))
    assert (
        "sgd_lr: search between 0.001 and 0.1 (the space's own range, because the LR-range test was "
        "inconclusive: The loss hardly fell"
    ) in text
    assert "adam_lr: search between" in text
    assert text.count("; start at") == 1


def test_a_grids_report_has_advice_for_each_recipe() -> None:
    report = of_a_grid({"batch_size": 16}, {"batch_size": 64}, findings=[found(0.1), INCONCLUSIVE])
    lines = lines_of(report)
    assert any(line.startswith("batch 16: Search lr between") for line in lines)
    assert any(line.startswith("batch 64: Inconclusive: The loss hardly fell") for line in lines)


# ----------------------------------------------------------------------------------------- table


def test_the_table_has_a_row_for_each_corner_with_what_was_read_off() -> None:
    report = of_a_space()
    rows = table_of(report)
    assert [row[0] for row in rows] == ["sgd_lr", "sgd_lr", "adam_lr", "adam_lr"]
    assert [row[1] for row in rows] == [
        "sgd batch 32",
        "sgd batch 64",
        "adam batch 32",
        "adam batch 64",
    ]
    for row, finding in zip(rows, report.findings, strict=True):
        assert finding.low is not None
        assert finding.high is not None
        assert row[5] == f"{finding.low:.2g} to {finding.high:.2g}"
        assert [float(row[at]) for at in (2, 3, 4, 6)] == pytest.approx(
            [finding.steepest, finding.minimum, finding.divergence, finding.suggested], rel=0.05
        )
        assert row[7] == "0.7"


def test_what_could_not_be_read_off_is_a_dash() -> None:
    (row,) = table_of(of_a_recipe(INCONCLUSIVE))
    assert row == ["lr", "", "-", "-", "-", "inconclusive", "-", "0.3"]
    (blank,) = table_of(of_a_recipe(BLANK))
    assert blank[2:7] == ["-", "-", "-", "inconclusive", "-"]


def test_a_corner_is_labelled_with_what_makes_it_another() -> None:
    space = small_space(lr_range={"base": "best", "corners": [["batch_size", "-channels1"]]})
    labels = [row[1] for row in table_of(of_a_space(space))]
    assert labels[:2] == ["sgd batch 32 channels1 8", "sgd batch 64 channels1 2"]
    assert not any("dropout" in label or "lr" in label for label in labels)


def test_recipes_that_differ_only_by_their_rate_have_no_label() -> None:
    report = of_a_grid({"batch_size": 16, "lr": 0.1}, {"batch_size": 16, "lr": 0.2})
    assert [row[1] for row in table_of(report)] == ["", ""]


# ----------------------------------------------------------------------------------------- whole


def test_the_page_says_what_was_measured_on_and_what_it_cost() -> None:
    text = " ".join(lines_of(of_a_recipe(found(0.1, seeds=3))))
    assert (
        "Losses on training images of CIFAR-10, 45,000 training / 5,000 validation, split "
        "0123456789abcdef; 3 seeds each, from seed 7. Cost: 1.0 epochs."
    ) in text
    assert "1 seed each" in " ".join(lines_of(of_a_recipe(found(0.1), seeds=1)))


def test_the_cost_is_that_of_all_corners() -> None:
    assert "Cost: 2.7 epochs." in " ".join(lines_of(of_a_space()))


def test_there_is_a_chart_for_each_rate() -> None:
    lines = lines_of(of_a_space())
    headings = [line for line in lines if line.endswith(": loss against learning rate")]
    assert headings == [
        "sgd_lr: loss against learning rate",
        "adam_lr: loss against learning rate",
    ]
    assert sum("[-] bounds" in line for line in lines) == 2
    assert sum(line.startswith(" ") and "^" in line for line in lines) == 2


def test_the_chart_of_a_space_shows_the_range_of_the_whole_and_not_one_corners() -> None:
    space = small_space(lr_range={"base": "best", "corners": [["batch_size"]]})
    near = of_a_space(space, [found(0.1), found(0.1), found(0.01), found(0.01)])
    wide = of_a_space(space, [found(0.001), found(1.0), found(0.01), found(0.01)])

    def band(report: Report) -> int:
        line = next(line for line in lines_of(report) if line.strip().startswith("[-"))
        return len(line.strip())

    assert band(wide) > band(near) + 10


@pytest.mark.parametrize("width", [20, 40, 80, 100, 300])
@pytest.mark.parametrize("report", [of_a_space(), of_a_recipe(found(0.1)), of_a_recipe(BLANK)])
def test_no_line_is_wider_than_the_terminal(report: Report, width: int) -> None:
    assert all(len(line) <= max(width, 30) for line in lines_of(report, width))


@pytest.mark.parametrize("report", [of_a_space(), of_a_recipe(two_minima()), of_a_recipe(BLANK)])
def test_a_terminal_without_braille_gets_ascii(report: Report) -> None:
    assert "\n".join(lines_of(report, ascii_only=True)).isascii()


def test_names_from_outside_steer_nothing() -> None:
    report = of_a_grid({"policy": "a\x1b[31m\nb"}, {"policy": "[red]c[/red]"})
    text = "\n".join(lines_of(report))
    assert "\x1b" not in text
    assert "policy a [31m b" in text
    assert "[red]c[/red]" in text


# ---------------------------------------------------------------------------------------- curves


def test_the_curves_of_each_rate_are_those_of_its_corners() -> None:
    report = of_a_space()
    curves = curves_of(report)
    assert list(curves) == ["sgd_lr", "adam_lr"]
    assert [len(own) for own in curves.values()] == [2, 2]
    for own, finding in zip(curves["sgd_lr"], report.findings[:2], strict=True):
        assert own.minimum == finding.minimum
        assert (own.low, own.high, own.suggested) == (finding.low, finding.high, finding.suggested)
        assert own.minima == [(one.lr, one.loss) for one in finding.minima]
        assert list(own.lr) == pytest.approx(list(finding.lr), rel=1e-4)
        assert own.conclusive


def test_what_was_kept_of_a_study_gives_the_same_curves() -> None:
    report = of_a_space()
    stored: dict[str, Any] = curves_document(report.corners, report.findings)
    assert stored_curves(stored["corners"]) == curves_of(report)


def test_a_curve_without_conclusion_says_so() -> None:
    ((flat,),) = curves_of(of_a_recipe(INCONCLUSIVE)).values()
    assert not flat.conclusive
    assert flat.measured
    ((blank,),) = curves_of(of_a_recipe(BLANK)).values()
    assert not blank.measured


def test_bounds_are_found_by_the_name_of_their_rate() -> None:
    report = of_a_space()
    turned = Report(
        report.name,
        report.space,
        report.data,
        report.seed,
        report.seeds,
        report.corners,
        report.findings,
        tuple(reversed(report.bounds)),
    )

    def charts(one: Report) -> list[str]:
        lines = lines_of(one)
        return lines[: next(at for at, line in enumerate(lines) if "steepest" in line)]

    assert isinstance(turned.bounds[0], Bounds)
    assert charts(turned) == charts(report)
