"""Augmentation in batches, on the device that holds the images.

`pipeline.augment` does to a batch all that a recipe's record asks for, except for mixing images
with each other, which is `mixing.mix`. Beside the images everything here takes two sources of
randomness: ``generator``, on the images' device, for draws that stay there, and ``choices``, on
the host, for draws that decide what Python computes. With these apart no value of a tensor ever
decides what Python does next, and neither host nor GPU waits for the other.
"""
