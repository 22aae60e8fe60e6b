"""The service: studies, the coordinator, its workers, and the command line."""

__version__ = "0.1.0"
