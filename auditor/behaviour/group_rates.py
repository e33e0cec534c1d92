"""Group rates as filed: how different applicants fare. A description, not a comparison of like with like.

A pack of the plan may make one of the measures primary (an impact ratio under a law that knows disparate impact). It is
then concluded against the pack's threshold in a confirmatory family of its own, apart from everything exploratory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from auditor.behaviour.metrics import DENIAL_ODDS_RATIO, IMPACT_RATIO, RISK_DIFFERENCE, SELECTION_RATE, SHORTFALL, SMD
from auditor.behaviour.shown_rates import dependence, of_people, shown_rate
from auditor.counterfactuals import ACTUAL
from auditor.plan import Attribute
from auditor.policies.packs import MetricRule, metric_rule
from auditor.records import Role
from auditor.statistics.groups import HIGHEST_RATE, impact_ratios
from auditor.statistics.minimums import GROUP, REFERENCE_GROUP, unmet
from auditor.statistics.power import detectable_mean_shift, detectable_rate_difference, worst_level
from auditor.statistics.rates import (
    TWO_RATE_RULE,
    Tally,
    adverse_impact_ratio,
    denial_odds_ratio,
    risk_difference,
    shortfall,
)
from auditor.statistics.results import Estimate, missing
from auditor.statistics.scores import smd
from auditor.statistics.small_cells import suppress
from auditor.statistics.verdict import Evidence
from auditor.testing.card import Card, Metric
from auditor.testing.context import Arm, Context, case_query
from auditor.testing.factory import measurement
from auditor.testing.families import FILED_FAMILY, NO_MARGINS
from auditor.testing.unadjusted import UnadjustedMeasurement

CARD = Card(
    name="group_rates",
    purpose="How the model decides the applications of each group as they were filed.",
    method=(
        "Rates with Wilson intervals, impact ratio with log interval, risk difference with Newcombe's interval, denial "
        "odds ratio, standardised mean difference of the margin (pooled SD), shortfall in people. One test a table: "
        f"{TWO_RATE_RULE}. Exploratory, BH-adjusted, unless a pack of the plan makes a measure primary: then against "
        "the pack's threshold, Holm-adjusted. Small groups are hidden, and with them everything that would give their "
        "rate back."
    ),
    worrying="A gap that the counterfactual pairs show too.",
    limitations=(
        "Different applicants differ in income, debt and history. A gap here is not evidence of "
        "different treatment, and "
        "four fifths is a rule of thumb of employment law, not of lending."
    ),
    references=("29 CFR 1607.4(D)", "Newcombe (1998)"),
    label="As filed: different applicants",
    metrics=(
        Metric(SELECTION_RATE, "Approval rate", "rate", higher_is_better=True),
        Metric(IMPACT_RATIO, "Impact ratio", "ratio", higher_is_better=True),
        Metric(RISK_DIFFERENCE, "Difference of approval rates", "rate_difference", higher_is_better=True),
        Metric(SMD, "Difference of mean scores, in SD of scores", "sd", higher_is_better=True),
        Metric(DENIAL_ODDS_RATIO, "Denial odds ratio", "ratio", higher_is_better=False),
        Metric(SHORTFALL, "Shortfall, people", "people", higher_is_better=False),
    ),
)


def confirmed_family(metric: str) -> str:
    """The confirmatory family of one measure of different applicants that a pack makes primary."""
    return f"as filed: {metric}"


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Every group of every attribute, and every group against its reference."""
    for attribute in context.plan.attributes:
        yield from _attribute(context, attribute)


