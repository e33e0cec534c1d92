"""Counterfactual pairs: does the decision change when only a protected attribute changes?

The measurements of one contrast, in the order in which they are read:

    readability     does the answer stay readable?                     confirmatory, a family of its own
    natural         do decisions change at the model's own cut-off?    confirmatory
    cut-off range   would they at another cut-off of the plan's range? confirmatory (auditor/behaviour/cut_offs.py)
    matched, shift  at the data's own approval rate; in the margin     exploratory, unless the natural cut-off says
                                                                       nothing (auditor/behaviour/matched.py)
"""

from __future__ import annotations

from collections.abc import Iterable

from auditor.behaviour.cut_offs import cut_off_measures, near_cut_offs
from auditor.behaviour.matched import matched_point, shift_of_margins
from auditor.behaviour.metrics import (
    CF_CURVE_EFFECT,
    CF_FLIP_RATE,
    CF_FLIP_RATE_AGAINST,
    CF_FLIP_RATE_TOWARDS,
    CF_MARGIN_FELL_SHARE,
    CF_MEAN_SHIFT,
    CF_MEAN_SHIFT_SD,
    CF_NET_EFFECT,
    CF_NET_EFFECT_MATCHED,
    CF_RANGE_EFFECT,
    NEAR_CUT_OFF,
    REFUSAL_RATE_GAP,
    REFUSED_GAP,
)
from auditor.behaviour.pair_measures import (
    TEST,
    Contrast,
    concluded,
    counts_of,
    paired_effect,
)
from auditor.behaviour.turned import turned_both_ways
from auditor.counterfactuals import arm
from auditor.records import Role
from auditor.statistics.equivalence import equivalence_barriers, pairs_for_margin
from auditor.statistics.minimums import MINIMUMS, POSITIVES
from auditor.statistics.multiplicity import significant as at_level
from auditor.statistics.pairs import PairCounts, flip_rates
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.factory import measurement
from auditor.testing.families import PRIMARY_FAMILY, READABILITY_FAMILY, REFUSED_FAMILY
from auditor.testing.unadjusted import UnadjustedMeasurement

