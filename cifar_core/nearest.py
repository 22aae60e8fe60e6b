"""The name that somebody probably meant, and the names that there are."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["meant"]

MOST_NAMES = 12


def meant(name: str, allowed: Iterable[str]) -> str:
    """Return a hint for a name that does not exist: the nearest one, or else all of them if they are few.

    >>> meant("chanels1", ["channels1", "channels2"])
    'did you mean channels1?'
    >>> meant("colour", ["low", "high"])
    'allowed: high, low.'
    >>> meant("colour", [])
    ''
    """
    names = sorted(set(allowed))
    near = get_close_matches(name, names, n=1, cutoff=0.7)
    if near:
        return f"did you mean {near[0]}?"
    return f"allowed: {', '.join(names)}." if 0 < len(names) <= MOST_NAMES else ""
