"""The options that say where the workers of a command run, and how many."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, get_args

import click

from search.workers.engine_options import EngineName, EngineOptions, WorkerCount
from search.workers.limits import MOST_WORKERS

__all__ = ["engine"]

Command = TypeVar("Command", bound=Callable[..., Any])
DEFAULT = "one per CPU core (at most 8), or one per GPU; on Ray, as many as there is room for"


class _Workers(click.ParamType[WorkerCount]):
    """A number of workers, or ``LOW..HIGH``."""

    name = "N|LOW..HIGH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> WorkerCount:
        if isinstance(value, int | tuple):
            return value
        match = re.fullmatch(r"([0-9]{1,9})(?:\.\.([0-9]{1,9}))?", value)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= low <= high <= MOST_WORKERS:
            self.fail(
                f"must be a number from 1 to {MOST_WORKERS}, or two such as 4..64, but got {value!r}.",
                param,
                ctx,
            )
        return low if match and match[2] is None else (low, high)


def engine(workers: str, default: str = DEFAULT) -> Callable[[Command], Command]:
    """Add `--workers` and the options of engines, which the command gets as one `EngineOptions`.

    Args:
        workers: Help of `--workers`.
        default: What holds without it, in words.
    """

    def add(command: Command) -> Command:
        @wraps(command)
        def called(*args: Any, **options: Any) -> Any:
            return command(*args, **EngineOptions.gathered(options))

        result: Any = called
        for option in reversed(_options(workers, default)):
            result = option(result)
        found: Command = result
        return found

    return add


def _options(workers: str, default: str) -> list[Callable[[Any], Any]]:
    return [
        click.option(
            "--workers",
            type=_Workers(),
            metavar="N|LOW..HIGH",
            help=f"{workers} LOW..HIGH, on Ray: as many as there is room for, from the moment that LOW "
            f"are there.  [default: {default}]",
        ),
        click.option(
            "--engine",
            type=click.Choice(get_args(EngineName)),
            default=EngineOptions.engine,
            show_default=True,
            help="Where workers run: as processes of this machine, or as actors of a Ray cluster.",
        ),
        click.option(
            "--ray-address",
            metavar="auto|HOST:PORT",
            help="The Ray cluster.  [default: auto, the one that this machine belongs to]",
        ),
        click.option(
            "--cpus-per-worker",
            type=click.FloatRange(0, 1024, min_open=True),
            metavar="X",
            help="CPUs that Ray gives to a worker; a worker on the CPU has as many threads.  [default: 1]",
        ),
        click.option(
            "--gpus-per-worker",
            type=click.FloatRange(0, 1),
            metavar="X",
            help="GPUs that Ray gives to a worker, such as 0.25 for four on a GPU, or 0 for the CPU.  "
            "[default: 1 if the cluster has GPUs]",
        ),
    ]
