"""The trackers of a search: which there are, which are wanted, and a search that they follow."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec

from search.errors import UsageError
from search.events import Event, Notice, Observer
from search.home import Home
from search.study import attributes
from search.study.rows import TrialRow
from search.study.study import SearchStudy
from search.tracking.background import BackgroundTracker
from search.tracking.follower import Follower
from search.tracking.tracker import Subject, Tracker

__all__ = ["TRACKERS", "Choice", "tracked", "trackers_of"]

TRACKERS = {
    "tensorboard": "TensorBoardTracker",
    "mlflow": "MlflowTracker",
    "wandb": "WandbTracker",
}
"""The class of each tracker by its name, which is also that of its library, its module and its extra."""
CLOSING_SECONDS = 30.0
"""The time that a tracker gets at the end of a search, which has waited for none until then."""


@dataclass(frozen=True)
class Choice:
    """A tracker that the user wants.

    Attributes:
        name: Its name in `TRACKERS`.
        place: Where it writes to: a folder, a URI or a project, by tracker; None for its default.
    """

    name: str
    place: str | None

    def open(self, subject: Subject) -> Tracker:
        """Load the library, and return the tracker of a study; it may fail with any error."""
        module = import_module(f"search.tracking.{self.name}")
        make: Callable[[str | None, Subject], Tracker] = getattr(module, TRACKERS[self.name])
        return make(self.place, subject)


def trackers_of(wanted: Sequence[str]) -> list[Choice]:
    """Return the trackers that the values of ``--track`` name.

    Args:
        wanted: Each is ``NAME`` or ``NAME:PLACE``.

    Raises:
        UsageError: There is no such tracker, its library is not installed, or it is named twice.
    """
    choices: list[Choice] = []
    for text in wanted:
        name, colon, place = text.partition(":")
        if name not in TRACKERS or (colon and not place):
            raise UsageError(
                f"--track must be one of {', '.join(TRACKERS)}, or one with its place, such as "
                f"tensorboard:logs or mlflow:http://localhost:5000, but got {text!r}."
            )
        if name in {one.name for one in choices}:
            raise UsageError(f"--track {name} can be given once.")
        if find_spec(name) is None:
            raise UsageError(
                f"--track {name} needs {name}, which is not installed. Run: pip install "
                f"'cifar-search[{name}]', or in a clone of the project: pip install '.[{name}]'"
            )
        choices.append(Choice(name, place or None))
    return choices


@contextmanager
def tracked(
    choices: Sequence[Choice], study: SearchStudy, home: Home, observe: Observer
) -> Iterator[Observer]:
    """Follow a search with trackers: what is told to the observer that this yields is told to them, too.

    No tracker stops or delays the search. One that fails is dropped, and the user is told so once.

    Args:
        choices: The trackers.
        study: The study.
        home: The home of its files.
        observe: Told everything first, and what happens to the trackers.
    """
    if not choices:
        yield observe
        return
    subject = Subject(study.name, str(study.note(attributes.IDENTITY)), home.root)
    rows = study.rows()
    followers = [
        BackgroundTracker(one.name, partial(_follow, one, subject, rows)) for one in choices
    ]

    def say_problems() -> None:
        for follower in followers:
            if (problem := follower.problem()) is not None:
                observe(Notice(problem))

    def tell(event: Event) -> None:
        observe(event)
        for follower in followers:
            follower(event)
        say_problems()

    patience = CLOSING_SECONDS
    try:
        yield tell
    except KeyboardInterrupt:
        patience = 0.0  # the user wants the end now
        raise
    finally:
        for follower in followers:
            follower.close(patience)
        say_problems()


def _follow(choice: Choice, subject: Subject, rows: list[TrialRow]) -> Follower:
    return Follower(choice.open(subject), rows)
