"""The command line, `cifar-search COMMAND`.

Commands are imported when they are called, so that `--help` and shell completion are instant.
"""

import os
import signal
import sys
from collections.abc import Sequence
from io import StringIO

import click

from cifar_core.errors import CifarSearchError, DeviceError, NetworkError, RampError, RecipeError
from cifar_core.spinning import spin_briefly
from search import __version__
from search.commands.error_messages import explain, for_terminal, with_options, without_passwords
from search.commands.lazy_group import LazyGroup
from search.errors import UsageError
from search.signals import ending_like_ctrl_c
from spaces.errors import SpaceError

__all__ = ["cli", "main", "run"]

WRONG_USAGE = (UsageError, SpaceError, RecipeError, DeviceError, RampError, NetworkError)
FAILED, MISUSED, INTERRUPTED = 1, 2, 130


COMMANDS = {
    "start": "Search a space and export its best configuration.",
    "resume": "Continue a study.",
    "confirm": "Train the best of a study anew, and say which is better.",
    "stop": "Stop a running search, or drop one of its trials.",
    "logs": "Print the log of a study.",
    "status": "Show the progress and results of a study.",
    "studies": "List all studies of a home or storage, or delete or rename one.",
    "report": "Write the report of a study as one HTML page.",
    "export": "Write the best configurations, or any trial, as files.",
    "train": "Train configurations, and test them at the very end.",
    "copy": "Copy a study to another home, storage or name.",
    "spaces": "List the spaces, or show one in full.",
    "networks": "List the networks that a recipe can name.",
    "lr-range": "Measure which learning rates to search.",
    "sheet": "Draw augmented training images.",
    "dashboard": "Serve optuna-dashboard to browsers on this machine, until Ctrl-C.",
    "doctor": "Check this machine, and estimate the speed of a search.",
}
"""Short help by command; the first sentence of each command's own help."""


@click.group(
    cls=LazyGroup,
    modules="search.commands",
    helps=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First steps:  cifar-search start --space baseline_constrained",
)
@click.version_option(__version__, prog_name="cifar-search")
def cli() -> None:
    """Search hyperparameters for CIFAR-10 networks, and lose nothing."""


def main() -> None:
    """Run the command line as a program."""
    _open_streams()
    spin_briefly()
    # A command's imports take seconds, during which a signal must be heard too.
    with ending_like_ctrl_c():
        code = run(sys.argv[1:])
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to interrupt
        sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Errors that a user or a machine can cause end in a sentence; those of the program in a traceback.

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
        words = explain(error, arguments)
        if words is None:
            raise
        _show_error(words)
        return FAILED
    return code if isinstance(code, int) else 0


def _open_streams() -> None:
    """Make the streams accept every text, even where they were closed when the program started."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # It gets the lowest free number, that of the stream, so that no other file gets it later.
            descriptor = os.open(os.devnull, os.O_RDWR)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))
    # Without this, Python cannot print some file names, or print to a terminal of another encoding.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # text streams


def _show_error(text: str) -> None:
    click.secho("Error: ", fg="red", nl=False, err=True)
    click.echo(for_terminal(text), err=True)


if __name__ == "__main__":
    main()
