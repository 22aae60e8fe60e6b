"""Asynchronous successive halving that promotes, on plain numbers.

Li et al. 2018, "A System for Massively Parallel Hyperparameter Tuning" (arXiv 1810.05934), algorithm 2: a
trial that reaches a rung waits there, and goes on when it is among the best share of all that have come as
far. The stopping form, which Optuna and Ray Tune have, must decide at once, when few trials are there to
compare with: it lets the first ones through whatever they are worth, and calls back none that it has
stopped.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from math import ceil, isnan

__all__ = ["RungSystem", "check_rungs", "rungs_of"]


class RungSystem:
    """The rungs of a search, and which trials stand on them with which score.

    The best of all at a rung goes on at once, even as the first one there, so that soon something is
    complete. Only at a first rung that screens does it wait until there are enough to compare it with.

    Args:
        rungs: The epochs at which trials wait, ascending, from 1.
        reduction_factor: One of this many trials at a rung continues; at least 2.
        screen: The same for the first rung as long as more trials are started: the first look at a new
            trial costs least of all, so many are looked at before one continues. When no more are
            started, `reduction_factor` applies there too, and calls back those that were passed over.
        finish: When no more are started, all at the highest rung continue, as little is left to train.
    """

    def __init__(
        self,
        rungs: Sequence[int],
        reduction_factor: int,
        *,
        screen: int | None = None,
        finish: bool = False,
    ) -> None:
        check_rungs(rungs, reduction_factor)
        if screen is not None and screen < reduction_factor:
            raise ValueError(
                f"`screen` must be at least `reduction_factor` ({reduction_factor}), but got {screen}."
            )
        self.rungs = tuple(rungs)
        self.reduction_factor = reduction_factor
        self._screen = screen
        self._finish = finish
        self._scores: dict[int, dict[int, float]] = {rung: {} for rung in rungs}
        self._ranks: dict[int, list[tuple[float, int]]] = {rung: [] for rung in rungs}
        self._gone_on: dict[int, set[int]] = {rung: set() for rung in rungs}

    def reach(self, number: int, epochs: Mapping[int, float]) -> None:
        """Note the scores of a trial, by epoch; higher is better, and what is no number is worst."""
        last = max(epochs, default=0)
        for rung in self.rungs:
            if rung in epochs:
                if number not in self._scores[rung]:
                    score = float("-inf") if isnan(epochs[rung]) else epochs[rung]
                    self._scores[rung][number] = score
                    insort(self._ranks[rung], (-score, number))
                if rung < last:
                    self._gone_on[rung].add(number)

    def go_on(self, number: int, rung: int) -> None:
        """Note that a trial goes on from a rung."""
        self._gone_on[rung].add(number)

    @property
    def progress(self) -> tuple[tuple[int, int], ...]:
        """Numbers of trials that have reached each rung and left it; both only grow."""
        return tuple((len(self._ranks[rung]), len(self._gone_on[rung])) for rung in self.rungs)

    def ranked(self, rung: int) -> list[int]:
        """The trials that have come as far as `rung`, the best first, the earlier where they are equal."""
        return [number for _, number in self._ranks[rung]]

    def chosen(self, rung: int, *, last: bool = False) -> list[int]:
        """The trials that may go on from `rung`, best first.

        Args:
            rung: One of the rungs.
            last: No more trials will come: the share is rounded up, so that somebody goes on.
        """
        best = [number for _, number in self._ranks[rung][: self._share(rung, last=last)]]
        return [number for number in best if number not in self._gone_on[rung]]

    def _share(self, rung: int, *, last: bool) -> int:
        there = len(self._ranks[rung])
        if last:
            return self._at_last(rung, there)
        if self._screen is not None and rung == self.rungs[0]:
            return there // self._screen
        return max(1, there // self.reduction_factor)

    def _at_last(self, rung: int, there: int) -> int:
        """Return how many of the trials at a rung continue when no more are started."""
        if self._finish and rung == self.rungs[-1]:
            return there
        return ceil(there / self.reduction_factor)

    def promotable(self, paused: Mapping[int, int], *, last: bool = False) -> int | None:
        """The paused trial that goes on next: of the highest rung that has one, the best.

        Args:
            paused: The rung at which each paused trial waits.
            last: As for `chosen`.
        """
        for rung in reversed(self.rungs):
            for number in self.chosen(rung, last=last):
                if paused.get(number) == rung:
                    return number
        return None

    def hopeless(self, paused: Mapping[int, int], to_come: int, most_at_a_rung: int) -> list[int]:
        """Paused trials that can never go on, or only after very many others that are all worse.

        A trial's rank at its rung never rises, and the share that goes on grows by one with every
        `reduction_factor` trials that arrive.

        Args:
            paused: The rung at which each paused trial waits.
            to_come: How many trials may still reach the first rung.
            most_at_a_rung: How many may wait at one rung.
        """
        found: list[int] = []
        arriving = to_come
        for rung in self.rungs:
            there = self._ranks[rung]
            reachable = self._at_last(rung, len(there) + arriving)
            waiting = sorted((self._place(n, rung), n) for n, at in paused.items() if at == rung)
            found += [n for place, n in waiting[:most_at_a_rung] if place >= reachable]
            found += [n for _, n in waiting[most_at_a_rung:]]
            # Whoever waits here may come to the next rung, and so may all that are to come here.
            arriving += len(waiting)
        return found

    def _place(self, number: int, rung: int) -> int:
        """Return how many trials at a rung are ahead of one that is there."""
        return bisect_left(self._ranks[rung], (-self._scores[rung][number], number))

    def furthest(self, number: int, *, earned: bool = False) -> tuple[int, float] | None:
        """The highest rung that a trial has reached, counted from 0, and its score there.

        Args:
            number: The trial.
            earned: Only as far as it is among the best share at every rung below. Where a trial is trained
                to its end whatever it is worth, this says how far it would have come.
        """
        found = None
        for index, rung in enumerate(self.rungs):
            if number not in self._scores[rung]:
                break
            found = (index, self._scores[rung][number])
            if earned and self._place(number, rung) >= self._share(rung, last=False):
                break
        return found


def check_rungs(rungs: Sequence[int], reduction_factor: int) -> None:
    """Refuse what makes no ladder.

    Raises:
        ValueError: The text says what is wrong.
    """
    if reduction_factor < 2:
        raise ValueError(f"`reduction_factor` must be at least 2, but got {reduction_factor}.")
    if list(rungs) != sorted(set(rungs)) or any(rung < 1 for rung in rungs):
        raise ValueError(f"`rungs` must be ascending and at least 1, but got {list(rungs)}.")


def rungs_of(epochs: int, first: int, reduction_factor: int) -> list[int]:
    """The rungs below the last epoch, each `reduction_factor` times as high as the one before.

    >>> rungs_of(12, first=2, reduction_factor=3), rungs_of(54, first=2, reduction_factor=3)
    ([2, 6], [2, 6, 18])
    """
    rungs = []
    while first < epochs:
        rungs.append(first)
        first *= reduction_factor
    return rungs
