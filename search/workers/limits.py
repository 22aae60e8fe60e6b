"""Limits that all who train on workers keep to."""

__all__ = ["CONTINUATIONS", "HANG_SECONDS", "MOST_WORKERS", "TICK"]

HANG_SECONDS = 300.0
"""Seconds that a worker may take without a training step. Starting, compiling a network, and scoring the
validation images with a large one on a slow machine take a minute or two."""
CONTINUATIONS = 2
"""Times a training continues after its worker has died."""
TICK = 0.25
"""Seconds to wait for the workers at a time, between looks at everything else."""
MOST_WORKERS = 1024
"""Workers of one search."""
