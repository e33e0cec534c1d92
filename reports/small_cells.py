"""What may not be printed: groups of few people, and whatever would give their numbers away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from auditor.records import Measurement
from reports import numbers

AS_FILED = "group_rates"
WITHHELD = "withheld"
FEW = "the group holds fewer people than may be printed"
BESIDE = "withheld, so that a group of few people beside it cannot be worked out"


def printable(measurements: Sequence[Measurement], *, small_cell: int) -> tuple[Measurement, ...]:
    """The measurements with every number of different applicants taken out that is of few people or shows theirs.

    A group below ``small_cell`` loses its rate and every comparison with it. One hidden group could be worked out from
    the others and the total, so the next smallest of the same field is hidden with it.
    """
    hidden = _hidden(measurements, small_cell)
    return tuple(_withheld(item, hidden, small_cell) if item.test == AS_FILED else item for item in measurements)


def printed_counts(counts: Mapping[str, int], *, small_cell: int) -> dict[str, str]:
    """Counts of people that add up to a known total, as they may be printed."""
    small = _with_another({name: count for name, count in counts.items() if count}, small_cell)
    return {
        name: numbers.people(count, small_cell=small_cell)
        if name not in small or count < small_cell
        else WITHHELD
        for name, count in counts.items()
    }


def people(measurement: Measurement, *, small_cell: int) -> str:
    """How many people a number is of, as it may be printed."""
    if measurement.test != AS_FILED:
        return numbers.count(measurement.n)
    if measurement.counts.get(WITHHELD):
        return numbers.people(measurement.n, small_cell=small_cell) if measurement.n else WITHHELD
    return numbers.people(measurement.n, small_cell=small_cell)


def _hidden(measurements: Sequence[Measurement], small_cell: int) -> dict[tuple[str, str], bool]:
    """Field and group of what is hidden; whether because it is small itself."""
    sizes: dict[str, dict[str, int]] = {}
    for item in measurements:
        if item.test == AS_FILED and item.metric == "selection_rate" and item.subject.get("group"):
            sizes.setdefault(item.subject.get("field", ""), {})[item.subject["group"]] = item.n
    return {
        (field, group): groups[group] < small_cell
        for field, groups in sizes.items()
        for group in _with_another({name: count for name, count in groups.items() if count}, small_cell)
    }


def _with_another(counts: Mapping[str, int], small_cell: int) -> set[str]:
    """The names of small counts and, where only one is, of the next smallest."""
    small = {name for name, count in counts.items() if count < small_cell}
    if len(small) == 1 and len(counts) > 1:
        small.add(min((name for name in counts if name not in small), key=lambda name: (counts[name], name)))
    return small


def _withheld(item: Measurement, hidden: Mapping[tuple[str, str], bool], small_cell: int) -> Measurement:
    field = item.subject.get("field", "")
    concerned = [(field, group) for group in (item.subject.get("group"), item.reference) if group]
    reasons = [hidden[key] for key in concerned if key in hidden]
    if not reasons and not 0 < item.n < small_cell:
        return item
    small = any(reasons) or not reasons
    alone = item.metric == "selection_rate" and small
    return replace(
        item,
        estimate=None,
        low=None,
        high=None,
        sd_units=None,
        p_value=None,
        p_adjusted=None,
        n=item.n if alone else 0,
        counts={WITHHELD: 1},
        missing_reason=FEW if small else BESIDE,
        conclusion_reason=(FEW if small else BESIDE) if item.conclusion else None,
    )
