"""The batched augmentations: what each may do to a picture, and what it must leave alone."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own documentation calls it F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torchvision.transforms.v2 import functional as tv

import cifar_core.augmentation.policy as policy_module
from cifar_core.augmentation.geometry import crop, cutout, flip
from cifar_core.augmentation.policy import (
    COLOUR,
    GEOMETRIC,
    KINDS,
    _apply,
    _choices,
    _rows,
    brightness,
    contrast,
    policy,
    posterize,
    saturation,
    solarize,
    warp,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Augmentation = Callable[..., Tensor]

SETTINGS: dict[str, tuple[Callable[..., Tensor], str, float]] = {
    "flip": (flip, "probability", 0.5),
    "crop": (crop, "padding", 4),
    "cutout": (cutout, "size", 8),
    "policy": (policy, "strength", 1.0),
}
every_augmentation = pytest.mark.parametrize(
    "augment",
    [partial(function, **{name: value}) for function, name, value in SETTINGS.values()],
    ids=SETTINGS,
)
examples = settings(deadline=None, max_examples=40)
seeds = st.integers(0, 2**31)
sides = st.integers(5, 12)


def pictures(count: int, height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    """Noise without black pixels, so that zeros that an augmentation brings in can be told."""
    shape = (count, 3, height, width)
    return torch.randint(1, 256, shape, dtype=torch.uint8, generator=seeded(seed))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Every augmentation


@pytest.mark.parametrize(("function", "name", "_"), SETTINGS.values(), ids=SETTINGS)
def test_setting_zero_is_the_exact_identity(function: Augmentation, name: str, _: float) -> None:
    images = pictures(7)
    assert torch.equal(function(images, **{name: 0}, generator=seeded()), images)


@every_augmentation
@given(count=st.integers(1, 30), height=sides, width=sides, seed=seeds)
@examples
def test_shape_and_type_are_kept_and_the_given_pictures_are_not_changed(
    augment: Augmentation, count: int, height: int, width: int, seed: int
) -> None:
    images = pictures(count, height, width, seed)
    before = images.clone()
    result = augment(images, generator=seeded(seed))
    assert (result.shape, result.dtype) == (images.shape, torch.uint8)
    assert torch.equal(images, before)


@every_augmentation
def test_the_memory_layout_of_the_pictures_does_not_matter(augment: Augmentation) -> None:
    images = pictures(33)
    channels_last = images.contiguous(memory_format=torch.channels_last)
    difference = augment(channels_last, generator=seeded()).int() - augment(
        images, generator=seeded()
    )
    assert difference.abs().max() <= 1  # a mean summed in another order may round differently


@every_augmentation
def test_the_same_seed_gives_the_same_pictures_and_another_seed_gives_others(
    augment: Augmentation,
) -> None:
    images = pictures(64)
    first = augment(images, generator=seeded(0))
    assert torch.equal(first, augment(images, generator=seeded(0)))
    assert not torch.equal(first, augment(images, generator=seeded(1)))


@every_augmentation
def test_the_pictures_of_a_batch_get_different_draws(augment: Augmentation) -> None:
    images = pictures(1).expand(64, 3, 32, 32)
    results = augment(images, generator=seeded()).flatten(1)
    distinct = len(torch.unique(results, dim=0))
    assert distinct == 2 if augment.func is flip else distinct > 30  # type: ignore[attr-defined]


@every_augmentation
def test_a_given_generator_leaves_the_global_one_alone(augment: Augmentation) -> None:
    before = torch.get_rng_state()
    augment(pictures(12), generator=seeded())
    assert torch.equal(torch.get_rng_state(), before)


@every_augmentation
def test_without_a_generator_the_global_one_decides(augment: Augmentation) -> None:
    images = pictures(64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        first = augment(images, generator=None)
        torch.manual_seed(5)
        assert torch.equal(augment(images, generator=None), first)


@every_augmentation
def test_autocast_does_not_coarsen_the_pictures(augment: Augmentation) -> None:
    images = pictures(64)
    expected = augment(images, generator=seeded())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(augment(images, generator=seeded()), expected)


class NothingWaits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fails on an operation that makes host and device wait for each other, or mixes devices."""

    WAITING = ("_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero", "masked_select")
    COPYING = ("lift_fresh",)  # torch.tensor(list), from the host's memory

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in self.WAITING + self.COPYING, f"{func} waits"
        if name in {"index", "index_put", "index_put_"}:
            kinds = {each.dtype for each in args[1] if each is not None}
            assert not kinds & {torch.bool, torch.uint8}, f"{func} with a mask waits"
        result = func(*args, **(kwargs or {}))
        tensors = [each for each in tree_leaves((args, kwargs, result)) if isinstance(each, Tensor)]
        assert len({each.device for each in tensors}) <= 1, f"{func} mixes devices"
        return result


