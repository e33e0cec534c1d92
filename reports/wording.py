"""Plain sentences from measurements: what was changed, what was seen, how sure. Both directions get the same words.

The sentences never claim that a model is good or bad in law; ``reports.lint`` checks the finished text for words that
would.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.records import Conclusion, Measurement, Role, Severity
from reports import numbers
from reports.labels import METRIC_LABELS, TEST_LABELS

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
CHANGES = {"reask": "Asked again, nothing changed", "placebo": "Placebo field changed"}
NAMED_AT_MOST = 4
#: Keys of a subject whose value says enough.
SAID_ALONE = ("setting", "at", "method", "path", "node", "by")


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
    if parts.get("change") in CHANGES:
        return CHANGES[parts["change"]]
    field, group = parts.pop("field", None), parts.pop("group", None)
    words = [sentence_case(group) if group else "", field_words(field) if field and not group else ""]
    words += [f"{field_words(key)} {field_words(str(value))}" for key, value in parts.items()]
    return ", ".join(word for word in words if word) or "all cases"


def metric_label(measurement: Measurement) -> str:
    """The measure's name in words."""
    return METRIC_LABELS.get(measurement.metric, sentence_case(field_words(measurement.metric)))


def test_label(test: str) -> str:
    """The test's name in words."""
    return TEST_LABELS.get(test, sentence_case(field_words(test)))


def of_whom(measurement: Measurement) -> str:
    """``Race: Black``, and where in the model; what was measured where no field was."""
    parts = dict(measurement.subject)
    field, group = parts.pop("field", None), parts.pop("group", None)
    if not field or not group:
        return subject(measurement)
    places = [value if key in SAID_ALONE else f"{field_words(key)} {value}" for key, value in parts.items()]
    return ", ".join([f"{sentence_case(field_words(field))}: {group}", *places])


def with_p_values(text: str) -> str:
    """The text with every ``p = 0.000136`` in the print of p-values: ``p < .001``."""
    return re.sub(
        r"\b([pq]) = (\d+(?:\.\d+)?(?:e[-+]?\d+)?)",
        lambda match: numbers.p_words(float(match.group(2)), symbol=match.group(1)),
        text,
    )


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
    threshold = numbers.number(100 * design.practical_rate, decimals=1)
    if measurement.conclusion is Conclusion.DIFFERENCE_FOUND:
        return f"{effect_sentence(measurement, design)} The threshold set before the run was {threshold}."
    if measurement.conclusion is Conclusion.DIFFERENCE_BELOW_THRESHOLD:
        return f"{effect_sentence(measurement, design)} That is below the threshold set before the run of {threshold}."
    return group_sentence([measurement], design)


def group_sentence(group: Sequence[Measurement], design: Design, *, cause: str | None = None) -> str:
    """What contrasts of one conclusion at one operating point let one say, together.

    Parameters
    ----------
    group
        Measurements with the same metric and the same conclusion, at least one.
    design
        The plan's figures.
    cause
        Why the result is inconclusive, where that was said before; else the recorded reason is printed.
    """
    first, name = group[0], f"For {_against(group)}{_at(group[0])}"
    largest = max(group, key=lambda item: abs(item.estimate or 0.0))
    seen = f"{'largest ' if len(group) > 1 else ''}{_shown(largest)}"
    threshold = numbers.number(100 * design.practical_rate, decimals=1)
    if first.conclusion in (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD):
        size = "at or beyond" if first.conclusion is Conclusion.DIFFERENCE_FOUND else "below"
        each = joined([_shown(item) for item in group])
        return f"{name}, a difference {size} the threshold of {threshold} pp was found: {each}."
    if first.conclusion is Conclusion.NO_EVIDENCE:
        return f"{name}, no evidence of a difference ≥ {threshold} pp was found. {_power(group, seen, design)}"
    if first.conclusion is Conclusion.EQUIVALENT_WITHIN_MARGIN:
        margin = numbers.number(100 * design.equivalence_rate, decimals=1)
        close = f"; {seen}" if len(group) > 1 else f" ({seen})"
        return f"{name}, the difference lay within ±{margin} pp{close}."
    if first.conclusion is Conclusion.INCONCLUSIVE:
        return f"{name}, the result is inconclusive: {cause or inconclusive_cause(first, design)} ({seen})."
    return f"{name}: not tested ({first.missing_reason or 'not part of the plan'})."


