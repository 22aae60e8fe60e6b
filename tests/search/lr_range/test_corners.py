"""Where the LR-range test of a space measures."""

import copy
import json
import math
from typing import Any

import pytest

from cifar_core.lr_range import Finding
from cifar_core.recipe import Net
from search.lr_range.corners import Corner, corners_of, curves_document, lr_base, values_for
from spaces.files import load_space
from spaces.reading import quicker, read_space, with_ranges
from spaces.space import Space, Values
from tests.search.sweeping import NOTHING, finding
from tests.spaces.making import ORIGIN, plain_space, small_space


def with_corners(*groups: list[str], **changes: Any) -> Space:
    """The small space, measured at these groups of parameters."""
    plain = copy.deepcopy(plain_space(**changes))
    return read_space({**plain, "lr_range": {"base": "best", "corners": list(groups)}}, ORIGIN)


def ends(space: Space, *names: str) -> list[tuple[Any, ...]]:
    """Where the parameters stand at each corner of the first learning rate, in order."""
    first = next(iter(space.measured()))
    return [
        tuple(corner.values[name] for name in names)
        for corner in corners_of(space)
        if corner.parameter == first
    ]


def net(corner: Corner) -> Net:
    """The corner's network, which is the tutorial's."""
    assert isinstance(corner.recipe.network, Net)
    return corner.recipe.network


# ------------------------------------------------------------------------------- shipped spaces


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_constrained_space_is_measured_where_its_best_rate_is_lowest_and_where_it_is_highest(
    optimizer: str,
) -> None:
    space = load_space("baseline_constrained")
    corners = [one for one in corners_of(space) if one.parameter == f"{optimizer}_lr"]
    assert len(corners_of(space)) == 4
    found = {(one.recipe.batch_size, net(one).channels1, net(one).channels2) for one in corners}
    assert found == {(32, 256, 256), (256, 6, 16)}
    for one in corners:  # all else is that of the base, reference Net4
        recipe = one.recipe
        assert recipe.optimizer.name == optimizer
        assert net(one).batch_norm
        assert net(one).dropout == 0.1
        assert recipe.optimizer.weight_decay == 1e-4
        assert recipe.augmentation.strength == 1.0


def test_a_quick_run_is_measured_at_the_corners_of_the_narrowed_space() -> None:
    space = load_space("baseline_constrained")
    assert space.quick is not None
    widest = space.quick.ranges["channels1"]["high"]
    assert widest < 256
    found = {net(one).channels1 for one in corners_of(quicker(space))}
    assert found == {6, widest}


def test_the_fast_space_is_measured_at_two_corners_for_each_optimizer() -> None:
    space = load_space("speed")
    assert len(corners_of(space)) == 2 * len(space.measured())
    widths = ("channels1", "channels2", "channels3")
    extremes = {name: space.parameters[name].extremes() for name in (*widths, "batch_size")}
    batches = extremes["batch_size"]
    assert ends(space, "batch_size", *widths) == [
        (min(batches), *(max(extremes[name]) for name in widths)),
        (max(batches), *(min(extremes[name]) for name in widths)),
    ]


# ------------------------------------------------------------------------------------- directions


def test_a_space_without_corners_is_measured_at_its_base() -> None:
    corners = corners_of(with_corners())
    assert [corner.parameter for corner in corners] == ["sgd_lr", "adam_lr"]
    assert [corner.recipe.batch_size for corner in corners] == [32, 32]
    assert [net(corner).channels1 for corner in corners] == [8, 8]


def test_a_group_stands_at_its_lowest_and_at_its_highest_values_together() -> None:
    space = with_corners(["batch_size", "channels1"])
    assert ends(space, "batch_size", "channels1") == [(32, 2), (64, 8)]


def test_a_minus_moves_a_parameter_of_a_group_to_the_opposite_end() -> None:
    space = with_corners(["batch_size", "-channels1"])
    assert ends(space, "batch_size", "channels1") == [(32, 8), (64, 2)]
    turned = with_corners(["-batch_size", "channels1"])
    assert ends(turned, "batch_size", "channels1") == [(64, 2), (32, 8)]


def test_two_minuses_are_the_same_corners_as_none() -> None:
    with_minuses = with_corners(["-batch_size", "-channels1"])
    without = with_corners(["batch_size", "channels1"])
    names = ("batch_size", "channels1")
    assert sorted(ends(with_minuses, *names)) == sorted(ends(without, *names))


