"""From drafts to measurements: adjust every family that was declared, then conclude each test by the one order.

families adjusted ─▶ readability concluded ─▶ cut-off range concluded ─▶ everything else
                          │                         │
  answers unreadable: no outcome contrast    a difference at another cut-off: no contrast at
  of that attribute shows an absence         one cut-off shows an absence
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from auditor.records import Check, Conclusion, Measurement
from auditor.rounding import printed, significant
from auditor.statistics.equivalence import deciding_interval
from auditor.statistics.multiplicity import benjamini_hochberg, holm, holm_alphas
from auditor.statistics.multiplicity import significant as at_level
from auditor.statistics.results import Interval
from auditor.statistics.verdict import Evidence, conclude, size
from auditor.testing.families import EXPLORATORY_FAMILY, NO_MARGINS, RANGE_FAMILY, READABILITY_FAMILY
from auditor.testing.unadjusted import UnadjustedMeasurement

FAMILY_SIZE = "family_size"
"""The count under which a measurement keeps how many tests its p-value was adjusted over."""

JUDGED = ("largest_margin_difference", "threshold")
"""Counts that are the very figure a check judged, or the design: they stay where it took everything else away."""

SEEN = (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD)
EQUIVALENT = Conclusion.EQUIVALENT_WITHIN_MARGIN


def adjust_and_conclude(drafts: Sequence[UnadjustedMeasurement]) -> tuple[Measurement, ...]:
    """Adjust and conclude.

    Families named ``exploratory``, alone or as ``exploratory: …``, are adjusted by Benjamini and Hochberg, all others
    by Holm; the equivalence claims of a family are adjusted by Holm among themselves. A family is what the plan
    declared: a member without a p-value counts in it as p = 1, so that no data can make the others' adjustment milder.
    A doubt of the run lets none of its tests be called equivalent.
    A failed self-check takes every number away: the measurement keeps its row and says which check did not hold. A
    failed check that covers the run leaves every number in its row but lets none of the run's tests be concluded.

    Raises
    ------
    ValueError
        If two drafts share an id.
    """
    ids = [draft.measurement.id for draft in drafts]
    if len(set(ids)) != len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise ValueError(f"two measurements are called {twice!r}")
    adjusted = _adjust(drafts, lambda draft: None if _failed(draft) else draft.measurement.p_value, _method)
    drafts = [_with_size(draft, _size(drafts, draft.measurement.family)) for draft in drafts]
    ready = _with_equivalence(drafts)
    broken = [check for draft in drafts for check in draft.measurement.checks if check.covers_run and not check.held]
    bars = _bars(drafts)
    doubts = tuple(dict.fromkeys(draft.run_doubt for draft in drafts if draft.run_doubt))
    done: dict[str, Measurement] = {}
    doubted: dict[str, Measurement] = {}
    for family in (READABILITY_FAMILY, RANGE_FAMILY, None):
        barriers = _barriers(list(done.values()))
        for draft in ready:
            name = draft.measurement.id
            if name not in done and family in (None, draft.measurement.family):
                barred = _barred(draft, barriers, bars.get(_bar_key(draft, draft.measurement.metric), ()))
                done[name] = _conclude(barred, adjusted[name], broken)
                if doubts and done[name].conclusion is EQUIVALENT:
                    doubted[name] = _conclude(_doubted(barred, doubts), adjusted[name], broken)
    # Last: a doubt of the run is no gap in readable answers, nor a difference at another cut-off.
    done |= doubted
    return tuple(done[name] for name in ids)


class Adjustment(Protocol):
    """Holm's, or Benjamini and Hochberg's."""

    def __call__(self, p_values: Sequence[float | None], *, family_size: int | None = None) -> list[float | None]:
        """Adjusted p-values in the order given."""


def _method(family: str) -> Adjustment:
    return benjamini_hochberg if family.split(":", maxsplit=1)[0] == EXPLORATORY_FAMILY else holm


def _failed(draft: UnadjustedMeasurement) -> list[Check]:
    """The checks of a measurement that did not hold: what was read under them may not help others either."""
    return [check for check in draft.measurement.checks if not check.held]


def _members(drafts: Sequence[UnadjustedMeasurement], family: str | None) -> list[UnadjustedMeasurement]:
    return [draft for draft in drafts if draft.measurement.family == family]


def _size(drafts: Sequence[UnadjustedMeasurement], family: str | None) -> int:
    """How many tests the family of this name was declared with; 0 of what stands in none."""
    members = _members(drafts, family) if family else []
    return max([len(members), *(draft.family_size for draft in members if draft.family_size is not None)])


def _with_size(draft: UnadjustedMeasurement, size: int) -> UnadjustedMeasurement:
    if not size or draft.measurement.p_value is None:
        return draft
    item = replace(draft.measurement, counts={**draft.measurement.counts, FAMILY_SIZE: size})
    return replace(draft, measurement=item)


def _adjust(
    drafts: Sequence[UnadjustedMeasurement],
    p_of: Callable[[UnadjustedMeasurement], float | None],
    method: Callable[[str], Adjustment],
) -> dict[str, float | None]:
    result: dict[str, float | None] = {draft.measurement.id: None for draft in drafts}
    for family in dict.fromkeys(draft.measurement.family for draft in drafts if draft.measurement.family):
        members = _members(drafts, family)
        values = method(family)([p_of(draft) for draft in members], family_size=_size(drafts, family))
        for member, value in zip(members, values, strict=True):
            result[member.measurement.id] = value
    return result


def _with_equivalence(drafts: Sequence[UnadjustedMeasurement]) -> list[UnadjustedMeasurement]:
    """Decide the equivalence claims of every family by Holm; keep the interval that decides, at its level."""

    def claim(draft: UnadjustedMeasurement) -> float | None:
        return None if draft.equivalence is None or _failed(draft) else draft.equivalence.p_value

    adjusted = _adjust(drafts, claim, lambda _: holm)
    ready = []
    for draft in drafts:
        p_adjusted = adjusted[draft.measurement.id]
        if draft.evidence is None or draft.equivalence is None or p_adjusted is None:
            ready.append(draft)
            continue
        alpha = draft.evidence.equivalence_alpha
        name = draft.measurement.family
        family = _members(drafts, name)
        levels = holm_alphas([claim(other) for other in family], alpha=alpha, family_size=_size(drafts, name))
        level = levels[family.index(draft)]
        assert level is not None  # noqa: S101 - it has a p-value, so it has a step
        interval = draft.deciding(level) if draft.deciding else deciding_interval(draft.equivalence, alpha=level)
        evidence = replace(
            draft.evidence,
            equivalent=p_adjusted < alpha,
            equivalence=_equivalence(
                draft.evidence,
                interval,
                draft.equivalence.margin,
                p_adjusted,
                place=", at the cut-off where that is least sure," if draft.deciding else "",
            ),
        )
        kept: dict[str, float | int | None] = {
            "equivalence_low": interval.low if interval else None,
            "equivalence_high": interval.high if interval else None,
            "equivalence_level": interval.level if interval else None,
            "equivalence_p": p_adjusted,
        }
        item = replace(draft.measurement, counts={**draft.measurement.counts, **kept})
        ready.append(replace(draft, measurement=item, evidence=evidence))
    return ready


def _equivalence(evidence: Evidence, interval: Interval | None, margin: float, p_adjusted: float, *, place: str) -> str:
    """The sentence; ``place`` where the interval is not that of the estimate beside it."""
    within = f"within ±{size(margin, evidence.scale)}, the margin set before the run"
    if interval is None:
        return f"The difference lies {within} (adjusted p = {significant(p_adjusted, 3)})"
    low, high = (size(bound, evidence.scale, signed=True) for bound in (interval.low, interval.high))
    return (
        f"The difference lies {within}: the {100 * interval.level:.4g}% interval that decides{place} runs from {low} "
        f"to {high} (adjusted p = {significant(p_adjusted, 3)})"
    )


@dataclass(frozen=True)
class _Barriers:
    """What tests already concluded say against reading others as the absence of a difference.

    ``unreadable`` by field: gaps in readable answers. By field and group ``elsewhere``: a difference at a cut-off;
    ``undrawn``: why the effect against the cut-off does not stand behind an equivalence.
    """

    unreadable: dict[str, tuple[str, ...]]
    elsewhere: dict[tuple[str, str], str]
    undrawn: dict[tuple[str, str], str]


def _barriers(done: Sequence[Measurement]) -> _Barriers:
    unreadable: dict[str, tuple[str, ...]] = {}
    elsewhere: dict[tuple[str, str], str] = {}
    undrawn: dict[tuple[str, str], str] = {}
    for item in done:
        field, group = item.subject.get("field", ""), item.subject.get("group", "")
        stage = item.family
        if stage == READABILITY_FAMILY and item.conclusion is not Conclusion.EQUIVALENT_WITHIN_MARGIN:
            word = "was found" if item.conclusion in SEEN else "is not excluded within the margin"
            said = f"a gap in readable answers between {group} and {item.reference} {word}"
            unreadable[field] = (*unreadable.get(field, ()), said)
        if stage == RANGE_FAMILY and item.estimate is None and item.missing_reason != NO_MARGINS:
            undrawn[field, group] = f"the effect could not be drawn against the cut-off: {item.missing_reason}"
        if stage == RANGE_FAMILY and item.estimate is not None and item.conclusion not in (*SEEN, EQUIVALENT):
            undrawn[field, group] = (
                "over all cut-offs of the plan's range a difference beyond the margin is not excluded"
            )
        if stage == RANGE_FAMILY and item.conclusion in SEEN and item.estimate is not None:
            rate = float(item.counts.get("rate") or 0.0)
            elsewhere[field, group] = (
                f"at a cut-off where {printed(float(rate), 0, percent=True)}% of the {item.reference} arm are "
                f"approved, the same applications "
                f"differ by {size(item.estimate, 'rate difference', signed=True)}"
            )
    return _Barriers(unreadable, elsewhere, undrawn)


_BarKey = tuple[str, str, str | None, str]


def _bar_key(draft: UnadjustedMeasurement, metric: str) -> _BarKey:
    subject = draft.measurement.subject
    return subject.get("field", ""), subject.get("group", ""), draft.measurement.reference, metric


def _bars(drafts: Sequence[UnadjustedMeasurement]) -> dict[_BarKey, tuple[str, ...]]:
    """What measurements say against the absence in others, by contrast and metric."""
    found: dict[_BarKey, tuple[str, ...]] = {}
    for draft in drafts:
        if draft.bars is None:
            continue
        why = draft.bars.why
        for metric in sorted(draft.bars.metrics):
            key = _bar_key(draft, metric)
            found[key] = (*found.get(key, ()), why)
    return found


def _barred(draft: UnadjustedMeasurement, barriers: _Barriers, bars: tuple[str, ...] = ()) -> UnadjustedMeasurement:
    """The draft with what stands against concluding that there is no difference."""
    if draft.evidence is None:
        return draft
    field, group = (draft.measurement.subject.get(key, "") for key in ("field", "group"))
    found = [*draft.evidence.absence_barriers, *bars]
    if draft.outcome:
        found += barriers.unreadable.get(field, ())
    if draft.at_cut_off and (field, group) in barriers.elsewhere:
        found.append(barriers.elsewhere[field, group])
    barred = list(draft.evidence.equivalence_barriers)
    if draft.at_cut_off and (field, group) in barriers.undrawn:
        barred.append(barriers.undrawn[field, group])
    evidence = replace(draft.evidence, absence_barriers=tuple(found), equivalence_barriers=tuple(barred))
    return replace(draft, evidence=evidence)


def _doubted(draft: UnadjustedMeasurement, doubts: tuple[str, ...]) -> UnadjustedMeasurement:
    assert draft.evidence is not None  # noqa: S101 - it was concluded
    barred = (*draft.evidence.equivalence_barriers, *doubts)
    return replace(draft, evidence=replace(draft.evidence, equivalence_barriers=barred))


def _conclude(draft: UnadjustedMeasurement, p_adjusted: float | None, broken: Sequence[Check]) -> Measurement:
    item = replace(draft.measurement, p_adjusted=p_adjusted)
    failed = _failed(draft)
    if failed:
        reason = f"the self-check {failed[0].name!r} did not hold: {failed[0].value} against {failed[0].bound}"
        item = replace(item, estimate=None, low=None, high=None, sd_units=None, missing_reason=reason)
        item = replace(item, p_value=None, p_adjusted=None, counts=_withheld(item.counts))
        if item.conclusion_reason is not None:
            # A sentence made before the check was read names the numbers that are now withheld.
            item = replace(item, conclusion_reason=f"{reason[0].upper()}{reason[1:]}.")
        if item.conclusion is not None:
            item = replace(item, conclusion=Conclusion.INCONCLUSIVE)
    if draft.evidence is None:
        # Nothing is concluded from it, but findings read an adjusted p of what is described: a broken run has none.
        return replace(item, p_adjusted=None) if broken else item
    evidence = replace(draft.evidence, p_adjusted=p_adjusted)
    if failed or broken:
        evidence = replace(evidence, checks_held=False, quality_reason=(failed or broken)[0].name)
    verdict = conclude(evidence)
    reason = f"{verdict.reason}{_beside(item, evidence)}"
    return replace(item, conclusion=verdict.conclusion, conclusion_reason=reason)


def _withheld(counts: Mapping[str, float | int | None]) -> dict[str, float | int | None]:
    """Counts of a measurement whose check failed: they come from the same readings as its estimate."""
    return {name: value if name in JUDGED else None for name, value in counts.items()}


def _beside(item: Measurement, evidence: Evidence) -> str:
    """A word on an interval and an adjusted p of which one leaves "no difference" out and the other does not."""
    if item.low is None or item.high is None or item.p_adjusted is None:
        return ""
    null = 1.0 if evidence.scale == "ratio" else 0.0
    clear, covered = at_level(item.p_adjusted, alpha=evidence.alpha), item.low <= null <= item.high
    if clear != covered:
        return ""
    # The interval's own level is what its test alone would have to meet; only beyond that is another cause named.
    alone = item.p_value is not None and item.p_value < 1 - item.level
    if clear and evidence.exploratory and not alone:
        return (
            f" The interval reaches {null:g} because it stands at {100 * item.level:.4g}%, while an exploratory signal "
            f"is judged by a share of {100 * evidence.alpha:.3g}% false ones."
        )
    if clear:
        return f" The interval reaches {null:g} because it is made in another way than the test; the test decides."
    if not alone:
        return f" The interval leaves out {null:g} because it is made in another way than the test; the test decides."
    return (
        f" The interval leaves out {null:g} because it stands for this one comparison alone; over all comparisons of "
        "its family the difference is not significant."
    )
