"""Rival loaders do the same work as the project's own, image by image, and leave nothing behind.

The images are noise, and each one's label is its own number, so that every image that comes out can be
compared with the one that went in.
"""

import multiprocessing
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own documentation calls it F
from torch import Tensor

from bench.loaders import AUGMENTATIONS, RIVALS, Level, MissingRivalError, Rival
from cifar_core.data.resident import Part

IMAGES, BATCH = 75, 16
KEPT = IMAGES // BATCH * BATCH
MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)  # airbench's, of the official images
STD = torch.tensor([0.2470, 0.2435, 0.2616]).view(3, 1, 1)
KINDS = [name for name in RIVALS if name != "pil_1"]  # what two workers do, one does
IN_PROCESS = [name for name in KINDS if name != "pil_2"]
CELLS = [
    *(("pil_2", "none"), ("pil_0", "strong"), ("batched", "standard"), ("batched", "strong")),
    *(("airbench", "none"), ("airbench", "standard")),
]
Make = Callable[..., Rival]

# A machine of one core gets a warning for two workers, and newer Pythons for the fork that starts them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def part() -> Part:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (IMAGES, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return Part(images, torch.arange(IMAGES))


@pytest.fixture
def make(part: Part) -> Iterator[Make]:
    """Make rivals with the same global generator each time, and close them at the end."""
    made = []

    def rival(name: str, level: Level, batch_size: int = BATCH, seed: int = 0) -> Rival:
        made.append(RIVALS[name](part, batch_size, level, seed))
        return made[-1]

    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield rival
    for each in made:
        each.close()


