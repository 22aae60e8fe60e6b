"""The winner on images: figures are those of its training, and what is missing is said."""

from pathlib import Path

import pytest
import torch

from cifar_core.checkpoint import save_state
from cifar_core.data.resident import Splits
from cifar_core.recipe import Recipe
from cifar_core.trainer import Training
from search.home import StudyFolder
from search.report.record import Diagnosis, Missing, Versions
from search.report.winner import Images, diagnosed, find_images, sheet_of
from search.study.settings import DataIdentity
from tests.search.report.records import CLASSES, trial
from tests.search.scripted import DATA

RECIPE = {
    "epochs": 1,
    "network": {"name": "net", "channels1": 4, "channels2": 4, "batch_norm": True},
    "augmentation": {"flip": 0.5},
}


def row() -> object:
    from dataclasses import replace

    return replace(trial(0, 0.5), recipe=RECIPE)


@pytest.fixture
def images(small_splits: Splits) -> Images:
    return Images(small_splits, CLASSES)


def test_the_figures_are_those_of_the_training(
    folder: StudyFolder, small_splits: Splits, images: Images
) -> None:
    training = Training(Recipe.read(RECIPE), small_splits, seed=0, device=torch.device("cpu"))
    (epoch,) = training.epochs()
    save_state(training.state_dict(), folder.checkpoint(0))
    found = diagnosed(row(), folder, images)  # type: ignore[arg-type]
    assert isinstance(found, Diagnosis), found
    assert found.accuracy == pytest.approx(epoch.validation_accuracy)
    true = small_splits.validation.labels.bincount(minlength=10).tolist()
    assert [sum(line) for line in found.confusion] == true
    right = sum(line[index] for index, line in enumerate(found.confusion))
    assert right == pytest.approx(epoch.validation_accuracy * len(small_splits.validation))


def test_what_is_missing_is_said(folder: StudyFolder, images: Images) -> None:
    found = diagnosed(row(), folder, images)  # type: ignore[arg-type]
    assert isinstance(found, Missing)
    assert "The trained network of trial 0 is not in this home." in found.reason
    folder.checkpoint(0).write_bytes(b"no archive")
    found = diagnosed(row(), folder, images)  # type: ignore[arg-type]
    assert isinstance(found, Missing)
    assert "cannot be read" in found.reason
    save_state({"network": {}}, folder.checkpoint(0))
    assert isinstance(diagnosed(row(), folder, images), Missing)  # type: ignore[arg-type]
    assert diagnosed(row(), folder, Missing("no images")) == Missing("no images")  # type: ignore[arg-type]


def test_a_sheet_has_a_row_for_each_class_and_its_originals_first(images: Images) -> None:
    from io import BytesIO

    from matplotlib.image import imread

    found = sheet_of(row(), images, 0)  # type: ignore[arg-type]
    assert isinstance(found, Versions)
    assert (found.classes, found.words, found.unchanged) == (CLASSES, "flip 0.5", False)
    pixels = imread(BytesIO(found.png), format="png")
    assert pixels.shape == (10 * 34 - 2, 8 * 34 - 2, 4)
    for number, name in enumerate(CLASSES):
        tile = torch.tensor(255 * pixels[34 * number : 34 * number + 32, :32, :3]).round()
        own = images.splits.train.images[images.splits.train.labels == CLASSES.index(name)]
        same = (own == tile.permute(2, 0, 1)).flatten(1).all(1)
        assert same.any(), name


def test_images_are_looked_for_and_neither_downloaded_nor_taken_from_another_study(
    tmp_path: Path, plain_images: Path
) -> None:
    found = find_images(DATA, None, tmp_path)
    assert isinstance(found, Missing)
    assert f"There are no images in {tmp_path}" in found.reason
    assert list(tmp_path.iterdir()) == []
    other = DataIdentity(**(DATA.model_dump() | {"train": 400}))
    found = find_images(other, str(plain_images), tmp_path)
    assert isinstance(found, Missing)
    assert "not those of the study" in found.reason
