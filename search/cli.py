"""The command line: `cifar-search COMMAND`.

Nothing slow is imported here or at the top of a command's file, so that `--help` answers at once.
"""

import sys
from collections.abc import Sequence

import click

from cifar_core.errors import CifarSearchError, DeviceError, RampError, RecipeError
from search import __version__
from search.commands.dashboard import dashboard
from search.commands.doctor import doctor
from search.commands.export import export
from search.commands.lr_range import lr_range
from search.commands.networks import networks
from search.commands.resume import resume
from search.commands.sheet import sheet
from search.commands.spaces import spaces
from search.commands.start import start
from search.commands.status import status
from search.commands.stop import stop
from search.commands.studies import studies
from search.commands.train import train
from search.errors import UsageError
from spaces.errors import SpaceError

__all__ = ["cli", "main", "run"]

WRONG_USAGE = (UsageError, SpaceError, RecipeError, DeviceError, RampError)
FAILED, MISUSED, INTERRUPTED = 1, 2, 130


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First steps:  cifar-search start --space baseline_constrained",
)
@click.version_option(__version__, prog_name="cifar-search")
def cli() -> None:
    """Search hyperparameters for CIFAR-10 networks, and lose nothing."""


COMMANDS = (
    *(start, resume, stop, status, studies),
    *(spaces, networks, sheet, lr_range, export, train, dashboard, doctor),
)
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Run the command line as a program."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted with everything saved.
    """
    try:
        code = cli.main(list(arguments), prog_name="cifar-search", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except CifarSearchError as error:
        click.secho("Error: ", fg="red", nl=False, err=True)
        click.echo(str(error), err=True)
        return MISUSED if isinstance(error, WRONG_USAGE) else FAILED
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    return code if isinstance(code, int) else 0
