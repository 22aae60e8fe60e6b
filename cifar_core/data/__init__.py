"""CIFAR-10 and its stand-in: finding, checking, reading and splitting the images."""
