"""The trainer at full length against what is published of the PyTorch tutorial's network."""

import pytest
import torch

from cifar_core.data.labelled_images import LabelledImages
from cifar_core.data.resident import splits_of
from cifar_core.data.split import split
from cifar_core.recipe import Recipe
from cifar_core.trainer import Training


@pytest.mark.reference
@pytest.mark.timeout(1800)  # two minutes on an idle core, many more on a busy one
@pytest.mark.images
def test_the_tutorials_network_reaches_its_published_neighbourhood(
    real_images: LabelledImages, cpu: torch.device
) -> None:
    """12 epochs, SGD 0.001 with momentum 0.9, batch size 64: 56 % test accuracy is published.

    On images that went through JPEG once, 52.5 and 53.3 % validation accuracy were measured over two
    seeds, and 16 % after the first epoch, which is the published 16 % too: this network starts slowly.
    """
    splits = splits_of(real_images, split(real_images))
    epochs = list(Training(Recipe(), splits, seed=0, device=cpu).epochs())
    accuracy = [epoch.validation_accuracy for epoch in epochs]
    assert len(accuracy) == 12
    assert 0.10 < accuracy[0] < 0.30
    assert 0.50 < accuracy[-1] < 0.60
