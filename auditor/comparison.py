"""Two runs of one design on two versions of a model: what changed, case by case.

Every prompt stands in both runs, so each version is compared with the other on the same application: no difference
between applicants enters. Differences are later minus earlier; a negative change of an effect says that the later
version favours the group less, against its reference, than the earlier one did.

    readable answers, arm by arm ─▶ the effect's change over the cut-offs ─▶ its change at the natural cut-off
                    │                                  │
     a gap or a mute arm: no change    a change elsewhere: none is denied here
     of that attribute is denied
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from auditor.comparison_card import (
    CARD,
    EFFECT_CHANGE,
    FLIP_RATE,
    MARGIN_CHANGE,
    NET_CHANGE,
    REFUSAL_CHANGE,
    REFUSAL_GAP,
)
from auditor.comparison_pairs import BEFORE, Answer, ArmPair, Both, ComparedContrast, Rules, changed_mean, concluded
from auditor.comparison_range import range_change
from auditor.conclusions import adjust_and_conclude
from auditor.counterfactuals import ACTUAL, arm
from auditor.plan import Plan
from auditor.plan_reading import IN_WORDS
from auditor.records import Conclusion, Measurement, Outcome, Role
from auditor.rounding import printed
from auditor.statistics.equivalence import MIN_OUTCOMES, Equivalence, pairs_for_margin, tost, tost_pairs
from auditor.statistics.multiplicity import significant as at_level
from auditor.statistics.pairs import PairCounts, count_pairs, flip_rates, net_effect
from auditor.statistics.permutation import sign_flip_test
from auditor.statistics.power import detectable_by_mcnemar, detectable_mean_shift, worst_level
from auditor.statistics.rates import Tally, clopper_pearson
from auditor.statistics.results import Estimate, missing
from auditor.testing.context import FloatArray, applicant_of
from auditor.testing.factory import measurement
from auditor.testing.state import by_arm, percent
from auditor.testing.unadjusted import UnadjustedMeasurement

__all__ = ["FAMILY", "RANGE", "READABILITY", "TEST", "Answer", "compare_versions"]

TEST = CARD.name
FAMILY = "version comparison"
READABILITY = "version comparison: readability"
RANGE = "version comparison: cut-off range"
VERSIONS = ("earlier", "later")
SEEN = (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD)
OTHER_MODEL = 0.5
"""From this share of decisions turned the versions decide more applications differently than alike."""

REPLICATES = "every application was asked several times, and a comparison of versions counts each as one of its own"
SEVERAL_ROWS = "some applicants have several rows, and a comparison of versions counts each as an applicant of its own"


def compare_versions(
    *, plan: Plan, earlier: Sequence[Answer], later: Sequence[Answer], rows_apart: bool = False
) -> tuple[Measurement, ...]:
    """Compare two runs of one design.

    Parameters
    ----------
    plan
        The design of both runs: its attributes, thresholds, seed and operating point.
    earlier, later
        The answers of both runs. Cases that stand in one of them only are left out and counted in ``counts``.
    rows_apart
        Whether the runs' mapping keeps rows of one id as records of their own. Where an applicant then has several,
        nothing is concluded: everything here counts applications, and one person's are not independent.

    Returns
    -------
    tuple of Measurement
        Of the applications as filed ``version_flip_rate``, ``version_net_change`` and ``version_margin_change`` (in
        nats). Of every arm ``version_refusal_change`` and of every contrast ``version_refusal_gap`` in each version,
        one family. Of every contrast ``version_effect_change``, the change of the net effect, and
        ``version_range_change``, its largest change over the cut-offs of the plan's range; a family each. All families
        are adjusted by Holm, their equivalence claims too, and concluded against the design's thresholds.
    """
    first = {item.case_id: item for item in earlier}
    both = [Both(first[item.case_id], item) for item in later if item.case_id in first]
    left_out = {"only_earlier": len(earlier) - len(both), "only_later": len(later) - len(both)}
    applications = {item.later.cluster for item in both}
    several = rows_apart and len(set(map(applicant_of, applications))) < len(applications)
    asked_again = plan.reading.readout in IN_WORDS and plan.reading.temperature > 0 and plan.reading.replicates > 1
    rules = Rules.of(plan, left_out, dependent=REPLICATES if asked_again else SEVERAL_ROWS if several else "")
    arms = {
        name: {item.later.cluster: item for item in both if name in item.later.arms}
        for attribute in rules.attributes
        for name in (arm(attribute.field, group) for group in attribute.groups)
    }
    readability = adjust_and_conclude(list(_readability(arms, rules)))
    filed = adjust_and_conclude(list(_as_filed([item for item in both if item.later.role == ACTUAL], rules)))
    doubts = _doubts(readability, arms, rules, filed[0])
    pairs = [ComparedContrast.of(arms, attribute, group) for attribute, group in rules.contrasts]
    open_of = [(*doubts[pair.field], *_both_ways(pair, rules)) for pair in pairs]
    ranges = adjust_and_conclude(
        [
            range_change(pair, rules, test=TEST, family=RANGE, doubts=why)
            for pair, why in zip(pairs, open_of, strict=True)
        ]
    )
    silent = _one_answer(both, rules)
    effects = [
        _effect(pair, rules, silent=silent, doubts=(*why, *_elsewhere(found)))
        for pair, why, found in zip(pairs, open_of, ranges, strict=True)
    ]
    return (*filed, *readability, *ranges, *adjust_and_conclude(effects))


def _as_filed(filed: Sequence[Both], rules: Rules) -> Iterable[UnadjustedMeasurement]:
    counts = count_pairs(
        control=[item.favourable[0] for item in filed], protected=[item.favourable[1] for item in filed]
    )
    common: dict[str, Any] = {
        "test": TEST,
        "role": Role.SECONDARY,
        "subject": {"role": ACTUAL},
        "reference": BEFORE,
        "cases": f"role:{ACTUAL}",
        "higher_is_better": None,
        "level": rules.level,
        "counts": {"b": counts.b, "c": counts.c, **rules.left_out},
    }
    rate = flip_rates(counts, level=rules.level).total
    said = None
    if rate.value is not None and rate.value >= OTHER_MODEL:
        said = _turned_over(counts)
    yield UnadjustedMeasurement(measurement(rate, metric=FLIP_RATE, unit="rate", conclusion_reason=said, **common))
    change = net_effect(counts, level=rules.level).estimate
    yield UnadjustedMeasurement(measurement(change, metric=NET_CHANGE, unit="rate_difference", **common))
    yield UnadjustedMeasurement(measurement(_margins(filed, rules), metric=MARGIN_CHANGE, unit="logit", **common))


def _turned_over(counts: PairCounts) -> str:
    return (
        f"The later version decides {counts.discordant:,} of {counts.n:,} applications the other way. An effect that "
        "did not change is then no sign that decisions stayed."
    )


def _margins(filed: Sequence[Both], rules: Rules) -> Estimate:
    method = "mean change of the margin, paired by application"
    pairs = [(item.earlier.margin, item.later.margin) for item in filed]
    moved = [after - before for before, after in pairs if before is not None and after is not None]
    if not moved:
        return missing(method=method, reason="no application has a margin in both runs", n=0)
    values = np.array(moved, dtype=np.float64)
    wide, _, reason = changed_mean(values, rules)
    return Estimate(
        value=float(values.mean()),
        n=len(values),
        method=method,
        interval=wide,
        test=sign_flip_test(values, seed=rules.seed),
        reason=reason,
    )


def _readability(arms: Mapping[str, Mapping[str, Both]], rules: Rules) -> Iterable[UnadjustedMeasurement]:
    """Unreadable answers as an outcome: of every arm between the versions, of every contrast in each version."""
    drafts: list[tuple[ArmPair, dict[str, str], str, str]] = []
    for attribute in rules.attributes:
        for group in attribute.groups:
            here = list(arms[arm(attribute.field, group)].values())
            between = ArmPair([item.unreadable[0] for item in here], [item.unreadable[1] for item in here])
            subject = {"field": attribute.field, "group": group}
            drafts.append((between, subject, REFUSAL_CHANGE, BEFORE))
    for attribute, group in rules.contrasts:
        pair = ComparedContrast.of(arms, attribute, group)
        for place, version in enumerate(VERSIONS):
            sides = ([one.unreadable[place] for one in items] for items in (pair.control, pair.protected))
            subject = {"field": pair.field, "group": group, "version": version}
            drafts.append((ArmPair(*sides), subject, REFUSAL_GAP, pair.reference))
    for pair_of_arms, subject, metric, against in drafts:
        counts = count_pairs(control=pair_of_arms.first, protected=pair_of_arms.second)
        estimate = net_effect(counts, level=rules.level).estimate
        wide, sample, _ = changed_mean(pair_of_arms.changes, rules)
        estimate = Estimate(
            value=estimate.value,
            n=estimate.n,
            method=estimate.method,
            interval=wide if sample is not None else estimate.interval,
            test=estimate.test,
            reason=estimate.reason,
        )
        claim = None
        if counts.n:
            claim = tost_pairs(counts=counts, margin=rules.equivalence, alpha=rules.alpha, clustered=sample)
        mde = None
        if counts.n:
            level = worst_level(alpha=rules.alpha, family_size=len(drafts))
            seen = counts.discordant / counts.n
            mde = detectable_by_mcnemar(n=counts.n, discordance=seen, alpha=level, power=rules.power).value
        yield concluded(
            estimate,
            rules,
            test=TEST,
            metric=metric,
            family=READABILITY,
            subject=subject,
            reference=against,
            higher_is_better=False,
            counts={"b": counts.b, "c": counts.c},
            claim=claim,
            mde=mde,
            equivalence_barriers=(),
        )


def _doubts(
    readability: Sequence[Measurement], arms: Mapping[str, Mapping[str, Both]], rules: Rules, flips: Measurement
) -> dict[str, tuple[str, ...]]:
    """By attribute, why the absence of a change may not be said."""
    found: dict[str, tuple[str, ...]] = {}
    for attribute in rules.attributes:
        field, reasons = attribute.field, []
        if flips.conclusion_reason:
            reasons.append(flips.conclusion_reason.split(". ")[0])
        for place, version in enumerate(VERSIONS):
            shares = []
            for group in attribute.groups:
                here = [item.unreadable[place] for item in arms[arm(field, group)].values()]
                shares.append((group, float(np.mean(here)) if here else 0.0))
            if max(share for _, share in shares) > rules.mute_share:
                worst = sorted(shares, key=lambda one: -one[1])
                mute = f"(mute above {percent(rules.mute_share)})"
                reasons.append(f"the {version} version gave no readable answer in {by_arm(worst)} {mute}")
        reasons += [_open(item) for item in readability if item.subject["field"] == field and _is_open(item)]
        found[field] = tuple(reasons)
    return found


def _is_open(item: Measurement) -> bool:
    return item.n > 0 and item.conclusion is not Conclusion.EQUIVALENT_WITHIN_MARGIN


def _open(item: Measurement) -> str:
    """A readability test that does not exclude a gap, in words."""
    word = "was found" if item.conclusion in SEEN else "is not excluded within the margin"
    group = item.subject["group"]
    if item.metric == REFUSAL_CHANGE:
        return f"a change of readable answers in the {group} arm {word}"
    version = item.subject["version"]
    return f"a gap in readable answers between {group} and {item.reference} {word} in the {version} version"


def _effect(pair: ComparedContrast, rules: Rules, *, silent: str, doubts: tuple[str, ...]) -> UnadjustedMeasurement:
    changes = pair.changes
    n, method = len(changes), "change of the net effect, paired by application"
    counts = {"b": int((changes < 0).sum()), "c": int((changes > 0).sum())}
    if n == 0:
        estimate = missing(method=method, reason="no application stands in both runs", n=0)
        claim = None
    else:
        wide, sample, reason = changed_mean(changes, rules, rate=True)
        estimate = Estimate(
            value=float(changes.mean()),
            n=n,
            method=method,
            interval=wide,
            test=sign_flip_test(changes, seed=rules.seed),
            reason=reason,
        )
        if sample is not None:
            claim = tost(interval=sample, margin=rules.equivalence, alpha=rules.alpha)
        elif np.abs(changes).max() <= 1:
            settled = PairCounts(0, counts["b"], counts["c"], n - sum(counts.values()))
            claim = tost_pairs(counts=settled, margin=rules.equivalence, alpha=rules.alpha)
        else:
            claim = Equivalence(None, rules.equivalence, None, reason=reason)
    return concluded(
        estimate,
        rules,
        test=TEST,
        metric=EFFECT_CHANGE,
        family=FAMILY,
        subject={"field": pair.field, "group": pair.group},
        reference=pair.reference,
        higher_is_better=True,
        counts=dict(counts),
        claim=claim,
        mde=_detectable(changes, rules),
        equivalence_barriers=_barriers(pair, rules),
        doubts=doubts,
        silent=silent,
    )


def _barriers(pair: ComparedContrast, rules: Rules) -> tuple[str, ...]:
    """Why an unchanged effect may not be called equivalent: too few of one outcome, one direction, too few pairs."""
    found = []
    for place, version in enumerate(VERSIONS):
        approved = sum(item.favourable[place] for item in pair.control)
        for word, count in (("denials", len(pair.control) - approved), ("approvals", approved)):
            if count < MIN_OUTCOMES:
                side = f"{count} of {len(pair.control)} in the {version} version's reference arm"
                found.append(f"too few {word} to say: {side}, at least {MIN_OUTCOMES} needed")
    up, down = int((pair.changes > 0).sum()), int((pair.changes < 0).sum())
    if (
        up + down
        and not min(up, down)
        and at_level(sign_flip_test(pair.changes, seed=rules.seed).p_value, alpha=rules.alpha)
    ):
        way = "towards" if up else "against"
        found.append(f"all {up + down} changes go {way} the group, which chance rarely gives")
    needed = pairs_for_margin(margin=rules.equivalence, alpha=rules.alpha)
    if len(pair.control) < needed:
        found.append(
            f"too few pairs to say: {len(pair.control)}, and a margin of {100 * rules.equivalence:g} pp needs at least "
            f"{needed} even if no decision changed"
        )
    return tuple(found)


def _both_ways(pair: ComparedContrast, rules: Rules) -> tuple[str, ...]:
    """Why an unchanged net effect is no absence of change: applications gain and lose by the group, and it cancels.

    The share of applications whose part of the effect changed must exceed the equivalence margin by its exact bound, at
    a level shared by the family's contrasts. Re-asks of two versions do not measure their noise: nothing is taken off.
    """
    up, down = int((pair.changes > 0).sum()), int((pair.changes < 0).sum())
    if not min(up, down):
        return ()
    level = 1 - rules.alpha / max(1, len(rules.contrasts))
    moved = Tally(up + down, len(pair.changes))
    if clopper_pearson(moved, level=level).low < rules.equivalence:
        return ()
    share = printed((up + down) / len(pair.changes), 1, percent=True)
    return (
        f"the effect changed for {share}% of applications, both ways: {down:,} against the group, {up:,} towards it, "
        "so whom the change of version favours differs from application to application",
    )


def _elsewhere(found: Measurement) -> tuple[str, ...]:
    """What a change at another cut-off says against denying one at the natural cut-off."""
    if found.conclusion not in SEEN:
        return ()
    rate = float(found.counts.get("rate") or 0.0)
    size = f"{'−' if (found.estimate or 0) < 0 else '+'}{printed(abs(found.estimate or 0), 1, percent=True)} pp"
    return (
        f"at cut-offs where {printed(rate, 0, percent=True)}% of the {found.reference} arm are approved, "
        f"the effect changed by {size}",
    )


def _one_answer(both: Sequence[Both], rules: Rules) -> str:
    """Why outcomes of one of the versions say nothing: nearly all reference arms get one outcome; else empty."""
    references = {arm(item.field, item.reference) for item in rules.attributes}
    inside = [item for item in both if references & set(item.later.arms)]
    for name, answers in zip(
        VERSIONS, ([item.earlier for item in inside], [item.later for item in inside]), strict=True
    ):
        outcomes = [item.outcome for item in answers]
        share = max((outcomes.count(outcome) / len(outcomes) for outcome in Outcome), default=0.0) if outcomes else 0.0
        if share >= rules.degenerate_share:
            return f"the {name} version gives {percent(share)} of the reference arms one outcome"
    return ""


def _detectable(changes: FloatArray, rules: Rules) -> float | None:
    """Smallest change detected at the family's worst step; where hardly any moved, that of changes in one direction."""
    n = len(changes)
    if n == 0:
        return None
    level = worst_level(alpha=rules.alpha, family_size=len(rules.contrasts))
    seen = float(np.mean(changes != 0))
    one_way = detectable_by_mcnemar(n=n, discordance=seen, alpha=level, power=rules.power).value
    if n < 2 or not changes.any() or one_way is None:
        return one_way
    spread = detectable_mean_shift(n=n, sd=float(changes.std(ddof=1)), alpha=level, power=rules.power).value
    return one_way if spread is None else max(one_way, spread)
