import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from cifar_core.data.resident import Normalization, Part, Splits
from cifar_core.device import Backend, backend_of
from cifar_core.diagnostics import (
    augmented_versions,
    class_accuracies,
    confusion,
    feature_maps,
    one_of_each_class,
    short_names,
)
from cifar_core.models import network_of
from cifar_core.recipe import Augmentation, Net, Recipe, ResNet9
from cifar_core.stepping import evaluate
from tests.cifar_core.trainings import begin, finished

RECIPE = Recipe(network=Net(batch_norm=True, dropout=0.5), batch_size=30, epochs=2)
CPU = torch.device("cpu")


def a_image(seed: int = 0) -> Tensor:
    return torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(seed))


def modes(network: nn.Module) -> list[bool]:
    return [module.training for module in network.modules()]


def hooks(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


# Confusion


def test_the_confusion_matrix_counts_what_a_loop_over_single_images_counts(
    small_splits: Splits,
) -> None:
    training = finished(RECIPE, small_splits)
    normalize, backend = Normalization.of(RECIPE, small_splits), backend_of(RECIPE, CPU)
    expected = np.zeros((10, 10), dtype=int)
    training.network.eval()
    with torch.no_grad():
        for image, label in zip(
            small_splits.train.images, small_splits.train.labels.tolist(), strict=True
        ):
            taken_for = int(training.network(normalize(image[None])).argmax())
            expected[label, taken_for] += 1
    counts = confusion(training.network, small_splits.train, normalize, backend)
    # 300 images are more than one evaluation batch, the last of which is not full.
    assert backend.evaluation_batch < 300
    assert counts.dtype == torch.int64
    assert counts.tolist() == expected.tolist()
    off_diagonal = expected - np.diag(np.diag(expected))
    assert (off_diagonal != off_diagonal.T).any()  # else rows and columns could be swapped


def test_the_confusion_matrix_agrees_with_the_measured_accuracy(small_splits: Splits) -> None:
    network = finished(RECIPE, small_splits).network
    rest = small_splits.validation, Normalization.of(RECIPE, small_splits), backend_of(RECIPE, CPU)
    counts = confusion(network, *rest)
    assert counts.sum() == 100
    assert int(counts.trace()) / 100 == evaluate(network, *rest)[1]


@pytest.mark.parametrize("training", [True, False])
def test_the_network_keeps_its_mode_and_its_statistics(
    small_splits: Splits, training: bool
) -> None:
    network = begin(RECIPE, small_splits).network.train(training)
    next(iter(network.children())).eval()  # as in a network that is partly frozen
    found, state = modes(network), {k: v.clone() for k, v in network.state_dict().items()}
    confusion(
        network,
        small_splits.validation,
        Normalization.of(RECIPE, small_splits),
        backend_of(RECIPE, CPU),
    )
    feature_maps(network, a_image())
    assert modes(network) == found
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())


def test_accuracies_are_shares_of_the_true_class() -> None:
    counts = torch.tensor([[3, 1, 0], [2, 2, 4], [0, 0, 0]])
    assert class_accuracies(counts) == (0.75, 0.25, None)


def test_short_names_are_those_of_tables() -> None:
    names = ("airplane", "automobile", "bird", "truck", "striped disc")
    assert short_names(names) == ("plane", "car", "bird", "truck", "striped disc")


def test_on_a_gpu_counting_neither_mixes_devices_nor_waits_for_a_batch() -> None:
    """Fake tensors have no values, and raise where one is asked for before the end."""
    cuda = torch.device("cuda", 0)
    with FakeTensorMode(), cuda:
        network = network_of(RECIPE.network)
        images = torch.zeros(600, 3, 32, 32, dtype=torch.uint8)
        part = Part(images, torch.zeros(600, dtype=torch.int64))
        normalize = Normalization(torch.ones(1, 3, 1, 1), torch.zeros(1, 3, 1, 1))
        counts = confusion(network, part, normalize, Backend(cuda, None, 250))
    assert counts.device == CPU
    assert counts.shape == (10, 10)


# Feature maps


def test_feature_maps_are_what_the_convolutions_of_the_tutorial_network_compute() -> None:
    network = network_of(Net(channels1=5, channels2=7))
    image = a_image()
    maps = feature_maps(network, image)
    assert list(maps) == ["features.0", "features.3"]
    first, second = maps.values()
    convolutions = [one for one in network.modules() if isinstance(one, nn.Conv2d)]
    with torch.no_grad():
        expected = convolutions[0](image[None])
        torch.testing.assert_close(first, expected[0])
        pooled = torch.relu(nn.functional.max_pool2d(expected, 2))
        torch.testing.assert_close(second, convolutions[1](pooled)[0])
    assert (first.shape, second.shape) == ((5, 28, 28), (7, 10, 10))


