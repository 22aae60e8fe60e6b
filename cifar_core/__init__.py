"""One CIFAR-10 training run, fast and exact: recipe, images, trainer, learning-rate range test."""
