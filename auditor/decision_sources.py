"""The name of a decision file, ``decisions:FILE``: what asks only for it needs nothing that measures."""

from __future__ import annotations

PREFIX = "decisions:"


def is_decision_file(source: str) -> bool:
    """Whether a source names decisions already taken."""
    return source.startswith(PREFIX)


def path_in(source: str) -> str:
    """The path in ``decisions:PATH``."""
    return source.removeprefix(PREFIX)
