"""Plain sentences about contrasts: what was changed, in what, at which cut-off, what was seen, how sure.

Both directions get the same words. The sentences never claim that a model is good or bad in law; ``reports.lint``
checks the finished text for words that would.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from auditor.behaviour.metrics import (
    ADJUSTED_DIFFERENCE,
    CF_MEAN_SHIFT_SD,
    CF_NET_EFFECT,
    CF_NET_EFFECT_MATCHED,
    CF_RANGE_EFFECT,
    IMPACT_RATIO,
    REFUSAL_RATE_GAP,
    RISK_DIFFERENCE,
    SEGMENTED_DIFFERENCE,
)
from auditor.finding_words import SEEN, found_by
from auditor.records import Conclusion, Measurement
from reports import numbers
from reports.wording import (
    Design,
    conclusion_words,
    field_words,
    in_print,
    interval_kind,
    joined,
    lower_first,
    metric_label,
    metric_words,
    named,
    of_answers,
    on_file,
    sentence_case,
    with_p_values,
)

AS_FILED = "group_rates"
FOUR_FIFTHS = 0.8
OWN, MATCHED, READABLE, RANGE, SCORE = (
    CF_NET_EFFECT,
    CF_NET_EFFECT_MATCHED,
    REFUSAL_RATE_GAP,
    CF_RANGE_EFFECT,
    CF_MEAN_SHIFT_SD,
)


OTHERWISE = "These are different applicants, who may differ in other ways too."
TAKEN = {
    RISK_DIFFERENCE: "decisions already taken",
    ADJUSTED_DIFFERENCE: "decisions already taken, at equal recorded factors",
    SEGMENTED_DIFFERENCE: "decisions already taken",
    IMPACT_RATIO: "the impact ratio of decisions already taken",
}
"""What measures of a decision file are about, where a sentence goes on from "a difference in"."""


def effect_sentence(measurement: Measurement, design: Design) -> str:
    """``When only race changed from White to Black, the model approved 2.9 percentage points fewer …``."""
    group, reference = measurement.subject.get("group", "the group"), measurement.reference or "the reference"
    field = field_words(measurement.subject.get("field", "the attribute"))
    if on_file(measurement):
        return _taken_sentence(measurement, field=field, group=group, reference=reference)
    if measurement.test == AS_FILED:
        return _filed_sentence(measurement, field=field, group=group, reference=reference)
    start = f"When only {field} changed from {reference} to {group}, "
    if measurement.estimate is None:
        return f"{start}nothing could be measured ({_why(measurement)})."
    return f"{start}{_seen(measurement, design)} {_interval_words(measurement)}."


def _filed_sentence(measurement: Measurement, *, field: str, group: str, reference: str) -> str:
    start = f"As filed, between different applicants, those with {field} {group} "
    if measurement.estimate is None:
        return f"{start}could not be compared with {reference} ({_why(measurement)})."
    seen = {
        IMPACT_RATIO: f"were approved {numbers.ratio(measurement.estimate)} times as often as {reference}",
        RISK_DIFFERENCE: (
            f"were approved {numbers.size_of(measurement, measurement.estimate)} percentage points "
            f"{'less' if measurement.estimate < 0 else 'more'} often than {reference}"
        ),
    }.get(measurement.metric, f"differ from {reference} by {numbers.estimate(measurement)}")
    return f"{start}{seen} {_interval_words(measurement)}. {OTHERWISE}"


def of_different(measurement: Measurement) -> bool:
    """Whether different applicants are compared, as filed or in a decision file, and not the same ones twice."""
    return measurement.test == AS_FILED or on_file(measurement)


def _taken_sentence(measurement: Measurement, *, field: str, group: str, reference: str) -> str:
    among = "answers to the applications as filed" if of_answers(measurement) else "decisions already taken"
    start = f"Among {among}, applicants with {field} {group} "
    if measurement.estimate is None:
        return f"{start}could not be compared with {reference} ({_why(measurement)})."
    seen = f"{_taken(measurement, reference)} {_interval_words(measurement)}"
    return f"{_apart(measurement)}{start}{seen}. {_otherwise(measurement)}"


def _otherwise(measurement: Measurement) -> str:
    """What else may tell the applicants apart."""
    equal = measurement.metric == ADJUSTED_DIFFERENCE
    return "They may differ in what the file does not record." if equal else OTHERWISE


def _taken(measurement: Measurement, reference: str) -> str:
    """How a group of a file fared beside its reference."""
    assert measurement.estimate is not None  # noqa: S101 - asked by the callers
    places = [named(key, value) for key, value in measurement.subject.items() if key not in ("field", "group")]
    often = "less" if measurement.estimate < 0 else "more"
    points = numbers.size_of(measurement, measurement.estimate)
    seen = {
        IMPACT_RATIO: f"were favoured {numbers.ratio(measurement.estimate)} times as often as {reference}",
        RISK_DIFFERENCE: f"were favoured {points} percentage points {often} often than {reference}",
        ADJUSTED_DIFFERENCE: (
            f"were favoured {points} percentage points {often} often than {reference} at equal recorded factors"
        ),
    }.get(measurement.metric)
    if seen is None or places:
        about = ", ".join([lower_first(metric_label(measurement)), *places])
        seen = f"differ from {reference} in {about}: {numbers.estimate(measurement)}"
    return seen


def _apart(measurement: Measurement) -> str:
    """What stands before a summary over segments that differ, or of which one has a gap of its own."""
    if not measurement.counts.get("lead_with_strata"):
        return ""
    within = field_words(measurement.subject.get("within", "the file"))
    return f"Segments of {within} are not alike, so that no summary speaks for each of them. "


def plain_sentence(measurement: Measurement, design: Design) -> str:
    """The verdict of a first page: who, how much, of what; its interval and threshold stand in the chart beside it."""
    of_a_filing = measurement.test == AS_FILED
    if measurement.estimate is None or of_a_filing or measurement.conclusion not in SEEN:
        return conclusion_sentence(measurement, design)
    field = field_words(measurement.subject.get("field", "the attribute"))
    if on_file(measurement):
        apart = _apart(measurement)
        whom = f"Applicants with {field} {measurement.subject.get('group', 'the group')}"
        said = f"{whom} {_taken(measurement, measurement.reference or 'the reference')}"
        small = measurement.conclusion is Conclusion.DIFFERENCE_BELOW_THRESHOLD
        return f"{apart}{said}{', a small and real difference' if small else ''}. {_otherwise(measurement)}"
    start = f"When only {field} changed from {measurement.reference} to {measurement.subject.get('group', '')}, "
    small = measurement.conclusion is Conclusion.DIFFERENCE_BELOW_THRESHOLD
    return f"{start}{_seen(measurement, design)}.{' That is small and real.' if small else ''}"


def conclusion_sentence(measurement: Measurement, design: Design) -> str:
    """What one contrast's result lets one say."""
    threshold = threshold_words(measurement, design)
    if band := ratio_band(measurement):
        inside = {
            Conclusion.DIFFERENCE_FOUND: "outside",
            Conclusion.DIFFERENCE_BELOW_THRESHOLD: "small and real: inside",
        }
        if measurement.conclusion in inside:
            of = lower_first(metric_label(measurement))
            said = f"That is {inside[measurement.conclusion]} {band}, the range of the {of} set before the run"
            said += " (four fifths)." if measurement.counts.get("threshold") == FOUR_FIFTHS else "."
            return f"{effect_sentence(measurement, design)} {said}"
    if measurement.conclusion is Conclusion.DIFFERENCE_FOUND:
        return f"{effect_sentence(measurement, design)} The threshold set before the run was {threshold}."
    if measurement.conclusion is Conclusion.DIFFERENCE_BELOW_THRESHOLD:
        small = f"That is small and real: below the threshold of {threshold} set before the run."
        return f"{effect_sentence(measurement, design)} {small}"
    return group_sentence([measurement], design)


