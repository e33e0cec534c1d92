"""Measurements from interpretation: how far descriptions hold, all together and feature by feature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from auditor.mechanisms._shared.decision_checks import FARTHEST
from auditor.mechanisms._shared.enough import APPLICATIONS, measured, printable
from auditor.mechanisms._shared.paired_means import mean_share, paired_mean
from auditor.mechanisms.interpretation.scores import Answers
from auditor.records import Check, Measurement, Role
from auditor.statistics.rates import Tally, selection_rate
from auditor.statistics.results import Estimate, Interval, missing
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

DESCRIBED = "interpretation_described"
DETECTION, FUZZING = "interpretation_detection", "interpretation_fuzzing"
SHUFFLED = {DETECTION: "interpretation_detection_shuffled", FUZZING: "interpretation_fuzzing_shuffled"}
FEATURE = {DETECTION: "feature_detection", FUZZING: "feature_fuzzing"}
METHODS = {
    DETECTION: "balanced share of contexts told apart, on other applications",
    FUZZING: "balanced share of tokens told apart in and beside active contexts, on other applications",
}
FEATURES = "features"
SAID_NOTHING = "the describer said nothing"
NEAR_CHANCE = 0.1
"""How far from 1/2 descriptions exchanged between features may score: related features have related descriptions."""
SUMS = 1e-9
"""Two orders of adding a few thousand shares in double precision."""


def measures(context: Context, results: Sequence[Mapping[str, Any]], *, test: str) -> Iterable[UnadjustedMeasurement]:
    """All measurements of the run's dictionary."""
    level = 1 - context.plan.thresholds.alpha
    for result in results:
        if result["reason"] is not None:
            nothing = missing(method="descriptions of features", reason=result["reason"], n=0)
            yield UnadjustedMeasurement(
                _measurement(nothing, test=test, level=level, metric=DESCRIBED, subject={"states": "no dictionary"})
            )
            continue
        yield from _together(result, test=test, level=level)
        by_latent = {row["latent"]: row for row in result["features"]}
        for latent in result["reported"]:
            for item in feature_rows(by_latent.get(latent), result, latent=latent, test=test, level=level):
                yield UnadjustedMeasurement(item)
        if result["by_model"] is not None:
            yield from _by_model(result, test=test, level=level)


def feature_rows(
    row: Mapping[str, Any] | None, result: Mapping[str, Any], *, latent: int, test: str, level: float, **more: str
) -> Iterable[Measurement]:
    """Detection and fuzzing of one feature; its words go with both. ``more`` is added to the subject."""
    subject = {"layer": str(result["layer"]), "feature": str(latent), **more}
    words, reason = None, "it acts nowhere in the applications it would be described on"
    answers: Answers | None = None
    if row is not None:
        words, reason = row["words"], row["reason"]
        answers = Answers.of(row["answers"]) if row.get("answers") else None
    for metric, name in FEATURE.items():
        if answers is None:
            estimate = missing(method=METHODS[metric], reason=reason or "", n=0)
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
            checks=_recounted([row] if row is not None else []),
            counts=_counts(row, answers),
        )


def _together(result: Mapping[str, Any], *, test: str, level: float) -> Iterable[UnadjustedMeasurement]:
    rows = result["features"]
    left = Counter(str(row["reason"]).replace(" ", "_") for row in rows if row["reason"] is not None)
    counts: dict[str, float | int | None] = {"latents": result["latents"], "act": len(rows), **left}
    yield from _group(rows, {"states": f"before layer {result['layer']}"}, counts, test=test, level=level)


