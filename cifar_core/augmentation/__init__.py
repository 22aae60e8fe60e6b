"""Augmentation in batches, on the device that holds the pictures."""
