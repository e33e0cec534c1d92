"""Plain sentences from measurements: what was changed, what was seen, how sure. Both directions get the same words.

The sentences never claim that a model is good or bad in law; ``reports.lint`` checks the finished text for words that
would.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.records import Conclusion, Measurement, Role, Severity
from reports import numbers

CONCLUSION_ORDER = (
    Conclusion.DIFFERENCE_FOUND,
    Conclusion.DIFFERENCE_BELOW_THRESHOLD,
    Conclusion.INCONCLUSIVE,
    Conclusion.NO_EVIDENCE,
    Conclusion.EQUIVALENT_WITHIN_MARGIN,
    Conclusion.NOT_TESTED,
)
CONCLUSION_MEANING = {
    Conclusion.DIFFERENCE_FOUND: "significant after adjustment, and at or beyond the practical threshold",
    Conclusion.DIFFERENCE_BELOW_THRESHOLD: "significant after adjustment, smaller than the practical threshold",
    Conclusion.NO_EVIDENCE: "none found; differences smaller than the smallest detectable one cannot be excluded",
    Conclusion.EQUIVALENT_WITHIN_MARGIN: "the equivalence test placed the difference within the margin set beforehand",
    Conclusion.INCONCLUSIVE: "too little power or data quality to say",
    Conclusion.NOT_TESTED: "out of scope, or not tested",
}
METRIC_LABELS = {
    "cf_net_effect": "Net effect",
    "cf_net_effect_matched": "Net effect, matched operating point",
    "cf_flip_rate": "Flip rate",
    "cf_flip_rate_against": "Flip rate, against the group",
    "cf_flip_rate_towards": "Flip rate, towards the group",
    "cf_mean_shift": "Margin shift",
    "selection_rate": "Approval rate",
    "invalid_rate": "Unusable answers",
    "answer_mass": "Answer mass",
    "impact_ratio": "Impact ratio",
    "risk_difference": "Difference of approval rates",
    "smd": "Standardised mean difference",
    "denial_odds_ratio": "Denial odds ratio",
    "shortfall": "Shortfall",
    "auc": "AUC against recorded outcomes",
    "flip_rate": "Flip rate",
    "excess_flip_rate": "Excess flips over the floor",
}


@dataclass(frozen=True)
class Design:
    """The figures of the plan that sentences quote."""

    practical_rate: float
    equivalence_rate: float
    practical_margin_sd: float
    power: float
    alpha: float
    mass_floor: float
    mute_share: float
    degenerate_share: float
    small_cell: int
    verb: str

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> Design:
        """From the design record (``plan.json``)."""
        thresholds, point = plan["thresholds"], plan["operating_point"]
        answers = [answer.strip().lower() for answer in plan["prompt"]["answers"]["favourable"]]
        return cls(
            practical_rate=thresholds["practical_rate"],
            equivalence_rate=thresholds["equivalence_rate"],
            practical_margin_sd=thresholds["practical_margin_sd"],
            power=thresholds["power"],
            alpha=thresholds["alpha"],
            mass_floor=plan["prompt"]["answers"]["mass_floor"],
            mute_share=point["mute_share"],
            degenerate_share=point["degenerate_share"],
            small_cell=thresholds["small_cell"],
            verb="approved" if any(answer.startswith("approve") for answer in answers) else "favoured",
        )


def field_words(field: str) -> str:
    """``marital_status`` as ``marital status``."""
    return field.replace("_", " ")


def sentence_case(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def contrast(measurement: Measurement) -> str:
    """``Black − White``: the group against its reference; what was measured, where there is no reference."""
    group = measurement.subject.get("group")
    if group and measurement.reference:
        return f"{sentence_case(group)} {numbers.MINUS} {sentence_case(measurement.reference)}"
    return subject(measurement)


def subject(measurement: Measurement) -> str:
    """What was measured, in words."""
    parts = dict(measurement.subject)
    field, group = parts.pop("field", None), parts.pop("group", None)
    words = [sentence_case(group) if group else "", field_words(field) if field and not group else ""]
    words += [f"{field_words(key)} {value}" for key, value in parts.items()]
    return ", ".join(word for word in words if word) or "all cases"


def metric_label(measurement: Measurement) -> str:
    """The measure's name in words; its unit is said where two units of it exist."""
    label = METRIC_LABELS.get(measurement.metric, sentence_case(field_words(measurement.metric)))
    return f"{label}, SD" if measurement.metric == "cf_mean_shift" and measurement.unit == "sd" else label


def effect_sentence(measurement: Measurement, design: Design) -> str:
    """``When only race changed from White to Black, the model approved 2.9 percentage points fewer …``."""
    group, reference = measurement.subject.get("group", "the group"), measurement.reference or "the reference"
    field = field_words(measurement.subject.get("field", "the attribute"))
    start = f"When only {field} changed from {reference} to {group}, "
    if measurement.metric == "cf_net_effect_matched":
        start += "and one threshold for every group gave the reference the recorded approval rate, "
    value = measurement.estimate or 0.0
    shown = numbers.number(abs(100 * value), decimals=1)
    if not any(digit in shown for digit in "123456789"):
        seen = f"the model {design.verb} as many of the same applications"
    else:
        direction = "fewer" if value < 0 else "more"
        seen = f"the model {design.verb} {shown} percentage points {direction} of the same applications"
    return f"{start}{seen} {_interval_words(measurement)}."


