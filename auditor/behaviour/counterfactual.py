"""Counterfactual pairs: does the decision change when only a protected attribute changes?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from auditor.behaviour.context import (
    EXPLORATORY_FAMILY,
    MATCHED_FAMILY,
    PRIMARY_FAMILY,
    SHIFT_FAMILY,
    Card,
    Context,
    Draft,
    Pairs,
    case_query,
)
from auditor.behaviour.fill import measurement
from auditor.counterfactuals import arm
from auditor.measures.equivalence import tost, tost_at_matched_point, tost_pairs
from auditor.measures.margins import MatchedEffect, margin_shift, net_effect_at_matched_point
from auditor.measures.pairs import (
    PairCounts,
    clustered_net_effect,
    count_pairs,
    flip_rates,
    net_effect,
)
from auditor.measures.power import detectable_mean_shift, detectable_net_effect, detectable_one_way_effect
from auditor.measures.results import Estimate, Interval
from auditor.measures.verdict import Evidence
from auditor.plan import Attribute
from auditor.records import Role

CARD = Card(
    name="counterfactual",
    purpose="Whether the same application is decided differently when only a protected attribute is changed.",
    method=(
        "Every application is put to the model once for each group of the attribute, all other "
        "words the same. One pair "
        "a base application. Net effect with exact McNemar, clustered bootstrap interval (Tango's score interval under "
        "10 discordant pairs), two one-sided tests for equivalence; the same at the matched "
        "operating point; and the mean "
        "shift of the margin with a sign-flip permutation test."
    ),
    worrying=(
        "A net effect whose interval stays away from zero, or many flips above the noise floor in either direction."
    ),
    limitations=(
        "It shows what an explicitly stated attribute changes, in this prompt and these "
        "applications. It does not speak "
        "of proxies, of other wordings, or of what people do with the answer."
    ),
    references=("McNemar (1947)", "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B"),
)


def run(context: Context) -> Iterable[Draft]:
    """All measurements of all contrasts."""
    for attribute, group in context.contrasts():
        pairs = context.pairs(arm(attribute.field, attribute.reference), arm(attribute.field, group))
        yield from _contrast(context, attribute, group, pairs)


def _contrast(context: Context, attribute: Attribute, group: str, pairs: Pairs) -> Iterable[Draft]:
    thresholds, state = context.plan.thresholds, context.state
    subject = {"field": attribute.field, "group": group}
    cases = case_query(arm(attribute.field, attribute.reference), arm(attribute.field, group))
    contrasts = len(context.contrasts())
    options = {"level": 1 - thresholds.alpha, "resamples": thresholds.bootstrap, "seed": context.plan.cases.seed}
    common: dict[str, Any] = {"test": CARD.name, "subject": subject, "reference": attribute.reference, "cases": cases}
    enough = len(pairs.clusters) >= 1

    counts = count_pairs(control=pairs.control.favourable, protected=pairs.protected.favourable)
    effect, equivalent = _natural_effect(pairs, counts, thresholds.equivalence_rate, thresholds.alpha, options)
    mde = _mde(counts, alpha=thresholds.alpha / contrasts, power=thresholds.power)
    yield Draft(
        measurement(
            effect,
            metric="cf_net_effect",
            role=Role.PRIMARY,
            unit="rate_difference",
            family=PRIMARY_FAMILY,
            counts={**_counts(counts), "mde": mde},
            **common,
        ),
        Evidence(
            estimate=effect.value,
            p_adjusted=None,
            practical_threshold=thresholds.practical_rate,
            denominators_ok=enough,
            degenerate=state.degenerate,
            quality_reason="; ".join(state.reasons),
            equivalent=equivalent,
            mde=mde,
            alpha=thresholds.alpha,
            pairs=counts.n,
        ),
    )
    yield from _flips(counts, common, 1 - thresholds.alpha)
    yield from _matched(context, pairs, common, options, contrasts)
    yield from _shift(context, pairs, common, options, contrasts)
    yield from _invalid(pairs, common)


def _natural_effect(
    pairs: Pairs, counts: PairCounts, margin: float, alpha: float, options: dict[str, Any]
) -> tuple[Estimate, bool | None]:
    """Δ with exact McNemar; the bootstrap interval where it has flips to work on, Tango's where it has not."""
    exact = net_effect(counts, level=1 - alpha)
    if counts.n == 0:
        return exact.estimate, None
    clustered = clustered_net_effect(
        control=pairs.control.favourable, protected=pairs.protected.favourable, clusters=pairs.clusters, **options
    )
    equivalence = tost_pairs(counts=counts, margin=margin, clustered=clustered.sample, alpha=alpha)
    few = counts.discordant < 10
    return (
        Estimate(
            value=exact.estimate.value,
            n=counts.n,
            method="net effect of one pair an application",
            interval=exact.estimate.interval if few else clustered.interval,
            tost_interval=exact.estimate.tost_interval if few else clustered.tost_interval,
            test=exact.estimate.test,
            counts=counts.as_counts(),
        ),
        equivalence.established,
    )


