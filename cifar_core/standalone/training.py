"""The program itself: its command line, the training of a network, and the evaluation of one."""

import argparse
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's own documentation uses

from cifar_core.augmentation.geometry import crop, cutout, flip
from cifar_core.models import NETWORKS
from cifar_core.models.speednet import SpeedNetwork
from cifar_core.optimizers import optimizer_of
from cifar_core.plateau import PlateauControl
from cifar_core.recipe import Recipe
from cifar_core.schedules import schedule_of
from cifar_core.standalone.files import Images, files_of, read_images
from cifar_core.standalone.held_out import held_out
from cifar_core.standalone.imagenet import load_trained
from cifar_core.standalone.mixing import mix
from cifar_core.standalone.policies import policy

__all__ = ["Facts", "evaluate", "main", "new_network", "prepared", "train", "train_step"]

EVALUATED_AT_ONCE = 500


class Facts(NamedTuple):
    """What a program needs to know beside its recipe.

    Attributes:
        mean: Mean of each channel, for pixels from 0 to 1.
        std: Standard deviation of each channel.
        train_images: Images that the recipe was found with.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    train_images: int


class Epoch(NamedTuple):
    """The figures of an epoch.

    Attributes:
        number: Counted from 1.
        train_loss: Mean loss over its steps.
        validation_loss: Mean loss on the validation images, of the network as it stands after the epoch.
        validation_accuracy: Share of these that it classifies right, 0-1.
        lr: Learning rate of the last step.
        seconds: Time of training and validation.
    """

    number: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    lr: float
    seconds: float


def main(recipe: Recipe, facts: Facts, arguments: Sequence[str] | None = None) -> None:
    """Train the network, or evaluate trained weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of CIFAR-10's files")
    parser.add_argument("--weights", type=Path, help="evaluate these weights; nothing is trained")
    parser.add_argument("--train-images", type=int, default=facts.train_images, metavar="N")
    parser.add_argument(
        "--final", action="store_true", help="train on all images, then open the test images, once"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, help="file for the trained weights")
    options = parser.parse_args(arguments)
    try:
        device = torch.device(options.device)
        torch.zeros((), device=device)
    except (AssertionError, RuntimeError) as error:
        parser.error(f"--device {options.device} cannot be used: {str(error).splitlines()[0]}")
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    torch.manual_seed(options.seed)

    if options.final:
        files_of(options.data, test=True)  # so that their absence is not found after the training
    images = read_images(options.data, test=False)
    apart = held_out()
    validation = images.rows(apart).to(device)
    if options.weights is not None:
        network = new_network(recipe, facts, validation.images)
        load_weights(network, options.weights)
        told("validation", *evaluate(network, validation, recipe, facts), len(validation.labels))
        return
    training, shown = images.rows(~apart), "validation"
    if not options.final:
        if not 10 <= options.train_images <= len(training.labels):
            parser.error(f"--train-images must be from 10 to {len(training.labels):,}.")
        training = training.rows(balanced(training.labels, options.train_images))
    if options.final and recipe.schedule.name != "plateau":
        training, shown = images, "training"
    training = training.to(device)
    network = new_network(recipe, facts, training.images)
    for epoch in train(network, training, validation, recipe, facts):
        print(
            f"epoch {epoch.number:3}: loss {epoch.train_loss:.4f}, afterwards {shown} loss "
            f"{epoch.validation_loss:.4f} and accuracy {100 * epoch.validation_accuracy:.2f} %, "
            f"learning rate {epoch.lr:.3g}, {epoch.seconds:.1f} s"
        )
    if options.final:
        test = read_images(options.data, test=True).to(device)
        told("test", *evaluate(network, test, recipe, facts), len(test.labels))
    if options.out is not None:
        torch.save(network.state_dict(), options.out)


def told(which: str, loss: float, accuracy: float, count: int) -> None:
    """Print the figures of a network."""
    print(f"{100 * accuracy:.2f} % of {count:,} {which} images, loss {loss:.4f}")


def balanced(labels: Tensor, count: int) -> Tensor:
    """Choose `count` rows at random, of each class as many as of the others, give or take one."""
    shuffled = torch.randperm(len(labels))
    rank = torch.empty(len(labels), dtype=torch.int64)  # among those of its class
    for label in range(10):
        members = shuffled[labels[shuffled] == label]
        rank[members] = torch.arange(len(members))
    return shuffled[rank[shuffled].argsort(stable=True)][:count]


