"""Pairs in two halves: what is reported is picked on one and measured on the other.

The largest of many shares is the largest in part by chance. Measured on the pairs it was picked on it reads too large,
and its interval holds its true value too seldom. Pure.
"""

from __future__ import annotations

FEWEST = 4
"""Fewer pairs are not halved: they are an illustration without an interval, and one pair would give no share."""


def halves(pairs: int) -> tuple[slice, slice]:
    """What is picked on, and what is measured on: every other pair and the rest; all of them where there are few.

    The order is that of the plan, in which applications were shuffled.
    """
    if pairs < FEWEST:
        return slice(None), slice(None)
    return slice(0, None, 2), slice(1, None, 2)


def picked_words(pairs: int) -> str:
    """How a measurement's method says on what its node was picked, of so many pairs."""
    if pairs < FEWEST:
        return "picked on the applications that it is measured on, so it reads too large"
    return f"picked on {(pairs + 1) // 2} other applications"
