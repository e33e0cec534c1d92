"""Two attributes at once: a gap of those who are both, which neither attribute shows alone."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from math import prod

import numpy as np

from auditor.behaviour.metrics import IMPACT_RATIO, RISK_DIFFERENCE, SELECTION_RATE
from auditor.behaviour.observed.drafts import ObservedSheet, sheet_of, untested
from auditor.observed.columns import Levels, crossed, tallies_by
from auditor.observed.contrasts import contrast_of
from auditor.observed.measures import rate_gaps, rate_of
from auditor.plan import Attribute
from auditor.statistics.minimums import GROUP, REFERENCE_GROUP, unmet
from auditor.statistics.rates import TWO_RATE_RULE, Tally
from auditor.statistics.small_cells import suppress
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

CARD = Card(
    name="observed_intersections",
    purpose="How applicants of two attributes at once were decided.",
    method=(
        "Every pair of the plan's attributes, every pair of their groups against both references together: rate, "
        f"difference and impact ratio. {TWO_RATE_RULE}. Adjusted by Benjamini and Hochberg over all of them. Small "
        "groups are hidden with what would give them back."
    ),
    worrying="A gap of those who are both that is larger than the gaps of either.",
    limitations="Groups of two attributes are small: many will be inconclusive, and a gap may hide in them.",
    references=("Crenshaw (1989)",),
    needs_decision_file=True,
    label="Different applicants: two attributes at once",
    metrics=(
        Metric(SELECTION_RATE, "Approval rate", "rate", higher_is_better=True),
        Metric(RISK_DIFFERENCE, "Difference of approval rates", "rate_difference", higher_is_better=True),
        Metric(IMPACT_RATIO, "Impact ratio", "ratio", higher_is_better=True),
    ),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Every pair of attributes."""
    sheet = sheet_of(context, CARD, tests=1)
    pairs = list(combinations(context.plan.attributes, 2))
    if sheet is None or not pairs:
        yield untested(context, CARD, "the plan has one attribute alone") if sheet else untested(context, CARD)
        return
    size = sum(prod(len(attribute.groups) for attribute in pair) - 1 for pair in pairs)
    for first, second in pairs:
        yield from _both(sheet, first, second, size)


def _both(sheet: ObservedSheet, first: Attribute, second: Attribute, size: int) -> Iterable[UnadjustedMeasurement]:
    levels = [sheet.levels(attribute.field) for attribute in (first, second)]
    both = crossed(*levels) if all(each.names for each in levels) else Levels(
        name="", label="", names=(), codes=np.full(sheet.observed.n, -1, dtype=np.int32)
    )  # fmt: skip
    observed = sheet.observed
    decided = tallies_by(both, observed.favourable, among=observed.decided)
    everybody = tallies_by(both, np.ones(observed.n, dtype=np.bool_))
    names = [f"{one}, {other}" for one in first.groups for other in second.groups]
    reference = f"{first.reference}, {second.reference}"
    groups = {name: everybody.get(name, Tally(0, 0)) for name in names}
    hidden = suppress(
        tallies=groups,
        reference=reference,
        unprinted=observed.n - sum(tally.n for tally in groups.values()),
        small_cell=sheet.context.plan.thresholds.small_cell,
    )
    base = decided.get(reference, Tally(0, 0))
    field = f"{first.field} × {second.field}"
    for name in names:
        tally = decided.get(name, Tally(0, 0))
        mine = both.mask(name) & observed.decided
        subject = {"field": field, "group": name}
        yield sheet.row(
            rate_of(observed, observed.favourable, mine, level=sheet.level),
            metric=SELECTION_RATE,
            subject=subject,
            hidden=hidden.reason(name),
            short=unmet({GROUP: tally.n}),
            of_pack=False,
        )
        if name == reference:
            continue
        short = unmet({GROUP: tally.n, REFERENCE_GROUP: base.n})
        contrast = contrast_of(observed, both, group=name, reference=reference)
        gaps = rate_gaps(contrast, level=sheet.level)
        doubts = sheet.doubts(contrast, both)
        for metric, gap in ((RISK_DIFFERENCE, gaps.difference), (IMPACT_RATIO, gaps.ratio)):
            yield sheet.row(
                gap,
                metric=metric,
                subject=subject,
                reference=reference,
                hidden=hidden.comparisons.get(name),
                short=short,
                judged=sheet.rate if metric == RISK_DIFFERENCE else None,
                of_pack=False,
                size=size,
                doubts=doubts,
            )
