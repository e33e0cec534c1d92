"""The matched operating point and the shift of the margin: exploratory, unless the natural cut-off says nothing."""

from __future__ import annotations

from collections.abc import Iterable

from auditor.behaviour.metrics import CF_MEAN_SHIFT, CF_MEAN_SHIFT_SD, CF_NET_EFFECT_MATCHED
from auditor.behaviour.pair_measures import Contrast, concluded, counts_of, enough_pairs, smallest_seen
from auditor.behaviour.turned import at_cut_off, moved_both_ways, turned_both_ways
from auditor.records import Role
from auditor.statistics.equivalence import equivalence_barriers, tost, tost_at_matched_point
from auditor.statistics.margins import MATCHED, MatchedEffect, margin_shift, net_effect_at_matched_point
from auditor.statistics.minimums import MARGINS
from auditor.statistics.pairs import NO_PAIRS, PairCounts
from auditor.statistics.power import detectable_mean_shift, worst_level
from auditor.statistics.results import missing
from auditor.testing.factory import measurement
from auditor.testing.families import MATCHED_FAMILY, NO_MARGINS, SAME_APPLICANTS_FAMILY, SHIFT_FAMILY
from auditor.testing.state import percent
from auditor.testing.unadjusted import UnadjustedMeasurement


def matched_point(contrast: Contrast) -> UnadjustedMeasurement:
    """Δ with one threshold for all arms, at which the reference arm's rate is the data's (or the plan's)."""
    context = contrast.context
    thresholds, target = context.plan.thresholds, context.target_rate
    if target is None or not contrast.has_margins:
        reason = "no outcome is recorded" if target is None else NO_MARGINS if contrast.n else NO_PAIRS
        effect = MatchedEffect(None, PairCounts(0, 0, 0, 0), missing(method=MATCHED, reason=reason, n=0))
    else:
        effect = net_effect_at_matched_point(
            control=contrast.pairs.control.margins,
            protected=contrast.pairs.protected.margins,
            clusters=contrast.pairs.profiles,
            target_rate=target,
            **contrast.readable,
            **contrast.options,
        )
    carries = bool(contrast.silent)
    alpha, family_size = _level(contrast, carries=carries)
    spread = effect.threshold_interval
    return concluded(
        contrast,
        effect.estimate,
        metric=CF_NET_EFFECT_MATCHED,
        role=Role.PRIMARY if carries else Role.EXPLORATORY,
        unit="rate_difference",
        family=MATCHED_FAMILY if carries else SAME_APPLICANTS_FAMILY,
        carries=carries,
        family_size=family_size,
        practical=thresholds.practical_rate,
        mde=smallest_seen(
            contrast.effective(effect.counts), alpha=alpha, family_size=family_size, power=thresholds.power
        ),
        claim=(
            tost_at_matched_point(effect=effect, margin=thresholds.equivalence_rate, alpha=thresholds.alpha)
            if effect.point is not None and contrast.profiles == contrast.n
            else None
        ),
        quality=_says_nothing(effect, context.plan.operating_point.degenerate_share),
        equivalence_barriers=(
            equivalence_barriers(
                counts=contrast.effective(effect.counts), margin=thresholds.equivalence_rate, alpha=thresholds.alpha
            )
            if effect.counts.n
            else ()
        ),
        absence_barriers=(
            turned_both_ways(contrast, [at_cut_off(contrast, effect.point.threshold)])
            if effect.point is not None
            else ()
        ),
        at_cut_off=True,
        counts={
            **counts_of(effect.counts),
            "margins_alone": int(contrast.margins_alone),
            "jumps": int(effect.jumps),
            "threshold_low": spread.low if spread else None,
            "threshold_high": spread.high if spread else None,
        },
    )


def _says_nothing(effect: MatchedEffect, share: float) -> tuple[str, ...]:
    """Why the matched operating point says nothing; empty if it does."""
    if effect.point is None:
        return ()
    found = []
    same = max(effect.point.achieved_rate, 1 - effect.point.achieved_rate)
    # Margins that do not vary give one outcome at every threshold; no flips then say nothing about the attribute.
    if same >= share:
        found.append(f"{percent(same)} of the reference arm get one outcome at the matched cut-off too")
    if effect.jumps and effect.threshold_interval is not None:
        spread = effect.threshold_interval
        found.append(
            "the margins lie so close, or in such clumps, that the threshold set anew jumps from sample to sample "
            f"(from {spread.low:.3g} to {spread.high:.3g} nats); read the effect over the cut-off range instead"
        )
    return tuple(found)


def shift_of_margins(contrast: Contrast) -> Iterable[UnadjustedMeasurement]:
    """Mean shift of the margin, in nats and in SDs of the reference arm's margins."""
    thresholds = contrast.context.plan.thresholds
    carries = bool(contrast.silent)
    if not contrast.has_margins and contrast.n:
        lacking = missing(method="mean margin shift", reason=NO_MARGINS, n=contrast.n)
        yield UnadjustedMeasurement(
            measurement(lacking, metric=CF_MEAN_SHIFT, role=Role.SECONDARY, unit="logit", **contrast.common)
        )
        return
    shift = margin_shift(
        control=contrast.pairs.control.margins,
        protected=contrast.pairs.protected.margins,
        clusters=contrast.pairs.profiles,
        **contrast.options,
    )
    yield UnadjustedMeasurement(
        measurement(
            enough_pairs(shift.estimate, minimum=MARGINS),
            metric=CF_MEAN_SHIFT,
            role=Role.SECONDARY,
            unit="logit",
            counts={"reference_sd": shift.reference_sd},
            **contrast.common,
        )
    )
    differences = contrast.pairs.protected.margins - contrast.pairs.control.margins
    mde = None
    alpha, family_size = _level(contrast, carries=carries)
    if shift.reference_sd and len(differences) > 1:
        spread = float(differences.std(ddof=1)) / shift.reference_sd
        level = worst_level(alpha=alpha, family_size=family_size)
        mde = detectable_mean_shift(n=contrast.profiles, sd=spread, alpha=level, power=thresholds.power).value
    claim = None
    if shift.standardised.sample is not None:
        claim = tost(interval=shift.standardised.sample, margin=thresholds.practical_margin_sd, alpha=thresholds.alpha)
    yield concluded(
        contrast,
        shift.standardised,
        metric=CF_MEAN_SHIFT_SD,
        role=Role.PRIMARY if carries else Role.EXPLORATORY,
        unit="sd",
        family=SHIFT_FAMILY if carries else SAME_APPLICANTS_FAMILY,
        carries=carries,
        family_size=family_size,
        practical=thresholds.practical_margin_sd,
        scale="standardised",
        mde=mde,
        claim=claim,
        absence_barriers=(
            moved_both_ways(contrast, by=thresholds.practical_margin_sd * shift.reference_sd)
            if shift.reference_sd
            else ()
        ),
        counts=contrast.moved,
        minimum=MARGINS,
    )


def _level(contrast: Contrast, *, carries: bool) -> tuple[float, int]:
    """The level of the family, and how many tests it holds: what a contrast would face at its worst step."""
    thresholds = contrast.context.plan.thresholds
    if carries:
        return thresholds.alpha, contrast.family_size
    # The exploratory family holds two tests a contrast: the matched point and the shift.
    return thresholds.exploratory_q, 2 * contrast.family_size