def test_several_groups_make_every_combination() -> None:
    space = with_corners(["batch_size", "-channels1"], ["dropout"])
    assert sorted(ends(space, "batch_size", "channels1", "dropout")) == [
        (32, 8, 0.0),
        (32, 8, 0.4),
        (64, 2, 0.0),
        (64, 2, 0.4),
    ]
    three = with_corners(["batch_size"], ["channels1"], ["dropout"])
    assert len(set(ends(three, "batch_size", "channels1", "dropout"))) == 8


def test_choices_that_stand_in_any_order_have_a_lowest_and_a_highest() -> None:
    plain = plain_space()
    plain["parameters"]["batch_size"]["choices"] = [64, 16, 128, 32]
    plain["lr_range"] = {"base": "best", "corners": [["batch_size"]]}
    assert ends(read_space(plain, ORIGIN), "batch_size") == [(16,), (128,)]


def test_a_parameter_that_does_not_apply_at_a_corner_is_not_moved() -> None:
    plain = plain_space()
    plain["parameters"]["decay"] = {
        "sets": "optimizer.weight_decay",
        "when": {"optimizer": ["adam"]},
        "low": 0.0,
        "high": 0.1,
    }
    plain["known"][1]["values"]["decay"] = 0.01
    plain["lr_range"] = {"base": "best", "corners": [["decay", "batch_size"]]}
    corners = corners_of(read_space(plain, ORIGIN))
    assert [(one.values.get("decay"), one.values["batch_size"]) for one in corners] == [
        (None, 32),
        (None, 64),
        (0.0, 32),
        (0.1, 64),
    ]


def test_a_corner_is_the_recipe_that_its_values_make() -> None:
    space = with_corners(["batch_size", "-channels1"], ["dropout"])
    corners = corners_of(space)
    assert len(corners) == 8
    for corner in corners:
        assert corner.recipe == space.recipe_of(corner.values)
        assert (corner.recipe.optimizer.name == "sgd") is (corner.parameter == "sgd_lr")


# ---------------------------------------------------------------------------------- values


def test_the_corners_start_from_the_known_configuration_that_is_named() -> None:
    assert lr_base(small_space()).name == "best"
    assert lr_base(small_space(lr_range={"base": "base"})).name == "base"


def test_values_for_another_optimizer_keep_all_but_optimizer_and_rate() -> None:
    space = small_space()
    base, best = space.known
    assert values_for(space, best, "sgd_lr", 0.05) == {
        "optimizer": "sgd",
        "sgd_lr": 0.05,
        "batch_size": 32,
        "channels1": 8,
        "dropout": 0.1,
    }
    assert values_for(space, base, "sgd_lr", 0.05) == {**base.values, "sgd_lr": 0.05}
    assert list(values_for(space, base, "adam_lr", 0.05)) == [
        "optimizer",
        "adam_lr",
        "batch_size",
        "channels1",
        "dropout",
    ]


def test_a_rate_that_is_not_given_is_the_middle_of_its_range() -> None:
    space = small_space()
    values = values_for(space, space.known[0], "adam_lr")
    assert values["adam_lr"] == pytest.approx(1e-3)


def test_values_that_are_known_are_moved_into_a_narrowed_space() -> None:
    wide = small_space()
    narrow = with_ranges(wide, {"channels1": {"high": 4}})
    assert values_for(narrow, wide.known[1], "sgd_lr")["channels1"] == 4


# ------------------------------------------------------------------------------------ document


def test_the_document_holds_a_corner_for_each_finding_and_what_all_of_them_cost() -> None:
    values: Values = {"batch_size": 32}
    space = small_space()
    recipe = space.recipe_of(values_for(space, lr_base(space), "sgd_lr"))
    corners = [Corner("sgd_lr", values, recipe), Corner("adam_lr", {}, recipe)]
    blank = Finding((0.1, 1.0), (math.nan,) * 2, (2.0, math.inf), 1.23456, reason="No number.")
    document = curves_document(corners, [finding(0.01, 0.1, 0.03, epochs=0.5), blank])
    stored = json.loads(json.dumps(document, allow_nan=False))
    assert stored["epochs"] == 1.735
    first, second = stored["corners"]
    assert (first["parameter"], first["values"]) == ("sgd_lr", {"batch_size": 32})
    assert (first["low"], first["high"], first["suggested"]) == (0.01, 0.1, 0.03)
    assert (first["conclusive"], second["conclusive"]) == (True, False)
    assert (second["loss"], second["smoothed"]) == ([None, None], [2.0, None])
    assert second["words"] == "Inconclusive: No number."


def test_a_document_of_findings_that_do_not_belong_to_the_corners_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        curves_document(corners_of(with_corners()), [NOTHING])
