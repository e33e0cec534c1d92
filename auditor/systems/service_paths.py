"""Paths into JSON: ``$.decision.status``, ``$.reasons[0]``, ``$['key with spaces']``. One place, no search."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_PART = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]|\['([^'\\]+)'\]")


@dataclass(frozen=True, slots=True)
class JsonPath:
    """Keys and places from the root on."""

    text: str
    parts: tuple[str | int, ...]

    def find(self, value: Any) -> Any:
        """What stands there; ``None`` where nothing does."""
        for part in self.parts:
            if isinstance(part, int):
                if not isinstance(value, list) or part >= len(value):
                    return None
                value = value[part]
            elif isinstance(value, dict):
                value = value.get(part)
            else:
                return None
        return value


def parse_path(text: str) -> JsonPath:
    """Read a path.

    Raises
    ------
    ValueError
        If it is none, saying what one looks like.
    """
    if not text.startswith("$"):
        raise ValueError(f"expected a path such as $.decision.status, not {text!r}")
    parts, place = list[str | int](), 1
    while place < len(text):
        found = _PART.match(text, place)
        if found is None:
            raise ValueError(
                f"expected a path such as $.decision.status; {text!r} cannot be read from {text[place:]!r} on"
            )
        name, index, quoted = found.groups()
        parts.append(int(index) if index is not None else name or quoted)
        place = found.end()
    return JsonPath(text, tuple(parts))


def scalar(value: Any) -> str | None:
    """Text of a JSON text, number or truth value, as JSON writes it; ``None`` for anything else.

    >>> scalar(True), scalar(3.0), scalar("APPROVED"), scalar([])
    ('true', '3.0', 'APPROVED', None)
    """
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int | float) else None
