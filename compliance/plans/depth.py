"""The three depths at which one plan can run, and what of its form each of them reads."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from auditor.decision_sources import is_decision_file
from auditor.systems.opening import KINDS


class Depth(StrEnum):
    """What is audited: weights in the store, a system that answers, or a file of decisions already taken."""

    WEIGHTS = "weights"
    ANSWERS = "answers"
    RECORD = "record"

    @property
    def label(self) -> str:
        """What a page calls it."""
        return _(LABELS[self])


LABELS = {
    Depth.WEIGHTS: gettext_noop("Weights in the store"),
    Depth.ANSWERS: gettext_noop("A system that answers"),
    Depth.RECORD: gettext_noop("A file of decisions"),
}
#: Sections and keys that say nothing at a depth. What a plan sets all the same is shown: a value must not hide.
UNREAD = {
    Depth.WEIGHTS: ("limits", "reading.top"),
    Depth.ANSWERS: ("budget.threads", "budget.pack_tokens"),
    Depth.RECORD: ("prompt", "placebo", "noise", "operating_point", "budget", "reading", "limits", "cases.select"),
}


def depth_of_source(source: str) -> Depth:
    """The depth of what a source names."""
    if is_decision_file(source):
        return Depth.RECORD
    return Depth.ANSWERS if source.partition(":")[0] in KINDS else Depth.WEIGHTS


def depth_of_text(raw: Mapping[str, Any] | None) -> Depth:
    """The depth that a plan was written for, as far as its text says: by its source, else by what it has."""
    raw = raw or {}
    source = _at(raw, "run.model")
    if isinstance(source, str) and source:
        return depth_of_source(source)
    if raw and "prompt" not in raw and "tests" in raw:
        return Depth.RECORD
    return Depth.ANSWERS if "limits" in raw else Depth.WEIGHTS


def _at(raw: Mapping[str, Any], key: str) -> Any:
    """What stands under a key in a text that may be no plan yet."""
    found: Any = raw
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def reads(depth: Depth, key: str) -> bool:
    """Whether a run at this depth reads a key of the plan."""
    return not any(key == part or key.startswith(f"{part}.") for part in UNREAD[depth])


def runnable_tests(depth: Depth) -> tuple[str, ...]:
    """The tests that a run at this depth can do, by name."""
    from auditor.catalogue import TESTS  # statistics: what waits and ticks reads keys of plans, and no test

    cards = {name: test.CARD for name, test in TESTS.items()}
    if depth is Depth.RECORD:
        return tuple(name for name, card in cards.items() if card.needs_decision_file)
    asked = {name: card for name, card in cards.items() if not card.needs_decision_file}
    return tuple(name for name, card in asked.items() if depth is Depth.WEIGHTS or not card.needs_internals)
