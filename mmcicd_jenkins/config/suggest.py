"""The name that was probably meant."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The one most like `name`, or ""."""
    import difflib

    # Cut: comparing takes the square of the length, and no key is as long.
    return next(iter(difflib.get_close_matches(name[:60], list(known), 1, cutoff)), "")