def grouped(measurements: Sequence[Measurement], design: Design) -> list[list[Measurement]]:
    """Contrasts that one sentence can speak of, in the order of their first.

    The same operating point, the same conclusion and, where the result is inconclusive or missing, the same reason.
    """
    groups: dict[tuple[object, ...], list[Measurement]] = {}
    for item in measurements:
        reason = inconclusive_cause(item, design) if item.conclusion is Conclusion.INCONCLUSIVE else item.missing_reason
        groups.setdefault((item.metric, item.conclusion, reason), []).append(item)
    return list(groups.values())


def exploratory_sentence(measurements: Sequence[Measurement]) -> str | None:
    """One sentence that names the differences found outside the primary family; ``None`` where there are none."""
    parts = []
    for metric, place in (
        ("cf_net_effect", "at the natural threshold"),
        ("cf_net_effect_matched", "at the matched operating point"),
        ("cf_mean_shift_sd", "in the margin"),
        ("risk_difference", "as filed, between different applicants"),
    ):
        found = sorted(
            (
                item
                for item in measurements
                if item.metric == metric
                and item.role is not Role.PRIMARY
                and item.conclusion is Conclusion.DIFFERENCE_FOUND
            ),
            key=lambda item: (-abs(item.estimate or 0.0), item.id),
        )
        if found:
            named = [
                f"{_against([item])} {numbers.estimate_and_interval(item).partition(' [')[0]}"
                for item in found[:NAMED_AT_MOST]
            ]
            more = f", {len(found) - NAMED_AT_MOST} more" if len(found) > NAMED_AT_MOST else ""
            parts.append(f"{place} ({', '.join(named)} {numbers.unit_name(found[0])}{more})")
    if not parts:
        return None
    start = "This is not the whole picture: exploratory tests, outside the primary family, found differences"
    return f"{start} {joined(parts)}."


def inconclusive_cause(measurement: Measurement, design: Design) -> str:
    """Why a contrast is inconclusive: the recorded reason, the checks that did not hold, or the power."""
    for recorded in (measurement.missing_reason, measurement.conclusion_reason):
        if recorded:
            words = with_p_values(re.sub(r"^Inconclusive[,:]\s*", "", recorded).rstrip("."))
            return words[:1].lower() + words[1:]
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
            f"{numbers.number(100 * design.practical_rate, decimals=1)} pp"
        )
    return pairs


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


def _against(group: Sequence[Measurement]) -> str:
    """``Black and Hispanic against White and female against male``."""
    by_reference: dict[tuple[str, str], list[str]] = {}
    for item in group:
        key = item.subject.get("field", ""), item.reference or "the reference"
        by_reference.setdefault(key, []).append(item.subject.get("group", "the group"))
    return joined([f"{joined(sorted(names))} against {base}" for (_, base), names in by_reference.items()])


def _at(measurement: Measurement) -> str:
    return " at the matched operating point" if measurement.metric == "cf_net_effect_matched" else ""


def _power(group: Sequence[Measurement], seen: str, design: Design) -> str:
    """What the contrasts could have seen: the largest of their smallest detectable differences."""
    pairs = f"{numbers.count(min(item.n for item in group))} pairs{' or more' if len(group) > 1 else ''}"
    known = [item.counts.get("mde") for item in group]
    mdes = [mde for mde in known if mde is not None]
    if len(mdes) < len(known):
        return f"What it could have seen is not known ({pairs}; {seen})."
    return (
        f"The test had {numbers.number(100 * design.power, decimals=0)}% power for "
        f"{numbers.number(100 * max(mdes), decimals=1)} pp ({pairs}; {seen})."
    )


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
