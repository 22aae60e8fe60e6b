"""The split: every class in its proportion, the same for ever, known by its digest."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cifar_core.data.split as split_module
from cifar_core.data.labelled_images import LabelledImages
from cifar_core.data.split import VALIDATION_IMAGES, confirming_images, split
from cifar_core.errors import DataError

FEW = 40  # validation images in most tests here
examples = settings(deadline=None, max_examples=80)
label_counts = st.lists(st.integers(0, 60), min_size=10, max_size=10).filter(
    lambda counts: sum(counts) >= 5 * FEW
)


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Small sets are enough for the rules; the last tests take the real number again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split_module, "VALIDATION_IMAGES", FEW)
        yield


@pytest.fixture
def all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_module, "VALIDATION_IMAGES", VALIDATION_IMAGES)


def drawn(counts: list[int], seed: int = 0) -> LabelledImages:
    """Random images with so many of each class, in random order."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(10), counts))
    images = random.integers(256, size=(len(labels), 3, 2, 2), dtype=np.uint8)
    return LabelledImages(images, labels, official=False)


def in_each_class(labelled: LabelledImages, part: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.bincount(labelled.labels[part], minlength=10)


@given(counts=label_counts, data=st.data())
@examples
def test_the_parts_share_no_image_and_have_the_numbers_asked_for(
    counts: list[int], data: st.DataObject
) -> None:
    labelled = drawn(counts)
    wanted = data.draw(st.integers(10, sum(counts) - FEW))
    parts = split(labelled, wanted)
    assert (len(parts.train), len(parts.validation)) == (wanted, FEW)
    together = np.concatenate([parts.train, parts.validation])
    assert len(np.unique(together)) == wanted + FEW
    assert together.min() >= 0
    assert together.max() < sum(counts)
    for part in (parts.train, parts.validation):
        assert (np.diff(part) > 0).all()


@given(counts=label_counts, data=st.data())
@examples
def test_every_class_has_its_share_of_both_parts_rounded_up_or_down(
    counts: list[int], data: st.DataObject
) -> None:
    labelled = drawn(counts)
    wanted = data.draw(st.integers(10, sum(counts) - FEW))
    parts = split(labelled, wanted)
    here = in_each_class(labelled, parts.validation)
    left = np.array(counts) - here
    for found, share in (
        (here, np.array(counts) * FEW / sum(counts)),
        (in_each_class(labelled, parts.train), left * wanted / left.sum()),
    ):
        assert (np.abs(found - share) < 1 + 1e-9).all()


@given(counts=label_counts, data=st.data())
@examples
def test_the_validation_part_is_the_same_for_every_number_of_training_images(
    counts: list[int], data: st.DataObject
) -> None:
    labelled = drawn(counts)
    one, other = (split(labelled, data.draw(st.integers(10, sum(counts) - FEW))) for _ in "ab")
    assert np.array_equal(one.validation, other.validation)
    assert (one.digest == other.digest) == (len(one.train) == len(other.train))


def test_without_a_number_all_that_validation_leaves_is_trained_on() -> None:
    labelled = drawn([20] * 10)
    parts = split(labelled)
    assert len(parts.train) == 160
    assert sorted([*parts.train, *parts.validation]) == list(range(200))


def test_a_split_is_the_same_every_time_and_another_for_another_seed() -> None:
    labelled = drawn([20] * 10)
    first, again, other = split(labelled, 50), split(labelled, 50), split(labelled, 50, seed=1)
    assert np.array_equal(first.train, again.train)
    assert np.array_equal(first.validation, again.validation)
    assert first.digest == again.digest
    assert not np.array_equal(first.validation, other.validation)
    assert first.digest != other.digest


def test_the_images_of_a_class_are_not_taken_from_the_front() -> None:
    labels = np.repeat(np.arange(10), 100)
    images = np.zeros((1000, 3, 1, 1), np.uint8)
    validation = split(LabelledImages(images, labels, official=False)).validation
    assert 30 < np.mean(validation % 100) < 70


@given(place=st.integers(0, 199), channel=st.integers(0, 2), bit=st.integers(0, 7))
@examples
def test_a_single_changed_pixel_or_label_changes_the_digest(
    place: int, channel: int, bit: int
) -> None:
    labelled = drawn([20] * 10)
    parts = split(labelled)
    images = labelled.images.copy()
    images[place, channel, 1, 0] ^= 1 << bit
    changed = split(LabelledImages(images, labelled.labels, official=False))
    assert np.array_equal(changed.train, parts.train)
    assert changed.digest != parts.digest
    labels = labelled.labels.copy()
    labels[place] = (labels[place] + 1) % 10
    assert split(LabelledImages(labelled.images, labels, official=False)).digest != parts.digest


def test_the_digest_does_not_depend_on_what_is_in_neither_part() -> None:
    labelled = drawn([20] * 10)
    parts = split(labelled, 100)
    unused = np.setdiff1d(np.arange(200), np.concatenate([parts.train, parts.validation]))
    assert len(unused) == 60
    images = labelled.images.copy()
    images[unused] = 0
    changed = split(LabelledImages(images, labelled.labels, official=True), 100)
    assert changed.digest == parts.digest
    assert len(parts.digest) == 16
    int(parts.digest, 16)


@pytest.mark.parametrize("wanted", [9, 0, -1, 161])
def test_a_number_out_of_range_is_an_error_with_the_range(wanted: int) -> None:
    with pytest.raises(DataError) as caught:
        split(drawn([20] * 10), wanted)
    assert str(caught.value) == (
        "The number of training images must be from 10 to 160 (200 less 40 for validation), "
        f"but got {wanted}."
    )


@pytest.mark.parametrize("wanted", [10, 160])
def test_both_ends_of_the_range_can_be_had(wanted: int) -> None:
    assert len(split(drawn([20] * 10), wanted).train) == wanted


@pytest.mark.usefixtures("all_of_them")
def test_cifar10s_numbers_split_into_45000_and_5000_with_500_of_each_class() -> None:
    labelled = drawn([5000] * 10)
    parts = split(labelled)
    assert in_each_class(labelled, parts.train).tolist() == [4500] * 10
    assert in_each_class(labelled, parts.validation).tolist() == [500] * 10


@pytest.mark.usefixtures("all_of_them")
def test_which_images_validate_is_the_same_for_ever() -> None:
    """A change here would compare old studies with new ones on other images."""
    labels = np.tile(np.arange(10), 5000)
    parts = split(
        LabelledImages(np.zeros((50_000, 3, 1, 1), np.uint8), labels, official=False), 2_000
    )
    assert parts.validation[:5].tolist() == [3, 16, 23, 48, 49]
    assert parts.train[:5].tolist() == [42, 52, 60, 80, 99]
    assert parts.digest == "98c7ba38fcf14c3a"


@pytest.mark.usefixtures("all_of_them")
def test_images_to_confirm_on_are_taken_from_those_that_validate_and_are_the_same_for_ever() -> (
    None
):
    labels = np.tile(np.arange(10), 5000)
    labelled = LabelledImages(np.zeros((50_000, 3, 1, 1), np.uint8), labels, official=False)
    whole, parts = (
        split(labelled, 2_000),
        split(labelled, 2_000, confirming=confirming_images(50_000)),
    )
    assert (parts.train == whole.train).all()
    both = np.concatenate([parts.validation, parts.confirming])
    assert (np.sort(both) == whole.validation).all()
    assert in_each_class(labelled, parts.validation).tolist() == [250] * 10
    assert in_each_class(labelled, parts.confirming).tolist() == [250] * 10
    assert parts.confirming[:5].tolist() == [3, 16, 23, 62, 64]
    assert parts.digest == "875451acaa06f75f"
    assert len(whole.confirming) == 0
