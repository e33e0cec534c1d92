"""Two runs of one design on two versions of a model: what changed, case by case.

Every prompt stands in both runs, so each version is compared with the other on the same application: no difference
between applicants enters. Differences are later minus earlier; a negative change of an effect says that the later
version favours the group less, against its reference, than the earlier one did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.behaviour.context import Draft, FloatArray, case_query
from auditor.behaviour.fill import measurement
from auditor.conclusions import settle
from auditor.counterfactuals import ACTUAL, arm
from auditor.measures.bootstrap import bootstrap_totals
from auditor.measures.equivalence import MIN_DISCORDANT, tost
from auditor.measures.pairs import PairCounts, count_pairs, flip_rates, mean_of_sums, net_effect, tango_interval
from auditor.measures.permutation import sign_flip_test
from auditor.measures.power import detectable_mean_shift, detectable_one_way_effect
from auditor.measures.results import Estimate, Interval, missing, tost_level
from auditor.measures.verdict import Evidence
from auditor.records import Measurement, Outcome, Role

TEST = "version_comparison"
FAMILY = "version comparison"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one version said of one case; ``margin`` in nats, ``None`` where it was sampled."""

    case_id: str
    cluster: str
    role: str
    arms: tuple[str, ...]
    outcome: Outcome
    margin: float | None


@dataclass(frozen=True)
class _Both:
    """One case as both versions answered it."""

    earlier: Answer
    later: Answer

    @property
    def moved(self) -> int:
        """1 if only the later version is favourable, −1 if only the earlier one is, else 0."""
        return int(self.later.outcome is Outcome.FAVOURABLE) - int(self.earlier.outcome is Outcome.FAVOURABLE)


def compare_versions(
    *, design: Mapping[str, Any], earlier: Sequence[Answer], later: Sequence[Answer]
) -> tuple[Measurement, ...]:
    """Compare two runs of one design.

    Parameters
    ----------
    design
        The design of both runs (``plan.json``): its attributes, thresholds, seed and operating point.
    earlier, later
        The answers of both runs. Cases that stand in one of them only are left out and counted in ``counts``.

    Returns
    -------
    tuple of Measurement
        Of the applications as filed ``version_flip_rate``, ``version_net_change`` and ``version_margin_change`` (in
        nats); of every contrast ``version_effect_change``: the change of the net effect, paired by application,
        concluded against the design's thresholds with Holm over the contrasts.
    """
    first = {item.case_id: item for item in earlier}
    both = [_Both(first[item.case_id], item) for item in later if item.case_id in first]
    left_out = {"only_earlier": len(earlier) - len(both), "only_later": len(later) - len(both)}
    return settle([*_as_filed(both, design, left_out), *_contrasts(both, design, left_out)])


def _as_filed(both: Sequence[_Both], design: Mapping[str, Any], left_out: Mapping[str, int]) -> Iterable[Draft]:
    filed = [item for item in both if item.later.role == ACTUAL]
    counts = count_pairs(
        control=[item.earlier.outcome is Outcome.FAVOURABLE for item in filed],
        protected=[item.later.outcome is Outcome.FAVOURABLE for item in filed],
    )
    level = 1 - design["thresholds"]["alpha"]
    common: dict[str, Any] = {
        "test": TEST,
        "role": Role.SECONDARY,
        "subject": {"role": ACTUAL},
        "reference": "earlier version",
        "cases": f"role:{ACTUAL}",
        "higher_is_better": None,
        "counts": {"b": counts.b, "c": counts.c, **left_out},
    }
    yield Draft(measurement(flip_rates(counts, level=level).total, metric="version_flip_rate", unit="rate", **common))
    change = net_effect(counts, level=level).estimate
    yield Draft(measurement(change, metric="version_net_change", unit="rate_difference", **common))
    yield Draft(measurement(_margins(filed, design), metric="version_margin_change", unit="logit", **common))


def _margins(filed: Sequence[_Both], design: Mapping[str, Any]) -> Estimate:
    method = "mean change of the margin, paired by application"
    pairs = [(item.earlier.margin, item.later.margin) for item in filed]
    moved = [after - before for before, after in pairs if before is not None and after is not None]
    if not moved:
        return missing(method=method, reason="no application has a margin in both runs", n=0)
    return _mean(np.array(moved, dtype=np.float64), design, method=method)