def _flips(counts: PairCounts, common: dict[str, Any], level: float) -> Iterable[Draft]:
    rates = flip_rates(counts, level=level)
    for metric, estimate in (
        ("cf_flip_rate", rates.total),
        ("cf_flip_rate_against", rates.against),
        ("cf_flip_rate_towards", rates.towards),
    ):
        yield Draft(
            measurement(
                estimate,
                metric=metric,
                role=Role.SECONDARY,
                unit="rate",
                higher_is_better=False,
                **common,
            )
        )


def _matched(
    context: Context, pairs: Pairs, common: dict[str, Any], options: dict[str, Any], contrasts: int
) -> Iterable[Draft]:
    thresholds, state = context.plan.thresholds, context.state
    target = context.target_rate
    if target is None:
        effect = MatchedEffect(
            None,
            PairCounts(0, 0, 0, 0),
            Estimate(
                value=None, n=0, method="net effect at the matched operating point", reason="no outcome is recorded"
            ),
        )
    else:
        effect = net_effect_at_matched_point(
            control=pairs.control.margins,
            protected=pairs.protected.margins,
            clusters=pairs.clusters,
            target_rate=target,
            **options,
        )
    # Margins that do not vary give one outcome at every threshold; no flips then say nothing about the attribute.
    one_sided = _one_sided(effect, context.plan.operating_point.degenerate_share)
    carries = state.degenerate
    alpha = thresholds.alpha / contrasts if carries else thresholds.alpha
    mde = _mde(effect.counts, alpha=alpha, power=thresholds.power)
    yield Draft(
        measurement(
            effect.estimate,
            metric="cf_net_effect_matched",
            role=Role.PRIMARY if carries else Role.EXPLORATORY,
            unit="rate_difference",
            family=MATCHED_FAMILY if carries else EXPLORATORY_FAMILY,
            counts={**_counts(effect.counts), "mde": mde},
            **common,
        ),
        Evidence(
            estimate=effect.estimate.value,
            p_adjusted=None,
            practical_threshold=thresholds.practical_rate,
            degenerate=bool(one_sided),
            quality_reason=one_sided,
            equivalent=equivalent_at_matched_point(effect, margin=thresholds.equivalence_rate, alpha=thresholds.alpha),
            mde=mde,
            alpha=thresholds.alpha if carries else thresholds.exploratory_q,
            pairs=effect.counts.n,
        ),
    )


def equivalent_at_matched_point(effect: MatchedEffect, *, margin: float, alpha: float) -> bool | None:
    """Whether equivalence holds by the counts and by the resamples; ``None`` if unknown.

    The score interval of few flips takes the threshold for given; resamples set it anew. Both must lie inside.
    """
    return tost_at_matched_point(effect=effect, margin=margin, alpha=alpha).established


