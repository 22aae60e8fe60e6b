"""A group of commands whose modules are imported when they are called."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A group that knows the names and short helps of its commands without importing them.

    Help and shell completion of the group itself must be instant, and the commands' modules are not.

    Args:
        modules: Package of the commands; each has the name of its command, with underscores for dashes.
        helps: Short help by command name, in the order of the list.
    """

    def __init__(
        self, *args: Any, modules: str = "", helps: Mapping[str, str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules
        for name, text in (helps or {}).items():
            self.add_command(click.Command(name, short_help=text))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they were given."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Import the command that is called."""
        name, placeholder, rest = super().resolve_command(ctx, args)
        return name, placeholder and self.load(placeholder.name or ""), rest

    def load(self, name: str) -> click.Command:
        """Import a command by its name."""
        attribute = name.replace("-", "_")
        command = getattr(import_module(f"{self._modules}.{attribute}"), attribute)
        assert isinstance(command, click.Command)  # noqa: S101 - the table and the modules are ours
        return command
