"""The images on the device: moved, normalised and batched without mixing anything up."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cifar_core.data.labelled_images import LabelledImages
from cifar_core.data.resident import Normalization, Part, Splits, splits_of, training_batches
from cifar_core.data.split import Split
from cifar_core.recipe import Augmentation, Recipe
from tests.cifar_core.trainings import same

PLAIN = Augmentation()
TOGETHER = 30
"""Images augmented at once: several batches here, and rarely a divisor of what there is."""
AS_BYTES = Normalization(torch.ones(1, 3, 32, 32), torch.zeros(1, 3, 32, 32))
examples = settings(deadline=None, max_examples=40)


def numbered(count: int) -> Part:
    """Images whose first two bytes are their number, and whose label is its last digit."""
    numbers = torch.arange(count)
    images = torch.zeros(count, 3, 32, 32, dtype=torch.uint8)
    images[:, 0, 0, 0], images[:, 1, 0, 0] = (numbers // 256).byte(), (numbers % 256).byte()
    return Part(images, numbers % 10)


def numbers_of(images: Tensor) -> Tensor:
    return (256 * images[:, 0, 0, 0] + images[:, 1, 0, 0]).long()


def batches(
    part: Part,
    size: int,
    augmentation: Augmentation = PLAIN,
    seed: int = 0,
    together: int = TOGETHER,
) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return list(with_choices(part, size, augmentation, generator, together))


def with_choices(
    part: Part,
    size: int,
    augmentation: Augmentation,
    generator: torch.Generator,
    together: int = TOGETHER,
) -> Iterator[tuple[Tensor, Tensor]]:
    choices = np.random.default_rng(0)
    return training_batches(part, size, augmentation, AS_BYTES, generator, choices, together)


@pytest.fixture
def labelled() -> LabelledImages:
    """Random images, darker in red than in blue."""
    random = np.random.default_rng(0)
    images = random.integers(256, size=(60, 3, 32, 32)) * np.array([1, 2, 4]).reshape(3, 1, 1) // 4
    return LabelledImages(images.astype(np.uint8), random.integers(10, size=60), official=False)


@pytest.fixture
def parts(labelled: LabelledImages) -> Splits:
    rows = np.random.default_rng(1).permutation(60)
    return splits_of(labelled, Split(rows[:41], rows[41:], "digest"))


# Batches


@given(
    count=st.integers(1, 700),
    size=st.integers(1, 800),
    seed=st.integers(0, 2**31),
    together=st.integers(1, 900),
)
@examples
def test_every_image_comes_at_most_once_an_epoch_and_with_its_label(
    count: int, size: int, seed: int, together: int
) -> None:
    found = batches(numbered(count), size, seed=seed, together=together)
    width = min(size, count)
    assert [images.shape for images, _ in found] == [(width, 3, 32, 32)] * (count // width)
    numbers = torch.cat([numbers_of(images) for images, _ in found])
    assert torch.equal(torch.cat([labels for _, labels in found]), numbers % 10)
    assert len(set(numbers.tolist())) == len(numbers) == count // width * width


def test_batches_are_float32_channels_last_with_whole_labels() -> None:
    for images, labels in batches(numbered(20), 5):
        assert images.dtype == torch.float32
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert labels.dtype == torch.int64


def test_batches_that_are_augmented_at_once_share_every_operation_evenly() -> None:
    """A policy gives an operation to neighbouring rows: no batch may get all of one."""
    part = Part(torch.full((320, 3, 32, 32), 200, dtype=torch.uint8), torch.zeros(320).long())
    augmentation = Augmentation(policy="auto", strength=1.0, probability=0.5)
    for together in (320, 96):
        found = batches(part, 32, augmentation, together=together)
        shares = [float((images != 200).any(3).any(2).any(1).float().mean()) for images, _ in found]
        assert 0.05 < sum(shares) / len(shares) < 0.5
        # Without sharing, the first batches would be changed throughout and the last not at all.
        assert max(shares) < 0.75


def test_labels_stay_with_images_that_are_mixed_over_several_batches() -> None:
    """With an alpha this small an image is all its own or all its partner's."""
    part = numbered(120)
    for images, shares in batches(part, 20, Augmentation(mixup=1e-4), together=60):
        assert torch.equal(shares.argmax(1), numbers_of(images) % 10)


