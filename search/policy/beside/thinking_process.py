"""A process that makes the choices of a search with many workers while the coordinator answers them."""

import multiprocessing
import pickle
import signal
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Self

from search.policy.beside.thinking import Answer, Question, Thinker, ThinkingEndedError
from search.signals import SIGNALS

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

__all__ = ["SentTrials", "ThinkingProcess"]

SECONDS_TO_END = 2.0


class ThinkingProcess:
    """A process that thinks beside this one; it ends with this context, or with this process.

    Of the trials, only what has changed since the last question is sent.
    """

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._sent = SentTrials()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()  # by which it ends, unless it thinks
        if self._process is not None:
            self._process.kill()  # there is nothing to be saved
            self._process.join(SECONDS_TO_END)

    def begin(self, thinker: Thinker) -> None:
        """Start the process."""
        ours, theirs = self._context.Pipe()
        self._process = self._context.Process(
            target=_work, args=(theirs,), name="cifar-search choices", daemon=True
        )
        # Signals that are blocked here stay blocked there: only the coordinator acts on them.
        resource_tracker.ensure_running()  # its start, which comes first, would unblock them again
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self._process.start()
        except OSError:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            theirs.close()  # so that the process's death ends the connection
        self._connection = ours
        self._send(thinker)

    def ask(self, question: Question) -> None:
        """Begin to think."""
        self._send(self._sent.changes(question))

    def answer(self, *, wait: bool) -> Answer | None:
        """Return the answer to the last question; None as long as it is not there.

        Args:
            wait: Wait for it.

        Raises:
            ThinkingEndedError: The process has ended.
        """
        assert self._connection is not None  # noqa: S101 - it has begun
        try:
            if not self._connection.poll(None if wait else 0.0):
                return None
            answer: Answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise ThinkingEndedError(self._end()) from error
        return answer

    def _send(self, what: object) -> None:
        assert self._connection is not None  # noqa: S101 - it has begun
        with suppress(
            BrokenPipeError, ConnectionResetError
        ):  # noticed when the answer is asked for
            self._connection.send_bytes(pickle.dumps(what, pickle.HIGHEST_PROTOCOL))

    def _end(self) -> str:
        """Return how the process has ended, in words that follow "it was"."""
        assert self._process is not None  # noqa: S101 - it has begun
        self._process.join(SECONDS_TO_END)
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"


class SentTrials:
    """The trials as the process knows them: most change no more, and are not sent again."""

    def __init__(self) -> None:
        self._known: dict[str, list[Any]] = {"curves": [], "trials": []}

    def changes(self, question: Question) -> tuple[Question, Sequence[Any]]:
        """Return a question without its trials, and how they differ from those of the one before."""
        whole: dict[str, list[Any]] = {
            "curves": list(question.curves),
            "trials": list(question.situation.trials),
        }
        changes: list[Any] = []
        for name, new in whole.items():
            known = self._known[name]
            differ = [
                (place, one)
                for place, one in enumerate(new)
                if place >= len(known) or known[place] is not one
            ]
            changes.append((name, len(new), differ))
        self._known = whole
        return question.with_trials((), ()), changes


def _work(connection: Connection) -> None:
    """Answer questions until nobody asks any more."""
    trials: dict[str, list[Any]] = {"curves": [], "trials": []}
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        thinker: Thinker = connection.recv()
        while True:
            question, changes = connection.recv()
            for name, count, differ in changes:
                own = trials[name]
                own[count:] = []
                own += [None] * (count - len(own))
                for place, one in differ:
                    own[place] = one
            connection.send(thinker.answer(question.with_trials(**trials)))
