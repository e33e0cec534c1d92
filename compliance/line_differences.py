"""Two texts line by line, within bounds."""

from __future__ import annotations

import difflib

#: Longer texts are not compared: the time it takes grows with the square of their lines.
COMPARED_LINES = 4_000


def line_differences(before: str, after: str, *, names: tuple[str, str] | None = None) -> list[str]:
    """What differs from one text to another as a unified diff; nothing of texts too long to be compared.

    Parameters
    ----------
    names
        What stands above the lines for each of the two; without them no head is written.
    """
    first, second = before.splitlines(), after.splitlines()
    if max(len(first), len(second)) > COMPARED_LINES:
        return []
    lines = list(difflib.unified_diff(first, second, *(names or ()), lineterm="", n=2))
    return lines if names else lines[2:]
