"""Measurements from interpretation: how far descriptions hold, all together and feature by feature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from auditor.mechanisms._shared.decision_checks import FARTHEST
from auditor.mechanisms._shared.enough import APPLICATIONS, measured, printable
from auditor.mechanisms._shared.paired_means import mean_share, paired_mean
from auditor.mechanisms.interpretation.answers import Answers
from auditor.mechanisms.interpretation.card import FEATURE_DETECTION, FEATURE_FUZZING
from auditor.mechanisms.interpretation.result import Exchanged, FeatureInWords, Interpreted, NoModels, ToldByModels
from auditor.mechanisms.sae.rows import NoDictionary
from auditor.records import Check, Measurement, Role
from auditor.statistics.rates import Tally, selection_rate
from auditor.statistics.results import Estimate, Interval, missing
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

DESCRIBED = "interpretation_described"
DETECTION, FUZZING = "interpretation_detection", "interpretation_fuzzing"
SHUFFLED = {DETECTION: "interpretation_detection_shuffled", FUZZING: "interpretation_fuzzing_shuffled"}
FEATURE = {DETECTION: FEATURE_DETECTION, FUZZING: FEATURE_FUZZING}
METHODS = {
    DETECTION: "balanced share of contexts told apart, on other applications",
    FUZZING: "balanced share of tokens told apart in and beside active contexts, on other applications",
}
FEATURES = "features"
Counts = dict[str, float | int | None]
NEAR_CHANCE = 0.1
"""How far from 1/2 descriptions exchanged between features may score: related features have related descriptions."""
SUMS = 1e-9
"""Two orders of adding a few thousand shares in double precision."""


def measures(
    context: Context, results: Sequence[Interpreted | NoDictionary], *, test: str
) -> Iterable[UnadjustedMeasurement]:
    """All measurements of the run's dictionary."""
    level = 1 - context.plan.thresholds.alpha
    for result in results:
        if isinstance(result, NoDictionary):
            nothing = missing(method="descriptions of features", reason=result.reason, n=0)
            yield UnadjustedMeasurement(
                _measurement(nothing, test=test, level=level, metric=DESCRIBED, subject={"states": "no dictionary"})
            )
            continue
        yield from _together(result, test=test, level=level)
        by_latent = result.by_latent
        for latent in result.reported:
            for item in feature_rows(by_latent.get(latent), layer=result.layer, latent=latent, test=test, level=level):
                yield UnadjustedMeasurement(item)
        if result.by_models is not None:
            yield from _by_models(result.by_models, layer=result.layer, test=test, level=level)


def feature_rows(
    feature: FeatureInWords | None, *, layer: int, latent: int, test: str, level: float, **more: str
) -> Iterable[Measurement]:
    """Detection and fuzzing of one feature; its words go with both. ``more`` is added to the subject."""
    subject = {"layer": str(layer), "feature": str(latent), **more}
    words, reason = None, "it acts nowhere in the applications it would be described on"
    answers: Answers | None = None
    if feature is not None:
        words, reason, answers = feature.words, feature.reason or "", feature.answers
    for metric, name in FEATURE.items():
        if answers is None:
            estimate = missing(method=METHODS[metric], reason=reason, n=0)
        else:
            value, (low, high) = (
                (answers.detection, answers.detection_interval(level=level))
                if metric == DETECTION
                else (answers.fuzzing, answers.fuzzing_interval(level=level))
            )
            interval = Interval(low, high, level, "Wilson, applications as n, mean of what is balanced")
            estimate = Estimate(value=value, n=int(answers.found.all), method=METHODS[metric], interval=interval)
        yield _measurement(
            estimate,
            test=test,
            level=level,
            metric=name,
            subject=subject,
            conclusion_reason=words,
            n=answers.found.applications if answers is not None else 0,
            checks=_recounted([feature] if feature is not None else []),
            counts=_counts(feature),
        )


def _together(result: Interpreted, *, test: str, level: float) -> Iterable[UnadjustedMeasurement]:
    features = result.features
    left = Counter(one.reason.replace(" ", "_") for one in features if one.reason is not None)
    counts: Counts = {"latents": result.latents, "act": len(features), **left}
    yield from _group(features, {"states": f"before layer {result.layer}"}, counts, test=test, level=level)


def _by_models(
    found: ToldByModels | NoModels, *, layer: int, test: str, level: float
) -> Iterable[UnadjustedMeasurement]:
    """The same for sentences of a model."""
    describer = {"describer": found.describer}
    subject = {"states": f"before layer {layer}", **describer}
    if isinstance(found, NoModels):
        nothing = missing(method="descriptions by a model", reason=found.reason, n=0)
        yield UnadjustedMeasurement(_measurement(nothing, test=test, level=level, metric=DESCRIBED, subject=subject))
        return
    features = [told.feature for told in found.features]
    counts: Counts = {
        "answers_asked_for": sum(told.asked for told in found.features),
        "answers_neither_yes_nor_no": sum(told.unparseable for told in found.features),
        "without_a_description": sum(one.words is None for one in features),
        "not_tried": found.not_tried,
    }
    yield from _group(features, subject, counts, test=test, level=level, scorer=found.scorer)
    for one in features:
        for item in feature_rows(one, layer=layer, latent=one.latent, test=test, level=level, **describer):
            yield UnadjustedMeasurement(replace(item, method=f"{item.method}; tried by {found.scorer}"))