def _attribute(context: Context, attribute: Attribute) -> Iterable[UnadjustedMeasurement]:
    thresholds = context.plan.thresholds
    by_group = {
        group: context.collect(case for case in context.actual if case.groups.get(attribute.field) == group)
        for group in attribute.groups
    }
    tallies = {group: Tally.of(chosen.favourable) for group, chosen in by_group.items()}
    inside = sum(tally.n for tally in tallies.values())
    hidden = suppress(
        # A group is small by its people; how they were decided is what the audit is about.
        tallies={group: Tally(tally.n, tally.n) for group, tally in tallies.items()},
        reference=attribute.reference,
        # How many were asked, and how they were decided in all, is printed: the rest follows from it.
        unprinted=len(context.actual) - inside,
        small_cell=thresholds.small_cell,
    )
    for group, tally in tallies.items():
        yield UnadjustedMeasurement(
            measurement(
                of_people(
                    shown_rate(tally, level=1 - thresholds.alpha, hidden=hidden.reason(group)),
                    by_group[group].clusters,
                    context=context,
                ),
                test=CARD.name,
                metric=SELECTION_RATE,
                role=Role.EXPLORATORY,
                subject={"field": attribute.field, "group": group},
                unit="rate",
                level=1 - thresholds.alpha,
                cases=f"{case_query(f'{attribute.field}={group}')};role:{ACTUAL}",
            )
        )
    for group in attribute.groups:
        if group != attribute.reference:
            yield from _comparison(context, attribute, group, by_group, hidden.comparisons.get(group))
    yield from _against_highest(context, attribute, tallies, hidden.hidden)


def _comparison(
    context: Context, attribute: Attribute, group: str, by_group: Mapping[str, Arm], hidden: str | None
) -> Iterable[UnadjustedMeasurement]:
    thresholds = context.plan.thresholds
    level = 1 - thresholds.alpha
    chosen, reference = by_group[group], by_group[attribute.reference]
    tally, base = Tally.of(chosen.favourable), Tally.of(reference.favourable)
    arms = (f"{attribute.field}={group}", f"{attribute.field}={attribute.reference}")
    common: dict[str, Any] = {
        "test": CARD.name,
        "subject": {"field": attribute.field, "group": group},
        "reference": attribute.reference,
        "cases": f"{case_query(*arms)};role:{ACTUAL}",
        "level": level,
    }
    if hidden is not None:
        short: tuple[str, ...] = (hidden,)
    else:
        short = unmet({GROUP: tally.n, REFERENCE_GROUP: base.n}, small_cell=thresholds.small_cell)

    def seen(estimate: Estimate) -> Estimate:
        """The estimate as it may be shown: hidden with a small group, without an interval below the minimum."""
        if hidden is not None:
            return missing(method=estimate.method, reason=hidden, n=0)
        estimate = replace(estimate, interval=None, tost_interval=None) if short else estimate
        return of_people(estimate, (*chosen.clusters, *reference.clusters), context=context)

    def drop(alpha: float, family_size: int) -> float | None:
        return _detectable(context, tally, base, short=bool(short), alpha=alpha, family_size=family_size)

    confirmed_drop = {
        metric: drop(thresholds.alpha, _confirmed_size(context, metric)) for metric in (RISK_DIFFERENCE, IMPACT_RATIO)
    }
    evidence = Evidence(
        estimate=None,
        p_adjusted=None,
        practical_threshold=thresholds.practical_rate,
        denominators_ok=not short,
        degenerate=bool(_silent(context, attribute, group)),
        quality_reason="; ".join((*short, *_silent(context, attribute, group))),
        dependent=dependence(context) if context.repeats((*chosen.clusters, *reference.clusters)) else "",
        absence_barriers=context.state.doubts(field=attribute.field),
        mde=drop(thresholds.exploratory_q, _filed_size(context)),
        alpha=thresholds.exploratory_q,
        equivalence_alpha=thresholds.alpha,
        exploratory=True,
    )
    difference = seen(risk_difference(protected=tally, reference=base, level=level))
    yield _draft(
        context,
        difference,
        metric=RISK_DIFFERENCE,
        unit="rate_difference",
        evidence=evidence,
        confirmed=replace(evidence, mde=confirmed_drop[RISK_DIFFERENCE]),
        **common,
    )
    ratio = seen(adverse_impact_ratio(protected=tally, reference=base, level=level))
    yield _draft(
        context,
        ratio,
        metric=IMPACT_RATIO,
        unit="ratio",
        evidence=evidence,
        confirmed=_as_ratio(replace(evidence, mde=confirmed_drop[IMPACT_RATIO]), base),
        **common,
    )
    odds = seen(denial_odds_ratio(protected=tally, reference=base, level=level))
    yield _draft(
        context, odds, metric=DENIAL_ODDS_RATIO, unit="ratio", higher_is_better=False, evidence=evidence, **common
    )
    people = seen(shortfall(protected=tally, reference=base, level=level))
    yield _draft(context, people, metric=SHORTFALL, unit="people", higher_is_better=False, evidence=None, **common)
    yield _scores(context, chosen, reference, short, evidence=evidence, common=common)


