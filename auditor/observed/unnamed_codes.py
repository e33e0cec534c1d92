"""Values of a decision file that look like codes for "not stated" and that its mapping does not name as missing.

Nothing is left out for them: a race may be called NA, and an income be 1,111. Whoever wrote the mapping is told, in a
line a field, for as a group or a number they would be compared.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from auditor.missing_words import is_missing_word
from auditor.observed.columns import Levels, Numbers, Observed

CODES = ("1111", "7777", "8888", "9999", "99999")
"""Written by registers and programs for what is not stated, not applicable or exempt."""
FEWEST, SHARE = 5, 0.005
"""Times that a number has to stand, and of which share, before it looks like a code."""


def unnamed_codes(observed: Observed) -> Iterator[str]:
    """A line for each field in which such a value stands."""
    seen: set[str] = set()
    for part in (*observed.groups, *observed.segments, *observed.controls, *observed.prices, *observed.amounts):
        if part.name in seen:
            continue
        seen.add(part.name)
        found = _of_levels(part) if isinstance(part, Levels) else _of_numbers(part)
        if found:
            said = ", ".join(f"{code} {count:,}" for code, count in found.items())
            yield f"{part.label} holds what may mean that nothing is stated, and counts it as a value: {said}"


def _of_levels(part: Levels) -> dict[str, int]:
    counts = np.bincount(part.codes[part.codes >= 0], minlength=len(part.names))
    return {
        name: int(count)
        for name, count in zip(part.names, counts, strict=True)
        if count and (name in CODES or is_missing_word(name, number=True))
    }


def _of_numbers(part: Numbers) -> dict[str, int]:
    stated = int(part.stated.sum())
    counts = {code: int((part.values == float(code)).sum()) for code in CODES}
    return {code: count for code, count in counts.items() if count >= max(FEWEST, SHARE * stated)}
