"""An epoch knows whether its training has diverged."""

import math

import pytest

from cifar_core.epoch import Epoch


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_an_epoch_whose_loss_is_no_number_has_diverged(loss: float) -> None:
    assert Epoch(1, loss, 0.1, 2.3, 0.1, 0.1, 1.0, 1.0).diverged
    assert Epoch(1, 2.3, 0.1, loss, 0.1, 0.1, 1.0, 1.0).diverged


def test_an_epoch_with_numbers_has_not_diverged_however_large_they_are() -> None:
    assert not Epoch(1, 1e300, 0.1, 1e300, 0.1, 0.1, 1.0, 1.0).diverged
