"""The stand-in is what it promises: fixed, balanced, hard for a line, and kind to better networks.

The accuracies come from fixed seeds; each bound leaves several times the spread over seeds.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn
from torch.nn import functional

from cifar_core.data import synthetic

LabelledImages = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """These networks are too small to gain from threads, which fight where cores are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def chunks(split: str, count: int) -> LabelledImages:
    drawn = [synthetic._draw_chunk(split, k) for k in range(count // synthetic._CHUNK)]
    images, labels = zip(*drawn, strict=True)
    return np.concatenate(images), np.concatenate(labels)


@pytest.fixture(scope="module")
def all_train() -> LabelledImages:
    return synthetic.draw("train")


@pytest.fixture(scope="module")
def all_test() -> LabelledImages:
    return synthetic.draw("test")


@pytest.fixture(scope="module")
def seen() -> LabelledImages:
    return chunks("train", 3_000)


@pytest.fixture(scope="module")
def unseen() -> LabelledImages:
    return chunks("test", 2_000)


def flat(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return images.reshape(len(images), -1).astype(np.float32)  # (N, 3072)


def mean_colour(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    means = images.mean((2, 3), dtype=np.float32)
    return np.concatenate([means, (means - 128) ** 2 / 64], axis=1)  # (N, 6)


def linear_accuracy(
    seen: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    unseen: npt.NDArray[np.float32],
    answers: npt.NDArray[np.int64],
) -> float:
    """Fit ridge classifiers to one-hot labels; the best result on the unseen rows counts."""
    mean, spread = seen.mean(0), seen.std()
    seen, unseen = (seen - mean) / spread, (unseen - mean) / spread
    gram, wanted = seen.T @ seen, seen.T @ (np.eye(10, dtype=np.float32)[labels] - 0.1)
    accuracies = []
    for ridge in (1e3, 1e5):
        weights = np.linalg.solve(gram + ridge * np.eye(len(gram), dtype=np.float32), wanted)
        accuracies.append(float(((unseen @ weights).argmax(1) == answers).mean()))
    return max(accuracies)


def network_accuracy(
    seen: LabelledImages,
    unseen: LabelledImages,
    *,
    width: int,
    epochs: int,
    flip: bool = False,
    seed: int = 0,
) -> float:
    """Train LeNet with batch norm on the seen images and judge it on the unseen ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(3, width, 5),  # (B, width, 28, 28)
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 5),  # (B, 2 * width, 10, 10)
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(50 * width, 84),
            nn.ReLU(),
            nn.Linear(84, 10),
        )
        images, labels = torch.from_numpy(seen[0]).float() / 64 - 2, torch.from_numpy(seen[1])
        batches = len(labels) // 50
        sgd = torch.optim.SGD(
            net.parameters(), 0.04, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
        cycle = torch.optim.lr_scheduler.OneCycleLR(sgd, 0.04, total_steps=epochs * batches)
        for _ in range(epochs):
            for picked in torch.randperm(len(labels)).view(batches, 50):
                batch = images[picked]
                if flip:
                    mirrored = torch.rand(50, 1, 1, 1) < 0.5
                    batch = torch.where(mirrored, batch.flip(-1), batch)
                sgd.zero_grad()
                torch.autograd.backward(functional.cross_entropy(net(batch), labels[picked]))
                sgd.step()
                cycle.step()
        net.eval()
        with torch.no_grad():
            guesses = net(torch.from_numpy(unseen[0]).float() / 64 - 2).argmax(1)
        return float((guesses == torch.from_numpy(unseen[1])).float().mean())


@pytest.mark.parametrize(
    ("part", "count"),
    [
        pytest.param("all_train", synthetic.TRAIN_IMAGES, marks=pytest.mark.slow),
        ("all_test", synthetic.TEST_IMAGES),
    ],
)
def test_a_split_has_the_shape_of_cifar_10_and_equal_classes(
    request: pytest.FixtureRequest, part: str, count: int
) -> None:
    assert len(set(synthetic.CLASSES)) == 10
    images, labels = request.getfixturevalue(part)
    assert images.shape == (count, 3, 32, 32)
    assert labels.shape == (count,)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert np.bincount(labels).tolist() == [count // 10] * 10


def test_a_prefix_is_balanced_and_in_no_order(all_test: LabelledImages) -> None:
    _, labels = all_test
    for start in range(0, 5_000, synthetic._CHUNK):
        run = labels[start : start + synthetic._CHUNK]
        assert np.bincount(run).tolist() == [synthetic._CHUNK // 10] * 10
        same_as_next = (run[1:] == run[:-1]).mean()
        assert same_as_next < 0.2
    assert not np.array_equal(labels[: synthetic._CHUNK], run)


def test_every_draw_gives_the_same_images(all_test: LabelledImages) -> None:
    images, labels = synthetic.draw("test")
    assert np.array_equal(images, all_test[0])
    assert np.array_equal(labels, all_test[1])


def test_a_split_is_its_chunks_in_order(all_test: LabelledImages) -> None:
    images, labels = chunks("test", 1_000)
    assert np.array_equal(images, all_test[0][:1_000])
    assert np.array_equal(labels, all_test[1][:1_000])


@pytest.mark.parametrize(
    ("split", "checksum"),
    [
        ("train", "46235f8abff43558bdcc2ef0a8d2a9fe5a2f82bfb6dd3189e5c3ec98aaa49db0"),
        ("test", "afba3d9da964fabccf262a01724249b94857a0d5d0f18d9d61798495cfc0873e"),
    ],
)
def test_the_images_are_those_of_version_1(split: str, checksum: str) -> None:
    images, labels = synthetic._draw_chunk(split, 0)
    found = hashlib.sha256(images.tobytes() + labels.astype("<i8").tobytes()).hexdigest()
    assert synthetic._VERSION == 1
    assert found == checksum, "the images changed: raise `_VERSION` and pin the new checksums"


@pytest.mark.slow
def test_no_image_comes_twice_in_train_and_test_together(
    all_train: LabelledImages, all_test: LabelledImages
) -> None:
    prints = {hash(image.tobytes()) for images, _ in (all_train, all_test) for image in images}
    assert len(prints) == synthetic.TRAIN_IMAGES + synthetic.TEST_IMAGES


def test_an_unknown_split_is_named_in_the_error() -> None:
    with pytest.raises(ValueError, match="`split` must be 'train' or 'test', but got 'valid'"):
        synthetic.draw("valid")  # type: ignore[arg-type]


def test_all_outlines_have_the_area_of_the_disc() -> None:
    u, v = np.meshgrid(*[np.arange(-512, 513, dtype=np.int32)] * 2)
    for name, depth in synthetic._OUTLINES.items():
        area = (depth(u, v) > 0).sum()
        assert area == pytest.approx(np.pi * 256**2, rel=0.02), name


def test_all_patterns_have_mean_zero_and_the_full_swing() -> None:
    u, v = np.meshgrid(*[np.arange(512, dtype=np.int32)] * 2)
    for name, pattern in synthetic._PATTERNS.items():
        values = pattern(u, v)
        assert abs(values.mean()) < 1, name
        assert (values.min(), values.max()) == (-128, 128), name


def test_the_mean_colour_of_all_classes_is_alike(all_test: LabelledImages) -> None:
    images, labels = all_test
    means = images.mean((2, 3), dtype=np.float32)  # (N, 3)
    of_class = np.stack([means[labels == label].mean(0) for label in range(10)])  # (10, 3)
    assert (np.abs(of_class - means.mean(0)) < 0.1 * means.std(0)).all()


def test_the_mean_colour_of_an_image_does_not_tell_its_class(
    seen: LabelledImages, unseen: LabelledImages
) -> None:
    colours, others = mean_colour(seen[0]), mean_colour(unseen[0])
    assert linear_accuracy(colours, seen[1], others, unseen[1]) < 0.13


@pytest.mark.slow
def test_a_linear_classifier_stays_poor(seen: LabelledImages, unseen: LabelledImages) -> None:
    assert linear_accuracy(flat(seen[0]), seen[1], flat(unseen[0]), unseen[1]) < 0.3


@pytest.mark.usefixtures("one_thread")
@pytest.mark.slow
def test_a_small_network_learns_and_a_wider_one_learns_more(
    seen: LabelledImages, unseen: LabelledImages
) -> None:
    narrow = network_accuracy(seen, unseen, width=2, epochs=4)
    wide = network_accuracy(seen, unseen, width=10, epochs=4)
    assert 0.2 < narrow < wide - 0.05
    assert 0.5 < wide < 0.8  # room is left above


@pytest.mark.usefixtures("one_thread")
@pytest.mark.slow
def test_flips_help_a_network_that_sees_few_images(
    seen: LabelledImages, unseen: LabelledImages
) -> None:
    few = seen[0][:1_000], seen[1][:1_000]
    plain = network_accuracy(few, unseen, width=6, epochs=18)
    flipped = network_accuracy(few, unseen, width=6, epochs=18, flip=True)
    assert 0.3 < plain < flipped - 0.04
