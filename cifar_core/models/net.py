"""The network of the PyTorch CIFAR-10 tutorial and its variants (BatchNorm, dropout, widths, init)."""

from torch import Tensor, nn

from cifar_core.models.layers import CLASSES
from cifar_core.recipe import Net

__all__ = ["TutorialNet", "multiply_adds"]

HIDDEN1, HIDDEN2 = 120, 84
POOLED_SIDE = 5
"""Side of the map after both convolutions: (32 - 4) / 2 = 14, (14 - 4) / 2 = 5."""


class TutorialNet(nn.Module):
    """Two 5x5 convolutions with pooling, three linear layers (PyTorch's CIFAR-10 tutorial).

    Args:
        record: Widths, BatchNorm, dropout and initialisation. BatchNorm follows the pooling,
            ``bn(pool(relu(conv(x))))``, and the first linear layer's ReLU; dropout follows each BatchNorm,
            or is in its place where there is none.
        classes: Number of classes.
    """

    def __init__(self, record: Net, classes: int = CLASSES) -> None:
        super().__init__()
        wide1, wide2 = record.channels1, record.channels2
        # ReLU after the pooling gives what ReLU before it gives, on a quarter of the values.
        self.features = nn.Sequential(
            nn.Conv2d(3, wide1, 5),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            *([nn.BatchNorm2d(wide1)] if record.batch_norm else []),
            *([nn.Dropout(record.dropout)] if record.dropout else []),
            nn.Conv2d(wide1, wide2, 5),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            *([nn.BatchNorm2d(wide2)] if record.batch_norm else []),
            *([nn.Dropout(record.dropout)] if record.dropout else []),
        )
        self.classifier = nn.Sequential(
            nn.Linear(wide2 * POOLED_SIDE**2, HIDDEN1),
            nn.ReLU(inplace=True),
            *([nn.BatchNorm1d(HIDDEN1)] if record.batch_norm else []),
            *([nn.Dropout(record.dropout)] if record.dropout else []),
            nn.Linear(HIDDEN1, HIDDEN2),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN2, classes),
        )
        if record.init == "kaiming":
            self.apply(_kaiming_uniform)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of normalised images (B, 3, 32, 32)."""
        maps = self.features(images)  # (B, channels2, 5, 5)
        logits: Tensor = self.classifier(maps.flatten(1))  # (B, classes)
        return logits


def multiply_adds(record: Net, classes: int = CLASSES) -> int:
    """Return what `cifar_core.models.counting.count` counts for one image, a thousand times as fast."""
    wide1, wide2 = record.channels1, record.channels2
    convolutions = 28**2 * wide1 * 3 * 5**2 + 10**2 * wide2 * wide1 * 5**2
    linear = wide2 * POOLED_SIDE**2 * HIDDEN1 + HIDDEN1 * HIDDEN2 + HIDDEN2 * classes
    return convolutions + linear


def _kaiming_uniform(module: nn.Module) -> None:
    """He et al. 2015, section 2.2, over the fan-in; biases keep PyTorch's own start."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