def _contrasts(both: Sequence[_Both], design: Mapping[str, Any], left_out: Mapping[str, int]) -> Iterable[Draft]:
    silent = _one_answer(both, design)
    for attribute in design["attributes"]:
        field, reference = attribute["field"], attribute["reference"]
        moved = {group: _moved(both, arm(field, group)) for group in attribute["groups"]}
        for group in attribute["groups"]:
            if group == reference:
                continue
            changes = [moved[group][key] - moved[reference][key] for key in moved[reference] if key in moved[group]]
            yield _contrast(
                np.array(changes, dtype=np.float64),
                design,
                silent=silent,
                subject={"field": field, "group": group},
                reference=reference,
                cases=case_query(arm(field, reference), arm(field, group)),
                counts=dict(left_out),
            )


def _contrast(changes: FloatArray, design: Mapping[str, Any], *, silent: str, **named: Any) -> Draft:
    thresholds = design["thresholds"]
    alpha, contrasts = thresholds["alpha"], sum(len(item["groups"]) - 1 for item in design["attributes"])
    effect = _mean(changes, design, method="change of the net effect, paired by application")
    named["counts"] |= {"b": int((changes < 0).sum()), "c": int((changes > 0).sum())}
    mde = _detectable(changes, alpha=alpha / contrasts, power=thresholds["power"])
    equivalent = None
    if effect.tost_interval is not None:
        equivalent = tost(interval=effect.tost_interval, margin=thresholds["equivalence_rate"], alpha=alpha).established
    named["counts"]["mde"] = mde
    drafted = measurement(
        effect,
        test=TEST,
        metric="version_effect_change",
        role=Role.PRIMARY,
        unit="rate_difference",
        family=FAMILY,
        **named,
    )
    return Draft(
        drafted,
        Evidence(
            estimate=effect.value,
            p_adjusted=None,
            practical_threshold=thresholds["practical_rate"],
            denominators_ok=effect.n >= 1,
            degenerate=bool(silent),
            quality_reason=silent,
            equivalent=equivalent,
            mde=mde,
            alpha=alpha,
            pairs=effect.n,
        ),
    )


def _moved(both: Sequence[_Both], name: str) -> dict[str, int]:
    """How the decision of every application in one arm moved, by application."""
    return {item.later.cluster: item.moved for item in both if name in item.later.arms}


def _one_answer(both: Sequence[_Both], design: Mapping[str, Any]) -> str:
    """Why outcomes of one of the versions say nothing: nearly all reference arms get one outcome; else empty."""
    references = {arm(item["field"], item["reference"]) for item in design["attributes"]}
    inside = [item for item in both if references & set(item.later.arms)]
    for name, answers in (
        ("earlier", [item.earlier for item in inside]),
        ("later", [item.later for item in inside]),
    ):
        outcomes = [item.outcome for item in answers]
        share = max((outcomes.count(outcome) / len(outcomes) for outcome in Outcome), default=0.0) if outcomes else 0.0
        if share >= design["operating_point"]["degenerate_share"]:
            return f"the {name} version gives {share:.1%} of the reference arms one outcome"
    return ""


def _mean(values: FloatArray, design: Mapping[str, Any], *, method: str) -> Estimate:
    """The mean of paired differences, bootstrapped by application, with a sign-flip test.

    Under ten that moved the bootstrap has nothing to work on: differences of outcomes then have Tango's interval where
    none moved by more than one step.
    """
    n, level, seed = len(values), 1 - design["thresholds"]["alpha"], design["cases"]["seed"]
    if n == 0:
        return missing(method=method, reason="no application stands in both runs", n=0)
    moved = int((values != 0).sum())
    narrow: Interval | None
    if moved >= MIN_DISCORDANT:
        sample = bootstrap_totals(
            totals=np.column_stack([values, np.ones(n)]),
            statistic=mean_of_sums,
            resamples=design["thresholds"]["bootstrap"],
            seed=seed,
        )
        wide, narrow = sample.interval(level), sample.interval(tost_level(level))
    elif np.isin(values, (-1, 0, 1)).all():
        b, c = int((values < 0).sum()), int((values > 0).sum())
        counts = PairCounts(0, b, c, n - b - c)
        wide, narrow = tango_interval(counts, level=level), tango_interval(counts, level=tost_level(level))
    else:
        wide = narrow = None
    return Estimate(
        value=float(values.mean()),
        n=n,
        method=method,
        interval=wide,
        tost_interval=narrow,
        test=sign_flip_test(values, seed=seed),
        reason=None if wide else "too few applications moved for an interval",
    )


def _detectable(changes: FloatArray, *, alpha: float, power: float) -> float | None:
    """Smallest change detected; where fewer than ten moved, that of changes in one direction only."""
    n = len(changes)
    if n == 0:
        return None
    if int((changes != 0).sum()) < MIN_DISCORDANT:
        return detectable_one_way_effect(n=n, alpha=alpha, power=power).value
    return detectable_mean_shift(n=n, sd=float(changes.std(ddof=1)), alpha=alpha, power=power).value