def conclusion_sentence(measurement: Measurement, design: Design) -> str:
    """What one contrast's result lets one say."""
    name = _pair(measurement)
    code = measurement.conclusion
    threshold = numbers.number(100 * design.practical_rate, decimals=1)
    if code in (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD):
        place = "The" if code is Conclusion.DIFFERENCE_FOUND else "That is below the"
        close = f"{place} threshold set before the run " + (
            f"was {threshold}." if code is Conclusion.DIFFERENCE_FOUND else f"of {threshold}."
        )
        return f"{effect_sentence(measurement, design)} {close}"
    if code is Conclusion.NO_EVIDENCE:
        return f"{name}, no evidence of a difference ≥ {threshold} pp was found. {power_sentence(measurement, design)}"
    if code is Conclusion.EQUIVALENT_WITHIN_MARGIN:
        margin = numbers.number(100 * design.equivalence_rate, decimals=1)
        return f"{name}, the difference lay within ±{margin} pp ({_shown(measurement)})."
    if code is Conclusion.INCONCLUSIVE:
        return f"{name}, the result is inconclusive: {inconclusive_cause(measurement, design)}."
    return f"{name}: not tested ({measurement.missing_reason or 'not part of the plan'})."


def power_sentence(measurement: Measurement, design: Design) -> str:
    """What the contrast could have seen: its smallest detectable difference."""
    mde = measurement.counts.get("mde")
    if mde is None:
        return f"What it could have seen is not known ({numbers.count(measurement.n)} pairs; {_shown(measurement)})."
    return (
        f"The test had {numbers.number(100 * design.power, decimals=0)}% power for "
        f"{numbers.number(100 * mde, decimals=1)} pp ({numbers.count(measurement.n)} pairs; {_shown(measurement)})."
    )


def inconclusive_cause(measurement: Measurement, design: Design) -> str:
    """Why a contrast is inconclusive: the recorded reason, the checks that did not hold, or the power."""
    if measurement.missing_reason:
        return measurement.missing_reason.rstrip(".")
    failed = [
        check.note.rstrip(".") or f"the check “{check.name}” did not hold"
        for check in measurement.checks
        if not check.held
    ]
    if failed:
        return "; ".join(failed)
    mde = measurement.counts.get("mde")
    pairs = f"{numbers.count(measurement.n)} pairs"
    if mde is not None and mde > design.practical_rate:
        return (
            f"too few pairs to say. {sentence_case(pairs)} could have seen {numbers.number(100 * mde, decimals=1)} pp "
            f"with {numbers.number(100 * design.power, decimals=0)}% power; the threshold is "
            f"{numbers.number(100 * design.practical_rate, decimals=1)} pp ({_shown(measurement)})"
        )
    return f"{pairs}, {_shown(measurement)}"


def mute_sentence(measurements: Sequence[Measurement], design: Design) -> str | None:
    """One sentence where the model answers almost nobody, or gives one answer to almost everybody; else ``None``.

    Reads the share of unusable answers and the reference arm's approval rate against the plan's two shares.
    """
    parts = []
    invalid = [item for item in measurements if item.metric == "invalid_rate" and item.estimate is not None]
    worst = max(invalid, key=lambda item: item.estimate or 0.0, default=None)
    if worst is not None and (worst.estimate or 0.0) > design.mute_share:
        parts.append(
            f"The model left {numbers.rate(worst.estimate)} of its prompts without a usable answer: it put less than "
            f"{numbers.ratio(design.mass_floor)} probability on all planned answers together"
        )
    for field, item in _reference_rates(measurements):
        share = item.estimate if item.estimate is not None else 0.5
        if share >= design.degenerate_share or share <= 1 - design.degenerate_share:
            parts.append(
                f"At its natural threshold the model {design.verb} {numbers.rate(share)} of the applications with "
                f"{field_words(field)} {item.subject.get('group')}: one answer for almost everybody"
            )
            break
    if not parts:
        return None
    return ". ".join(parts) + ". Outcomes at that threshold cannot show whether an attribute matters."


def lead_measurement(measurements: Iterable[Measurement]) -> Measurement | None:
    """The primary measurement that carries the verdict: the gravest code first, then the largest effect."""
    primary = [item for item in measurements if item.role is Role.PRIMARY]
    return min(
        primary,
        key=lambda item: (
            CONCLUSION_ORDER.index(item.conclusion or Conclusion.NOT_TESTED),
            -abs(item.estimate or 0.0),
            item.id,
        ),
        default=None,
    )


def severity_word(severity: Severity) -> str:
    """``High``."""
    return severity.value.capitalize()


def joined(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def _reference_rates(measurements: Sequence[Measurement]) -> list[tuple[str, Measurement]]:
    references = {item.reference for item in measurements if item.test == "counterfactual" and item.reference}
    return [
        (item.subject["field"], item)
        for item in measurements
        if item.test == "arm_rates" and item.metric == "selection_rate" and item.subject.get("group") in references
    ]


def _pair(measurement: Measurement) -> str:
    group, reference = measurement.subject.get("group", "the group"), measurement.reference or "the reference"
    matched = " at the matched operating point" if measurement.metric == "cf_net_effect_matched" else ""
    return f"For {group} against {reference}{matched}"


def _shown(measurement: Measurement) -> str:
    return f"{numbers.estimate_and_interval(measurement)} {numbers.unit_name(measurement)}".strip()


def _interval_words(measurement: Measurement) -> str:
    low, high = measurement.low, measurement.high
    if low is None or high is None:
        return "(no interval)"
    level = numbers.number(100 * measurement.level, decimals=0)
    sizes = [numbers.number(abs(100 * bound), decimals=1) for bound in sorted((low, high), key=abs)]
    if high < 0 or low > 0:
        return f"({level}% interval {sizes[0]} to {sizes[1]} {'fewer' if high < 0 else 'more'})"
    return f"({level}% interval {numbers.points(low, unit=False)} to {numbers.points(high)})"