def _scores(
    context: Context,
    chosen: Arm,
    reference: Arm,
    short: tuple[str, ...],
    *,
    evidence: Evidence,
    common: Mapping[str, Any],
) -> UnadjustedMeasurement:
    """The difference of mean margins, concluded against the practical threshold of a shift as the rates are."""
    thresholds = context.plan.thresholds
    gap = of_people(_gap(context, chosen, reference, short), (*chosen.clusters, *reference.clusters), context=context)
    known = bool(np.isfinite([*chosen.margins, *reference.margins]).all())
    mde = None
    if gap.value is not None and not short:
        # Two means in SDs of their own: an error of √(1/n + 1/n) is that of one mean of their harmonic n.
        n = 1 / (1 / len(chosen.clusters) + 1 / len(reference.clusters))
        level = worst_level(alpha=thresholds.exploratory_q, family_size=_filed_size(context))
        mde = detectable_mean_shift(n=n, sd=1.0, alpha=level, power=thresholds.power).value
    drafted = measurement(
        gap, metric=SMD, unit="sd", role=Role.EXPLORATORY, family=FILED_FAMILY, counts={"mde": mde}, **common
    )
    judged = replace(
        evidence,
        estimate=gap.value,
        scale="standardised",
        practical_threshold=thresholds.practical_margin_sd,
        degenerate=False,
        quality_reason="; ".join(short),
        mde=mde,
    )
    # Sampled answers have no margin at all: there is nothing that a run of this kind could have concluded.
    return UnadjustedMeasurement(
        drafted, judged if known or short else None, outcome=True, family_size=_filed_size(context)
    )


def _is_primary(context: Context, metric: str, field: str) -> bool:
    """Whether a pack of the plan concludes the measure of one attribute by itself; an impact ratio needs its number."""
    rule = metric_rule(context.packs, metric, field=field)
    return rule.role is Role.PRIMARY and (rule.threshold is not None or metric == RISK_DIFFERENCE)


def _confirmed_size(context: Context, metric: str) -> int:
    """How many contrasts a pack makes this measure primary for: the plan's and its packs' alone, whatever the data."""
    return max(1, sum(_is_primary(context, metric, attribute.field) for attribute, _ in context.contrasts()))


def _filed_size(context: Context) -> int:
    """How many tests the exploratory family of different applicants holds.

    One of margins a contrast, and one of rates wherever no pack takes that into a family of its own.
    """
    confirmed = sum(_is_primary(context, RISK_DIFFERENCE, attribute.field) for attribute, _ in context.contrasts())
    return 2 * len(context.contrasts()) - confirmed


def _draft(
    context: Context,
    estimate: Estimate,
    *,
    metric: str,
    unit: str,
    evidence: Evidence | None,
    confirmed: Evidence | None = None,
    **common: Any,
) -> UnadjustedMeasurement:
    """A measure in the role the packs of the plan give it: primary with their threshold, otherwise exploratory.

    ``confirmed`` is the evidence with the smallest effect detectable at the level of a confirmatory family.
    """
    rule = metric_rule(context.packs, metric, field=common["subject"]["field"])
    threshold = rule.threshold
    if metric == RISK_DIFFERENCE and rule.role is Role.PRIMARY and threshold is None:
        # A pack that makes the difference primary and sets no number leaves it to the plan's practical threshold.
        threshold = context.plan.thresholds.practical_rate
    if rule.role is Role.PRIMARY and threshold is not None and evidence is not None:
        mde = confirmed.mde if confirmed is not None else None
        drafted = measurement(
            replace(estimate, method=f"{estimate.method}, primary by {rule.words}"),
            metric=metric,
            unit=unit,
            role=Role.PRIMARY,
            family=confirmed_family(metric),
            counts={"threshold": threshold, "mde": mde},
            **common,
        )
        judged = replace(
            evidence,
            scale="ratio" if unit == "ratio" else "rate difference",
            practical_threshold=threshold,
            estimate=estimate.value,
            alpha=context.plan.thresholds.alpha,
            exploratory=False,
            mde=mde,
        )
        return UnadjustedMeasurement(drafted, judged, outcome=True, family_size=_confirmed_size(context, metric))
    if metric == RISK_DIFFERENCE and evidence is not None:
        drafted = measurement(
            estimate,
            metric=metric,
            unit=unit,
            role=Role.EXPLORATORY,
            family=FILED_FAMILY,
            counts={"mde": evidence.mde},
            **common,
        )
        judged = replace(evidence, estimate=estimate.value)
        return UnadjustedMeasurement(drafted, judged, outcome=True, family_size=_filed_size(context))
    return UnadjustedMeasurement(measurement(estimate, metric=metric, unit=unit, role=_described(rule), **common))


