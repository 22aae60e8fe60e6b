"""Learning-rate bounds of a study: what the corners found becomes one range, and how it is told."""

import json
from typing import Any

import pytest

from search.lr_range.bounds import OFF, combine, combine_all, unmeasured
from search.lr_range.corners import corners_of
from search.study.bounds import Bounds
from spaces.reading import read_space
from spaces.space import Space
from tests.search.sweeping import NOTHING, finding
from tests.spaces.making import one_parameter, plain_space, small_space

OTHER = "The loss was still falling at the highest rate."


def without_known_rates() -> Space:
    """The small space with known rates inside of everything that is measured here."""
    plain = plain_space()
    plain["known"][0]["values"]["sgd_lr"] = 0.02
    plain["known"][1]["values"]["adam_lr"] = 0.002
    return read_space(plain, "here")


# ------------------------------------------------------------------------------------- the union


def test_the_range_holds_what_every_corner_found() -> None:
    bounds = combine(
        without_known_rates(),
        "sgd_lr",
        [finding(0.0002, 0.01, 0.004), finding(0.001, 0.5, 0.04), finding(0.0005, 0.1, 0.02)],
    )
    assert (bounds.parameter, bounds.optimizer) == ("sgd_lr", "sgd")
    assert (bounds.low, bounds.high) == (0.0002, 0.5)
    assert bounds.conclusive
    assert bounds.how == "measured by an LR-range test at 3 corners of the space"


def test_the_suggestion_is_the_geometric_mean_of_those_of_the_corners() -> None:
    findings = [finding(0.001, 0.1, 0.004), finding(0.001, 0.1, 0.04), finding(0.001, 0.1, 0.02)]
    bounds = combine(small_space(), "sgd_lr", findings)
    assert bounds.suggested == pytest.approx((0.004 * 0.04 * 0.02) ** (1 / 3))


def test_the_more_the_corners_suggest_different_rates_the_less_sure_is_their_mean() -> None:
    one, same, apart = (
        combine(small_space(), "sgd_lr", [finding(0.001, 0.5, rate) for rate in rates]).spread
        for rates in ([0.04], [0.04, 0.04], [0.004, 0.4])
    )
    assert one == same == pytest.approx(10**OFF)
    assert apart == pytest.approx(10 ** (OFF**2 + 1.0) ** 0.5)
    assert combine(small_space(), "sgd_lr", [NOTHING]).spread is None


def test_one_corner_is_told_as_one() -> None:
    bounds = combine(without_known_rates(), "sgd_lr", [finding(0.01, 0.1, 0.03)])
    assert bounds.how == "measured by an LR-range test at 1 corner of the space"


def test_a_measured_range_may_lie_outside_of_the_spaces_own() -> None:
    bounds = combine(without_known_rates(), "sgd_lr", [finding(1e-5, 5.0, 0.03)])
    assert (bounds.low, bounds.high) == (1e-5, 5.0)  # the space's own ends at 0.001 and 0.1


# --------------------------------------------------------------------------------- inconclusive


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.05, (0.001, 0.1)),
        (0.0002, 0.05, (0.0002, 0.1)),
        (0.01, 0.7, (0.001, 0.7)),
        (0.0002, 0.7, (0.0002, 0.7)),
    ],
)
def test_the_spaces_own_range_stands_in_for_a_corner_without_conclusion(
    low: float, high: float, expected: tuple[float, float]
) -> None:
    findings = [finding(low, high, 0.03), NOTHING]
    bounds = combine(without_known_rates(), "sgd_lr", findings)
    assert (bounds.low, bounds.high) == expected
    assert bounds.conclusive
    assert bounds.suggested == pytest.approx(0.03)
    assert bounds.how == (
        "measured by an LR-range test at 1 of 2 corners of the space, with the space's own range "
        "because it was inconclusive at the rest: The loss hardly fell."
    )


def test_one_corner_without_conclusion_is_not_outvoted_by_many_others() -> None:
    findings = [finding(0.01, 0.05, 0.03)] * 3 + [NOTHING]
    bounds = combine(without_known_rates(), "sgd_lr", findings)
    assert (bounds.low, bounds.high) == (0.001, 0.1)
    assert "at 3 of 4 corners" in bounds.how


@pytest.mark.parametrize("corners", [1, 2, 4])
def test_without_any_conclusion_the_range_is_the_spaces_own_and_nothing_is_suggested(
    corners: int,
) -> None:
    bounds = combine(without_known_rates(), "sgd_lr", [NOTHING] * corners)
    assert (bounds.low, bounds.high) == (0.001, 0.1)
    assert bounds.suggested is None
    assert bounds.conclusive is False
    assert bounds.how == (
        "the space's own range, because the LR-range test was inconclusive: The loss hardly fell."
    )


def test_the_first_reason_is_told() -> None:
    other = NOTHING.__class__((), (), (), 0.5, reason=OTHER)
    assert OTHER in combine(small_space(), "sgd_lr", [other, NOTHING]).how
    assert "hardly fell" in combine(small_space(), "sgd_lr", [NOTHING, other]).how


# ----------------------------------------------------------------------------------- known rates


@pytest.mark.parametrize(("low", "high"), [(0.005, 0.5), (1e-6, 1e-5)])
def test_the_range_is_widened_to_hold_a_known_rate_and_says_so(low: float, high: float) -> None:
    bounds = combine(small_space(), "adam_lr", [finding(low, high, low * 3)])
    assert (bounds.low, bounds.high) == (min(low, 0.002), max(high, 0.002))
    assert bounds.how == (
        "measured by an LR-range test at 1 corner of the space, widened to include best's 0.002"
    )


