"""The network for speed: its first layer decorrelates patches and stays fixed, the rest learns."""

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's own documentation uses

from cifar_core.data.resident import Splits
from cifar_core.models.speednet import DIRECTIONS, SMALLEST_VARIANCE, SpeedNetwork
from cifar_core.recipe import SpeedNet

SMALL = SpeedNet(channels1=8, channels2=8, channels3=16)


def made(record: SpeedNet = SMALL, seed: int = 0) -> SpeedNetwork:
    """A network on the CPU, in the memory format that training uses."""
    torch.manual_seed(seed)
    network = SpeedNetwork(record)
    network.to(memory_format=torch.channels_last)
    return network


def smooth(count: int = 200, seed: int = 1) -> Tensor:
    """Images whose neighbours and channels are alike, as in photographs: grey waves, some colour."""
    generator = torch.Generator().manual_seed(seed)
    grey = torch.randn(count, 1, 8, 8, generator=generator)
    colour = 0.3 * torch.randn(count, 3, 16, 16, generator=generator)
    noise = 0.1 * torch.randn(count, 3, 32, 32, generator=generator)
    return sum((F.interpolate(each, 32, mode="bilinear") for each in (grey, colour)), noise)


def covariance(values: Tensor) -> Tensor:
    """Of maps (B, C, H, W), between channels: (C, C)."""
    return torch.cov(values.transpose(0, 1).flatten(1))


