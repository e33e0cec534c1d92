"""A difference between two files, and where two JSON values first differ."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

LONGEST = 120


@dataclass(frozen=True)
class Mismatch:
    """Something that differs: the file, the place in it, what was found and what was expected."""

    file: str
    where: str
    found: str
    expected: str

    def __str__(self) -> str:
        place = f"{self.file}: {self.where}" if self.where else self.file
        return f"{place}: found {self.found}; expected {self.expected}"


def first_difference(  # noqa: PLR0911  (one answer a difference)
    found: Any, expected: Any, path: str = "", *, within: float = 0.0
) -> tuple[str, Any, Any] | None:
    """The key path, the two values, of the first place where two JSON values differ; ``None`` where they do not.

    ``within`` is how far two numbers that are no whole ones may lie apart, of the larger: sums of the same numbers
    differ in the last digits from processor to processor.
    """
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted({*found, *expected}):
            place = f"{path}.{key}" if path else str(key)
            if key not in found or key not in expected:
                return place, found.get(key, "nothing"), expected.get(key, "nothing")
            if inner := first_difference(found[key], expected[key], place, within=within):
                return inner
        return None
    if isinstance(found, list) and isinstance(expected, list):
        for index, (left, right) in enumerate(zip(found, expected, strict=False)):
            if inner := first_difference(left, right, f"{path}[{index}]", within=within):
                return inner
        if len(found) != len(expected):
            return path, f"{len(found)} entries", f"{len(expected)} entries"
        return None
    if within and isinstance(found, float) and isinstance(expected, float):
        close = math.isclose(found, expected, rel_tol=within, abs_tol=within)
        return None if close else (path, found, expected)
    # 1 and True, 1 and 1.0 are equal to Python and different on paper.
    same = found == expected and isinstance(found, bool) == isinstance(expected, bool)
    return None if same else (path, found, expected)


def short(value: Any) -> str:
    """A value for a line of text."""
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "…"