def test_feature_maps_are_of_evaluation_mode() -> None:
    network = network_of(Net(batch_norm=True, dropout=0.9)).train()
    one, other = feature_maps(network, a_image()), feature_maps(network, a_image())
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_every_convolution_of_a_residual_network_is_there() -> None:
    network = network_of(ResNet9(width=4))
    maps = feature_maps(network, a_image())
    named = {name: one for name, one in network.named_modules() if isinstance(one, nn.Conv2d)}
    assert maps.keys() == named.keys()
    assert [len(maps[name]) for name in named] == [one.out_channels for one in named.values()]
    assert all(one.dtype == torch.float32 and one.ndim == 3 for one in maps.values())


def test_no_hook_is_left_even_where_the_network_fails() -> None:
    network = network_of(Net())
    feature_maps(network, a_image())
    assert hooks(network) == 0
    with pytest.raises(RuntimeError):
        feature_maps(network, torch.zeros(4, 32, 32))
    assert hooks(network) == 0
    assert network.training


class Twice(nn.Module):
    """Uses one convolution twice, with an activation in place behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.it = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.constant_(self.it.weight, -1.0)

    def forward(self, images: Tensor) -> Tensor:
        once: Tensor = self.it(images).relu_()
        again: Tensor = self.it(once + 1.0)
        return again


def test_a_map_is_copied_before_what_works_in_place_and_one_for_each_use() -> None:
    maps = feature_maps(Twice(), torch.ones(3, 2, 2))
    assert list(maps) == ["it", "it (2)"]
    assert maps["it"].eq(-3.0).all()
    assert maps["it (2)"].eq(-3.0).all()


# Augmented images


def test_an_image_of_each_class_is_chosen_by_the_seed(small_splits: Splits) -> None:
    rows = one_of_each_class(small_splits.train, 0)
    assert small_splits.train.labels[rows].tolist() == list(range(10))
    assert torch.equal(rows, one_of_each_class(small_splits.train, 0))
    assert not torch.equal(rows, one_of_each_class(small_splits.train, 1))


def test_classes_without_images_are_left_out() -> None:
    part = Part(torch.zeros(3, 3, 32, 32, dtype=torch.uint8), torch.tensor([7, 2, 7]))
    assert part.labels[one_of_each_class(part, 0)].tolist() == [2, 7]


def test_no_augmentation_gives_every_image_back(small_splits: Splits) -> None:
    rows = one_of_each_class(small_splits.train, 0)
    versions = augmented_versions(small_splits.train, rows, Augmentation(), 3, seed=0)
    assert versions.shape == (10, 3, 3, 32, 32)
    assert (versions == small_splits.train.images[rows][:, None]).all()


def test_versions_are_of_their_own_image(small_splits: Splits) -> None:
    rows = one_of_each_class(small_splits.train, 0)
    flipped = augmented_versions(small_splits.train, rows, Augmentation(flip=1.0), 2, seed=0)
    assert (flipped == small_splits.train.images[rows].flip(-1)[:, None]).all()


def test_each_version_has_its_own_draw_that_the_seed_decides(small_splits: Splits) -> None:
    rows = one_of_each_class(small_splits.train, 0)
    wild = Augmentation(flip=0.5, crop_padding=4, strength=1.0)

    def made(seed: int) -> Tensor:
        return augmented_versions(small_splits.train, rows, wild, 2, seed)

    assert torch.equal(made(0), made(0))
    assert not torch.equal(made(0), made(1))
    assert not torch.equal(made(0)[:, 0], made(0)[:, 1])


def test_mixed_images_lie_between_the_images_they_are_mixed_of() -> None:
    images = torch.stack([torch.full((3, 32, 32), 20), torch.full((3, 32, 32), 220)])
    part = Part(images.to(torch.uint8).repeat(20, 1, 1, 1), torch.tensor([0, 1]).repeat(20))
    rows = torch.tensor([0, 1])
    blended = augmented_versions(part, rows, Augmentation(mixup=1.0), 20, seed=0)
    assert len(blended.unique()) > 10
    assert blended.min() >= 20
    assert blended.max() <= 220
    pasted = augmented_versions(part, rows, Augmentation(cutmix=1.0), 20, seed=0)
    assert pasted.unique().tolist() == [20, 220]
