"""Parameters and multiply-adds are those that are published, and counting costs nothing."""

import time

import pytest
import torch
from torch import nn
from torchvision.models import ResNet18_Weights

from cifar_core.models import NETWORKS, counting, network_of
from cifar_core.models.counting import count
from cifar_core.models.net import multiply_adds
from cifar_core.recipe import Net, Network, ResNet9, ResNet18Cifar, ResNet18ImageNet
from tests.cifar_core.models.records import RECORDS

FIGURES: list[tuple[Network, int, int]] = [
    (Net(), 62_006, 651_720),
    (ResNet9(), 4_903_242, 64_689_152),
    (ResNet18Cifar(), 11_173_962, 555_422_720),
]
"""The first is by hand: 28² 6 75 + 10² 16 150 + 400 120 + 120 84 + 84 10."""


@pytest.mark.parametrize(
    ("record", "parameters", "multiply_adds"), FIGURES, ids=[each[0].name for each in FIGURES]
)
def test_a_network_has_these_figures(record: Network, parameters: int, multiply_adds: int) -> None:
    assert count(record) == counting.Counts(parameters, parameters, multiply_adds)


def test_resnet18_computes_on_imagenets_images_what_torchvision_publishes() -> None:
    published = ResNet18_Weights.IMAGENET1K_V1.meta
    more_classes = 990 * 512
    found = count(ResNet18ImageNet(), image_size=224)
    assert round((found.multiply_adds + more_classes) / 1e9, 3) == published["_ops"]
    assert found.parameters + more_classes + 990 == published["num_params"]


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_parameters_are_those_of_the_network_that_is_trained(record: Network) -> None:
    weights = [*network_of(record).parameters()]
    found = count(record)
    assert found.parameters == sum(each.numel() for each in weights)
    assert found.trainable == sum(each.numel() for each in weights if each.requires_grad)
    assert found.multiply_adds > 0


def test_a_frozen_network_is_counted_without_its_weights() -> None:
    found = count(ResNet18ImageNet(weights="/nowhere/at/all.pth", frozen=True))
    assert (found.parameters, found.trainable) == (11_181_642, 512 * 10 + 10)


def test_grouped_convolutions_connect_only_channels_of_their_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def grouped(_: Net, _classes: int) -> nn.Module:
        first = nn.Conv2d(3, 8, 3, padding=1)  # 32² 8 27
        return nn.Sequential(first, nn.Conv2d(8, 4, 3, groups=2, padding=1))  # 32² 4 36

    monkeypatch.setitem(NETWORKS, "net", grouped)  # type: ignore[arg-type]
    assert count(Net()).multiply_adds == 32 * 32 * (8 * 27 + 4 * 36)


def test_counting_draws_no_random_numbers_and_takes_moments() -> None:
    count(Net())  # what is slow the first time
    before, started = torch.get_rng_state(), time.process_time()
    count(ResNet18Cifar(width=512))
    assert time.process_time() - started < 1.0
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("record", [Net(), Net(channels1=3, channels2=61, batch_norm=True)])
def test_the_formula_of_the_tutorials_network_counts_what_is_counted(record: Net) -> None:
    assert multiply_adds(record) == count(record).multiply_adds
    assert multiply_adds(record, 7) == count(record, classes=7).multiply_adds