def _one_sided(effect: MatchedEffect, share: float) -> str:
    """Why the matched operating point says nothing, or nothing if it does."""
    if effect.point is None:
        return ""
    same = max(effect.point.achieved_rate, 1 - effect.point.achieved_rate)
    if same < share:
        return ""
    return f"{same:.1%} of the reference arm get one outcome at the matched operating point too"


def _shift(
    context: Context, pairs: Pairs, common: dict[str, Any], options: dict[str, Any], contrasts: int
) -> Iterable[Draft]:
    thresholds, state = context.plan.thresholds, context.state
    shift = margin_shift(
        control=pairs.control.margins, protected=pairs.protected.margins, clusters=pairs.clusters, **options
    )
    yield Draft(
        measurement(
            shift.estimate,
            metric="cf_mean_shift",
            role=Role.SECONDARY,
            unit="logit",
            counts={"reference_sd": shift.reference_sd},
            **common,
        )
    )
    carries = state.degenerate
    differences = pairs.protected.margins - pairs.control.margins
    mde = None
    if shift.reference_sd and len(differences) > 1:
        spread = float(differences.std(ddof=1)) / shift.reference_sd
        alpha = thresholds.alpha / contrasts if carries else thresholds.alpha
        mde = detectable_mean_shift(n=len(differences), sd=spread, alpha=alpha, power=thresholds.power).value
    standardised = shift.standardised
    equivalence = tost(
        interval=standardised.tost_interval, margin=thresholds.practical_margin_sd, alpha=thresholds.alpha
    )
    yield Draft(
        measurement(
            standardised,
            metric="cf_mean_shift_sd",
            role=Role.SECONDARY if carries else Role.EXPLORATORY,
            unit="sd",
            family=SHIFT_FAMILY if carries else EXPLORATORY_FAMILY,
            counts={"mde": mde},
            **common,
        ),
        Evidence(
            estimate=standardised.value,
            p_adjusted=None,
            practical_threshold=thresholds.practical_margin_sd,
            scale="standardised",
            equivalent=equivalence.established,
            mde=mde,
            alpha=thresholds.alpha if carries else thresholds.exploratory_q,
            pairs=len(pairs.clusters),
        ),
    )


def _invalid(pairs: Pairs, common: dict[str, Any]) -> Iterable[Draft]:
    """Unusable answers as an outcome of their own: positive means more of them in the protected arm."""
    counts = count_pairs(control=pairs.control.invalid, protected=pairs.protected.invalid)
    effect = net_effect(counts)
    yield Draft(
        measurement(
            effect.estimate,
            metric="cf_invalid_gap",
            role=Role.EXPLORATORY,
            unit="rate_difference",
            higher_is_better=False,
            family=EXPLORATORY_FAMILY,
            counts=_counts(counts),
            **common,
        )
    )


def _mde(counts: PairCounts, *, alpha: float, power: float) -> float | None:
    """Smallest |Δ| seen with the plan's power: at the discordance observed, and never below what one-way flips need."""
    if counts.n == 0:
        return None
    one_way = detectable_one_way_effect(n=counts.n, alpha=alpha, power=power).value
    if one_way is None or not counts.discordant:
        return one_way
    connor = detectable_net_effect(n=counts.n, discordance=counts.discordant / counts.n, alpha=alpha, power=power).value
    return one_way if connor is None else max(connor, one_way)


def _counts(counts: PairCounts) -> dict[str, float | int | None]:
    return {
        "b": counts.b,
        "c": counts.c,
        "flips": counts.discordant,
        "favourable_reference": counts.a + counts.b,
        "favourable_group": counts.a + counts.c,
    }


def interval_of(low: float | None, high: float | None, level: float, method: str) -> Interval | None:
    """An interval from a measurement's columns; ``None`` where a bound is missing."""
    return None if low is None or high is None else Interval(low, high, level, method)
