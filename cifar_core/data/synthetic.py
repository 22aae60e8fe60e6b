"""A built-in stand-in for CIFAR-10: drawn images of ten kinds, for tests and try-outs.

Use it where the real images cannot be had. A class is an outline and the pattern that fills it;
all else varies and says nothing about the class: colours, place, size, angle, proportions, the
pattern's width, the background, a small disc behind, a bar across, contrast, light and noise. A
linear classifier therefore stays poor, a small convolutional network learns part of it, and width,
batch norm, more images, more epochs, flips and shifts each add to that. A class stays what it is
when mirrored or shifted. Accuracies on these images say nothing about accuracies on CIFAR-10.

The images are the same to the byte on every machine: random numbers are raw PCG64 output, which
NumPy promises to keep (NEP 19), and all arithmetic is on whole numbers.
"""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["CLASSES", "TEST_IMAGES", "TRAIN_IMAGES", "draw"]

CLASSES: Final[tuple[str, ...]] = (
    "striped disc",
    "checked disc",
    "striped ring",
    "checked ring",
    "striped square",
    "checked square",
    "striped triangle",
    "checked triangle",
    "striped cross",
    "checked cross",
)
TRAIN_IMAGES: Final = 50_000
TEST_IMAGES: Final = 10_000

Ints: TypeAlias = npt.NDArray[np.int32]

_VERSION: Final = 1  # part of every seed: raise it with any change to the images
_CHUNK: Final = 500  # images drawn from one seed, the classes in equal parts; fits the cache
_SIDE: Final = 32
_SPLITS: Final = {"train": (0, TRAIN_IMAGES), "test": (1, TEST_IMAGES)}  # in the seed; images