@dataclass(frozen=True)
class _Scored:
    """A feature with what its description got right."""

    feature: FeatureInWords
    answers: Answers


def _group(
    features: Sequence[FeatureInWords],
    subject: dict[str, str],
    counts: Counts,
    *,
    test: str,
    level: float,
    scorer: str = "a matcher of the words",
) -> Iterable[UnadjustedMeasurement]:
    """How many descriptions there are, how far they hold, and how far exchanged ones do."""
    scored = [_Scored(one, one.answers) for one in features if one.answers is not None]
    if features:
        share = selection_rate(Tally(len(scored), len(features)), level=level)
    else:
        share = missing(method="share described", reason="no feature acts on these prompts", n=0)
    about: dict[str, Any] = {"test": test, "level": level, "subject": subject}
    counts = {**counts, "described_and_scored": len(scored)}
    yield UnadjustedMeasurement(
        _measurement(share, metric=DESCRIBED, counts=counts, **about, **_few(len(features), scored))
    )
    for metric in (DETECTION, FUZZING):
        values = [_value(one.answers, metric) for one in scored]
        exchanged = [_value(one.feature.exchanged, metric) for one in scored if one.feature.exchanged is not None]
        checks = _recounted([one.feature for one in scored])
        if exchanged:
            checks = (*checks, *_near_chance(exchanged))
        method = f"{METHODS[metric]}; tried by {scorer}"
        yield UnadjustedMeasurement(
            _measurement(
                _mean(values, level=level, method=method),
                metric=metric,
                checks=checks,
                counts={
                    "shuffled_mean": float(np.mean(exchanged)) if exchanged else None,
                    "over_three_quarters": sum(value >= 0.75 for value in values),
                    **_beyond(values, exchanged, level=level, **_few(len(scored), scored)),
                },
                **about,
                **_few(len(scored), scored),
            )
        )
        other = _mean(exchanged, level=level, method=f"{method}, descriptions of other features")
        yield UnadjustedMeasurement(
            _measurement(other, metric=SHUFFLED[metric], **about, **_few(len(exchanged), scored))
        )


def _recounted(features: Sequence[FeatureInWords]) -> tuple[Check, ...]:
    found = [one.recounted for one in features if one.recounted is not None]
    if not found:
        return ()
    name, note = "scores counted again, context by context", f"largest difference, {len(found)} features"
    return (Check(name, max(found) <= SUMS, max(found), SUMS, note),)


def _near_chance(exchanged: Sequence[float]) -> tuple[Check, ...]:
    """Descriptions of other features tell nothing apart; no check where so few features cannot show it."""
    control = float(np.mean(exchanged))
    error = float(np.std(exchanged, ddof=1) / np.sqrt(len(exchanged))) if len(exchanged) > 1 else 0.5
    bound = NEAR_CHANCE + 3 * error
    if bound >= FARTHEST:
        return ()
    note = (
        f"distance from 50%: {NEAR_CHANCE} for related features and three standard errors of {len(exchanged)} features"
    )
    return (Check("descriptions of other features score about 50%", abs(control - 0.5) <= bound, control, 0.5, note),)


def _few(features: int, scored: Sequence[_Scored]) -> dict[str, Any]:
    """What an interval over features rests on, as `standing` takes it: features, or their applications if fewer.

    Features of a dictionary are tried on the same applications; many of them on a few say little of others.
    """
    applications = max((one.answers.found.applications for one in scored), default=0)
    if applications < features:
        return {"n": applications, "what": APPLICATIONS}
    return {"n": features, "what": FEATURES}


def _beyond(values: Sequence[float], exchanged: Sequence[float], *, level: float, **few: Any) -> Counts:
    """How far a feature's own description scores above another's, with its interval over features."""
    if len(values) != len(exchanged) or len(values) < 2:
        return {"beyond_shuffled": None}
    own = paired_mean(np.array(values) - np.array(exchanged), level=level, method="own minus exchanged")
    found = printable(own, **few)
    interval = found.interval
    return {
        "beyond_shuffled": found.value,
        "beyond_shuffled_low": interval.low if interval else None,
        "beyond_shuffled_high": interval.high if interval else None,
    }


def _value(answers: Answers | Exchanged, metric: str) -> float:
    return answers.detection if metric == DETECTION else answers.fuzzing


def _counts(feature: FeatureInWords | None) -> Counts:
    if feature is None:
        return {}
    counts: Counts = {"active_tokens": feature.active}
    if feature.answers is not None:
        found = feature.answers.found
        counts |= {"contexts": int(found.all), "applications": found.applications}
    if feature.exchanged is not None:
        exchanged = feature.exchanged
        counts |= {"shuffled_detection": exchanged.detection, "shuffled_fuzzing": exchanged.fuzzing}
    return counts


def _mean(values: Sequence[float], *, level: float, method: str) -> Estimate:
    return mean_share(np.array(values, dtype=np.float64), level=level, method=method, by="feature")


def _measurement(
    estimate: Estimate, *, test: str, metric: str, subject: dict[str, str], level: float, **more: Any
) -> Measurement:
    return measured(
        estimate,
        test=test,
        metric=metric,
        role=Role.SUPPORTING,
        subject=subject,
        unit="rate",
        cases="role:actual",
        level=level,
        higher_is_better=None,
        **more,
    )
