"""Errors of spaces."""

from cifar_core.errors import CifarSearchError

__all__ = ["MisfitError", "SpaceError"]


class SpaceError(CifarSearchError):
    """A space file is not valid, or a value does not fit a space."""


class MisfitError(SpaceError):
    """A space cannot make this recipe."""
