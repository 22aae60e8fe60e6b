"""Errors of the service that a user can act on."""

from cifar_core.errors import CifarSearchError

__all__ = ["ServiceError", "StudyGoneError", "StudyHeldError", "UsageError"]


class UsageError(CifarSearchError):
    """The command line asks for something that does not fit; exit code 2."""


class ServiceError(CifarSearchError):
    """The service cannot go on; everything so far is saved; exit code 1."""


class StudyHeldError(ServiceError):
    """Another process runs the study."""


class StudyGoneError(ServiceError):
    """The study that this process runs, or its database, is no longer there."""
