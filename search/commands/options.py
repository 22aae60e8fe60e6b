"""Options shared by several commands."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from search.home import DEFAULT_HOME, STORAGE_VARIABLE, Home
from search.study.choices import MOST_FINALISTS
from search.workers.limits import HANG_SECONDS

__all__ = [
    "Duration",
    "compile_networks",
    "confirm",
    "dashboard",
    "data_folder",
    "detach",
    "device",
    "hang_after",
    "home",
    "images_folder",
    "json_output",
    "only_one",
    "storage",
    "study_argument",
    "to_home",
    "track",
    "trust",
    "workers",
]

Command = TypeVar("Command", bound=Callable[..., Any])
LONGEST = 10 * 365 * 86400.0
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Duration(click.ParamType[float]):
    """A time such as 90s, 30m, 1.5h, 2d; a bare number is in seconds."""

    name = "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the time in seconds."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", str(value).strip())
        seconds = float(match[1]) * UNITS[match[2] or "s"] if match else 0.0
        if not 0 < seconds <= LONGEST:
            self.fail(f"must be a time such as 90s, 30m or 1.5h, but got {value!r}.", param, ctx)
        return seconds


class _HomeFolder(click.ParamType[Home]):
    name = "DIR"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Home:
        if isinstance(value, Home):
            return value
        if "?" in value or "%" in value:
            # In the URL of its database they have another meaning, so that the file would be elsewhere.
            self.fail(f"the name of a home must not contain ? or %, but got {value!r}.", param, ctx)
        try:
            return Home(Path(value).expanduser())
        except RuntimeError:
            self.fail(f"{value} begins with the home folder of an unknown user.", param, ctx)


class _Finalists(click.ParamType[int]):
    """``off``, which is 0, or a number of finalists."""

    name = "off|K"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if value == "off":
            return 0
        if not re.fullmatch(r"[0-9]{1,9}", value) or not 1 <= int(value) <= MOST_FINALISTS:
            self.fail(f"must be off, or from 1 to {MOST_FINALISTS}, but got {value!r}.", param, ctx)
        return int(value)


def confirm(default: str) -> Callable[[Command], Command]:
    """`--confirm off|K`.

    Args:
        default: What holds without it, in words.
    """
    return click.option(
        "--confirm",
        type=_Finalists(),
        metavar="off|K",
        help=(
            "After the search, train the K best trials and the best known configurations anew on fresh "
            f"seeds, and say which is better.  [default: {default}]"
        ),
    )


def home(command: Command) -> Command:
    """`--home DIR`, given to the command as a `Home`."""
    return click.option(
        "--home",
        type=_HomeFolder(),
        default=str(DEFAULT_HOME),
        show_default=True,
        envvar="CIFAR_SEARCH_HOME",
        show_envvar=True,
        metavar="DIR",
        help="Folder for all output: studies, checkpoints, exports, logs.",
    )(command)


def to_home(command: Command) -> Command:
    """`--to-home DIR`, given to the command as a `Home`, or None."""
    return click.option(
        "--to-home",
        type=_HomeFolder(),
        metavar="DIR",
        help="Home of the copy; created if missing.  [default: HOME]",
    )(command)


def storage(command: Command) -> Command:
    """`--storage URL`."""
    return click.option(
        "--storage",
        envvar=STORAGE_VARIABLE,
        show_envvar=True,
        metavar="URL",
        help=(
            "Optuna storage of the studies. A password in it is visible to anyone who can list processes; "
            "use the environment variable instead.  [default: sqlite:///HOME/studies.db]"
        ),
    )(command)


def json_output(command: Command) -> Command:
    """`--json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document on standard output."
    )(command)


def workers(command: Command) -> Command:
    """`--workers N`."""
    return click.option(
        "--workers",
        type=click.IntRange(1, 256),
        metavar="N",
        help=(
            "Number of trials that train at the same time. Several can share a GPU, which small networks "
            "do not fill; each gets an equal part of its memory.  [default: one per CPU core (at most 8), "
            "or one per GPU]"
        ),
    )(command)


def device(command: Command) -> Command:
    """`--device NAME`."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="auto (all CUDA GPUs, or the CPU), cpu, cuda, mps (an Apple GPU; never tried), or a list "
        "such as cuda:0,cuda:1.",
    )(command)


def compile_networks(command: Command) -> Command:
    """`--compile`."""
    return click.option(
        "--compile",
        "compile_networks",
        is_flag=True,
        help=(
            "Compile networks with torch.compile where that works. It takes seconds to minutes per trial, "
            "so it is meant for long trials on a GPU."
        ),
    )(command)


def detach(command: Command) -> Command:
    """`--detach`."""
    return click.option(
        "--detach",
        is_flag=True,
        help=(
            "Go on in the background: the command returns when the search has begun, and says how to "
            "follow and stop it. Closing the terminal does not end it."
        ),
    )(command)


def hang_after(command: Command) -> Command:
    """`--hang-after TIME`."""
    return click.option(
        "--hang-after",
        type=Duration(),
        default=HANG_SECONDS,
        show_default="5m",
        metavar="TIME",
        help="Replace a worker that makes no step for this time; its trial continues from its last epoch.",
    )(command)


def dashboard(command: Command) -> Command:
    """`--dashboard`, `--dashboard-port N` and `--dashboard-url URL`."""
    for option in (
        click.option(
            "--dashboard-url",
            metavar="URL",
            help="Address that browsers open where a reverse proxy serves the dashboard, such as "
            "https://host/prefix/; implies --dashboard.",
        ),
        click.option(
            "--dashboard-port",
            type=click.IntRange(0, 65535),
            default=0,
            metavar="PORT",
            help="Port of the dashboard on this machine; a proxy needs one that stays.  "
            "[default: a free one]",
        ),
        click.option(
            "--dashboard/--no-dashboard",
            default=False,
            show_default=True,
            help="Serve optuna-dashboard on this machine while the search runs.",
        ),
    ):
        command = option(command)
    return command


def data_folder(command: Command) -> Command:
    """`--data DIR|auto|synthetic`."""
    return click.option(
        "--data",
        metavar="DIR|auto|synthetic",
        help=(
            "Folder of CIFAR-10, which is downloaded to it if missing; auto: the built-in synthetic images "
            "if that fails; synthetic: those images.  [default: data/, or CIFAR_SEARCH_DATA]"
        ),
    )(command)


def track(command: Command) -> Command:
    """`--track NAME[:PLACE]`."""
    return click.option(
        "--track",
        multiple=True,
        metavar="NAME[:PLACE]",
        help=(
            "Also send parameters and figures to tensorboard[:DIR], mlflow[:URI] or wandb[:PROJECT]. "
            "Can be repeated."
        ),
    )(command)


def trust(command: Command) -> Command:
    """`--trust`."""
    return click.option(
        "--trust",
        is_flag=True,
        help=(
            "Run the code that makes a network of your own (`network.builder`). It is looked for beside "
            "the space file or the recipe, and in the current folder; it can do whatever you can."
        ),
    )(command)


def only_one(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> str | None:
    """Return the value of an option with `multiple`, which click would else take the last of in silence."""
    if len(values) > 1:
        raise click.BadParameter(
            f"can be given once, but got {', '.join(values)}. Run a command for each.", ctx, param
        )
    return values[0] if values else None


def images_folder() -> Path:
    """Return the folder to use without ``--data``: `CIFAR_SEARCH_DATA` if it is not empty."""
    from cifar_core.data.dataset import DEFAULT_FOLDER  # which loads NumPy

    return Path(os.environ.get("CIFAR_SEARCH_DATA") or DEFAULT_FOLDER)


def study_argument(command: Command) -> Command:
    """The optional argument STUDY."""
    return click.argument("study", required=False, metavar="[STUDY]")(command)
