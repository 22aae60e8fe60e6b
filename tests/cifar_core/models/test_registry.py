"""Every network that a recipe can name can be made, and does what all networks do."""

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from cifar_core.models import NETWORKS, TITLES, network_of
from cifar_core.recipe import Network
from tests.cifar_core.models.records import RECORDS

every_network = pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)


def noise(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, 32, 32, generator=generator)


def test_the_registry_has_the_names_that_a_recipe_can_have() -> None:
    assert [*NETWORKS, "own"] == list(RECORDS)


def test_each_name_has_a_title_that_fits_on_a_line() -> None:
    assert [*TITLES, "own"] == list(RECORDS)
    assert all(0 < len(title) <= 80 and "\n" not in title for title in TITLES.values())


@every_network
def test_it_gives_ten_logits_in_training_and_in_evaluation(record: Network) -> None:
    network = network_of(record)
    for training in (True, False):
        logits = network.train(training)(noise(2))
        assert logits.shape == (2, 10)
        assert logits.isfinite().all()


@every_network
def test_a_seed_decides_its_weights(record: Network) -> None:
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(torch.cat([each.flatten() for each in network_of(record).parameters()]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@every_network
def test_every_weight_that_is_trained_gets_a_gradient(record: Network) -> None:
    network = network_of(record)
    network(noise(4)).square().sum().backward()
    trained = [each for each in network.parameters() if each.requires_grad]
    assert all(each.grad is not None and each.grad.isfinite().all() for each in trained)
    assert all(each.grad is None for each in network.parameters() if not each.requires_grad)


@every_network
def test_the_order_of_channels_in_memory_changes_nothing_but_rounding(record: Network) -> None:
    torch.manual_seed(0)
    network = network_of(record).eval()
    with torch.no_grad():
        expected = network(noise(4))
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        found = network(noise(4).contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@every_network
def test_maps_stay_as_they_lie_in_memory(record: Network) -> None:
    """A layer that lays them out anew would copy every map, on each step."""
    network, strays = network_of(record), []

    def look(layer: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        for maps in (*given, out):
            if maps.dim() == 4 and not maps.is_contiguous(memory_format=torch.channels_last):
                strays.append(layer)

    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for layer in network.modules():
        layer.register_forward_hook(look)
    network(noise(2).contiguous(memory_format=torch.channels_last))
    assert strays == []


@every_network
def test_it_is_made_and_runs_on_a_gpu_that_need_not_be_there(record: Network) -> None:
    cuda = torch.device("cuda", 0)
    with FakeTensorMode(), cuda:
        logits = network_of(record)(torch.zeros(4, 3, 32, 32))
        assert (logits.shape, logits.device) == ((4, 10), cuda)