def group_sentence(group: Sequence[Measurement], design: Design, *, cause: str | None = None) -> str:
    """What contrasts of one conclusion in one place let one say, together.

    Parameters
    ----------
    group
        Measurements with the same metric and the same conclusion, at least one.
    design
        The plan's figures.
    cause
        Why the result is inconclusive, where that was said before; else the recorded reason is printed.
    """
    first, name, what = group[0], f"For {against(group)}", what_words(group[0], design, group)
    largest = max(group, key=lambda item: abs(item.estimate or 0.0))
    seen = f"{'largest ' if len(group) > 1 else ''}{shown(largest)}"
    threshold = threshold_words(first, design)
    band = ratio_band(first)
    # Names that are sorted and joined cannot stand for figures in another order: each figure has its own.
    each = "; ".join(f"{against([item])} {shown(item)}" for item in group) if len(group) > 1 else shown(first)
    if first.conclusion in SEEN:
        found = first.conclusion is Conclusion.DIFFERENCE_FOUND
        if band:
            said = f"lies outside {band}" if found else f"shows a small and real difference, inside {band}"
            return f"{name}, {what} {said}: {each}."
        size = f" at or beyond the threshold of {threshold}" if found else f", below {threshold},"
        return f"{name}, a {'' if found else 'small and real '}difference in {what}{size} was found: {each}."
    if first.conclusion is Conclusion.NO_EVIDENCE:
        start = (
            f"{name}, no evidence was found that {what} lies outside {band}."
            if band
            else (f"{name}, no evidence of a difference in {what} ≥ {threshold} was found.")
        )
        return f"{start} {_power(group, seen, design)}{'' if band else one_way(group, design)}"
    if first.conclusion is Conclusion.EQUIVALENT_WITHIN_MARGIN:
        in_sd = first.unit == "sd"
        margin = f"{numbers.number(design.practical_margin_sd, decimals=2)} SD of scores"
        margin = margin if in_sd else f"{numbers.percent(design.equivalence_rate)} pp"
        close = f"; {seen}" if len(group) > 1 else f" ({seen})"
        return f"{name}, the difference in {what} lay within ±{margin}{close}."
    if first.conclusion is Conclusion.INCONCLUSIVE:
        held = f" ({seen})" if any(item.estimate is not None for item in group) else ""
        whether = f"{what} lies outside {band}" if band else f"there is a difference in {what}"
        return f"{name}, this run cannot say whether {whether}: {cause or inconclusive_cause(first, design)}{held}."
    return f"{name}, {what}: not tested ({_why(first)})."


