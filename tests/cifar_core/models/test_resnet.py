"""The residual networks are torchvision's, the seed's, and what is published about them."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from cifar_core.models import NETWORKS, network_of
from cifar_core.models.layers import norm_of
from cifar_core.recipe import Network, Residual, ResNet9, ResNet18Cifar, ResNet18ImageNet

FAMILY: list[tuple[Network, int]] = [
    (ResNet9(), 4_903_242),
    (ResNet18Cifar(), 11_173_962),
    (ResNet18ImageNet(), 11_181_642),
]
"""With ten classes; the last two are known from kuangliu/pytorch-cifar and from torchvision."""


def named(record: Network) -> str:
    return record.name


def noise(count: int = 4, side: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, side, side, generator=generator)


def last_map(record: Network) -> tuple[int, ...]:
    """The shape of what the last stage gives out for two images."""
    network, shapes = network_of(record), []
    stage = network.get_submodule("layer4")
    stage.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape)))
    network(noise(2))
    return shapes[0]


def pair() -> tuple[nn.Module, nn.Module]:
    """Ours and torchvision's with the same weights and the same running statistics off their start."""
    torch.manual_seed(0)
    ours, its = network_of(ResNet18ImageNet()), resnet18(num_classes=10)
    for values in its.state_dict().values():
        if values.dtype == torch.float32:
            values += 0.1 * torch.rand_like(values)
    ours.load_state_dict(its.state_dict())
    return ours, its


# torchvision's ResNet18


def test_its_state_has_torchvisions_names_and_shapes_in_the_same_order() -> None:
    ours, its = pair()
    shapes = [[(name, t.shape) for name, t in each.state_dict().items()] for each in (ours, its)]
    assert shapes[0] == shapes[1]


def test_the_same_seed_draws_the_weights_that_torchvision_draws() -> None:
    torch.manual_seed(3)
    ours = network_of(ResNet18ImageNet()).state_dict()
    torch.manual_seed(3)
    its = resnet18(num_classes=10).state_dict()
    assert all(torch.equal(ours[name], its[name]) for name in its)


@pytest.mark.parametrize("side", [32, 64])
def test_in_evaluation_it_gives_what_torchvisions_gives(side: int) -> None:
    ours, its = pair()
    with torch.no_grad():
        found, expected = ours.eval()(noise(4, side)), its.eval()(noise(4, side))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_in_training_outputs_statistics_and_gradients_are_torchvisions() -> None:
    # In doubles: over maps of 1x1 BatchNorm divides by the spread of four numbers.
    results = []
    for network in pair():
        logits = network.double().train()(noise(4, 64).double())
        logits.logsumexp(1).sum().backward()
        gradients = [each.grad for each in network.parameters()]
        results.append([logits, *gradients, *network.buffers()])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_frozen_leaves_the_last_layer_alone_to_be_trained() -> None:
    """The record asks for weights with it, so this looks at what is made before they are loaded."""
    record = ResNet18ImageNet(weights="imagenet", frozen=True)
    network = NETWORKS[record.name](record, 10)
    trained = [name for name, each in network.named_parameters() if each.requires_grad]
    assert trained == ["fc.weight", "fc.bias"]


# The seed's ResNet9


def norm(name: str, channels: int) -> tuple[str, str]:
    return (
        name,
        f"BatchNorm2d({channels}, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)",
    )


def conv3(name: str, before: int, after: int, stride: int) -> tuple[str, str]:
    text = (
        f"Conv2d({before}, {after}, kernel_size=(3, 3), stride=({stride}, {stride}), "
        "padding=(1, 1), bias=False)"
    )
    return name, text


def block(stage: int, before: int, after: int, stride: int) -> list[tuple[str, str]]:
    at = f"layer{stage}.0"
    layers = [
        conv3(f"{at}.conv1", before, after, stride),
        norm(f"{at}.bn1", after),
        (f"{at}.relu", "ReLU(inplace=True)"),
        conv3(f"{at}.conv2", after, after, 1),
        norm(f"{at}.bn2", after),
    ]
    if stride == 2:
        text = f"Conv2d({before}, {after}, kernel_size=(1, 1), stride=(2, 2), bias=False)"
        layers += [(f"{at}.downsample.0", text), norm(f"{at}.downsample.1", after)]
    return layers