def load_weights(network: nn.Module, path: Path) -> None:
    """Load trained weights, which are read as data and never as code."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except Exception as error:  # a damaged file can fail in nearly any way
        sys.exit(f"{path} has no weights of this network: {str(error).splitlines()[0]}")


def new_network(recipe: Recipe, facts: Facts, images: Tensor) -> nn.Module:
    """Make a fresh network on the device of the training images (N, 3, 32, 32) uint8."""
    network = NETWORKS[recipe.network.name](recipe.network)  # type: ignore[call-arg]
    if recipe.network.name == "resnet18_imagenet" and recipe.network.weights != "random":
        load_trained(network, recipe.network.weights)
    network.to(images.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.network.name == "speednet" and recipe.network.whitening:
        assert isinstance(network, SpeedNetwork)  # noqa: S101
        network.whiten(normalized(images[:5_000], facts))
    return network


def train(
    network: nn.Module, training: Images, validation: Images, recipe: Recipe, facts: Facts
) -> Iterator[Epoch]:
    """Train the network, and yield each epoch's figures.

    Args:
        network: On the images' device.
        training: The images to train on.
        validation: The images whose accuracy is measured after each epoch.
        recipe: What decides the training.
        facts: Mean and standard deviation of pixels.
    """
    epochs, batch_size = recipe.epochs, min(recipe.batch_size, len(training.labels))
    steps_per_epoch = len(training.labels) // batch_size
    optimizer = optimizer_of(recipe, network.parameters())
    factor = schedule_of(recipe.schedule, epochs, steps_per_epoch)
    highest = recipe.optimizer.lr
    if recipe.schedule.name == "plateau":
        plateau = PlateauControl(recipe.schedule)
    for number in range(1, epochs + 1):
        started = time.perf_counter()
        network.train()
        order = torch.randperm(len(training.labels), device=training.labels.device)
        losses = []
        for step, rows in enumerate(torch.split(order[: steps_per_epoch * batch_size], batch_size)):
            lr = highest * factor((number - 1) * steps_per_epoch + step)
            for group in optimizer.param_groups:
                group["lr"] = lr
            images, labels = prepared(training.images[rows], recipe, facts), training.labels[rows]
            if recipe.augmentation.mixes:
                images, labels = mix(images, labels, recipe.augmentation)
            losses.append(train_step(network, optimizer, images, labels, recipe))
        loss = torch.stack(losses).mean().item()
        validation_loss, accuracy = evaluate(network, validation, recipe, facts)
        if recipe.schedule.name == "plateau" and math.isfinite(loss):
            verdict = plateau.judge(number, validation_loss, accuracy)
            if plateau.best[0] == number:
                plateau.keep({"network": network.state_dict(), "optimizer": optimizer.state_dict()})
            if verdict in {"divide", "converged"} or number == epochs:
                best = plateau.kept()
                network.load_state_dict(best["network"])
                optimizer.load_state_dict(best["optimizer"])
                _, validation_loss, accuracy = plateau.best
            highest = recipe.optimizer.lr * plateau.factor
        yield Epoch(number, loss, validation_loss, accuracy, lr, time.perf_counter() - started)
        if not math.isfinite(loss):
            return
        if recipe.schedule.name == "plateau" and verdict == "converged":
            return


def prepared(images: Tensor, recipe: Recipe, facts: Facts) -> Tensor:
    """Augment a batch (B, 3, 32, 32) uint8 and make it what the network takes."""
    record = recipe.augmentation
    if record.flip:
        images = flip(images, record.flip)
    if record.crop_padding:
        images = crop(images, record.crop_padding, fill=record.crop_fill)
    if record.strength and record.probability:
        images = policy(images, record)
    if record.cutout:
        images = cutout(images, record.cutout)
    return normalized(images, facts)


def normalized(images: Tensor, facts: Facts) -> Tensor:
    """Bytes (B, 3, 32, 32) as float32 of mean 0 and deviation 1 in each channel."""
    mean, std = (
        torch.tensor(values, device=images.device).view(3, 1, 1)
        for values in (facts.mean, facts.std)
    )
    return (images / 255 - mean) / std


def train_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
) -> Tensor:
    """Take one step, and return the loss () before it.

    Args:
        network: In training mode.
        optimizer: Of its weights.
        images: (B, 3, 32, 32) float32, normalised.
        labels: (B,) int64, or (B, 10), each class's share of a mixed image.
        recipe: Label smoothing and precision.
    """
    optimizer.zero_grad()
    with precision(images.device, recipe):
        logits = network(images)  # (B, 10)
        if recipe.label_smoothing:
            loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        else:
            loss = F.cross_entropy(logits, labels)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()


def precision(device: torch.device, recipe: Recipe) -> AbstractContextManager[object]:
    """Return the context in which the network computes, in bfloat16 where the recipe has it so."""
    if recipe.precision == "float32" or (recipe.precision == "auto" and device.type != "cuda"):
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@torch.inference_mode()
def evaluate(network: nn.Module, part: Images, recipe: Recipe, facts: Facts) -> tuple[float, float]:
    """Return the mean loss and the accuracy, 0-1, on some images."""
    network.eval()
    loss, right = 0.0, 0
    for images, labels in zip(
        torch.split(part.images, EVALUATED_AT_ONCE),
        torch.split(part.labels, EVALUATED_AT_ONCE),
        strict=True,
    ):
        with precision(images.device, recipe):
            logits = network(normalized(images, facts)).float()  # (B, 10)
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        right += int((logits.argmax(1) == labels).sum())
    return loss / len(part.labels), right / len(part.labels)
