"""The command line: `cifar-search COMMAND`.

Nothing slow is imported here or at the top of a command's file, so that `--help` answers at once.
"""

import os
import signal
import sys
from collections.abc import Sequence
from io import StringIO

import click

from cifar_core.errors import CifarSearchError, DeviceError, RampError, RecipeError
from search import __version__
from search.commands.copy import copy
from search.commands.dashboard import dashboard
from search.commands.doctor import doctor
from search.commands.error_messages import for_terminal, told, with_options, without_passwords
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
from search.signals import ending_like_ctrl_c
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
    *(start, resume, stop, status, studies, copy),
    *(spaces, networks, sheet, lr_range, export, train, dashboard, doctor),
)
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Run the command line as a program."""
    _open_streams()
    # What commands import takes seconds, in which a signal is to be heard, too.
    with ending_like_ctrl_c():
        code = run(sys.argv[1:])
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # there is nothing left to interrupt
        sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Whatever a user or a machine can cause ends in a sentence; errors of the program show where they are.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted with everything saved.
    """
    try:
        code = cli.main(list(arguments), prog_name="cifar-search", standalone_mode=False)
    except click.ClickException as error:
        shown = StringIO()
        error.show(shown)
        click.echo(for_terminal(without_passwords(shown.getvalue(), arguments)), err=True)
        return error.exit_code
    except CifarSearchError as error:
        _show_error(without_passwords(with_options(error), arguments))
        return MISUSED if isinstance(error, WRONG_USAGE) else FAILED
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except Exception as error:
        words = told(error, arguments)
        if words is None:
            raise
        _show_error(words)
        return FAILED
    return code if isinstance(code, int) else 0


def _open_streams() -> None:
    """Streams that take every text, also where whoever started the program has closed them."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # It gets the lowest number that is free: that of the stream, which no other file then has.
            descriptor = os.open(os.devnull, os.O_RDWR)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))
    # Files can have names, and a terminal an encoding, that Python cannot write without this.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # they are texts


def _show_error(text: str) -> None:
    click.secho("Error: ", fg="red", nl=False, err=True)
    click.echo(for_terminal(text), err=True)