CARD = Card(
    name=TEST,
    purpose="Whether the same application is decided differently when only a protected attribute is changed.",
    method=(
        "Every application is put to the model once for each group of the attribute, all other words the same. One "
        "pair a base application. First whether the answer stays readable; then the net effect with exact McNemar and "
        "a clustered bootstrap interval (Tango's score interval under 10 discordant pairs), at the model's own "
        "cut-off and at every cut-off of the plan's range, the largest judged by swapping versions within "
        "applications; the same at the matched operating point; and the mean shift of the margin with a sign-flip "
        "permutation test. Equivalence by two one-sided tests, adjusted over the family."
    ),
    worrying=(
        "Answers that can be read of one group and not of the other; a net effect whose interval stays away from "
        "zero, at the model's own cut-off or another one; margins that nearly all fall; or many flips above the noise "
        "floor in either direction."
    ),
    limitations=(
        "It shows what an explicitly stated attribute changes, in this prompt and these "
        "applications. It does not speak "
        "of proxies, of other wordings, or of what people do with the answer."
    ),
    references=("McNemar (1947)", "Tango (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B"),
    label="Same application, one field changed",
    metrics=(
        Metric(CF_NET_EFFECT, "Change in approvals, own cut-off", "rate_difference", higher_is_better=True),
        Metric(CF_NET_EFFECT_MATCHED, "Change in approvals, matched cut-off", "rate_difference", higher_is_better=True),
        Metric(
            CF_RANGE_EFFECT,
            "Largest change in approvals, range of cut-offs",
            "rate_difference",
            higher_is_better=True,
        ),
        Metric(CF_CURVE_EFFECT, "Change in approvals, by cut-off", "rate_difference", higher_is_better=True),
        Metric(CF_FLIP_RATE, "Decisions that change", "rate", higher_is_better=False),
        Metric(CF_FLIP_RATE_AGAINST, "Decisions that change against the group", "rate", higher_is_better=False),
        Metric(CF_FLIP_RATE_TOWARDS, "Decisions that change towards the group", "rate", higher_is_better=False),
        Metric(CF_MEAN_SHIFT, "Change of the score", "logit", higher_is_better=True),
        Metric(CF_MEAN_SHIFT_SD, "Change of the score, in SD of scores", "sd", higher_is_better=True),
        Metric(CF_MARGIN_FELL_SHARE, "Pairs whose score fell", "rate", higher_is_better=False),
        Metric(REFUSAL_RATE_GAP, "Difference of unreadable answers", "rate_difference", higher_is_better=False),
        Metric(REFUSED_GAP, "Difference of refused answers", "rate_difference", higher_is_better=False),
        Metric(NEAR_CUT_OFF, "Applications near the cut-off", "count"),
    ),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """All measurements of all contrasts."""
    for attribute in context.plan.attributes:
        yield from near_cut_offs(context, attribute)
    for attribute, group in context.contrasts():
        pairs = context.pairs(arm(attribute.field, attribute.reference), arm(attribute.field, group))
        contrast = Contrast(context, attribute, group, pairs)
        yield _readability(contrast)
        if context.answers_in_words:
            yield _refusals(contrast)
        yield from _natural(contrast)
        yield from cut_off_measures(contrast)
        yield matched_point(contrast)
        yield from shift_of_margins(contrast)


def _readability(contrast: Contrast) -> UnadjustedMeasurement:
    """Unreadable answers as an outcome of their own: positive means more of them in the protected arm."""
    thresholds = contrast.context.plan.thresholds
    found = paired_effect(contrast, lambda side: side.invalid)
    counts, effect = found.counts, found.effect
    return concluded(
        contrast,
        effect,
        metric=REFUSAL_RATE_GAP,
        role=Role.PRIMARY,
        unit="rate_difference",
        higher_is_better=False,
        family=READABILITY_FAMILY,
        carries=True,
        practical=thresholds.practical_rate,
        mde=found.mde,
        claim=found.claim,
        equivalence_barriers=_unreadable_barriers(
            contrast.effective(counts),
            margin=thresholds.equivalence_rate,
            alpha=thresholds.alpha,
            p_value=effect.test.p_value if effect.test else None,
        ),
        absence_barriers=turned_both_ways(
            contrast, [lambda side: side.invalid], what="answers become readable and unreadable"
        ),
        counts={
            "b": counts.b,
            "c": counts.c,
            "flips": counts.discordant,
            "unreadable_reference": counts.a + counts.b,
            "unreadable_group": counts.a + counts.c,
        },
    )


def _refusals(contrast: Contrast) -> UnadjustedMeasurement:
    """Answers that refuse, told apart from those that cannot be read: positive means more of them in the group's arm.

    Both together are the confirmatory question; which of them it is, is looked at.
    """
    thresholds = contrast.context.plan.thresholds
    found = paired_effect(contrast, lambda side: side.refused)
    counts = found.counts
    return concluded(
        contrast,
        found.effect,
        metric=REFUSED_GAP,
        role=Role.EXPLORATORY,
        unit="rate_difference",
        higher_is_better=False,
        family=REFUSED_FAMILY,
        carries=False,
        practical=thresholds.practical_rate,
        mde=found.mde,
        claim=None,
        absence_barriers=turned_both_ways(contrast, [lambda side: side.refused], what="refusals come and go"),
        counts={"b": counts.b, "c": counts.c, "flips": counts.discordant},
    )


def _unreadable_barriers(counts: PairCounts, *, margin: float, alpha: float, p_value: float | None) -> tuple[str, ...]:
    """Why the two arms may not be called equally readable. That hardly any answer is unreadable is none."""
    found = []
    readable, least = counts.n - counts.a - counts.b, MINIMUMS[POSITIVES].least
    if readable < least:
        found.append(
            f"too few readable answers to say: {readable} of {counts.n} in the reference arm, at least {least}"
        )
    if counts.discordant and min(counts.b, counts.c) == 0 and at_level(p_value, alpha=alpha):
        found.append(f"all {counts.discordant} answers that became readable or unreadable did so one way")
    needed = pairs_for_margin(margin=margin, alpha=alpha)
    if counts.n < needed:
        found.append(f"too few pairs to say: {counts.n}, at least {needed} needed even if all answers stay readable")
    return tuple(found)


def _natural(contrast: Contrast) -> Iterable[UnadjustedMeasurement]:
    thresholds = contrast.context.plan.thresholds
    found = paired_effect(contrast, lambda side: side.favourable)
    counts, effect = found.counts, found.effect
    draft = concluded(
        contrast,
        effect,
        metric=CF_NET_EFFECT,
        role=Role.PRIMARY,
        unit="rate_difference",
        family=PRIMARY_FAMILY,
        carries=True,
        practical=thresholds.practical_rate,
        mde=found.mde,
        claim=found.claim,
        quality=contrast.silent,
        equivalence_barriers=equivalence_barriers(
            counts=contrast.effective(counts), margin=thresholds.equivalence_rate, alpha=thresholds.alpha
        ),
        absence_barriers=(*contrast.lopsided, *turned_both_ways(contrast, [lambda side: side.favourable])),
        at_cut_off=True,
        counts=counts_of(counts),
    )
    yield draft
    rates = flip_rates(counts, level=1 - thresholds.alpha)
    for metric, estimate in (
        (CF_FLIP_RATE, rates.total),
        (CF_FLIP_RATE_AGAINST, rates.against),
        (CF_FLIP_RATE_TOWARDS, rates.towards),
    ):
        yield UnadjustedMeasurement(
            measurement(
                contrast.shown(estimate),
                metric=metric,
                role=Role.SECONDARY,
                unit="rate",
                higher_is_better=False,
                **contrast.common,
            )
        )