def steps(network: SpeedNetwork, images: Tensor, labels: Tensor, count: int) -> list[float]:
    """The loss before each step of Adam with weight decay, over all that is trained."""
    optimizer = torch.optim.Adam(
        [one for one in network.parameters() if one.requires_grad], lr=0.01, weight_decay=0.01
    )
    losses = []
    for _ in range(count):
        optimizer.zero_grad()
        loss = F.cross_entropy(network.train()(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return losses


def task() -> tuple[Tensor, Tensor]:
    """Forty images and what their brightness is."""
    labels = torch.arange(10).repeat(4)
    return smooth(40) + labels.view(-1, 1, 1, 1) / 4, labels


# The first layer


def test_whitened_patches_are_uncorrelated_and_of_unit_variance() -> None:
    network, images = made(), smooth()
    network.whiten(images)
    with torch.no_grad():
        found = covariance(network.first(images).double()[:, :DIRECTIONS])
    patches = F.unfold(images, 3, stride=2)  # (N, 27, 225)
    assert covariance(patches).abs().min() > 0.2  # before, all values go with each other
    off = found - found.diagonal().diag()
    assert off.abs().max() < 1e-4
    # v / (v + eps): a little under 1, and less the smaller the variance v was.
    assert ((found.diagonal() > 0.9) & (found.diagonal() < 1.0 + 1e-4)).all()


@pytest.mark.images
def test_other_real_images_are_nearly_white_as_well(real_splits: Splits) -> None:
    train, other = (
        (part.images.float() - 120) / 64 for part in (real_splits.train, real_splits.validation)
    )
    network = made()
    network.whiten(train)
    with torch.no_grad():
        found = covariance(network.first(other)[:, :DIRECTIONS])
    assert (found - found.diagonal().diag()).abs().max() < 0.1
    # The smallest variances are kept small on purpose, above all on images that were compressed.
    assert ((found.diagonal() > 0.0) & (found.diagonal() < 1.2)).all()
    assert found.diagonal().median() > 0.8


def test_the_second_half_of_the_first_layer_is_the_negative_of_the_first() -> None:
    network = made()
    network.whiten(smooth())
    positive, negative = network.first.weight.chunk(2)
    assert torch.equal(positive, -negative)


def test_a_direction_without_variance_does_not_blow_up() -> None:
    network = made()
    network.whiten(torch.ones(4, 3, 32, 32))
    bound = SMALLEST_VARIANCE**-0.5
    assert network.first.weight.isfinite().all()
    assert network.first.weight.abs().max() <= bound * 1.01


def test_whitening_depends_on_the_images_alone() -> None:
    one, other = made(seed=0), made(seed=1)
    for network in (one, other):
        network.whiten(smooth())
    assert torch.equal(one.first.weight, other.first.weight)
    other.whiten(smooth(seed=2))
    assert not torch.equal(one.first.weight, other.first.weight)


def test_a_directions_strongest_weight_is_positive() -> None:
    """An eigenvector's sign is a matter of chance, and would decide the order of the channels."""
    network = made()
    network.whiten(smooth())
    rows = network.first.weight[:DIRECTIONS].flatten(1)
    assert (rows.gather(1, rows.abs().argmax(1, keepdim=True)) > 0).all()


def test_without_whitening_images_change_nothing() -> None:
    network = made(SpeedNet(whitening=False))
    before = network.first.weight.clone()
    network.whiten(smooth())
    assert torch.equal(network.first.weight, before)


def test_the_memory_format_survives_whitening() -> None:
    network = made()
    network.whiten(smooth())
    assert network.first.weight.is_contiguous(memory_format=torch.channels_last)


# Training


def test_the_whitening_layer_gets_no_gradient_and_stays_as_it_is_to_the_bit() -> None:
    network = made()
    images, labels = task()
    network.whiten(images)
    before = network.first.weight.clone()
    steps(network, images, labels, 3)
    assert network.first.weight.grad is None
    assert torch.equal(network.first.weight, before)


def test_all_the_rest_is_trained() -> None:
    network = made()
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    steps(network, *task(), 2)
    same = [name for name, one in network.named_parameters() if torch.equal(one, before[name])]
    assert same == ["first.weight"]


def test_without_whitening_the_first_layer_is_trained_too() -> None:
    network = made(SMALL.model_copy(update={"whitening": False}))
    before = network.first.weight.clone()
    steps(network, *task(), 2)
    assert not torch.equal(network.first.weight, before)


@pytest.mark.parametrize("whitening", [True, False])
def test_it_learns(whitening: bool) -> None:
    network = made(SMALL.model_copy(update={"whitening": whitening}))
    images, labels = task()
    network.whiten(images)
    losses = steps(network, images, labels, 40)
    assert losses[-1] < 0.3 * losses[0]


def test_dropout_is_active_in_training_alone() -> None:
    network = made(SMALL.model_copy(update={"dropout": 0.5}))
    images = smooth(4)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


# Shapes and states


@pytest.mark.parametrize("widths", [(1, 1, 1), (3, 7, 5)], ids=str)
@pytest.mark.parametrize("batch", [2, 5])
@pytest.mark.parametrize("whitening", [True, False])
def test_any_widths_give_ten_logits(
    widths: tuple[int, int, int], batch: int, whitening: bool
) -> None:
    one, two, three = widths
    network = made(SpeedNet(channels1=one, channels2=two, channels3=three, whitening=whitening))
    assert network(torch.zeros(batch, 3, 32, 32)).shape == (batch, 10)


def test_a_state_holds_the_whitening() -> None:
    network, other = made(seed=0), made(seed=1)
    network.whiten(smooth())
    other.load_state_dict(network.state_dict())
    images = smooth(3, seed=2)
    assert torch.equal(network.eval()(images), other.eval()(images))
    assert not other.first.weight.requires_grad


@pytest.mark.parametrize("whitening", [True, False])
def test_on_a_gpu_it_is_built_whitened_and_run_without_waiting(whitening: bool) -> None:
    """Fake tensors raise where devices are mixed or a number is read."""
    with FakeTensorMode(), torch.device("cuda", 0):
        network = SpeedNetwork(SpeedNet(whitening=whitening, dropout=0.1))
        images = torch.zeros(6, 3, 32, 32)
        network.whiten(images)
        logits = network(images)
    assert (logits.shape, logits.device) == ((6, 10), torch.device("cuda", 0))
