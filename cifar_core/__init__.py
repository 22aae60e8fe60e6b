"""One CIFAR-10 training run, fast and exact: recipe, pictures, trainer, learning-rate range test."""
