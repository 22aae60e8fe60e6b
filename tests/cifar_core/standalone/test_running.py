"""A program as its user runs it: files of both layouts, trained weights, and errors in a sentence."""

import hashlib
import pickle
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from cifar_core.data import cifar10
from cifar_core.recipe import Augmentation, Net, Recipe, Sgd
from tests.cifar_core.data.test_cifar10 import as_python_2
from tests.cifar_core.standalone.programs import program_of
from tests.search.running import write_images

RECIPE = Recipe(
    network=Net(channels1=4, channels2=4, batch_norm=True),
    optimizer=Sgd(lr=0.05),
    epochs=1,
    augmentation=Augmentation(flip=0.5),
)


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return program_of(RECIPE)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images whose brightness gives the class away; no test file."""
    folder = tmp_path_factory.mktemp("images")
    write_images(folder)
    return folder


def test_a_program_trains_and_what_it_has_trained_is_measured_the_same_again(
    program: ModuleType, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "trained.pt"
    options = ["--data", str(data), "--device", "cpu"]
    program.main([*options, "--train-images", "2000", "--out", str(weights)])
    trained = re.search(
        r"validation loss ([\d.]+) and accuracy ([\d.]+) %", capsys.readouterr().out
    )
    assert trained is not None
    assert float(trained[2]) > 15.0
    program.main([*options, "--weights", str(weights)])
    told = capsys.readouterr().out
    assert told == f"{trained[2]} % of 5,000 validation images, loss {trained[1]}\n"


def test_what_a_user_can_get_wrong_is_said_in_a_sentence(
    program: ModuleType, data: Path, tmp_path: Path
) -> None:
    def message(*options: object) -> str:
        with pytest.raises(SystemExit) as caught:
            program.main(["--device", "cpu", *map(str, options)])
        return str(caught.value)

    assert message("--data", tmp_path).startswith(f"{tmp_path} has neither cifar-10-batches-py nor")
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pt")
    words = message("--data", data, "--weights", tmp_path / "other.pt")
    assert words.startswith(f"{tmp_path / 'other.pt'} has no weights of this network: ")
    words = message("--data", data, "--final")
    assert words == f"{data / 'cifar-10-batches-bin'} lacks test_batch.bin."


def test_pickles_are_read_without_numpy_and_only_if_they_are_the_published_ones(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, cifar10.RECORDS)
    pixels = random.integers(0, 256, (cifar10.RECORDS, cifar10.PIXELS), dtype=np.uint8)
    content = as_python_2(labels, pixels)
    (folder / "data_batch_1").touch()
    (folder / "test_batch").write_bytes(content)
    with pytest.raises(SystemExit, match="not the published file of CIFAR-10, so it is not opened"):
        program.read_images(tmp_path, test=True)
    checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
    monkeypatch.setitem(program.CHECKSUMS["python"], "test_batch", checksum)
    images, read = program.read_images(tmp_path, test=True)
    assert torch.equal(read, torch.from_numpy(labels))
    assert torch.equal(images, torch.from_numpy(pixels).view(-1, 3, 32, 32))


def test_a_pickle_runs_nothing_even_with_the_right_checksum(program: ModuleType) -> None:
    evil = pickle.dumps(print)
    with pytest.raises(pickle.UnpicklingError, match=r"images do not need builtins\.print"):
        program._BatchUnpickler(__import__("io").BytesIO(evil), encoding="bytes").load()


def test_as_many_images_of_each_class_are_chosen(program: ModuleType) -> None:
    labels = torch.randint(10, (5_000,), generator=torch.Generator().manual_seed(0))
    rows = program.balanced(labels, 1_000)
    assert len(rows.unique()) == 1_000
    assert labels[rows].bincount().tolist() == [100] * 10
