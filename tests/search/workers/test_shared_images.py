"""The prepared images that all workers map."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cifar_core.augmentation.layout import lines_of
from cifar_core.data import cifar10
from cifar_core.data.dataset import DataSet, open_data
from cifar_core.data.resident import Part, Splits
from search.errors import ServiceError, UsageError
from search.workers.shared_images import (
    check_train_images,
    map_images,
    prepare_images,
    store_images,
)


def same(found: Splits, stored: Splits) -> bool:
    pairs = [(found.train, stored.train), (found.validation, stored.validation)]
    return all(
        torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)
        for one, other in pairs
    )


def test_what_is_mapped_is_what_was_stored(small_splits: Splits, tmp_path: Path) -> None:
    store_images(small_splits, tmp_path / "images")
    found = map_images(tmp_path / "images")
    assert same(found, small_splits)
    assert (found.mean, found.std, found.digest) == (
        small_splits.mean,
        small_splits.std,
        small_splits.digest,
    )
    for part in (found.train, found.validation):
        assert part.images.dtype == torch.uint8
        assert part.images.shape[1:] == (3, 32, 32)
        assert part.labels.dtype == torch.int64


@pytest.mark.parametrize(("train", "validation"), [(1, 1), (13, 1), (3, 7)])
def test_parts_of_any_size_are_mapped(
    small_splits: Splits, tmp_path: Path, train: int, validation: int
) -> None:
    few = Splits(
        Part(small_splits.train.images[:train], small_splits.train.labels[:train]),
        Part(
            small_splits.validation.images[:validation], small_splits.validation.labels[:validation]
        ),
        small_splits.mean,
        small_splits.std,
        small_splits.digest,
    )
    store_images(few, tmp_path / "images")
    assert same(map_images(tmp_path / "images"), few)


def test_images_that_are_laid_out_otherwise_are_stored_in_order(
    small_splits: Splits, tmp_path: Path
) -> None:
    """In planes, and with columns before rows."""
    train, validation = small_splits.train.images, small_splits.validation.images
    odd = Splits(
        Part(train.contiguous(), small_splits.train.labels),
        Part(validation.mT.contiguous().mT, small_splits.validation.labels),
        small_splits.mean,
        small_splits.std,
        small_splits.digest,
    )
    for part in (odd.train, odd.validation):
        assert not part.images.is_contiguous(memory_format=torch.channels_last)
    store_images(odd, tmp_path / "images")
    found = map_images(tmp_path / "images")
    assert same(found, small_splits)
    for part in (found.train, found.validation):
        assert part.images.is_contiguous(memory_format=torch.channels_last)


def place_in_file(values: Tensor, file: Path) -> int:
    """Where in `file`, in bytes, the tensor's memory is; it must be a mapping of the file."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, _, offset, _, _, *name = line.split(maxsplit=5)
        first, end = (int(address, 16) for address in addresses.split("-"))
        if first <= values.data_ptr() < end:
            assert name == [str(file)]
            return values.data_ptr() - first + int(offset, 16)
    raise AssertionError("the memory is no mapping")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads /proc")
def test_a_worker_trains_on_the_file_itself_which_has_whole_pixels(
    small_splits: Splits, tmp_path: Path
) -> None:
    """Neither its images nor their lines are copied: they are where the file's bytes are."""
    file = tmp_path / "images"
    store_images(small_splits, file)
    found = map_images(file).to(torch.device("cpu"))
    content, place = file.read_bytes(), 4_096
    both, train = found.train.both_ways, small_splits.train.images
    assert both is not None
    assert place_in_file(both, file) == place
    for images, stored in (
        (found.train.images, train),
        (both[len(train) :], train.flip(-1)),
        (found.validation.images, small_splits.validation.images),
    ):
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert place_in_file(images, file) == place_in_file(lines_of(images), file)
        assert place_in_file(images, file) == place
        pixels = np.frombuffer(content, np.uint8, stored.numel(), place)
        expected = stored.numpy().transpose(0, 2, 3, 1)
        assert np.array_equal(pixels.reshape(expected.shape), expected)
        place += stored.numel()


