"""Of how many a chart is: said in words under each, and of one case there is none."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.records import Measurement
from reports import numbers
from reports.sentences import against, of_different, shown
from reports.small_cells import people
from reports.wording import joined, named

PAIRED = "counterfactual"


def of_one(measurements: Sequence[Measurement]) -> bool:
    """Whether everything that was measured here is of a single case."""
    known = [item.n for item in measurements if item.estimate is not None]
    return bool(known) and max(known) <= 1


def between(counts: Sequence[int]) -> str:
    """The least and the most of several counts, ``480 to 600``, or the one number."""
    return " to ".join(dict.fromkeys(numbers.count(end) for end in (min(counts), max(counts))))


def n_words(measurements: Sequence[Measurement], *, small_cell: int) -> str:
    """``n: 480 to 600 pairs.``, each kind by itself; empty where nothing was measured.

    Groups of fewer people than ``small_cell`` are named as tables name them.
    """
    kinds: dict[str, list[Measurement]] = {}
    for item in measurements:
        if item.estimate is not None and item.n:
            kinds.setdefault(_counted(item), []).append(item)
    said = []
    for kind, items in kinds.items():
        ends = [people(end(items, key=lambda one: one.n), small_cell=small_cell) for end in (min, max)]
        said.append(f"{' to '.join(dict.fromkeys(ends))} {kind}")
    return f"n: {', '.join(said)}." if said else ""


def one_case_words(measurements: Sequence[Measurement]) -> str:
    """What stands in the place of a chart of one case: contrasts with their sizes, of other figures the largest."""
    known = [item for item in measurements if item.estimate is not None]
    if all("group" in item.subject for item in known):
        return f"Of one case there is no chart: {joined([f'{against([item])} {shown(item)}' for item in known])}."
    largest = max(known, key=lambda item: abs(item.estimate or 0.0))
    where = ", ".join(named(key, value) for key, value in largest.subject.items())
    return f"Of one case there is no chart: the largest of {numbers.count(len(known))} is {shown(largest)} ({where})."


def _counted(item: Measurement) -> str:
    if of_different(item):
        return "applicants"
    return "pairs" if item.test == PAIRED else "applications"
