"""From drafts to measurements: adjust every family that was declared, then conclude each test by the one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from auditor.behaviour.context import EXPLORATORY_FAMILY, Draft
from auditor.measures.multiplicity import benjamini_hochberg, holm
from auditor.measures.verdict import conclude
from auditor.records import Check, Measurement


def settle(drafts: Sequence[Draft]) -> tuple[Measurement, ...]:
    """Adjust and conclude.

    Families named ``exploratory``, alone or as ``exploratory: …``, are adjusted by Benjamini and Hochberg, all others
    by Holm. A failed self-check takes the number away: the measurement keeps its row and says which check did not hold.
    A failed check that covers the run leaves every number in its row but lets none of the run's tests be concluded.

    Raises
    ------
    ValueError
        If two drafts share an id.
    """
    ids = [draft.measurement.id for draft in drafts]
    if len(set(ids)) != len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise ValueError(f"two measurements are called {twice!r}")
    adjusted = _adjust([draft.measurement for draft in drafts])
    broken = [check for draft in drafts for check in draft.measurement.checks if check.covers_run and not check.held]
    return tuple(_conclude(draft, adjusted[draft.measurement.id], broken) for draft in drafts)


def _adjust(measurements: Sequence[Measurement]) -> dict[str, float | None]:
    result: dict[str, float | None] = {item.id: None for item in measurements}
    families = dict.fromkeys(item.family for item in measurements if item.family)
    for family in families:
        members = [item for item in measurements if item.family == family]
        method = benjamini_hochberg if family.split(":")[0] == EXPLORATORY_FAMILY else holm
        for member, value in zip(members, method([item.p_value for item in members]), strict=True):
            result[member.id] = value
    return result


def _conclude(draft: Draft, p_adjusted: float | None, broken: Sequence[Check]) -> Measurement:
    item = replace(draft.measurement, p_adjusted=p_adjusted)
    failed = [check for check in item.checks if not check.held]
    if failed:
        reason = f"the self-check {failed[0].name!r} did not hold: {failed[0].value} against {failed[0].bound}"
        item = replace(item, estimate=None, low=None, high=None, sd_units=None, missing_reason=reason)
        item = replace(item, p_value=None, p_adjusted=None)
    if draft.evidence is None:
        return item
    evidence = replace(draft.evidence, p_adjusted=p_adjusted)
    if failed or broken:
        evidence = replace(evidence, checks_held=False, quality_reason=(failed or broken)[0].name)
    verdict = conclude(evidence)
    return replace(item, conclusion=verdict.conclusion, conclusion_reason=verdict.reason)