def test_one_who_writes_into_mapped_images_changes_nothing_for_others(
    small_splits: Splits, tmp_path: Path
) -> None:
    store_images(small_splits, tmp_path / "images")
    before = (tmp_path / "images").read_bytes()
    mine, theirs = (map_images(tmp_path / "images") for _ in range(2))
    mine.train.images.zero_()
    mine.validation.labels.zero_()
    assert same(theirs, small_splits)
    assert (tmp_path / "images").read_bytes() == before


def test_workers_go_on_with_the_old_images_when_new_ones_are_stored(
    small_splits: Splits, tmp_path: Path
) -> None:
    store_images(small_splits, tmp_path / "images")
    found = map_images(tmp_path / "images")
    other = Splits(
        small_splits.validation, small_splits.train, (1.0,) * 3, (2.0,) * 3, "fedcba9876543210"
    )
    store_images(other, tmp_path / "images")
    assert same(found, small_splits)
    assert map_images(tmp_path / "images").digest == "fedcba9876543210"
    assert [file.name for file in tmp_path.iterdir()] == ["images"]


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="reads /proc")
def test_mapped_images_are_shared_and_not_copied(small_splits: Splits, tmp_path: Path) -> None:
    """Reading all images leaves no private page of the file in this process."""
    file = tmp_path / "images"
    store_images(small_splits, file)
    found = map_images(file)
    assert int(found.train.images.sum()) + int(found.validation.images.sum()) > 0
    blocks = Path("/proc/self/smaps").read_text().split("VmFlags")
    (block,) = [one for one in blocks if str(file) in one]
    fields = dict(line.split(":", 1) for line in block.splitlines() if ":" in line[:30])
    assert fields["Private_Dirty"].split()[0] == "0"
    assert int(fields["Rss"].split()[0]) * 1024 >= 400 * 3_072


def test_a_file_that_is_cut_short_is_no_images(small_splits: Splits, tmp_path: Path) -> None:
    store_images(small_splits, tmp_path / "images")
    os.truncate(tmp_path / "images", 100_000)
    with pytest.raises((ValueError, RuntimeError)):
        map_images(tmp_path / "images")


# ------------------------------------------------------------------------------------- preparing


@pytest.mark.parametrize("wanted", [None, 10, 45_000])
def test_as_many_images_as_there_can_be_are_granted(wanted: int | None) -> None:
    check_train_images(wanted, DataSet("cifar10"))


@pytest.mark.parametrize("wanted", [-1, 0, 9, 45_001, 50_000])
def test_more_images_than_there_are_or_fewer_than_classes_are_refused(wanted: int) -> None:
    with pytest.raises(UsageError) as caught:
        check_train_images(wanted, DataSet("cifar10"))
    assert str(caught.value) == f"--train-images must be from 10 to 45000, but got {wanted}."


def test_what_is_prepared_is_said_and_can_be_mapped(plain_images: Path, tmp_path: Path) -> None:
    """The folder has no test file: nothing asks for one."""
    data = open_data(str(plain_images))
    identity = prepare_images(data, 400, tmp_path / "images")
    assert (identity.name, identity.official) == ("cifar10", False)
    assert (identity.train, identity.validation) == (400, 5_000)
    found = map_images(tmp_path / "images")
    assert (len(found.train), len(found.validation)) == (400, 5_000)
    assert found.digest == identity.split
    apart = prepare_images(data, 400, tmp_path / "apart", confirming=2_000)
    assert (apart.validation, apart.confirming) == (3_000, 2_000)
    with_a_part = map_images(tmp_path / "apart")
    assert with_a_part.confirming is not None
    assert (len(with_a_part.validation), len(with_a_part.confirms)) == (3_000, 2_000)
    assert found.confirming is None
    assert found.confirms is found.validation
    again = prepare_images(data, 500, tmp_path / "images")
    assert again.train == 500
    assert again.split != identity.split


def test_images_that_cannot_be_written_are_told_with_the_reason(
    plain_images: Path, tmp_path: Path
) -> None:
    place = tmp_path / "nowhere" / "images"
    with pytest.raises(ServiceError, match="No such file or directory") as caught:
        prepare_images(open_data(str(plain_images)), 10, place)
    assert str(caught.value).startswith(f"The images cannot be written to {place}")


def test_preparing_opens_no_test_file(
    plain_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(_: object) -> None:
        raise AssertionError("the test images were opened")

    monkeypatch.setattr(cifar10, "read_test", opened)
    prepare_images(open_data(str(plain_images)), 10, tmp_path / "images")
