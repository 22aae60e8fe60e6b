"""The networks are the reference's: same layers, same weights, same outputs, same gradients."""

import math

import pytest
import torch
from torch import Tensor, nn

from cifar_core.models import TutorialNet, network_of
from cifar_core.recipe import Net

VARIANTS = {
    "net": (Net(), 62_006),
    "net1": (Net(batch_norm=True), 62_290),
    "net2": (Net(init="kaiming"), 62_006),
    "net3": (Net(channels1=12, channels2=32), 117_678),
    "net4": (Net(channels1=256, channels2=256, batch_norm=True, dropout=0.1), 2_438_510),
}
every_variant = pytest.mark.parametrize(
    "record", [record for record, _ in VARIANTS.values()], ids=VARIANTS
)


class Reference(nn.Module):
    """The network as question 4 and 7 of the reference write it: ReLU, then pooling, then norm."""

    def __init__(self, record: Net) -> None:
        super().__init__()
        first, second = record.channels1, record.channels2
        normed = record.batch_norm
        self.conv1 = nn.Conv2d(3, first, 5)
        self.norm1 = nn.BatchNorm2d(first) if normed else nn.Identity()
        self.conv2 = nn.Conv2d(first, second, 5)
        self.norm2 = nn.BatchNorm2d(second) if normed else nn.Identity()
        self.full1 = nn.Linear(second * 5 * 5, 120)
        self.norm3 = nn.BatchNorm1d(120) if normed else nn.Identity()
        self.full2 = nn.Linear(120, 84)
        self.full3 = nn.Linear(84, 10)
        self.pool = nn.MaxPool2d(2, 2)
        self.drop = nn.Dropout(record.dropout)

    def forward(self, images: Tensor) -> Tensor:
        x = self.drop(self.norm1(self.pool(self.conv1(images).relu())))
        x = self.drop(self.norm2(self.pool(self.conv2(x).relu())))
        x = self.drop(self.norm3(self.full1(torch.flatten(x, 1)).relu()))
        logits: Tensor = self.full3(self.full2(x).relu())
        return logits


def pair(record: Net) -> tuple[nn.Module, Reference]:
    """Ours and the reference, in doubles, with the same weights, layer by layer in order."""
    torch.manual_seed(0)
    ours, reference = network_of(record).double(), Reference(record).double()
    weights = ours.state_dict().values()
    names = reference.state_dict().keys()
    reference.load_state_dict(dict(zip(names, weights, strict=True)))
    return ours, reference


def noise(count: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, 32, 32, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("record", "count"), VARIANTS.values(), ids=VARIANTS)
def test_a_network_has_as_many_parameters_as_the_references(record: Net, count: int) -> None:
    assert sum(each.numel() for each in network_of(record).parameters()) == count
    assert sum(each.numel() for each in Reference(record).parameters()) == count


def test_norm_and_dropout_stand_behind_pooling_and_the_first_linear_layer() -> None:
    network = TutorialNet(Net(batch_norm=True, dropout=0.1))
    kinds = [type(layer).__name__ for layer in (*network.features, *network.classifier)]
    block = ["Conv2d", "MaxPool2d", "ReLU", "BatchNorm2d", "Dropout"]
    first = ["Linear", "ReLU", "BatchNorm1d", "Dropout"]
    assert kinds == [*block, *block, *first, "Linear", "ReLU", "Linear"]


@pytest.mark.parametrize(
    ("record", "absent"),
    [(Net(), {"BatchNorm2d", "BatchNorm1d", "Dropout"}), (Net(batch_norm=True), {"Dropout"})],
    ids=["plain", "norm"],
)
def test_what_a_recipe_does_not_ask_for_is_not_there(record: Net, absent: set[str]) -> None:
    assert absent.isdisjoint(type(layer).__name__ for layer in network_of(record).modules())


@every_variant
def test_in_training_outputs_statistics_and_gradients_are_the_references(record: Net) -> None:
    ours, reference = pair(record)
    results = []
    for network in (ours, reference):
        torch.manual_seed(2)  # the same units are dropped
        images = noise().requires_grad_()
        logits = network.train()(images)
        logits.logsumexp(1).sum().backward()
        gradients = [each.grad for each in network.parameters()]
        results.append([logits, images.grad, *gradients, *network.buffers()])
    for mine, its in zip(*results, strict=True):
        torch.testing.assert_close(mine, its)


@every_variant
def test_in_evaluation_outputs_are_the_references(record: Net) -> None:
    ours, reference = pair(record)
    for network in (ours, reference):
        torch.manual_seed(2)
        network.train()(noise())  # moves the running statistics off their start
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(noise(5)), reference.eval()(noise(5)))


@pytest.mark.parametrize("init", ["default", "kaiming"])
def test_weights_fill_the_range_that_their_initialisation_gives_them(init: str) -> None:
    torch.manual_seed(0)
    network = network_of(Net.model_validate({"init": init, "channels1": 64, "channels2": 64}))
    layers = [each for each in network.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    assert len(layers) == 5
    for layer in layers:
        fan_in = layer.weight[0].numel()
        # PyTorch's own is Kaiming with a = sqrt(5): sqrt(6 / ((1 + 5) fan_in)).
        bound = math.sqrt(6 / fan_in) if init == "kaiming" else 1 / math.sqrt(fan_in)
        assert 0.98 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert layer.bias is not None
        assert layer.bias.abs().max() <= 1 / math.sqrt(fan_in)


def test_a_network_is_drawn_from_pytorchs_global_generator() -> None:
    networks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        networks.append(torch.cat([each.flatten() for each in network_of(Net()).parameters()]))
    assert torch.equal(networks[0], networks[1])
    assert not torch.equal(networks[0], networks[2])


def test_any_widths_give_ten_logits() -> None:
    assert network_of(Net(channels1=1, channels2=3))(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
