"""The pre-activation network is the paper's: where norms, ReLUs and shortcuts stand."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cifar_core.models import PreActNetwork
from cifar_core.models.preact import PreActBlock
from cifar_core.recipe import PreActResNet18

KUANGLIU = 11_171_146
"""Parameters of the widespread variant, which has no norm behind the last block."""


def noise(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*shape, generator=generator)


def by_hand(network: PreActNetwork, images: Tensor) -> Tensor:
    """The paper's equations, from the network's weights alone, in evaluation."""
    state = network.state_dict()

    def active(name: str, x: Tensor) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"]).relu()

    x = F.conv2d(images, state["conv1.weight"], padding=1)
    for stage in (1, 2, 3, 4):
        for number in (0, 1):
            at = f"layer{stage}.{number}"
            stride = 2 if stage > 1 and number == 0 else 1
            start = active(f"{at}.norm1", x)
            inner = F.conv2d(start, state[f"{at}.conv1.weight"], stride=stride, padding=1)
            inner = F.conv2d(active(f"{at}.norm2", inner), state[f"{at}.conv2.weight"], padding=1)
            if stride == 2:
                x = F.conv2d(start, state[f"{at}.projection.weight"], stride=2)
            elif (stage, number) == (1, 0):
                x = start
            x = x + inner
    features = active("norm", x).mean((2, 3))
    return F.linear(features, state["fc.weight"], state["fc.bias"])


def made(**options: object) -> PreActNetwork:
    torch.manual_seed(0)
    return PreActNetwork(PreActResNet18.model_validate(options))


def test_it_gives_what_the_papers_equations_give() -> None:
    network = made(width=8)
    network.train()(noise(16, 3, 32, 32))  # moves the running statistics off their start
    network.eval()
    with torch.no_grad():
        found = network(noise(4, 3, 32, 32))
        expected = by_hand(network, noise(4, 3, 32, 32))
    torch.testing.assert_close(found, expected)


def test_beside_the_last_norm_it_has_as_many_parameters_as_the_widespread_variant() -> None:
    assert sum(each.numel() for each in made().parameters()) == KUANGLIU + 2 * 512


def test_its_last_map_is_4x4() -> None:
    network, shapes = made(), []
    network.layer4.register_forward_hook(lambda _, __, out: shapes.append(out.shape))
    network(noise(2, 3, 32, 32))
    assert shapes == [(2, 512, 4, 4)]


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_gradients_are_those_of_the_function_it_computes(norm: str) -> None:
    """In-place operations that overwrite what a backward pass needs would show here."""
    block = partial(PreActBlock, norm=norm)
    for layer in (block(4, 4, 1), block(4, 8, 2), block(4, 4, 1, first=True)):
        images = noise(2, 4, 6, 6).double().requires_grad_()
        assert torch.autograd.gradcheck(layer.double(), images)


def test_dropout_comes_right_before_the_last_layer() -> None:
    network, seen = made(width=8, dropout=0.5), []
    network.fc.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    for training in (True, False):
        network.train(training)(noise(16, 3, 32, 32))
    training, evaluation = ((each == 0).float().mean().item() for each in seen)
    assert 0.4 < training < 0.6
    assert evaluation < 0.1


def test_group_norm_takes_the_place_of_every_batch_norm() -> None:
    normed = [type(each) for each in made(norm="group", width=8).modules()]
    assert nn.BatchNorm2d not in normed
    assert normed.count(nn.GroupNorm) == 17