@every_augmentation
@pytest.mark.parametrize("count", [1, 64])
def test_nothing_waits_for_the_device(augment: Augmentation, count: int) -> None:
    images, generator = pictures(count), seeded()
    with NothingWaits():
        augment(images, generator=generator)


@pytest.mark.parametrize(
    "wait",
    [
        lambda images: images[images > 5],
        lambda images: images.sum().item(),
        lambda images: images if images.sum() > 5 else None,
        lambda images: images.nonzero(),
        lambda images: images * torch.tensor([0, 1]).view(2, 1, 1, 1),
    ],
)
def test_the_check_for_waiting_finds_what_waits(wait: Callable[[Tensor], Any]) -> None:
    images = pictures(2)
    with NothingWaits(), pytest.raises(AssertionError, match="waits"):
        wait(images)


@every_augmentation
@pytest.mark.parametrize("count", [1, 64])
def test_the_same_code_runs_on_cuda(augment: Augmentation, count: int) -> None:
    with FakeTensorMode(), NothingWaits():
        images = torch.empty(count, 3, 32, 32, dtype=torch.uint8, device="cuda")
        result = augment(images, generator=None)
    assert (result.device.type, result.shape, result.dtype) == ("cuda", images.shape, torch.uint8)


# Flip, crop, cutout


@given(seed=seeds, height=sides, width=sides)
@examples
def test_a_flip_with_probability_one_mirrors_every_picture(
    seed: int, height: int, width: int
) -> None:
    images = pictures(6, height, width, seed)
    assert torch.equal(flip(images, 1.0, seeded(seed)), images.flip(-1))


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_each_picture_is_mirrored_or_not_and_the_share_is_the_probability(
    probability: float,
) -> None:
    images = pictures(4000, 4, 4)
    result = flip(images, probability, seeded())
    kept = (result == images).flatten(1).all(1)
    mirrored = (result == images.flip(-1)).flatten(1).all(1)
    assert (kept ^ mirrored).all()
    assert mirrored.double().mean() == pytest.approx(probability, abs=0.03)  # 3.8 sigma