def test_images_and_normalised_batches_are_the_same_in_either_layout(parts: Splits) -> None:
    everything = Augmentation(flip=0.5, crop_padding=4, cutout=8, policy="auto", strength=1.0)
    assert parts.train.images.is_contiguous(memory_format=torch.channels_last)
    planes = Part(parts.train.images.contiguous(), parts.train.labels)
    for augmentation in (PLAIN, everything):
        ours = batches(parts.train, 10, augmentation)
        for (images, labels), (others, other_labels) in zip(
            ours, batches(planes, 10, augmentation), strict=True
        ):
            assert torch.equal(images, others)
            assert torch.equal(labels, other_labels)


def test_mirrored_images_that_are_kept_change_the_cost_and_nothing_else(parts: Splits) -> None:
    both = parts.train.mirrored_too()
    assert both.both_ways is not None
    assert torch.equal(both.both_ways, torch.cat([parts.train.images, parts.train.images.flip(-1)]))
    for augmentation in (
        PLAIN,
        Augmentation(flip=0.5),
        Augmentation(flip=1.0, cutout=8),
        Augmentation(flip=0.3, crop_padding=4, cutout=8, policy="auto", strength=1.0),
    ):
        for (images, labels), (others, other_labels) in zip(
            batches(parts.train, 10, augmentation), batches(both, 10, augmentation), strict=True
        ):
            assert torch.equal(images, others)
            assert torch.equal(labels, other_labels)


def test_the_generator_decides_the_order_and_goes_on_from_epoch_to_epoch() -> None:
    part, generator = numbered(100), torch.Generator().manual_seed(0)
    orders = [
        torch.cat([numbers_of(one) for one, _ in with_choices(part, 10, PLAIN, generator)])
        for _ in range(3)
    ]
    assert len({tuple(order.tolist()) for order in orders}) == 3
    assert torch.equal(numbers_of(batches(part, 10)[0][0]), orders[0][:10])


def test_what_is_left_out_of_one_epoch_comes_in_others() -> None:
    part, generator = numbered(15), torch.Generator().manual_seed(0)
    seen: set[int] = set()
    for _ in range(20):
        for images, _ in with_choices(part, 10, PLAIN, generator):
            seen.update(numbers_of(images).tolist())
    assert seen == set(range(15))


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(flip=1.0),
        Augmentation(crop_padding=4),
        Augmentation(cutout=8),
        Augmentation(strength=1.0),
    ],
    ids=["flip", "crop_padding", "cutout", "strength"],
)
def test_each_augmentation_changes_the_images_and_not_the_labels(
    augmentation: Augmentation, parts: Splits
) -> None:
    """The order is drawn first, so that it is the same with and without."""
    plain, changed = batches(parts.train, 41)[0], batches(parts.train, 41, augmentation)[0]
    assert torch.equal(plain[1], changed[1])
    assert not torch.equal(plain[0], changed[0])


def test_the_images_themselves_are_never_changed(parts: Splits) -> None:
    before = parts.train.images.clone()
    everything = Augmentation(flip=0.5, crop_padding=4, cutout=8, strength=1.0)
    for augmentation in (PLAIN, everything):
        generator = torch.Generator().manual_seed(0)
        for images, _ in with_choices(parts.train, 7, augmentation, generator):
            images.zero_()
    assert torch.equal(parts.train.images, before)


# Normalisation


def test_symmetric_normalisation_maps_bytes_to_minus_1_to_1(parts: Splits) -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(-1, 1, 1, 1).expand(256, 3, 32, 32)
    result = Normalization.of(Recipe(normalization="symmetric"), parts)(levels)
    expected = (torch.arange(256) / 255 - 0.5) / 0.5  # ToTensor and Normalize((0.5,), (0.5,))
    torch.testing.assert_close(result[:, 1, 0, 1], expected)
    assert (result.amin().item(), result.amax().item()) == pytest.approx((-1, 1), abs=1e-6)


