"""Channels-last images: the same images as by plain indexing, however those that came lay in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cifar_core.augmentation.layout import images_of, joined, lines_of, taken
from tests.cifar_core.augmentation.batches import examples, random_images, seeds, sides

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def window(images: Tensor) -> Tensor:
    """The same images, as a part of larger channels-last ones."""
    count, channels, height, width = images.shape
    large = channels_last(torch.zeros(count, channels, height + 2, width + 3, dtype=torch.uint8))
    view = large[:, :, 1:-1, 2:-1]
    return view.copy_(images)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "planes": lambda images: images.contiguous(),
    "channels last": channels_last,
    "columns first": lambda images: images.transpose(2, 3).contiguous().transpose(2, 3),
    "images innermost": lambda images: images.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2),
    "every other image": lambda images: channels_last(images.repeat_interleave(2, dim=0))[::2],
    "every other plane": lambda images: images.repeat_interleave(2, dim=1)[:, ::2],
    "a window": window,
}
layouts = st.sampled_from(sorted(LAYOUTS))
counts = st.integers(0, 6)
every_layout = pytest.mark.parametrize("layout", LAYOUTS)


def lying(layout: str, count: int, height: int, width: int, seed: int) -> tuple[Tensor, Tensor]:
    """The same images twice: in planes, and as `layout` says."""
    planes = random_images(count, height, width, seed)
    images = LAYOUTS[layout](planes)
    assert torch.equal(images, planes)
    return planes, images


def share_memory(one: Tensor, other: Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def is_channels_last(images: Tensor) -> bool:
    """To the stride, also where PyTorch takes any stride for right: of one image, or none."""
    _, channels, height, width = images.shape
    return images.stride() == (height * width * channels, 1, width * channels, channels)


# Lines


@pytest.mark.parametrize("count", [1, 5])
def test_lines_of_channels_last_images_are_a_view(count: int) -> None:
    images = channels_last(random_images(count, 6, 7))
    lines = lines_of(images)
    assert lines.is_contiguous()
    assert (lines.data_ptr(), share_memory(lines, images)) == (images.data_ptr(), True)
    lines[0, 2, 3 * 4 + 1] = 0  # row 2, column 4, green
    assert images[0, :, 2, 4].tolist().index(0) == 1


@pytest.mark.parametrize("layout", ["planes", "columns first", "images innermost"])
def test_lines_of_other_images_are_a_copy(layout: str) -> None:
    planes, images = lying(layout, 5, 6, 7, seed=0)
    lines = lines_of(images)
    assert not share_memory(lines, images)
    lines.zero_()
    assert torch.equal(images, planes)


@given(layout=layouts, count=counts, height=sides, width=sides, seed=seeds)
@examples
def test_a_line_has_the_channels_of_a_pixel_side_by_side(
    layout: str, count: int, height: int, width: int, seed: int
) -> None:
    planes, images = lying(layout, count, height, width, seed)
    lines = lines_of(images)
    assert lines.shape == (count, height, 3 * width)
    for channel in range(3):
        assert torch.equal(lines[:, :, channel::3], planes[:, channel])


def test_images_of_lines_are_a_view_in_channels_last_memory() -> None:
    images = channels_last(random_images(5, 6, 7))
    lines = lines_of(images).clone()
    found = images_of(lines, 3)
    assert torch.equal(found, images)
    assert share_memory(found, lines)
    assert is_channels_last(found)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_lines_of_any_number_of_channels_become_images_again(channels: int) -> None:
    values = torch.arange(2 * channels * 3 * 5).view(2, channels, 3, 5)
    assert torch.equal(images_of(lines_of(values), channels), values)


# Rows


@given(layout=layouts, count=counts, height=sides, width=sides, seed=seeds, data=st.data())
@examples
def test_taking_rows_is_indexing(
    layout: str, count: int, height: int, width: int, seed: int, data: st.DataObject
) -> None:
    """Rows in any order, some of them several times, some not at all."""
    planes, images = lying(layout, count, height, width, seed)
    wanted = data.draw(st.lists(st.integers(0, count - 1), max_size=8)) if count else []
    rows = torch.tensor(wanted, dtype=torch.int64)
    found = taken(images, rows)
    assert found.dtype == torch.uint8
    assert torch.equal(found, planes[rows])
    assert is_channels_last(found)
    assert torch.equal(images, planes)


@every_layout
@pytest.mark.parametrize("count", [0, 1, 4])
@pytest.mark.parametrize("wanted", [0, 1, 3])
def test_no_rows_and_one_row_can_be_taken(layout: str, count: int, wanted: int) -> None:
    planes, images = lying(layout, count, 5, 6, seed=1)
    rows = torch.arange(wanted if count else 0) % max(1, count)
    found = taken(images, rows)
    assert torch.equal(found, planes[rows])
    assert is_channels_last(found)


@every_layout
def test_what_is_taken_is_a_copy(layout: str) -> None:
    planes, images = lying(layout, 4, 5, 6, seed=2)
    taken(images, torch.arange(4)).zero_()
    assert torch.equal(images, planes)


# Batches


@given(
    parts=st.lists(st.tuples(layouts, counts, seeds), min_size=1, max_size=4),
    height=sides,
    width=sides,
)
@examples
def test_joining_is_concatenation(
    parts: list[tuple[str, int, int]], height: int, width: int
) -> None:
    """Batches that each lie in memory in their own way, empty ones and single images among them."""
    both = [lying(layout, count, height, width, seed) for layout, count, seed in parts]
    found = joined([images for _, images in both])
    assert found.dtype == torch.uint8
    assert torch.equal(found, torch.cat([planes for planes, _ in both]))
    assert is_channels_last(found)


@every_layout
@pytest.mark.parametrize("sizes", [[0], [1], [0, 0], [1, 1], [0, 1, 0], [3, 0, 1]])
def test_empty_batches_and_single_images_can_be_joined(layout: str, sizes: list[int]) -> None:
    both = [lying(layout, size, 5, 6, seed) for seed, size in enumerate(sizes)]
    found = joined([images for _, images in both])
    assert torch.equal(found, torch.cat([planes for planes, _ in both]))
    assert found.shape == (sum(sizes), 3, 5, 6)
    assert is_channels_last(found)


@every_layout
@pytest.mark.parametrize("sizes", [[4], [4, 2]])
def test_what_is_joined_is_a_copy(layout: str, sizes: list[int]) -> None:
    both = [lying(layout, size, 5, 6, seed=3) for size in sizes]
    joined([images for _, images in both]).zero_()
    for planes, images in both:
        assert torch.equal(images, planes)
