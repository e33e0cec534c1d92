"""Prices and amounts that look as if they were written in two units, or as if 0 meant that nothing is stated.

A rate of 6.5 beside one of 0.065 makes a gap as wide as the rates themselves, and a 0 among rates of 4 to 9 a cheap
loan. Nothing is left out for it: whoever wrote the mapping is told, in a line a field.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from auditor.observed.columns import Numbers, Observed
from auditor.rounding import significant
from auditor.statistics.results import FloatArray

FEWEST, SHARE = 5, 0.005
"""Times that such a number has to stand, and of which share, before it is told."""
APART = 3.0
"""How many times larger the least of the larger ones is than the largest of the smaller ones."""
UNITS = ((50.0, 200.0), (500.0, 2000.0))
"""How many times larger their middle is: about 100, as of percent and shares, or 1,000, as of thousands."""
FAR = 10.0
"""How many times smaller than the middle the least number beside a 0 may be: below it a 0 is one of many small ones."""


def odd_numbers(observed: Observed) -> Iterator[str]:
    """A line for each price and amount of favourable decisions that holds such numbers."""
    for part in (*observed.prices, *observed.amounts):
        values = part.values[observed.favourable & part.stated]
        if len(values):
            yield from _of(part, values)


def _of(part: Numbers, values: FloatArray) -> Iterator[str]:
    least = max(FEWEST, SHARE * len(values))
    if values.min() < 0:
        return  # of numbers on both sides of 0 neither a 0 nor a small one is odd
    above = np.sort(values[values > 0])
    zeros = len(values) - len(above)
    if not len(above):
        return
    if zeros >= least and above[0] >= float(np.median(above)) / FAR:
        yield (
            f"{part.label} is 0 in {zeros:,} of {len(values):,} favourable decisions that state it, and counts as 0; "
            f"the others begin at {significant(float(above[0]), 3)}"
        )
    jumps = above[1:] / above[:-1]
    at = int(jumps.argmax()) + 1 if len(jumps) else 0
    if not at or jumps[at - 1] < APART or min(at, len(above) - at) < least:
        return
    small, large = above[:at], above[at:]
    middles = float(np.median(small)), float(np.median(large))
    if any(low <= middles[1] / middles[0] <= high for low, high in UNITS):
        yield (
            f"{part.label} is written in what may be two units: about {significant(middles[0], 2)} in {len(small):,} "
            f"favourable decisions and about {significant(middles[1], 2)} in {len(large):,}"
        )