def offsets(images: Tensor, result: Tensor, padding: int) -> Tensor:
    """Which windows of each padded picture the result is: (B, 2p + 1, 2p + 1), bool."""
    _, _, height, width = images.shape
    padded = F.pad(images, (padding,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (B, 3, 2p + 1, 2p + 1, H, W)
    return (windows == result[:, :, None, None]).all(-1).all(-1).all(1)


@given(seed=seeds, padding=st.integers(1, 4), height=sides, width=sides)
@examples
def test_a_crop_is_one_window_of_the_zero_padded_picture(
    seed: int, padding: int, height: int, width: int
) -> None:
    images = pictures(5, height, width, seed)
    found = offsets(images, crop(images, padding, seeded(seed)), padding)
    assert (found.sum((1, 2)) == 1).all()


@pytest.mark.parametrize("padding", [1, 4])
def test_all_offsets_of_a_crop_occur_equally_often(padding: int) -> None:
    images = pictures(3000, 6, 6)
    counts = offsets(images, crop(images, padding, seeded()), padding).sum(0)
    expected = len(images) / counts.numel()
    assert counts.min() > 0
    assert (counts - expected).abs().max() < 5 * math.sqrt(expected)


def runs(length: int, size: int) -> list[list[bool]]:
    """For each centre the places that a clipped run of that size covers."""
    starts = [centre - size // 2 for centre in range(length)]
    return [[start <= place < start + size for place in range(length)] for start in starts]


@given(seed=seeds, size=st.integers(1, 14), height=sides, width=sides)
@examples
def test_cutout_blanks_exactly_one_clipped_square(
    seed: int, size: int, height: int, width: int
) -> None:
    images = pictures(5, height, width, seed)
    result = cutout(images, size, seeded(seed))
    for before, after in zip(images, result, strict=True):
        hole = after[0] == 0  # (H, W)
        rows, columns = hole.any(1), hole.any(0)
        assert rows.tolist() in runs(height, size)
        assert columns.tolist() in runs(width, size)
        assert torch.equal(after, before * ~(rows[:, None] & columns))


def test_the_centre_of_a_cutout_is_uniform_over_the_picture() -> None:
    images = pictures(7000, 5, 7)
    counts = (cutout(images, 1, seeded())[:, 0] == 0).sum(0)  # (5, 7)
    assert counts.sum() == 7000
    assert (counts - 200).abs().max() < 5 * math.sqrt(200)


def test_a_cutout_can_be_filled_with_a_colour() -> None:
    images = pictures(20)
    colour = torch.tensor([125, 123, 114], dtype=torch.uint8).view(3, 1, 1)
    black = cutout(images, 8, seeded())
    expected = torch.where(black == 0, colour, images)
    assert torch.equal(cutout(images, 8, seeded(), fill=colour), expected)
    assert torch.equal(cutout(images, 8, seeded(), fill=9), torch.where(black == 0, 9, images))


# The policy's operations


def moved(images: Tensor, **amounts: Tensor) -> Tensor:
    """`warp` with the amounts not named 0."""
    nothing = torch.zeros(len(images))
    return warp(images, **{name: amounts.get(name, nothing) for name in GEOMETRIC})


def by_torchvision(image: Tensor, name: str, amount: float) -> Tensor:
    """The same operation in torchvision's floats, without rounding: (3, H, W), [0, 255]."""
    image = image / 255
    _, height, width = image.shape
    angle, shear, shift = 0.0, [0.0, 0.0], [0.0, 0.0]
    match name:
        case "brightness" | "contrast" | "saturation":
            adjust = getattr(tv, f"adjust_{name}")
            return 255 * adjust(image, 1 + amount)  # type: ignore[no-any-return]
        case "degrees":
            angle = -amount  # torchvision's affine turns clockwise
        case "shear_x" | "shear_y":  # and leans to the left and up
            shear[name == "shear_y"] = -math.degrees(math.atan(amount))
        case "shift_x":
            shift[0] = amount * width
        case "shift_y":
            shift[1] = amount * height
    bilinear = tv.InterpolationMode.BILINEAR
    return 255 * tv.affine(image, angle, shift, 1.0, shear, bilinear)  # type: ignore[no-any-return]


LARGEST = GEOMETRIC | {operation.__name__: largest for operation, largest in COLOUR.items()}
OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    name: lambda images, amounts, name=name: moved(images, **{name: amounts}) for name in GEOMETRIC
} | {operation.__name__: operation for operation in COLOUR}


@pytest.mark.parametrize("name", OPERATIONS)
@given(seed=seeds, height=sides, width=sides)
@examples
def test_an_operation_by_amount_zero_is_the_exact_identity(
    name: str, seed: int, height: int, width: int
) -> None:
    images = torch.randint(256, (3, 3, height, width), dtype=torch.uint8, generator=seeded(seed))
    assert torch.equal(OPERATIONS[name](images, torch.zeros(3)), images)
    assert torch.equal(OPERATIONS[name](images, -torch.zeros(3)), images)


@pytest.mark.parametrize(
    "name", [name for name in OPERATIONS if name not in {"solarize", "posterize"}]
)
@given(seed=seeds, height=sides, width=sides)
@examples
def test_an_operation_does_what_torchvisions_does(
    name: str, seed: int, height: int, width: int
) -> None:
    images = pictures(4, height, width, seed)
    amounts = LARGEST[name] * (2 * torch.rand(4, generator=seeded(seed)) - 1)
    result = OPERATIONS[name](images, amounts)
    pairs = zip(images, amounts.tolist(), strict=True)
    exact = torch.stack([by_torchvision(image, name, amount) for image, amount in pairs])
    # torchvision's weights of grey add up to 0.9999, hence a little more than half a level.
    assert (result - exact).abs().max() <= 0.53


def test_shifting_moves_whole_pixels_exactly_right_and_down() -> None:
    images, eighth = pictures(2), torch.full((2,), 0.125)
    right, down = moved(images, shift_x=eighth), moved(images, shift_y=eighth)
    assert torch.equal(right, F.pad(images, (4, 0, 0, 0))[..., :32])
    assert torch.equal(down, F.pad(images, (0, 0, 4, 0))[..., :32, :])


def test_turning_by_a_right_angle_is_rot90() -> None:
    images = pictures(2)
    assert torch.equal(moved(images, degrees=torch.full((2,), 90.0)), images.rot90(1, (2, 3)))


@given(amount=st.integers(1, 256), sign=st.sampled_from([-1, 1]))
@examples
def test_solarize_is_torchvisions(amount: int, sign: int) -> None:
    images = pictures(2)
    amounts = torch.full((2,), float(sign * amount))
    assert torch.equal(solarize(images, amounts), tv.solarize(images, 256 - amount))


@given(amount=st.floats(-4, 4, width=32))
@examples
def test_posterize_is_torchvisions(amount: float) -> None:
    images = pictures(2)
    expected = tv.posterize(images, 8 - round(abs(amount)))
    assert torch.equal(posterize(images, torch.full((2,), amount)), expected)


@pytest.mark.parametrize("operation", [brightness, contrast, saturation])
@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_stay_in_range(operation: Augmentation, level: int) -> None:
    images = torch.full((2, 3, 8, 8), level, dtype=torch.uint8)
    images[..., 0] = 255 - level
    result = operation(images, torch.full((2,), 0.9))
    assert torch.equal(result, images) or operation is contrast
    assert (result[..., 0] == 255 - level).all()  # nothing wraps around


# The policy's draws


@pytest.mark.parametrize("count", [*range(1, 41), 128, 1000])
def test_every_operation_is_equally_likely_whatever_the_batch_size(count: int) -> None:
    choices = torch.stack([_choices(count, torch.tensor(offset)) for offset in range(KINDS)])
    assert torch.bincount(choices.flatten(), minlength=KINDS).tolist() == [count] * KINDS
    for row in choices:
        here = torch.bincount(row, minlength=KINDS)
        assert set(here.tolist()) <= {count // KINDS, math.ceil(count / KINDS)}


@pytest.mark.parametrize("count", [*range(1, 41), 128, 1000])
def test_the_rows_of_an_operation_hold_all_its_pictures_and_hardly_others(count: int) -> None:
    offsets = [_choices(count, torch.tensor(offset)) for offset in range(KINDS)]
    for first, last in [(kind, kind) for kind in range(KINDS)] + [(0, len(GEOMETRIC) - 1)]:
        chosen = torch.stack([(first <= each) & (each <= last) for each in offsets]).any(0)
        rows = torch.zeros(count, dtype=torch.bool)
        rows[_rows(first, last, count)] = True
        assert torch.equal(rows, chosen)
        assert rows.sum() < count * (last + 1 - first) / KINDS + 2


@given(count=st.integers(1, 40), offset=st.integers(0, KINDS - 1), seed=seeds)
@examples
def test_each_picture_gets_its_operation_and_no_other(count: int, offset: int, seed: int) -> None:
    images = pictures(count, 8, 8, seed)
    choices = _choices(count, torch.tensor(offset))
    magnitudes = 2 * torch.rand(count, generator=seeded(seed)) - 1
    result = _apply(images, choices, magnitudes)
    names = [*OPERATIONS, "identity"]
    for image, choice, magnitude, after in zip(images, choices, magnitudes, result, strict=True):
        name, expected = names[choice], image[None]
        if name != "identity":
            expected = OPERATIONS[name](image[None], LARGEST[name] * magnitude[None])
        # Sums over a batch and over one picture may differ in the last bit, and so round apart.
        assert (after - expected[0].int()).abs().max() <= 1, name


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_magnitudes_are_uniform_between_minus_and_plus_strength(
    strength: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def apply(images: Tensor, choices: Tensor, magnitudes: Tensor) -> Tensor:
        seen.append(magnitudes / strength)
        return images

    monkeypatch.setattr(policy_module, "_apply", apply)
    policy(pictures(4000, 2, 2), strength, seeded())
    (magnitudes,) = seen
    assert torch.histc(magnitudes, 8, -1, 1).sum() == 4000
    assert (torch.histc(magnitudes, 8, -1, 1) - 500).abs().max() < 5 * math.sqrt(500)


def test_a_small_strength_changes_little() -> None:
    images = pictures(200)
    assert (policy(images, 1e-4, seeded()).int() - images).abs().max() <= 1


def test_a_large_strength_changes_all_but_the_identitys_share() -> None:
    images = pictures(1100)
    changed = (policy(images, 1.0, seeded()) != images).flatten(1).any(1)
    # The identity's 100 rows, and about an eighth of posterize's 100, which clear no bit.
    assert 970 < changed.sum() < 1000