def grouped(measurements: Sequence[Measurement], design: Design) -> list[list[Measurement]]:
    """Contrasts that one sentence can speak of, in the order of their first.

    The same metric, the same conclusion and, where the result is inconclusive or missing, the same reason.
    """
    groups: dict[tuple[object, ...], list[Measurement]] = {}
    for item in measurements:
        reason = inconclusive_cause(item, design) if item.conclusion is Conclusion.INCONCLUSIVE else item.missing_reason
        groups.setdefault((item.metric, item.conclusion, reason), []).append(item)
    return list(groups.values())


def inconclusive_cause(measurement: Measurement, design: Design) -> str:
    """Why a contrast is inconclusive: the recorded reason, the checks that did not hold, or the power."""
    for recorded in (measurement.missing_reason, measurement.conclusion_reason):
        if recorded:
            words = in_print(re.sub(r"^Inconclusive[,:]\s*", "", recorded).rstrip("."))
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
            f"too few pairs to say. {sentence_case(pairs)} could have seen {numbers.percent(mde)} pp "
            f"with {numbers.percent(design.power, decimals=0)}% power; the threshold is "
            f"{numbers.percent(design.practical_rate)} pp"
        )
    return pairs


def what_words(measurement: Measurement, design: Design, group: Sequence[Measurement] = ()) -> str:
    """What a contrast, or a group of them, is about: ``approvals at the model's own cut-off``."""
    counts = measurement.counts
    if on_file(measurement):
        places = [named(key, value) for key, value in measurement.subject.items() if key not in ("field", "group")]
        if measurement.metric in TAKEN:
            return ", ".join([TAKEN[measurement.metric], *places])
        taken = "answers to the applications as filed" if of_answers(measurement) else "decisions already taken"
        return f"the {', '.join([lower_first(metric_label(measurement)), *places])}, in {taken}"
    if measurement.metric == RANGE:
        low, high = counts.get("range_low"), counts.get("range_high")
        if low is None or high is None:
            return f"{design.noun} over the range of cut-offs"
        return (
            f"{design.noun} over all cut-offs that approve {numbers.percent(low, decimals=0)} to "
            f"{numbers.percent(high, decimals=0)}% of {_reference_of([measurement, *group])}"
        )
    return {
        OWN: f"{design.noun} at the model's own cut-off",
        MATCHED: f"{design.noun} at the matched cut-off",
        READABLE: "answers that cannot be read",
        SCORE: "the score behind the decision",
        RISK_DIFFERENCE: f"{design.noun} as filed, between different applicants",
        IMPACT_RATIO: f"the ratio of {design.noun} as filed, between different applicants",
        "smd": "the score as filed, between different applicants",
    }.get(measurement.metric, lower_first(metric_words(measurement.metric)))