def whole(epoch: Iterator[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return an epoch's images and labels, concatenated."""
    images, labels = zip(*epoch, strict=True)
    return torch.cat(images), torch.cat(labels)


def processes() -> set[int | None]:
    """Return the children of this process."""
    return {child.pid for child in multiprocessing.active_children()}


def normalised(name: str, images: Tensor) -> Tensor:
    floats = images.float() / 255
    return (floats - MEAN) / STD if name == "airbench" else 2 * floats - 1


def shifts(name: str, images: Tensor, originals: Tensor) -> list[tuple[bool, int, int, int]]:
    """Return each image's change from its original: mirrored, top and left of the crop, pixels changed.

    Args:
        name: Rival, which decides normalisation and edges.
        images: (N, 3, 32, 32), from the rival.
        originals: (N, 3, 32, 32) uint8.
    """
    plain = normalised(name, originals)
    views = torch.stack([plain, plain.flip(-1)], dim=1)  # (N, 2, 3, 32, 32)
    flat = views.flatten(0, 1)
    if name == "airbench":
        padded = F.pad(flat, (4,) * 4, mode="reflect")
    else:
        padded = F.pad(flat, (4,) * 4, value=-1.0)
    windows = padded.unfold(2, 32, 1).unfold(3, 32, 1)  # (2N, 3, 9, 9, 32, 32)
    windows = windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, 2, 9, 9, 3, 32, 32)
    found = []
    for image, window in zip(images, windows, strict=True):
        changed = ((window - image).abs() > 0.01).any(dim=-3).sum(dim=(-1, -2))  # (2, 9, 9)
        best = int(changed.argmin())
        found.append((best >= 81, best % 81 // 9, best % 9, int(changed.flatten()[best])))
    return found


@pytest.mark.parametrize(("name", "level"), CELLS)
def test_batches_are_what_a_training_takes(name: str, level: Level, make: Make) -> None:
    for images, labels in (batches := list(make(name, level).epoch())):
        assert images.shape == (BATCH, 3, 32, 32)
        assert images.dtype == torch.float32
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert not images.requires_grad
        assert labels.shape == (BATCH,)
        assert labels.dtype == torch.int64
    every = torch.cat([images for images, _ in batches])
    low, high = ((0 - MEAN) / STD, (1 - MEAN) / STD) if name == "airbench" else (-1.0, 1.0)
    assert ((every >= low - 0.002 * (name == "airbench")) & (every <= high + 0.002)).all()
    assert every.std() > 0.3


@pytest.mark.parametrize("name", KINDS)
def test_without_augmentation_each_image_comes_once_with_its_own_label(
    name: str, make: Make, part: Part
) -> None:
    images, labels = whole(make(name, "none").epoch())
    assert len(labels) == KEPT
    assert len(labels.unique()) == KEPT
    expected = normalised(name, part.images[labels])
    torch.testing.assert_close(images, expected, rtol=0, atol=0.003 if name == "airbench" else 1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_no_two_epochs_are_in_the_same_order_or_leave_out_the_same(name: str, make: Make) -> None:
    rival = make(name, "none")
    orders = [whole(rival.epoch())[1].tolist() for _ in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    assert len({frozenset(order) for order in orders}) == 3
    assert all(order != sorted(order) for order in orders)


@pytest.mark.parametrize("name", IN_PROCESS)
def test_standard_is_a_mirror_a_crop_and_a_grey_square_of_64_pixels(
    name: str, make: Make, part: Part
) -> None:
    images, labels = whole(make(name, "standard").epoch())
    assert ((images == 0).all(dim=1).sum(dim=(1, 2)) == 64).all()  # no byte is normalised to 0
    found = shifts(name, images, part.images[labels])
    assert all(changed <= 64 for *_, changed in found)
    flip_and_crop = [each[:3] for each in found]
    mirrored = sum(flip for flip, *_ in found)
    crops = {(top, left) for _, top, left in flip_and_crop}
    if name == "batched":  # one draw a batch
        draws = {tuple(flip_and_crop[start : start + BATCH]) for start in range(0, KEPT, BATCH)}
        assert all(len(set(batch)) == 1 for batch in draws)
        assert len(draws) > 1
    else:
        assert KEPT / 4 < mirrored < 3 * KEPT / 4
        assert len(crops) > 20
        assert {top for top, _ in crops} == {left for _, left in crops} == set(range(9))


@pytest.mark.parametrize("name", KINDS)
def test_standard_is_drawn_anew_in_every_epoch(name: str, make: Make, part: Part) -> None:
    rival = make(name, "standard")
    seen = []
    for _ in range(2):
        images, labels = whole(rival.epoch())
        seen.append(dict(zip(labels.tolist(), images, strict=True)))
    both = seen[0].keys() & seen[1].keys()
    same = sum(torch.equal(seen[0][label], seen[1][label]) for label in both)
    assert same < len(both) / 10


@pytest.mark.parametrize("name", [name for name in IN_PROCESS if name != "airbench"])
def test_strong_also_changes_what_no_mirror_crop_or_square_explains(
    name: str, make: Make, part: Part
) -> None:
    rival = make(name, "strong", batch_size=4)
    images, labels = whole(rival.epoch())
    assert ((images == 0).all(dim=1).sum(dim=(1, 2)) == 64).all()
    unexplained = [changed > 64 for *_, changed in shifts(name, images, part.images[labels])]
    assert sum(unexplained) > len(labels) / 3
    assert not all(unexplained)  # some pairs of the policy do nothing, by their probabilities


@pytest.mark.parametrize("name", IN_PROCESS)
def test_a_batch_larger_than_the_part_is_the_whole_part(name: str, make: Make) -> None:
    (batch,) = make(name, "none", batch_size=1000).epoch()
    assert sorted(batch[1].tolist()) == list(range(IMAGES))


@pytest.mark.parametrize("name", KINDS)
def test_the_seed_decides_and_0_is_one(name: str, make: Make) -> None:
    epochs = []
    for seed in (0, 0, 1):
        torch.manual_seed(7)
        epochs.append(whole(make(name, "standard", seed=seed).epoch()))
    assert all(torch.equal(one, other) for one, other in zip(epochs[0], epochs[1], strict=True))
    assert epochs[0][1].tolist() != epochs[2][1].tolist()


@pytest.mark.parametrize("name", KINDS)
def test_an_abandoned_epoch_does_not_touch_the_next(name: str, make: Make, part: Part) -> None:
    rival = make(name, "none", batch_size=4)
    abandoned = []
    for _ in range(2):
        abandoned.append(rival.epoch())
        next(abandoned[-1])
        images, labels = whole(rival.epoch())
        assert len(labels.unique()) == IMAGES // 4 * 4
        expected = normalised(name, part.images[labels])
        torch.testing.assert_close(images, expected, rtol=0, atol=0.003)


@pytest.mark.parametrize(("name", "workers"), [("pil_0", 0), ("pil_2", 2)])
def test_workers_stay_between_epochs_and_end_with_close(
    name: str, workers: int, make: Make
) -> None:
    before, threads = processes(), set(threading.enumerate())
    rival = make(name, "standard", batch_size=4)
    abandoned = rival.epoch()
    next(abandoned)
    started = processes() - before
    assert len(started) == workers
    whole(rival.epoch())
    assert processes() - before == started
    again = rival.epoch()
    next(again)
    rival.close()
    assert processes() == before
    # The threads of its queues are told to end and not waited for.
    for thread in set(threading.enumerate()) - threads:
        thread.join(5)
        assert not thread.is_alive()
    if sys.platform == "linux":
        assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    rival.close()


@pytest.mark.parametrize("name", IN_PROCESS)
def test_the_others_start_neither_processes_nor_threads(name: str, make: Make) -> None:
    before, threads = processes(), set(threading.enumerate())
    next(make(name, "standard").epoch())
    assert processes() == before
    assert set(threading.enumerate()) == threads


def test_workers_leave_nothing_in_the_folder_for_temporary_files(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rival = make("pil_2", "standard", batch_size=4)
    next(rival.epoch())
    rival.close()
    assert list(tmp_path.iterdir()) == []


def test_airbench_has_no_strong_level_and_says_so(make: Make) -> None:
    with pytest.raises(MissingRivalError, match="none and standard, not strong"):
        make("airbench", "strong")


def test_airbench_leaves_torch_and_the_callers_random_numbers_alone(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [each for each in sys.modules if each.partition(".")[0] == "airbench"]:
        # Otherwise an earlier test's import would hide the effects of importing it.
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    state = torch.get_rng_state()
    whole(make("airbench", "standard").epoch())
    assert not torch.backends.cudnn.benchmark
    assert torch.equal(torch.get_rng_state(), state)


def test_airbench_not_installed_is_answered_with_the_extra(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "airbench.utils", None)
    with pytest.raises(MissingRivalError) as caught:
        make("airbench", "none")
    assert "pip install 'cifar-search[bench]'" in str(caught.value)


def test_airbench_mirrors_every_other_time(make: Make, part: Part) -> None:
    rival = make("airbench", "standard")
    mirrored: list[dict[int, bool]] = []
    for _ in range(3):
        images, labels = whole(rival.epoch())
        found = shifts("airbench", images, part.images[labels])
        mirrored.append({int(label): one[0] for label, one in zip(labels, found, strict=True)})
    first, second, third = mirrored
    assert all(first[label] != second[label] for label in first.keys() & second.keys())
    assert all(first[label] == third[label] for label in first.keys() & third.keys())


def test_names_tell_all_rivals_apart(make: Make) -> None:
    names = [make(name, "none").name for name in RIVALS]
    assert names[:3] == [
        "DataLoader, PIL, 0 workers",
        "DataLoader, PIL, 1 worker",
        "DataLoader, PIL, 2 workers",
    ]
    assert len(set(names)) == len(RIVALS)


def test_the_projects_own_records_name_the_same_levels() -> None:
    assert tuple(AUGMENTATIONS) == get_args(Level)
    standard, strong = AUGMENTATIONS["standard"], AUGMENTATIONS["strong"]
    assert (standard.flip, standard.crop_padding, standard.cutout) == (0.5, 4, 8)
    assert standard.strength == 0.0
    assert strong == standard.model_copy(update={"policy": "auto", "strength": 1.0})