def _described(rule: MetricRule) -> Role:
    """The role of a measure that is described and not concluded: secondary where a pack says so, else exploratory."""
    return Role.SECONDARY if rule.role in (Role.PRIMARY, Role.SECONDARY) else Role.EXPLORATORY


def _silent(context: Context, attribute: Attribute, group: str) -> tuple[str, ...]:
    return context.state.silent(field=attribute.field, group=group, reference=attribute.reference)


def _as_ratio(evidence: Evidence, base: Tally) -> Evidence:
    """The same evidence with the smallest detectable drop as a ratio of rates."""
    if evidence.mde is None or not base.n or not base.favourable:
        return replace(evidence, mde=None)
    return replace(evidence, mde=max(0.0, base.rate - evidence.mde) / base.rate)


def _detectable(
    context: Context, tally: Tally, base: Tally, *, short: bool, alpha: float, family_size: int
) -> float | None:
    """Smallest drop below the reference rate seen at the level the family's worst step or cut leaves."""
    thresholds = context.plan.thresholds
    if short or not tally.n or not base.n or not 0 < base.rate < 1:
        return None
    level = worst_level(alpha=alpha, family_size=family_size)
    return detectable_rate_difference(
        n_protected=tally.n, n_reference=base.n, reference_rate=base.rate, alpha=level, power=thresholds.power
    ).value


def _gap(context: Context, chosen: Arm, reference: Arm, short: tuple[str, ...]) -> Estimate:
    n_group, n = len(chosen.clusters), len(chosen.clusters) + len(reference.clusters)
    method = "standardised mean difference, pooled SD"
    if short:
        return missing(method=method, reason=short[0], n=0)
    margins = np.concatenate([chosen.margins, reference.margins])
    if not np.isfinite(margins).all():
        return missing(method=method, reason=NO_MARGINS, n=n)
    return smd(
        scores=margins,
        protected=np.arange(n) < n_group,
        reference=np.arange(n) >= n_group,
        level=1 - context.plan.thresholds.alpha,
        resamples=context.plan.thresholds.bootstrap,
        seed=context.plan.cases.seed,
    )


def _against_highest(
    context: Context, attribute: Attribute, tallies: Mapping[str, Tally], hidden: frozenset[str]
) -> Iterable[UnadjustedMeasurement]:
    """Impact ratios against the most selected group, where a pack of the plan compares with it."""
    rule = metric_rule(context.packs, IMPACT_RATIO, field=attribute.field)
    if not rule.most_selected or hidden or not all(tally.n for tally in tallies.values()):
        return
    found = impact_ratios(
        tallies=tallies,
        reference=HIGHEST_RATE,
        min_share=rule.min_share,
        level=1 - context.plan.thresholds.alpha,
    )
    for group, ratio in found.ratios.items():
        if group == found.reference:
            continue
        names = (f"{attribute.field}={group}", f"{attribute.field}={found.reference}")
        yield UnadjustedMeasurement(
            measurement(
                of_people(
                    replace(ratio, method=f"{ratio.method}, reference {found.basis}, by {rule.words}"),
                    [case.cluster for case in context.actual],
                    context=context,
                ),
                test=CARD.name,
                metric=IMPACT_RATIO,
                role=Role.SECONDARY,
                subject={"field": attribute.field, "group": group, "compared_with": "most selected group"},
                reference=found.reference,
                unit="ratio",
                level=1 - context.plan.thresholds.alpha,
                cases=f"{case_query(*names)};role:{ACTUAL}",
            )
        )