def _reference_of(group: Sequence[Measurement]) -> str:
    references = {item.reference for item in group}
    return (
        f"the {next(iter(references))} applications"
        if len(references) == 1 and None not in references
        else ("the reference arm")
    )


def threshold_words(measurement: Measurement, design: Design) -> str:
    """The practical threshold in the measurement's unit: ``2.0 pp``."""
    own = measurement.counts.get("threshold")
    if measurement.unit == "ratio" and own is not None:
        return numbers.ratio(own)
    if measurement.unit == "sd":
        return f"{numbers.number(design.practical_margin_sd, decimals=2)} {numbers.unit_name(measurement)}"
    return f"{numbers.percent(design.practical_rate)} pp"


def ratio_band(measurement: Measurement) -> str:
    """The ratios a threshold leaves alone, in both directions: ``.80 to 1.25``; empty for a difference."""
    tau = measurement.counts.get("threshold")
    if measurement.unit != "ratio" or not tau:
        return ""
    return f"{numbers.ratio(tau)} to {numbers.ratio(1 / tau)}"


def misses_threshold(measurement: Measurement, design: Design) -> bool:
    """Whether the smallest effect a contrast could have seen is larger than the threshold, each in its own unit."""
    mde, tau = measurement.counts.get("mde"), measurement.counts.get("threshold")
    if mde is None:
        return False
    if measurement.unit == "ratio":
        return tau is not None and mde < tau
    return mde > (design.practical_margin_sd if measurement.unit == "sd" else design.practical_rate)


def against(group: Sequence[Measurement]) -> str:
    """``Black and Hispanic against White and female against male``."""
    by_reference: dict[tuple[str, str], list[str]] = {}
    for item in group:
        key = item.subject.get("field", ""), item.reference or "the reference"
        by_reference.setdefault(key, []).append(item.subject.get("group", "the group"))
    return joined([f"{joined(sorted(names))} against {base}" for (_, base), names in by_reference.items()])


def shown(measurement: Measurement) -> str:
    """Estimate, interval and unit: ``−2.9 [−4.1, −1.7] pp``; a dash where there is none."""
    if measurement.estimate is None:
        return numbers.DASH
    by = found_by(measurement)
    unit = "" if measurement.unit == "ratio" else numbers.unit_name(measurement)
    text = f"{numbers.estimate_and_interval(measurement)} {unit}".strip()
    return f"{text} ({with_p_values(by)})" if by else text


def short_line(measurement: Measurement, design: Design) -> str:
    """One contrast for a terminal: ``Black against White: difference found in approvals …, −2.9 pp (…)``."""
    name, what = against([measurement]), what_words(measurement, design)
    said = conclusion_words(measurement.conclusion)
    if measurement.estimate is None:
        return f"{name}: {said} in {what} ({_why(measurement)})"
    return f"{name}: {said} in {what}, {numbers.estimate(measurement)} {_interval_words(measurement, signs=True)}"


def _seen(measurement: Measurement, design: Design) -> str:
    value = measurement.estimate or 0.0
    if measurement.metric == SCORE:
        size = numbers.size_of(measurement, value)
        fell = f"the score {'fell' if value < 0 else 'rose'} by {size} standard deviations of scores on average"
        return f"{fell}{_in_few(measurement)}"
    if measurement.metric == READABLE:
        size = f"{numbers.size_of(measurement, value)} percentage points {'more' if value > 0 else 'fewer'}"
        return f"the model left {size} of the same applications without an answer that can be read"
    size = numbers.size_of(measurement, value)
    if not any(digit in size for digit in "123456789"):
        seen = f"the model {design.verb} as many of the same applications"
    else:
        seen = f"the model {design.verb} {size} percentage points {'fewer' if value < 0 else 'more'}"
        seen += " of the same applications"
    return f"{seen} {place_words(measurement)}"


