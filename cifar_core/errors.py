"""What can go wrong for a reason that a user can act on.

Every error of this project that a user can cause derives from one class, so that a command line
catches it in one place::

    CifarSearchError
    ├── RecipeError       a training recipe is not valid
    ├── DataError         the images cannot be had, or are not what they should be
    ├── CheckpointError   a saved state is damaged, or belongs to another training
    ├── DeviceError       the device asked for does not exist here
    ├── RampError         the rates asked for make no sweep
    └── WeightsError      the trained weights asked for cannot be had, or are another network's
"""

__all__ = [
    "CheckpointError",
    "CifarSearchError",
    "DataError",
    "DeviceError",
    "RampError",
    "RecipeError",
    "WeightsError",
]


class CifarSearchError(Exception):
    """A problem that the user can mend; its text says what, where, and what to do."""


class RecipeError(CifarSearchError):
    """A training recipe is not valid."""


class DataError(CifarSearchError):
    """The images cannot be had, or are not what they should be."""


class CheckpointError(CifarSearchError):
    """A saved training state is damaged, foreign, or belongs to another training."""


class DeviceError(CifarSearchError):
    """The device asked for does not exist on this machine."""


class RampError(CifarSearchError):
    """The learning rates asked for make no sweep."""


class WeightsError(CifarSearchError):
    """The trained weights asked for cannot be had, or belong to another network."""
