"""Seeds that follow from one seed and the names of what they are for."""

import hashlib

__all__ = ["derive"]


def derive(seed: int, *names: str | int) -> int:
    """A seed for one purpose, unrelated to the seeds of all others.

    Args:
        seed: The seed of the whole; 0 is a seed like any other.
        *names: What the new seed is for.

    Returns:
        An integer in [0, 2**63).

    >>> derive(0, "trial", 1) == derive(0, "trial", 1), derive(0, "trial", 1) == derive(0, "trial", 2)
    (True, False)
    """
    text = "\x1f".join(str(part) for part in (seed, *names))
    # Any string is a name, even a file name that is not valid text, which Python writes with surrogates.
    named = text.encode(errors="surrogatepass")
    return int.from_bytes(hashlib.sha256(named).digest()[:8], "big") >> 1
