"""Limit on the silence of workers."""

__all__ = ["HANG_SECONDS"]

HANG_SECONDS = 300.0
"""Seconds that a worker may take without a training step. Starting, compiling a network, and scoring the
validation images with a large one on a slow machine take a minute or two."""
