"""How long workers may be silent."""

__all__ = ["HANG_SECONDS"]

HANG_SECONDS = 300.0
"""How long a worker may go without a step. Starting, compiling a network, and scoring the validation
images with a large one on a slow machine take a minute or two without."""
