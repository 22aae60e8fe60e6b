"""What the tests share: the real images where they are, and small sets that train in moments."""

import os
import signal
from pathlib import Path

import pytest
import torch

from cifar_core.data import cifar10
from cifar_core.data.labelled_images import LabelledImages
from cifar_core.data.resident import Part, Splits, splits_of
from cifar_core.data.split import Split, split


@pytest.fixture(scope="session", autouse=True)
def _listening_to_ctrl_c() -> None:
    """A shell starts what runs in its background with Ctrl-C ignored, and so would every test's process."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small networks train no faster on two threads, and tests run side by side."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def images_folder() -> Path:
    """The folder of the real images; a test that asks for it is skipped where there are none."""
    folder = os.environ.get("CIFAR_SEARCH_DATA")
    if not folder:
        pytest.skip("CIFAR_SEARCH_DATA does not name a folder with CIFAR-10")
    if cifar10.find(Path(folder)) is None:
        pytest.skip(f"no CIFAR-10 in {folder}, which CIFAR_SEARCH_DATA names")
    return Path(folder)


@pytest.fixture(scope="session")
def real_images(images_folder: Path) -> LabelledImages:
    """The 50,000 real training images."""
    source = cifar10.find(images_folder)
    assert source is not None
    return cifar10.read_train(source)


@pytest.fixture(scope="session")
def real_splits(real_images: LabelledImages) -> Splits:
    """2,000 real images to train on, 5,000 to validate on."""
    return splits_of(real_images, split(real_images, 2_000))


@pytest.fixture(scope="session")
def small_splits() -> Splits:
    """A few hundred random images of which the brightness gives the class away; no data is needed."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(10).repeat(40)
    noise = torch.randint(0, 60, (400, 3, 32, 32), generator=generator)
    images = (noise + 19 * labels.view(-1, 1, 1, 1)).to(torch.uint8)
    labelled = LabelledImages(images.numpy(), labels.numpy(), official=False)
    rows = torch.randperm(400, generator=generator).numpy()
    return splits_of(labelled, Split(rows[:300], rows[300:], "0123456789abcdef"))


@pytest.fixture
def cpu() -> torch.device:
    """The CPU."""
    return torch.device("cpu")


def part_of(splits: Splits, count: int) -> Splits:
    """The same splits with fewer images in both parts."""
    train, validation = splits.train, splits.validation
    return Splits(
        Part(train.images[:count], train.labels[:count]),
        Part(validation.images[:count], validation.labels[:count]),
        splits.mean,
        splits.std,
        splits.digest,
    )
