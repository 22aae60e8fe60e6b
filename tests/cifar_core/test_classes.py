"""The number of classes is that of the images, from the files to the last layer and the confusions."""

import pytest
import torch
from PIL import Image

from cifar_core.data.dataset import open_data
from cifar_core.data.resident import Normalization, Splits
from cifar_core.device import backend_of
from cifar_core.diagnostics import confusion, one_of_each_class
from cifar_core.models import network_of
from cifar_core.models.counting import count
from cifar_core.recipe import Network
from search.workers.shared_images import map_images, prepare_images
from tests.cifar_core.models.records import RECORDS
from tests.cifar_core.trainings import begin
from tests.test_conformance import BASE, narrow

CLASSES = ("dark", "grey", "bright")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    """Twelve images of each of three shades, prepared and mapped as a search does it."""
    folder = tmp_path_factory.mktemp("shades")
    for shade, name in zip((20, 120, 220), CLASSES, strict=True):
        (folder / "train" / name).mkdir(parents=True)
        for index in range(12):
            Image.new("L", (32, 32), shade + index).save(folder / "train" / name / f"{index}.png")
    data = open_data(str(folder))
    identity = prepare_images(data, None, folder / "images", confirming=3)
    assert identity.class_names == tuple(sorted(CLASSES))
    assert (identity.name, identity.train, identity.validation) == ("folder", 29, 4)
    assert identity.described().startswith("own images of 3 classes, not CIFAR-10, 29 training /")
    return map_images(folder / "images")


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_every_network_has_an_output_for_each_class(record: Network) -> None:
    small = narrow(type(record))
    network = network_of(small, 3).eval()  # type: ignore[arg-type] # one of the union's records
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    wide, narrower = (count(small, classes=one) for one in (10, 3))  # type: ignore[arg-type]
    assert narrower.parameters < wide.parameters


@pytest.mark.parametrize("mixing", [{}, {"mixup": 0.5}, {"cutmix": 1.0}])
def test_a_training_learns_the_classes_that_are_there(
    images: Splits, mixing: dict[str, float]
) -> None:
    augmentation = BASE.augmentation.model_copy(update=mixing)
    training = begin(BASE.model_copy(update={"augmentation": augmentation}), images)
    *_, last = training.epochs()
    assert 0.0 <= last.validation_accuracy <= 1.0
    normalize, cpu = Normalization.of(training.recipe, images), torch.device("cpu")
    counts = confusion(
        training.network, images.validation, normalize, backend_of(training.recipe, cpu)
    )
    assert counts.shape == (3, 3)
    assert int(counts.sum()) == len(images.validation)
    assert images.train.labels[one_of_each_class(images.train, 0)].tolist() == [0, 1, 2]
    assert images.confirms.classes == 3
