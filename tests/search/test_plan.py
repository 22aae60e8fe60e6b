"""What a request comes to on a machine."""

import pytest
import torch

from search.errors import UsageError
from search.plan import plan_of
from search.request import Scale, StartRequest
from spaces.files import load_space
from spaces.space import Space
from tests.spaces.making import small_space

CPU = [torch.device("cpu")]
GPU = [torch.device("cuda", 0)]


def request(**wishes: object) -> StartRequest:
    return StartRequest(**{"space": "small", **wishes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scale", "devices", "expected"),
    [
        ("auto", CPU, "quick"),
        ("auto", GPU, "full"),
        ("full", CPU, "full"),
        ("full", GPU, "full"),
        ("quick", CPU, "quick"),
        ("quick", GPU, "quick"),
    ],
)
def test_a_run_is_quick_where_it_is_asked_for_or_there_is_no_gpu(
    scale: Scale, devices: list[torch.device], expected: Scale
) -> None:
    plan = plan_of(request(scale=scale), small_space(), devices)
    assert plan.scale == expected
    assert (plan.notice is None) == (expected == "full")


def test_a_full_run_is_what_the_space_says() -> None:
    plan = plan_of(request(scale="full"), small_space(), CPU)
    assert plan.space == small_space()
    assert plan.train_images is None
    assert (plan.budget.trials, plan.budget.timeout) == (6, None)


def test_a_quick_run_is_what_the_space_says_of_it() -> None:
    plan = plan_of(request(scale="quick"), small_space(), CPU)
    assert plan.space.epochs == 2
    assert plan.space.parameters["channels1"].extremes() == [2, 4]
    assert plan.train_images == 100
    assert plan.budget.trials == 3


@pytest.mark.parametrize("scale", ["quick", "full"])
def test_what_is_asked_for_goes_before_what_the_space_says(scale: Scale) -> None:
    wishes = {"epochs": 3, "train_images": 70, "trials": 5, "timeout": 60.0}
    plan = plan_of(request(scale=scale, **wishes), small_space(), CPU)
    assert plan.space.epochs == 3
    assert plan.train_images == 70
    assert (plan.budget.trials, plan.budget.timeout) == (5, 60.0)


def test_the_notice_of_a_quick_run_names_what_is_smaller_and_the_way_to_the_full_one() -> None:
    notice = plan_of(request(), load_space("baseline_constrained"), CPU).notice or ""
    for words in (
        "QUICK run",
        "6 epochs instead of 12",
        "10,000 training images",
        "channels1 6 to 32, log instead of 6 to 256, log",
        "channels2 16 to 64, log instead of 16 to 256, log",
        "Its figures are lower than a full run's",
        "--scale full",
    ):
        assert words in notice


def test_the_notice_of_a_quick_run_names_the_trials_too() -> None:
    notice = plan_of(request(), small_space(), CPU).notice or ""
    assert "3 trials instead of 6" in notice


def test_the_notice_says_why_a_run_is_quick_and_what_was_asked_for() -> None:
    asked = plan_of(request(scale="quick", epochs=3, train_images=70), small_space(), GPU).notice
    assert asked is not None
    assert "asked for" in asked
    assert "70 training images; 3 epochs instead of 4" in asked
    assert "no GPU" not in asked
    auto = plan_of(request(), small_space(), CPU).notice
    assert auto is not None
    assert "asked for" not in auto


def without_quick() -> Space:
    return small_space(quick=None)


def test_a_space_without_a_quick_run_is_run_in_full_anywhere() -> None:
    plan = plan_of(request(scale="auto"), without_quick(), CPU)
    assert (plan.scale, plan.notice) == ("full", None)


def test_a_quick_run_that_a_space_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match=r"small has no \[quick\] section"):
        plan_of(request(scale="quick"), without_quick(), CPU)


@pytest.mark.parametrize(("wanted", "confirm"), [(None, 3), (0, None), (7, 7)])
def test_a_search_is_confirmed_unless_it_is_told_not_to_be(
    wanted: int | None, confirm: int | None
) -> None:
    budget = plan_of(request(confirm=wanted, timeout=100.0), small_space(), CPU).budget
    assert budget.confirm == confirm
    assert budget.search_timeout == (100.0 if confirm is None else 75.0)


def test_a_grid_is_not_confirmed() -> None:
    assert plan_of(request(confirm=0), load_space("flip"), CPU).budget.confirm is None
    assert plan_of(request(), load_space("flip"), CPU).budget.confirm is None
    with pytest.raises(UsageError, match="leave --confirm out"):
        plan_of(request(confirm=3), load_space("flip"), CPU)