def test_standard_normalisation_gives_the_training_part_mean_0_and_deviation_1(
    parts: Splits,
) -> None:
    result = Normalization.of(Recipe(normalization="standard"), parts)(parts.train.images)
    means, deviations = result.mean((0, 2, 3)), result.std((0, 2, 3), correction=0)
    torch.testing.assert_close(means, torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(deviations, torch.ones(3), atol=1e-5, rtol=0)


def test_each_channel_is_normalised_by_its_own_numbers(parts: Splits) -> None:
    mean, std = (10.0, 100.0, 200.0), (2.0, 5.0, 50.0)
    splits = Splits(parts.train, parts.validation, mean, std, "digest")
    images = parts.train.images
    result = Normalization.of(Recipe(normalization="standard"), splits)(images)
    for channel in range(3):
        expected = (images[:, channel].float() - mean[channel]) / std[channel]
        torch.testing.assert_close(result[:, channel], expected)


def test_normalising_changes_neither_bytes_nor_floats_it_is_given(parts: Splits) -> None:
    normalize = Normalization.of(Recipe(), parts)
    bytes_, floats = parts.train.images, parts.train.images.float()
    for images in (bytes_, floats, floats.to(memory_format=torch.channels_last)):
        before = images.clone()
        normalize(images)
        assert torch.equal(images, before)


# Splits


def test_both_parts_hold_their_images_and_labels(labelled: LabelledImages) -> None:
    rows = np.random.default_rng(1).permutation(60)
    splits = splits_of(labelled, Split(rows[:41], rows[41:], "digest"))
    for part, indices in ((splits.train, rows[:41]), (splits.validation, rows[41:])):
        assert len(part) == len(indices)
        assert np.array_equal(part.images.numpy(), labelled.images[indices])
        assert np.array_equal(part.labels.numpy(), labelled.labels[indices])
        assert (part.images.dtype, part.labels.dtype) == (torch.uint8, torch.int64)
    assert splits.digest == "digest"


def test_mean_and_deviation_are_numpys_of_the_training_part_alone(
    labelled: LabelledImages, parts: Splits
) -> None:
    images = parts.train.images.numpy().astype(np.float64)
    assert parts.mean == pytest.approx(images.mean((0, 2, 3)))
    assert parts.std == pytest.approx(images.std((0, 2, 3)))
    assert parts.mean != pytest.approx(labelled.images.mean((0, 2, 3)))


def test_statistics_count_all_images_however_many() -> None:
    random = np.random.default_rng(0)
    images = random.integers(256, size=(10_001, 3, 2, 2), dtype=np.uint8)
    images[5_000:] //= 2
    labels = np.zeros(10_001, np.int64)
    rows = np.arange(10_001)
    splits = splits_of(LabelledImages(images, labels, official=False), Split(rows, rows[:1], ""))
    assert splits.mean == pytest.approx(images.mean((0, 2, 3), dtype=np.float64))
    assert splits.std == pytest.approx(images.std((0, 2, 3), dtype=np.float64))


def test_a_channel_of_one_level_can_be_normalised() -> None:
    images, rows = np.full((20, 3, 32, 32), 7, np.uint8), np.arange(20)
    labelled = LabelledImages(images, np.zeros(20, np.int64), official=False)
    splits = splits_of(labelled, Split(rows, rows, ""))
    result = Normalization.of(Recipe(normalization="standard"), splits)(splits.train.images)
    torch.testing.assert_close(result, torch.zeros_like(result), atol=1e-5, rtol=0)


def test_cifar10s_statistics_are_the_known_ones(real_splits: Splits) -> None:
    """Not the deviations of (0.2023, 0.1994, 0.2010) that are met everywhere."""
    assert np.array(real_splits.mean) / 255 == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.01)
    assert np.array(real_splits.std) / 255 == pytest.approx([0.2470, 0.2435, 0.2616], abs=0.01)


def test_moving_to_where_the_images_are_copies_nothing(parts: Splits) -> None:
    moved = parts.to(torch.device("cpu"))
    assert moved.train.images.data_ptr() == parts.train.images.data_ptr()
    assert (moved.mean, moved.std, moved.digest) == (parts.mean, parts.std, parts.digest)


@pytest.mark.parametrize("batch_size", [7, 10, 64])
def test_normalising_many_batches_at_once_changes_no_bit(batch_size: int) -> None:
    images, labels = torch.arange(90 * 3072).view(90, 3, 32, 32) % 251, torch.arange(90) % 10
    part = Part(images.to(torch.uint8).contiguous(memory_format=torch.channels_last), labels)
    splits = Splits(part, part, (120.0, 121.0, 122.0), (60.0, 61.0, 62.0), "digest")
    normalize = Normalization.of(Recipe(normalization="standard"), splits)
    epochs = [
        list(
            training_batches(
                part,
                batch_size,
                Augmentation(flip=0.5, crop_padding=4, mixup=mixup),
                normalize,
                torch.Generator().manual_seed(0),
                np.random.default_rng(0),
                together=40,
                normalize_at_once=at_once,
            )
        )
        for mixup in (0.0, 0.4)
        for at_once in (False, True)
    ]
    assert len(epochs[0]) == 90 // batch_size
    for one, other in (epochs[:2], epochs[2:]):
        assert same(one, other)
        for batch, _ in other:
            assert batch.is_contiguous(memory_format=torch.channels_last)