def _in_few(measurement: Measurement) -> str:
    """Where fewer than half of the scores moved at all, in how many: a mean over all would speak of everybody."""
    fell, rose = (measurement.counts.get(key) for key in ("fell", "rose"))
    if fell is None or rose is None or not 0 < fell + rose < measurement.n / 2:
        return ""
    return f", all of it in {numbers.count(fell + rose)} of {numbers.count(measurement.n)} applications"


def one_way(group: Sequence[Measurement], design: Design) -> str:
    """Of contrasts in which none was found: whose changed decisions all went one way as chance rarely has it."""
    parts = []
    for item in group:
        lost, gained = (item.counts.get(key) for key in ("b", "c"))
        if lost != gained and 0 in (lost, gained) and item.counts.get("profiles", item.n) == item.n:
            many = int((lost or 0) + (gained or 0))
            if 0.5 ** (many - 1) <= design.alpha:  # the exact two-sided p of that contrast alone
                way = "against" if lost else "towards"
                parts.append(f"of {against([item])} all {numbers.count(many)} changed decisions went {way} the group")
    return f" But {joined(parts)}, which chance alone rarely gives." if parts else ""


def place_words(measurement: Measurement) -> str:
    """At which cut-off a difference in approvals was seen."""
    if measurement.metric == MATCHED:
        return "at the matched cut-off"
    if measurement.metric == RANGE:
        rate = measurement.counts.get("rate")
        if rate is None:
            return "at the cut-off where they differ most"
        return f"at a cut-off that approves {numbers.percent(rate, decimals=0)}% of {_reference_of([measurement])}"
    return "at its own cut-off"


def _why(measurement: Measurement) -> str:
    return in_print(measurement.missing_reason or "not part of the plan").rstrip(".")


def _power(group: Sequence[Measurement], seen: str, design: Design) -> str:
    """What the contrasts could have seen: the largest of their smallest detectable differences."""
    what = "applications" if of_different(group[0]) else "pairs"
    pairs = f"{numbers.count(min(item.n for item in group))} {what}{' or more' if len(group) > 1 else ''}"
    known = [item.counts.get("mde") for item in group]
    mdes = [mde for mde in known if mde is not None]
    if len(mdes) < len(known):
        return f"What it could have seen is not known ({pairs}; {seen})."
    share = numbers.percent(design.power, decimals=0)
    if group[0].unit == "ratio":
        # Nearest to 1 is the easiest to miss: the least powerful contrast sees only the lowest ratio.
        return f"The test had {share}% power for a ratio of {numbers.ratio(min(mdes))} ({pairs}; {seen})."
    size = numbers.detectable(max(mdes), group[0].unit)
    unit = numbers.unit_name(group[0]) if group[0].unit == "sd" else "pp"
    return f"The test had {share}% power for {size} {unit} ({pairs}; {seen})."


def _interval_words(measurement: Measurement, *, signs: bool = False) -> str:
    """The interval in brackets: in words, or with signs where its estimate is printed with one."""
    low, high = measurement.low, measurement.high
    if low is None or high is None:
        return "(no interval)"
    kind = interval_kind(measurement)
    start = f"{kind} {numbers.level(measurement.level)} interval".strip()
    by = found_by(measurement)
    tail = f"; {with_p_values(by)}" if by else ""
    # The sentence says "fewer" or "fell": signs inside it would turn its words round.
    ways = {"rate_difference": ("fewer", "more"), "sd": ("lower", "higher")}.get(measurement.unit)
    if of_different(measurement) and measurement.unit == "rate_difference":
        ways = ("less", "more")
    if ways is not None and not signs:
        return f"({start} {numbers.between(measurement, less=ways[0], more=ways[1])}{tail})"
    bounds = [numbers.in_unit_of(measurement, bound) for bound in (low, high)]
    unit = "" if measurement.unit == "ratio" else f" {numbers.unit_name(measurement)}".rstrip()
    return f"({start} {bounds[0]} to {bounds[1]}{unit}{tail})"