@pytest.mark.parametrize("end", ["low", "high"])
def test_a_known_rate_that_lies_at_an_end_is_held_as_it_is(end: str) -> None:
    low, high = (0.002, 0.1) if end == "low" else (1e-4, 0.002)
    bounds = combine(small_space(), "adam_lr", [finding(low, high, 0.01)])
    assert (bounds.low, bounds.high) == (low, high)
    assert "widened" not in bounds.how


def test_every_known_rate_is_held() -> None:
    plain = plain_space()
    plain["known"][1]["values"] |= {"optimizer": "sgd", "sgd_lr": 2.0}
    del plain["known"][1]["values"]["adam_lr"]
    bounds = combine(read_space(plain, "here"), "sgd_lr", [finding(0.01, 0.1, 0.03)])
    assert (bounds.low, bounds.high) == (0.001, 2.0)
    assert bounds.how.endswith("widened to include base's 0.001, widened to include best's 2")


def test_a_known_rate_is_held_where_there_is_no_conclusion_too() -> None:
    plain = plain_space()
    plain["known"][0]["values"]["sgd_lr"] = 0.5
    assert combine(read_space(plain, "here"), "sgd_lr", [NOTHING]).high == 0.5


# --------------------------------------------------------------------------------- several rates


def test_each_rate_has_the_findings_of_its_own_corners() -> None:
    space = without_known_rates()
    corners = corners_of(space)
    assert [corner.parameter for corner in corners] == ["sgd_lr"] * 4 + ["adam_lr"] * 4
    findings = [finding(0.003 * (at + 1), 0.5 * (at + 1), 0.02 * (at + 1)) for at in range(4)]
    findings += [finding(2e-4 * (at + 1), 0.02 * (at + 1), 0.003 * (at + 1)) for at in range(4)]
    sgd, adam = combine_all(space, corners, findings)
    assert (sgd.optimizer, sgd.low, sgd.high) == ("sgd", 0.003, 2.0)
    assert (adam.optimizer, adam.low, adam.high) == ("adam", 2e-4, 0.08)
    assert sgd.suggested == pytest.approx(0.02 * 24 ** (1 / 4))


def test_a_rate_without_conclusion_leaves_the_other_its_own() -> None:
    space = without_known_rates()
    corners = corners_of(space)
    sgd, adam = combine_all(space, corners, [NOTHING] * 4 + [finding(0.001, 0.02, 0.005)] * 4)
    assert (sgd.conclusive, sgd.low, sgd.high) == (False, 0.001, 0.1)
    assert (adam.conclusive, adam.low, adam.high) == (True, 0.001, 0.02)


def test_findings_that_do_not_belong_to_the_corners_are_refused() -> None:
    space = small_space()
    with pytest.raises(ValueError, match="zip"):
        combine_all(space, corners_of(space), [NOTHING])


# ------------------------------------------------------------------------------------ unmeasured


def one_rate() -> Space:
    plain = one_parameter(sets="optimizer.lr", low=0.001, high=0.1, log=True, measured=True)
    plain |= {"known": [{"name": "base", "values": {"it": 0.01}}], "lr_range": {"base": "base"}}
    return read_space(plain, "here")


def test_a_space_of_one_optimizer_names_it() -> None:
    measured = combine(one_rate(), "it", [finding(0.001, 0.1, 0.03)])
    assert (measured.parameter, measured.optimizer) == ("it", "sgd")
    (given,) = unmeasured(one_rate(), "off")
    assert (given.parameter, given.optimizer) == ("it", "sgd")


@pytest.mark.parametrize(
    ("wish", "high", "how"),
    [("off", 0.1, "the space's own range"), ("0.0005:0.05", 0.05, "given with --lr-bounds")],
)
def test_bounds_that_are_not_measured_say_where_they_come_from(
    wish: str, high: float, how: str
) -> None:
    sgd, _ = unmeasured(small_space(), wish)
    assert (sgd.high, sgd.how) == (high, how)
    assert sgd.suggested is None
    assert not sgd.conclusive


@pytest.mark.parametrize("wish", ["off", "0.01:0.05"])
def test_bounds_that_are_not_measured_hold_the_known_rates_too(wish: str) -> None:
    sgd, adam = unmeasured(small_space(), wish)
    assert sgd.low == 0.001
    assert adam.low <= 0.002 <= adam.high
    assert sgd.high == (0.1 if wish == "off" else 0.05)
    assert ("widened to include base's 0.001" in sgd.how) == (wish != "off")


def test_a_space_that_measures_nothing_has_no_bounds() -> None:
    space = read_space(one_parameter(sets="batch_size", choices=[32]), "here")
    assert unmeasured(space, "auto") == unmeasured(space, "1e-3:0.1") == []


# ---------------------------------------------------------------------------------------- keeping


@pytest.mark.parametrize("findings", [[finding(1 / 3000, 1 / 3, 0.1 / 3)], [NOTHING]])
def test_bounds_survive_the_way_through_json(findings: list[Any]) -> None:
    bounds = combine(small_space(), "sgd_lr", findings)
    assert Bounds(**json.loads(json.dumps(bounds.to_dict(), allow_nan=False))) == bounds