def test_resnet9_has_the_layers_that_the_seed_prints() -> None:
    pool = "MaxPool2d(kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=False)"
    expected = [
        conv3("conv1", 3, 64, 1),
        norm("bn1", 64),
        ("relu", "ReLU(inplace=True)"),
        ("maxpool", pool),
        *block(1, 64, 64, 1),
        *block(2, 64, 128, 2),
        *block(3, 128, 256, 2),
        *block(4, 256, 512, 2),
        ("avgpool", "AdaptiveAvgPool2d(output_size=(1, 1))"),
        ("fc", "Linear(in_features=512, out_features=10, bias=True)"),
    ]
    network = network_of(ResNet9())
    leaves = [
        # Newer versions of PyTorch also print that a norm has a bias.
        (name, str(each).replace("affine=True, bias=True", "affine=True"))
        for name, each in network.named_modules()
        if not list(each.children())
    ]
    assert leaves == expected


# The family


@pytest.mark.parametrize(("record", "count"), FAMILY, ids=[each.name for each, _ in FAMILY])
def test_it_has_as_many_parameters_as_is_known(record: Network, count: int) -> None:
    assert sum(each.numel() for each in network_of(record).parameters()) == count


@pytest.mark.parametrize(
    ("record", "side"),
    [(ResNet9(), 2), (ResNet18Cifar(), 4), (ResNet18ImageNet(), 1)],
    ids=["resnet9", "resnet18_cifar", "resnet18_imagenet"],
)
def test_its_last_map_of_a_32x32_image_has_this_side(record: Network, side: int) -> None:
    assert last_map(record) == (2, 512, side, side)


@pytest.mark.parametrize("kind", [ResNet9, ResNet18Cifar, ResNet18ImageNet])
def test_width_is_the_first_stages_and_each_later_stage_doubles_it(kind: type[Residual]) -> None:
    network = network_of(kind(width=3))  # type: ignore[arg-type]
    names = [f"layer{stage}.0.conv1" for stage in (1, 2, 3, 4)]
    convs = [network.get_submodule(name) for name in names]
    assert [each.out_channels for each in convs] == [3, 6, 12, 24]
    assert network(noise(2)).shape == (2, 10)


@pytest.mark.parametrize("record", [each for each, _ in FAMILY], ids=named)
def test_dropout_stands_between_the_mean_over_the_maps_and_the_last_layer(record: Network) -> None:
    torch.manual_seed(0)
    network, seen = network_of(record.model_copy(update={"width": 8, "dropout": 0.5})), []
    network.get_submodule("avgpool").register_forward_hook(lambda _, __, out: seen.append(out))
    network.get_submodule("fc").register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    network(noise(32))
    pooled, dropped = seen[0].flatten(1), seen[1]
    gone = (dropped == 0) & (pooled != 0)
    torch.testing.assert_close(dropped, torch.where(gone, 0.0, 2 * pooled))
    assert 0.4 < gone.sum() / (pooled != 0).sum() < 0.6
    seen.clear()
    network.eval()(noise(2))
    assert torch.equal(seen[0].flatten(1), seen[1])


# Norms


def test_group_norm_has_32_groups_or_as_many_as_leave_no_channel_alone() -> None:
    groups = {}
    for channels in (1, 2, 3, 8, 32, 48, 64, 100, 512):
        made = norm_of("group", channels)
        assert isinstance(made, nn.GroupNorm)
        groups[channels] = made.num_groups
    assert groups == {1: 1, 2: 1, 3: 1, 8: 4, 32: 16, 48: 16, 64: 32, 100: 4, 512: 32}


@pytest.mark.parametrize("record", [each for each, _ in FAMILY], ids=named)
def test_with_group_norm_an_image_does_not_depend_on_those_beside_it(record: Network) -> None:
    torch.manual_seed(0)
    network = network_of(record.model_copy(update={"width": 8, "norm": "group"})).double()
    assert not any(isinstance(each, nn.BatchNorm2d) for each in network.modules())
    images = noise(4).double()
    torch.testing.assert_close(network(images)[:1], network(images[:1]))


@pytest.mark.parametrize("width", [1, 2, 4])
def test_with_group_norm_and_one_pixel_left_images_can_still_be_told_apart(width: int) -> None:
    torch.manual_seed(0)
    logits = network_of(ResNet18ImageNet(width=width, norm="group"))(noise(8))
    assert logits.std(0).max() > 0.01
