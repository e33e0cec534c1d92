"""What may not be printed: groups of few people, and whatever would give their numbers away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from auditor.behaviour.metrics import SELECTION_RATE
from auditor.records import Conclusion, Measurement
from auditor.statistics.rates import Tally
from auditor.statistics.small_cells import suppress
from reports import numbers
from reports.wording import on_file

AS_FILED = "group_rates"
WITHHELD = "withheld"
FEW = "a count of the group, or of the one it is compared with, is smaller than may be printed"
BESIDE = "withheld, so that a group of few people beside it cannot be worked out"


def printable(
    measurements: Sequence[Measurement], *, small_cell: int, total: int | None = None
) -> tuple[Measurement, ...]:
    """The measurements with every number of different applicants taken out that is of few people or shows theirs.

    ``total`` is how many applications were asked about, which a report prints in many places.

    The rule is :func:`auditor.statistics.small_cells.suppress`: a small group loses its rate, every comparison with it
    goes too, and so does another group where the total less the printed ones would give it back.
    """
    hidden = _hidden(measurements, small_cell, total)
    return tuple(_withheld(item, hidden, small_cell) if item.test == AS_FILED else item for item in measurements)


def printed_counts(counts: Mapping[str, int], *, small_cell: int) -> dict[str, str]:
    """Counts of people that add up to a known total, as they may be printed."""
    # Of a list of reasons nobody is favourable: a count is small by itself alone.
    known = {name: Tally(count, count) for name, count in counts.items() if count}
    beside = suppress(tallies=known, small_cell=small_cell)
    return {
        name: WITHHELD if name in beside.complementary else numbers.people(count, small_cell=small_cell)
        for name, count in counts.items()
    }


def people(measurement: Measurement, *, small_cell: int) -> str:
    """How many people a number is of, as it may be printed."""
    if measurement.test != AS_FILED and not on_file(measurement):
        return numbers.count(measurement.n)
    hidden = measurement.counts.get(WITHHELD) or (measurement.estimate is None and measurement.missing_reason)
    return WITHHELD if hidden and not measurement.n else numbers.people(measurement.n, small_cell=small_cell)


def _hidden(measurements: Sequence[Measurement], small_cell: int, total: int | None) -> dict[tuple[str, str], bool]:
    """Field and group of what is hidden; whether for its own counts (True) or to protect another group."""
    tables: dict[str, dict[str, Tally]] = {}
    for item in measurements:
        group = item.subject.get("group")
        if item.test == AS_FILED and item.metric == SELECTION_RATE and group and item.estimate is not None:
            # A group is small by its people, as in the engine; how they were decided is what an audit is about.
            tables.setdefault(item.subject.get("field", ""), {})[group] = Tally(item.n, item.n)
    hidden: dict[tuple[str, str], bool] = {}
    for field, tallies in tables.items():
        # Those of groups without a rate, and of no group: nobody prints them, and a subtraction would.
        rest = max(0, total - sum(tally.n for tally in tallies.values())) if total is not None else 0
        found = suppress(tallies=tallies, unprinted=rest, small_cell=small_cell)
        hidden |= {(field, group): group in found.primary for group in found.hidden}
    return hidden


def _withheld(item: Measurement, hidden: Mapping[tuple[str, str], bool], small_cell: int) -> Measurement:
    field = item.subject.get("field", "")
    concerned = [(field, group) for group in (item.subject.get("group"), item.reference) if group]
    reasons = [hidden[key] for key in concerned if key in hidden]
    if not reasons and not 0 < item.n < small_cell:
        return item
    why = FEW if any(reasons) or not reasons else BESIDE
    # A group's own size says nothing but that it is small; any other size could be subtracted from a total.
    alone = item.metric == SELECTION_RATE and 0 < item.n < small_cell
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
        missing_reason=why,
        conclusion=Conclusion.INCONCLUSIVE if item.conclusion else None,
        conclusion_reason=why if item.conclusion else None,
    )
