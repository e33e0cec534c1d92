"""Counting tokens for a page: in a child process, for a few seconds at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.utils.translation import gettext_noop

from compliance.sandbox.children import ChildError, answer_of

SECONDS = 5
MEMORY = 2 << 30
NOT_COUNTED = gettext_noop("The model's tokenizer gave no count in time; the worker counts when it prepares the run.")

#: Tokenizers that gave no answer; nobody waits for one twice while this process lives.
_silent: set[Path] = set()


@dataclass(frozen=True)
class Counts:
    """Distinct tokens of each group of texts, and tokens of each text alone."""

    distinct: tuple[int, ...]
    lengths: tuple[int, ...]


def count(path: Path, *, groups: Sequence[Sequence[str]] = (), texts: Sequence[str] = ()) -> Counts | None:
    """Count with the tokenizer in a file; ``None`` where it does not answer."""
    if path in _silent:
        return None
    try:
        return _asked(path, tuple(tuple(group) for group in groups), tuple(texts))
    except ChildError:
        _silent.add(path)
        return None


@lru_cache(maxsize=32)
def _asked(path: Path, groups: tuple[tuple[str, ...], ...], texts: tuple[str, ...]) -> Counts:
    """Kept: while somebody writes a plan most prompts stay as they are from one look to the next."""
    job = {"tokenizer": str(path), "groups": groups, "texts": texts, "memory": MEMORY, "seconds": SECONDS}
    answer = answer_of("compliance.plans.count_child", job, where=str(path), seconds=SECONDS)
    return Counts(distinct=tuple(answer["distinct"]), lengths=tuple(answer["lengths"]))
