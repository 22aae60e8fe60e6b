"""A best trial at an end of its learning rate's range: noticed, and told with the way on."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from search.home import Home
from search.lr_range.bounds import unmeasured
from search.results.lr_edge import LrEdge, edge_of
from search.results.summary import Summary, summarize
from search.study import attributes
from search.study.bounds import Bounds
from search.study.rows import TrialRow
from search.study.settings import given_range
from search.study.study import SearchStudy
from search.views.closing import closing_words
from search.views.study_pages import study_page
from spaces.space import Space
from tests.search.script import row
from tests.search.scripted import ScriptedPool, folder_in, new_study, search
from tests.spaces.making import small_space

SGD = Bounds("sgd_lr", "sgd", 0.001, 0.1, 0.02, True, "measured")
ADAM = Bounds("adam_lr", "adam", 1e-4, 0.01, None, False, "the space's own range")


def best(**values: float) -> TrialRow:
    return replace(row(3), values=dict(values))


def edge(rate: float, low: float = 0.001, high: float = 0.1) -> LrEdge | None:
    return edge_of(best(sgd_lr=rate), [replace(SGD, low=low, high=high)])


# ------------------------------------------------------------------------------------- noticing


@pytest.mark.parametrize(
    ("rate", "end"),
    [
        (0.001, "lower"),
        (0.00101, "lower"),
        (0.00158, "lower"),
        (0.00159, None),
        (0.01, None),
        (0.0630, None),
        (0.0632, "upper"),
        (0.0999, "upper"),
        (0.1, "upper"),
    ],
)
def test_a_rate_within_a_fifth_of_a_decade_of_an_end_lies_there(
    rate: float, end: str | None
) -> None:
    found = edge(rate)
    assert (None if found is None else found.end) == end


@pytest.mark.parametrize("rate", [0.0001, 0.00099])
def test_a_rate_below_its_range_lies_at_the_lower_end(rate: float) -> None:
    found = edge(rate)
    assert found is not None
    assert found.end == "lower"


def test_a_rate_above_its_range_lies_at_the_upper_end() -> None:
    found = edge(0.2)
    assert found is not None
    assert found.end == "upper"


@pytest.mark.parametrize("decades", [0.01, 0.2, 0.4, 0.79])
def test_the_middle_of_a_narrow_range_is_no_edge_and_its_ends_are(decades: float) -> None:
    low, high = 0.01, 0.01 * 10**decades
    assert edge((low * high) ** 0.5, low, high) is None
    for part, end in ((0.0, "lower"), (0.24, "lower"), (0.76, "upper"), (1.0, "upper")):
        found = edge(low * 10 ** (part * decades), low, high)
        assert found is not None, part
        assert found.end == end
    for part in (0.26, 0.74):
        assert edge(low * 10 ** (part * decades), low, high) is None


@pytest.mark.parametrize("decades", [0.81, 2.0, 10.0])
def test_a_wide_range_has_no_wider_strips(decades: float) -> None:
    low, high = 1e-8, 1e-8 * 10**decades
    assert edge(low * 10**0.21, low, high) is None
    assert edge(high / 10**0.21, low, high) is None
    assert edge(low * 10**0.19, low, high) is not None
    assert edge(high / 10**0.19, low, high) is not None


def test_only_the_best_trials_own_learning_rate_is_looked_at() -> None:
    assert edge_of(best(adam_lr=0.001), [SGD, ADAM]) is None  # 0.001 is the lower end of SGD's
    found = edge_of(best(adam_lr=0.01), [SGD, ADAM])
    assert found is not None
    assert (found.parameter, found.value, found.low, found.high) == ("adam_lr", 0.01, 1e-4, 0.01)


@pytest.mark.parametrize(
    ("row_", "bounds"),
    [
        (None, [SGD, ADAM]),
        (best(sgd_lr=0.001), []),
        (best(batch_size=64), [SGD, ADAM]),
        (replace(row(0), values={"sgd_lr": "none"}), [SGD]),
    ],
)
def test_without_a_best_trial_or_a_range_there_is_no_edge(
    row_: TrialRow | None, bounds: list[Bounds]
) -> None:
    assert edge_of(row_, bounds) is None


def test_a_rate_that_is_a_whole_number_is_a_rate() -> None:
    found = edge(1, 0.01, 1.0)
    assert found is not None
    assert found.end == "upper"


# ---------------------------------------------------------------------------------- in words


def test_the_words_name_rate_end_and_range() -> None:
    lower, upper = edge(0.00123), edge(0.1)
    assert lower is not None
    assert upper is not None
    assert lower.words == (
        "sgd_lr 0.0012 is at the lower end of its range, 0.001 to 0.1; a smaller value may be "
        "even better."
    )
    assert upper.words == (
        "sgd_lr 0.1 is at the upper end of its range, 0.001 to 0.1; a larger value may be even "
        "better."
    )


@pytest.mark.parametrize(
    ("values", "option"),
    [
        ({"sgd_lr": 0.001}, "--lr-bounds 0.0001:0.1"),
        ({"sgd_lr": 0.1}, "--lr-bounds 0.0001:1"),
        ({"adam_lr": 1e-4}, "--lr-bounds 1e-05:0.1"),
        ({"adam_lr": 0.01}, "--lr-bounds 0.0001:0.1"),
    ],
)
def test_the_option_reaches_a_decade_beyond_the_end_and_leaves_no_other_rate_less(
    values: dict[str, float], option: str
) -> None:
    found = edge_of(best(**values), [SGD, ADAM])
    assert found is not None
    assert found.option == option


@pytest.mark.parametrize("end", ["lower", "upper"])
@pytest.mark.parametrize("low", [1e-9, 0.00123456, 0.5, 9.0])
@pytest.mark.parametrize("decades", [0.05, 1.0])
def test_the_option_is_one_that_a_search_takes_and_goes_beyond_the_old_range(
    end: str, low: float, decades: float
) -> None:
    high = low * 10**decades
    found = edge(low if end == "lower" else high, low, high)
    assert found is not None
    name, wish = found.option.split()
    assert name == "--lr-bounds"
    given = given_range(wish)
    assert given is not None
    assert given[0] <= low * 1.05
    assert given[1] >= high * 0.95
    assert given[1] / given[0] > 9 * high / low


def test_no_option_goes_beyond_the_largest_rate() -> None:
    found = edge(900.0, 1.0, 900.0)
    assert found is not None
    assert found.wider == (1.0, 1000.0)
    assert given_range(found.option.split()[1]) == (1.0, 1000.0)


# ---------------------------------------------------------------------------- where it is told


def finished(folder: Path, bounds: list[Bounds], space: Space | None = None) -> SearchStudy:
    """A finished study whose best trial is SGD at a rate of 0.01."""
    study = new_study(trials=1, space=space or small_space())
    study.write(attributes.LR_BOUNDS, [one.to_dict() for one in bounds])
    study.optuna.enqueue_trial(
        {"optimizer": "sgd", "sgd_lr": 0.01, "batch_size": 64, "channels1": 6, "dropout": 0.0}
    )
    search(study, ScriptedPool(), folder_in(folder))
    return study


def summary_of(study: SearchStudy) -> Summary:
    return summarize(study, "sqlite:///x.db", "finished", "a/best-1.toml")


def printed(page: Any) -> list[str]:
    console = Console(file=io.StringIO(), width=300)
    with console.capture() as capture:
        console.print(page, crop=False)
    return capture.get().splitlines()


def document_of(study: SearchStudy) -> dict[str, Any]:
    return summary_of(study).to_dict()


def last_words(study: SearchStudy, where: str = "") -> list[str]:
    return printed(closing_words(summary_of(study), where))


AT_THE_END = replace(SGD, low=1e-4, high=0.012)
WORDS = "sgd_lr 0.01 is at the upper end of its range, 0.0001 to 0.012"


def test_the_document_of_a_study_tells_it(tmp_path: Path) -> None:
    told = document_of(finished(tmp_path, [AT_THE_END, ADAM]))["best"]["at_edge"]
    assert told.keys() == {"words", "option"}
    assert told["words"].startswith(WORDS)
    assert told["option"] == "--lr-bounds 0.0001:0.12"


def test_the_document_of_a_study_whose_best_lies_inside_says_null(tmp_path: Path) -> None:
    assert document_of(finished(tmp_path, [SGD, ADAM]))["best"]["at_edge"] is None


@pytest.mark.parametrize(("wish", "at_edge"), [("0.0001:0.012", True), ("0.0001:0.9", False)])
def test_a_range_that_was_given_has_ends_too(wish: str, at_edge: bool, tmp_path: Path) -> None:
    found = document_of(finished(tmp_path, unmeasured(small_space(), wish)))
    assert (found["best"]["at_edge"] is not None) is at_edge


def test_a_search_ends_with_the_notice(tmp_path: Path) -> None:
    lines = last_words(finished(tmp_path, [AT_THE_END, ADAM]), where=" --home h")
    assert any(line.strip().startswith(WORDS) for line in lines)


def test_a_search_whose_best_lies_inside_says_nothing_of_it(tmp_path: Path) -> None:
    lines = last_words(finished(tmp_path, [SGD, ADAM]))
    assert not any("search further" in line or "end of its range" in line for line in lines)


def test_a_search_without_a_complete_trial_says_nothing_of_it(tmp_path: Path) -> None:
    study = new_study(trials=5)
    study.write(attributes.LR_BOUNDS, [AT_THE_END.to_dict()])
    assert summary_of(study).best is None
    assert not any("search further" in line for line in last_words(study))


def test_the_status_page_tells_it_with_the_option(tmp_path: Path) -> None:
    study = finished(tmp_path, [AT_THE_END, ADAM])
    page = study_page(summary_of(study), Home(tmp_path).flag)
    (line,) = [line for line in printed(page) if "end of its range" in line]
    assert line.startswith(WORDS)
    assert line.endswith("Search further: --lr-bounds 0.0001:0.12")
    inside = finished(tmp_path / "inside", [SGD, ADAM])
    page = study_page(summary_of(inside), Home(tmp_path).flag)
    assert not any("Search further" in line for line in printed(page))


def test_at_the_largest_rate_there_is_nothing_further_to_search() -> None:
    bounds = Bounds("sgd_lr", "sgd", 1.0, 1000.0, None, False, "given")
    assert edge_of(best(sgd_lr=1000.0), [bounds]) is None