def _by_model(result: Mapping[str, Any], *, test: str, level: float) -> Iterable[UnadjustedMeasurement]:
    """The same for sentences of a model."""
    found = result["by_model"]
    describer = {"describer": found["describer"]}
    if "reason" in found:
        nothing = missing(method="descriptions by a model", reason=found["reason"], n=0)
        subject = {"states": f"before layer {result['layer']}", **describer}
        yield UnadjustedMeasurement(_measurement(nothing, test=test, level=level, metric=DESCRIBED, subject=subject))
        return
    rows = [{**row, "reason": None if row["answers"] else SAID_NOTHING, "active": 0} for row in found["features"]]
    counts: dict[str, float | int | None] = {
        "answers_asked_for": sum(row["asked"] for row in rows),
        "answers_neither_yes_nor_no": sum(row["unparseable"] for row in rows),
        "without_a_description": sum(row["words"] is None for row in rows),
        "not_tried": found["not_tried"],
    }
    subject = {"states": f"before layer {result['layer']}", **describer}
    yield from _group(rows, subject, counts, test=test, level=level, scorer=found["scorer"])
    for row in rows:
        for item in feature_rows(row, result, latent=row["latent"], test=test, level=level, **describer):
            yield UnadjustedMeasurement(replace(item, method=f"{item.method}; tried by {found['scorer']}"))


def _group(
    rows: Sequence[Mapping[str, Any]],
    subject: dict[str, str],
    counts: dict[str, float | int | None],
    *,
    test: str,
    level: float,
    scorer: str = "a matcher of the words",
) -> Iterable[UnadjustedMeasurement]:
    """How many descriptions there are, how far they hold, and how far exchanged ones do."""
    scored = [row for row in rows if row.get("answers")]
    if rows:
        share = selection_rate(Tally(len(scored), len(rows)), level=level)
    else:
        share = missing(method="share described", reason="no feature acts on these prompts", n=0)
    counts = {**counts, "described_and_scored": len(scored)}
    yield UnadjustedMeasurement(
        _measurement(
            share, test=test, level=level, metric=DESCRIBED, subject=subject, counts=counts, **_few(len(rows), scored)
        )
    )
    for place, metric in enumerate((DETECTION, FUZZING)):
        values = [_value(Answers.of(row["answers"]), metric) for row in scored]
        exchanged = [row["shuffled"][place] for row in scored if row.get("shuffled")]
        control = float(np.mean(exchanged)) if exchanged else None
        checks = _recounted(scored)
        if exchanged:
            checks = (*checks, *_near_chance(exchanged))
        method = f"{METHODS[metric]}; tried by {scorer}"
        yield UnadjustedMeasurement(
            _measurement(
                _mean(values, level=level, method=method),
                test=test,
                level=level,
                metric=metric,
                subject=subject,
                checks=checks,
                counts={
                    "shuffled_mean": control,
                    "over_three_quarters": sum(value >= 0.75 for value in values),
                    **_beyond(values, exchanged, level=level, **_few(len(scored), scored)),
                },
                **_few(len(scored), scored),
            )
        )
        other = _mean(exchanged, level=level, method=f"{method}, descriptions of other features")
        about = {"test": test, "level": level, "subject": subject, **_few(len(exchanged), scored)}
        yield UnadjustedMeasurement(_measurement(other, metric=SHUFFLED[metric], **about))


def _recounted(rows: Sequence[Mapping[str, Any]]) -> tuple[Check, ...]:
    found = [row["recounted"] for row in rows if row.get("recounted") is not None]
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


def _few(features: int, scored: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What an interval over features rests on, as `printable` takes it: features, or their applications if fewer.

    Features of a dictionary are tried on the same applications; many of them on a few say little of others.
    """
    applications = max((Answers.of(row["answers"]).found.applications for row in scored), default=0)
    if applications < features:
        return {"n": applications, "what": APPLICATIONS}
    return {"n": features, "what": FEATURES}


def _beyond(
    values: Sequence[float], exchanged: Sequence[float], *, level: float, **few: Any
) -> dict[str, float | int | None]:
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


def _value(answers: Answers, metric: str) -> float:
    return answers.detection if metric == DETECTION else answers.fuzzing


def _counts(row: Mapping[str, Any] | None, answers: Answers | None) -> dict[str, float | int | None]:
    if row is None:
        return {}
    counts: dict[str, float | int | None] = {"active_tokens": row["active"]}
    if answers is not None:
        counts |= {"contexts": int(answers.found.all), "applications": answers.found.applications}
    if row.get("shuffled"):
        counts |= {"shuffled_detection": row["shuffled"][0], "shuffled_fuzzing": row["shuffled"][1]}
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
