"""A search in the background: the command returns when the search has begun, which goes on by itself."""

import json
import os
import selectors
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click

from search.command_lines import command_line
from search.errors import UsageError

__all__ = ["Background", "in_background"]

INPUT, OUTPUT, ERRORS = 0, 1, 2
CHUNK = 65536


class Background:
    """The end of the process that searches: by it, it tells the waiting command that the search has begun.

    Args:
        message: Descriptor of the pipe to the waiting command, which is closed by the message.

    Attributes:
        begun: The search has begun, and what this process prints goes into the study's log.
    """

    def __init__(self, message: int) -> None:
        self.begun = False
        self._message = message

    def begin(self, study: str, log: Path | None, where: str) -> None:
        """Say that the search has begun, and print to its log from now on.

        Args:
            study: The study's name.
            log: Its log; None if there is none.
            where: Options by which other commands find the study.
        """
        self.begun = True
        kept = os.open(log or os.devnull, os.O_WRONLY | os.O_APPEND)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # the terminal may be gone already
                stream.flush()
        for descriptor in (OUTPUT, ERRORS):
            os.dup2(kept, descriptor)
        os.close(kept)
        place = None if log is None else str(log)
        told = {"study": study, "pid": os.getpid(), "log": place, "where": where}
        with suppress(OSError):  # the waiting command may be gone, too
            os.write(self._message, json.dumps(told).encode())
        os.close(self._message)


@dataclass(frozen=True)
class _Pipes:
    """Output of the searching process: by descriptor to read from, the one that it is passed on to."""

    message: int
    output: int
    errors: int


def in_background(search: Callable[[Background], int], *, as_json: bool) -> int:
    """Run a search in a process of its own, and return when it has begun or ended.

    That process is in a session of its own, so that no terminal ends it. Until its search has begun, all
    that it says is passed on, and Ctrl-C ends it.

    Args:
        search: Runs the search to its end, and returns the exit code.
        as_json: Print one JSON document instead of words.

    Returns:
        In this process 0 if the search has begun, else the exit code that it has ended with. In the new
        one, the code that `search` returned.

    Raises:
        UsageError: This system has no such processes.
    """
    if not hasattr(os, "fork"):
        raise UsageError("--detach works on Linux and macOS only. Leave it out.")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    pipes = [os.pipe() for _ in range(3)]
    child = os.fork()  # no library that starts threads is loaded by now
    if child == 0:
        for reader, _ in pipes:
            os.close(reader)
        return search(_moved_out(*(writer for _, writer in pipes)))
    for _, writer in pipes:
        os.close(writer)
    with _ctrl_c_for(child):
        told = _pass_on(_Pipes(*(reader for reader, _ in pipes)))
    if not told:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code < 0:
            name = signal.Signals(-code).name
            click.echo(f"Error: The search ended before it began: killed by {name}.", err=True)
        return code if code >= 0 else 1
    _say(json.loads(told), as_json=as_json)
    return 0


def _moved_out(message: int, output: int, errors: int) -> Background:
    """Leave the terminal, in the new process."""
    os.setsid()
    empty = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((empty, INPUT), (output, OUTPUT), (errors, ERRORS)):
        os.dup2(source, target)
        os.close(source)
    return Background(message)


@contextmanager
def _ctrl_c_for(process: int) -> Iterator[None]:
    """Pass Ctrl-C on to a process, which ends, and so does the wait for it."""

    def pass_on(number: int, _frame: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(process, number)

    before = signal.signal(signal.SIGINT, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _pass_on(pipes: _Pipes) -> bytes:
    """Pass on what a process says until its message is there, and return it; empty if it ended before."""
    passed_on = {pipes.output: OUTPUT, pipes.errors: ERRORS}
    message = b""
    with selectors.DefaultSelector() as ready:
        for reader in (pipes.message, *passed_on):
            ready.register(reader, selectors.EVENT_READ)
        while pipes.message in ready.get_map():
            for key, _ in ready.select():
                text = os.read(key.fd, CHUNK)
                if not text:
                    ready.unregister(key.fd)
                elif key.fd == pipes.message:
                    message += text
                else:
                    os.write(passed_on[key.fd], text)
    # What was said before the message is in the pipes by now; who holds their other ends matters no more.
    for reader, target in passed_on.items():
        os.set_blocking(reader, False)
        with suppress(BlockingIOError):
            while text := os.read(reader, CHUNK):
                os.write(target, text)
    return message


def _say(told: dict[str, str], *, as_json: bool) -> None:
    """Say where the search is now, and how to watch and stop it."""
    study, where = told["study"], told["where"]
    commands = {
        "follow": command_line("logs", study, flags=where, follow=True),
        "watch": command_line("status", study, flags=where, watch=True),
        "stop": command_line("stop", study, flags=where),
    }
    if as_json:
        facts = {key: told[key] for key in ("study", "pid", "log")}
        click.echo(json.dumps({**facts, **commands}, indent=2))
        return
    click.echo(f"Study {study} runs in the background now, as process {told['pid']}.")
    lines = {"its log": told["log"] or "none, as it cannot be written", **commands}
    width = max(map(len, lines))
    for purpose, text in lines.items():
        click.echo(f"  {purpose:<{width}}  {text}")