def draw(
    split: Literal["train", "test"],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Draw all images of a split, always the same ones.

    Each run of 500 images, counted from the start, holds 50 of each class in random order, so
    that a shorter prefix is balanced too.

    Args:
        split: `"train"` or `"test"`; the two share no seed.

    Returns:
        The images, (N, 3, 32, 32) in 0..255, channels red, green, blue, and their labels, (N,)
        in 0..9, indices into `CLASSES`. N is `TRAIN_IMAGES` or `TEST_IMAGES`.

    Raises:
        ValueError: `split` is neither.
    """
    if split not in _SPLITS:
        raise ValueError(f"`split` must be 'train' or 'test', but got {split!r}.")
    _, count = _SPLITS[split]
    images = np.empty((count, 3, _SIDE, _SIDE), np.uint8)
    labels = np.empty(count, np.int64)
    for chunk in range(count // _CHUNK):
        run = slice(chunk * _CHUNK, (chunk + 1) * _CHUNK)
        images[run], labels[run] = _draw_chunk(split, chunk)
    return images, labels


def _draw_chunk(split: str, chunk: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Draw the images `chunk * _CHUNK` to `(chunk + 1) * _CHUNK - 1` of a split."""
    bits = np.random.PCG64(np.random.SeedSequence([_VERSION, _SPLITS[split][0], chunk]))
    each = _CHUNK // len(CLASSES)
    images = np.concatenate([_paint(bits, name, each) for name in CLASSES])
    labels = np.repeat(np.arange(len(CLASSES), dtype=np.int64), each)
    order = np.argsort(bits.random_raw(_CHUNK), kind="stable")
    return images[order], labels[order]


def _paint(bits: np.random.PCG64, name: str, n: int) -> npt.NDArray[np.uint8]:
    """Draw `n` images of the class called `name`, (n, 3, 32, 32)."""
    pattern, outline = name.split()
    one, colour = (n, 1, 1, 1), (n, 3, 1, 1)

    # Mostly brighter than the ground, or the smallest networks would not get off it in few epochs.
    sign = np.where(_roll(bits, 0, 100, one) < 92, 1, -1).astype(np.int32)
    ink = 128 + sign * _roll(bits, 40, 100, one) + _roll(bits, -64, 65, colour)
    u, v, _ = _frame(bits, n, sizes=(36, 60), turn=32)
    ink = ink + (_PATTERNS[pattern](u, v)[:, None] * _roll(bits, 48, 112, colour) >> 7)
    u, v, size = _frame(bits, n, sizes=(104, 176), turn=20, reach=64)
    shape = _coverage(_OUTLINES[outline](u, v), size)  # (n, 32, 32)
    u, v, size = _frame(bits, n, sizes=(32, 80))
    blob = _coverage(_disc(u, v), size)
    u, _, size = _frame(bits, n, sizes=(8, 32))
    bar = _coverage(256 - np.abs(u), size)

    canvas = _background(bits, n)  # (n, 3, 32, 32)
    canvas = _blend(canvas, _roll(bits, 0, 256, colour), blob)
    canvas = _blend(canvas, ink, shape)
    canvas = _blend(canvas, _roll(bits, 0, 256, colour), bar)

    light, contrast = _roll(bits, 88, 168, one), _roll(bits, 32, 256, one)
    canvas = ((canvas - 128) * contrast >> 8) + light
    noise = bits.random_raw(canvas.size // 8).astype("<u8").view(np.uint8).reshape(canvas.shape)
    canvas += (noise.astype(np.int32) - 128) * _roll(bits, 4, 32, one) >> 7
    return canvas.clip(0, 255).astype(np.uint8)


def _roll(bits: np.random.PCG64, low: int, high: int, shape: tuple[int, ...]) -> Ints:
    """Draw whole numbers from `low` to `high - 1`."""
    raw = bits.random_raw(int(np.prod(shape))) >> np.uint64(32)
    return (raw * np.uint64(high - low) >> np.uint64(32)).astype(np.int32).reshape(shape) + low


_SINE: Final = np.rint(4096 * np.sin(np.arange(256) * (np.pi / 128))).astype(np.int32)


def _frame(
    bits: np.random.PCG64, n: int, *, sizes: tuple[int, int], turn: int = 128, reach: int = 112
) -> tuple[Ints, Ints, Ints]:
    """Lay randomly placed, turned and stretched axes over each image.

    Args:
        bits: The source of randomness.
        n: How many images.
        sizes: The least size and one more than the greatest, in sixteenths of a pixel.
        turn: The greatest angle either way, in 1/256 of a full turn.
        reach: How far the origin may lie from the centre, in sixteenths of a pixel.

    Returns:
        The coordinates u and v of each pixel, (n, 32, 32), in 1/256 of the size, and the size
        itself, (n, 1, 1), in sixteenths of a pixel.
    """
    one = (n, 1, 1)
    size = _roll(bits, *sizes, one)
    angle = _roll(bits, -turn, turn, one)
    sine, cosine = _SINE[angle % 256], _SINE[(angle + 64) % 256]
    pixels = 16 * np.arange(_SIDE, dtype=np.int32) + 8 - 8 * _SIDE
    x = pixels[None, None, :] - _roll(bits, -reach, reach + 1, one)  # (n, 1, 32)
    y = pixels[None, :, None] - _roll(bits, -reach, reach + 1, one)  # (n, 32, 1)
    along = (1 << 20) // size
    across = along * _roll(bits, 205, 320, one) >> 8  # stretched by 0.8 to 1.25
    u = (cosine * along >> 12) * x + (sine * along >> 12) * y >> 12
    v = (cosine * across >> 12) * y - (sine * across >> 12) * x >> 12
    return u, v, size


def _coverage(depth: Ints, size: Ints) -> Ints:
    """Turn the depth inside an outline, in 1/256 of its size, into a soft-edged mask, 0..256."""
    mask: Ints = ((depth * size >> 4) + 128).clip(0, 256)
    return mask


def _blend(canvas: Ints, paint: Ints, mask: Ints) -> Ints:
    """Lay paint, (n, 3, 1, 1) or (n, 3, 32, 32), over the canvas as far as the mask says."""
    return canvas + ((paint - canvas) * mask[:, None] >> 8)


_HAT: Final = (16 - np.abs(2 * np.arange(_SIDE) + 1 - 16 * np.arange(5)[:, None])).clip(0)
_CLOUDS: Final = np.einsum("ay,bx->abyx", _HAT, _HAT).reshape(25, -1).astype(np.float32)


def _background(bits: np.random.PCG64, n: int) -> Ints:
    """Paint clouds, a grid of 5 x 5 random colours joined linearly, (n, 3, 32, 32)."""
    base = 128 + _roll(bits, -40, 40, (n, 1, 1)) + _roll(bits, -48, 49, (n, 3, 1))
    knots = base + _roll(bits, -48, 48, (n, 3, 25))
    # Whole numbers below 2**24: the product is exact in whatever order it is summed.
    clouds: Ints = (knots.astype(np.float32) @ _CLOUDS).astype(np.int32) >> 8
    return clouds.reshape(n, 3, _SIDE, _SIDE)


# The outlines give the depth of a point inside them, negative outside, with 256 for the size. Their
# areas are equal, so that the mean colour of an image says nothing about its class.


def _disc(u: Ints, v: Ints, radius: int = 256) -> Ints:
    return (radius * radius - u * u - v * v) // (2 * radius)


def _ring(u: Ints, v: Ints) -> Ints:
    return np.minimum(_disc(u, v, 307), -_disc(u, v, 170))


def _square(u: Ints, v: Ints) -> Ints:
    return 227 - np.maximum(np.abs(u), np.abs(v))


def _triangle(u: Ints, v: Ints) -> Ints:
    return 199 - np.maximum(v, (443 * np.abs(u) >> 9) - (v >> 1))


def _cross(u: Ints, v: Ints) -> Ints:
    wide, high = np.abs(u), np.abs(v)
    depth: Ints = np.minimum(294 - np.maximum(wide, high), 107 - np.minimum(wide, high))
    return depth


# The patterns run from -128 to 128 with mean 0, one period to twice the size.


def _stripes(u: Ints, _: Ints) -> Ints:
    wave: Ints = (2 * np.abs((u & 511) - 256) - 256).clip(-128, 128)
    return wave


def _checks(u: Ints, v: Ints) -> Ints:
    return _stripes(u, v) * _stripes(v, u) >> 7


_Drawing: TypeAlias = Callable[[Ints, Ints], Ints]
_OUTLINES: Final[dict[str, _Drawing]] = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
}
_PATTERNS: Final[dict[str, _Drawing]] = {"striped": _stripes, "checked": _checks}
