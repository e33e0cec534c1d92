"""Words for what measurements name: contrasts, subjects, metrics, conclusions; and which measurement leads a report.

Sentences made of them are in ``reports.sentences`` and ``reports.elsewhere``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auditor.behaviour.metrics import (
    CF_CURVE_EFFECT,
    CF_MEAN_SHIFT_SD,
    CF_NET_EFFECT,
    CF_NET_EFFECT_MATCHED,
    CF_RANGE_EFFECT,
    REFUSAL_RATE_GAP,
)
from auditor.plan import Plan
from auditor.policies.packs import catalogue
from auditor.records import AS_FILED_CASES, Conclusion, Finding, Measurement, Role, Severity
from auditor.statistics.minimums import ILLUSTRATION, scope
from auditor.statistics.multiplicity import significant as at_level
from reports import numbers
from reports.labels import (
    CHUNK_LABELS,
    CONCLUSION_LABELS,
    FAMILY_LABELS,
    ROLE_LABELS,
    VALUE_LABELS,
    labels_of_tests,
    metric_labels,
    subject_labels,
)

CONCLUSION_ORDER = (
    Conclusion.DIFFERENCE_FOUND,
    Conclusion.DIFFERENCE_BELOW_THRESHOLD,
    Conclusion.INCONCLUSIVE,
    Conclusion.NO_EVIDENCE,
    Conclusion.EQUIVALENT_WITHIN_MARGIN,
    Conclusion.NOT_TESTED,
)
CONCLUSION_MEANING = {
    Conclusion.DIFFERENCE_FOUND: "{level}, and it reaches the practical threshold",
    Conclusion.DIFFERENCE_BELOW_THRESHOLD: "{level}; below the practical threshold",
    Conclusion.NO_EVIDENCE: "none was found; one smaller than the smallest detectable difference is not ruled out",
    Conclusion.EQUIVALENT_WITHIN_MARGIN: "shown to lie within the margin set before the run (two one-sided tests)",
    Conclusion.INCONCLUSIVE: (
        "too few applications, checks that did not hold, or signs against an absence: it must not be read as clean"
    ),
    Conclusion.NOT_TESTED: "not part of the plan, or not run",
}
#: What the p of a difference that was found lies below: of an exploratory one it does not say that chance is out.
MAIN_LEVEL = "chance hardly explains it (adjusted p of a main question below {alpha})"
BOTH_LEVELS = "main question: chance hardly explains it (adjusted p below {alpha}); exploratory: a signal (q below {q})"
EXPLORED_LEVEL = "an exploratory signal: of such signals about a share of {q} is expected to be chance"
#: Conclusions that read clean.
QUIET = (Conclusion.NO_EVIDENCE, Conclusion.EQUIVALENT_WITHIN_MARGIN)
#: Conclusions that a difference was found.
SEEN = (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD)
#: Measurements of one contrast, in the order in which a reader should meet them where they weigh the same.
CONTRAST_METRICS = (
    CF_NET_EFFECT,
    CF_NET_EFFECT_MATCHED,
    REFUSAL_RATE_GAP,
    CF_RANGE_EFFECT,
    CF_MEAN_SHIFT_SD,
)
#: Intervals that hold for a whole curve at once; all others speak of one contrast alone.
SIMULTANEOUS = (CF_RANGE_EFFECT, CF_CURVE_EFFECT)


@dataclass(frozen=True)
class Design:
    """The figures of the plan that sentences quote."""

    practical_rate: float
    equivalence_rate: float
    practical_margin_sd: float
    power: float
    alpha: float
    q: float
    mass_floor: float
    mute_share: float
    degenerate_share: float
    small_cell: int
    verb: str
    noun: str

    @classmethod
    def of(cls, plan: Plan) -> Design:
        """From the design."""
        thresholds, point = plan.thresholds, plan.operating_point
        answers = [answer.strip().lower() for answer in plan.prompt.answers.favourable]
        approves = any(answer.startswith("approve") for answer in answers)
        noun = "approvals" if approves else "favourable answers" if plan.asks else "favourable decisions"
        return cls(
            practical_rate=thresholds.practical_rate,
            equivalence_rate=thresholds.equivalence_rate,
            practical_margin_sd=thresholds.practical_margin_sd,
            power=thresholds.power,
            alpha=thresholds.alpha,
            q=thresholds.exploratory_q,
            mass_floor=plan.prompt.answers.mass_floor,
            mute_share=point.mute_share,
            degenerate_share=point.degenerate_share,
            small_cell=thresholds.small_cell,
            verb="approved" if approves else "favoured",
            noun=noun,
        )

    @property
    def level(self) -> str:
        """The level of the plan's intervals: ``95%``."""
        return numbers.level(1 - self.alpha)


def conclusion_meaning(code: Conclusion, design: Design, measurements: Iterable[Measurement]) -> str:
    """What a conclusion means among these measurements: of main questions, of exploratory ones, or of both."""
    explored = {item.role is Role.EXPLORATORY for item in measurements if item.conclusion is code}
    level = BOTH_LEVELS if len(explored) > 1 else EXPLORED_LEVEL if True in explored else MAIN_LEVEL
    figures = {"alpha": numbers.share(design.alpha), "q": numbers.share(design.q)}
    return CONCLUSION_MEANING[code].format(level=level.format(**figures))


def field_words(field: str) -> str:
    """``marital_status`` as ``marital status``."""
    return field.replace("_", " ")


def illustration(measurements: Sequence[Measurement]) -> str:
    """What is said of figures that speak of no more than the few applications they were taken from; else empty."""
    few = [item.n for item in measurements if item.estimate is not None and ILLUSTRATION in item.method]
    return f"{sentence_case(scope(max(few)))}." if few and scope(max(few)) else ""


def sentence_case(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


TWO_NAMES = re.compile(r"[A-Z]\w+[–-][A-Z]")


def lower_first(text: str) -> str:
    """The text for the middle of a sentence; abbreviations and names of two people keep their capitals."""
    return text if text[1:2].isupper() or TWO_NAMES.match(text) else text[:1].lower() + text[1:]


def contrast(measurement: Measurement) -> str:
    """``Black − White``: the group against its reference; what was measured, where there is no reference."""
    group = measurement.subject.get("group")
    if group and measurement.reference:
        return f"{sentence_case(group)} {numbers.MINUS} {sentence_case(measurement.reference)}"
    return subject(measurement)


def named(key: str, value: object) -> str:
    """A key of a subject with its value: ``layer 3``, ``field withheld``, ``Black``."""
    said = VALUE_LABELS.get((key, str(value)))
    if said is not None:
        return said
    before = subject_labels().get(key, field_words(key))
    return f"{before} {field_words(str(value))}".strip()


def subject(measurement: Measurement) -> str:
    """What was measured, in words."""
    parts = dict(measurement.subject)
    field, group = parts.pop("field", None), parts.pop("group", None)
    words = [sentence_case(group) if group else "", field_words(field) if field and not group else ""]
    words += [named(key, value) for key, value in parts.items()]
    return ", ".join(word for word in words if word) or "all cases"


def metric_label(measurement: Measurement) -> str:
    """The measure's name in words, as the card of its test has it; also of a test from another package."""
    from auditor.catalogue import card_of

    card = card_of(measurement.test)
    own = {metric.name: metric.label for metric in card.metrics} if card else {}
    return own.get(measurement.metric) or metric_words(measurement.metric)


def metric_words(metric: str) -> str:
    """A metric in words, also one that policy packs name and no test measures yet."""
    if known := metric_labels().get(metric):
        return known
    named = catalogue()["metric_catalog"].get(metric, {})
    return str(named.get("label") or sentence_case(field_words(metric)))


def test_label(test: str) -> str:
    """The test's name in words."""
    if known := labels_of_tests().get(test):
        return known
    from auditor.catalogue import card_of

    card = card_of(test)
    return (card.label if card else "") or sentence_case(field_words(test))


def on_file(measurement: Measurement) -> bool:
    """Whether it is of decisions already taken, which a file holds."""
    from auditor.catalogue import card_of

    card = card_of(measurement.test)
    return card is not None and card.needs_decision_file


def of_answers(measurement: Measurement) -> bool:
    """Whether it is of the answers to the applications as filed, measured as decisions taken are."""
    return on_file(measurement) and measurement.cases == AS_FILED_CASES


def role_words(role: str) -> str:
    """What a measurement may be used for."""
    return ROLE_LABELS[role]


def family_words(family: str) -> str:
    """A family of tests that are adjusted together, in words: ``approvals at the model's own cut-off``."""
    if family in FAMILY_LABELS:
        return FAMILY_LABELS[family]
    before, _, test = family.partition(": ")
    if test in labels_of_tests():
        return f"{field_words(before)}: {labels_of_tests()[test].lower()}"
    return field_words(family).replace("=", " ")


def conclusion_words(conclusion: str | None) -> str:
    """A conclusion code in words, in the middle of a sentence."""
    return CONCLUSION_LABELS[Conclusion(conclusion or Conclusion.NOT_TESTED).value]


def chunk_words(kind: str) -> str:
    """What a run is busy with: ``scoring``, or the test on internals that a chunk of work is part of."""
    return CHUNK_LABELS.get(kind) or labels_of_tests().get(kind, field_words(kind)).partition(":")[0].lower()


def of_whom(measurement: Measurement) -> str:
    """``Race: Black``, and where in the model; what was measured where no field was."""
    parts = dict(measurement.subject)
    field, group = parts.pop("field", None), parts.pop("group", None)
    if not field or not group:
        return subject(measurement)
    places = [named(key, value) for key, value in parts.items()]
    return ", ".join([f"{sentence_case(field_words(field))}: {group}", *places])


def with_p_values(text: str) -> str:
    """The text with every ``p = 0.000136`` in the print of p-values: ``p < .001``."""
    return re.sub(r"\b([pq]) = (\d+(?:\.\d+)?(?:e[-+]?\d+)?)", _one_p_value, text)


def _one_p_value(match: re.Match[str]) -> str:
    symbol, recorded = match.groups()
    words = numbers.p_words(float(recorded), symbol=symbol)
    # A recorded .385 may be a .3846: rounded once more it would be .39 beside a table's .38.
    twice = "<" not in words and recorded.endswith("5") and len(recorded.lstrip("0")) == len(words.split(" = ")[1]) + 1
    return f"{symbol} = {recorded.lstrip('0')}" if twice else words


def in_print(reason: str) -> str:
    """A recorded reason as it is printed: its p-values, and why a number is withheld, in words for anybody."""
    said = WITHHELD_COMPARISON.sub(
        r"the rate of the \1 applications is withheld and could be worked out from it", reason
    )
    return with_p_values(said.replace(*WITHHELD_GROUP))


#: What the small-cell rule records (``auditor.statistics.small_cells``), and what is printed of it.
WITHHELD_COMPARISON = re.compile(r"the rate of (.+?) is hidden and a comparison would give it back")
WITHHELD_GROUP = (
    "hidden with a small group, which the total less this one would give back",
    "a small group beside it is withheld and could be worked out from it and the total",
)


def reason_words(measurement: Measurement) -> str:
    """Why a number is missing, in words: a dash never stands without its reason."""
    failed = next((check for check in measurement.checks if not check.held), None)
    recorded = measurement.missing_reason or (f"the check “{failed.name}” did not hold" if failed else "")
    return in_print(recorded or "no reason is recorded").rstrip(".")


def with_reason(measurement: Measurement) -> str:
    """Estimate and interval, or a dash with the reason why there are none."""
    if measurement.estimate is None:
        return f"{numbers.DASH} ({reason_words(measurement)})"
    bounds = numbers.interval(measurement)
    return numbers.estimate(measurement) + (f" {bounds}" if bounds != numbers.MISSING else "")


def interval_kind(measurement: Measurement) -> str:
    """Whether an interval is ``unadjusted`` for the tests beside it, ``simultaneous``, or alone (nothing)."""
    if measurement.metric in SIMULTANEOUS:
        return "simultaneous"
    return "unadjusted" if measurement.p_adjusted is not None else ""


def interval_head(measurements: Sequence[Measurement]) -> str:
    """The head of a column of intervals: ``95% interval, unadjusted``."""
    kinds = {interval_kind(item) for item in measurements if item.low is not None or item.high is not None} - {""}
    head = numbers.interval_head(measurements)
    return f"{head}, {kinds.pop()}" if len(kinds) == 1 else head


def interval_short(measurements: Sequence[Measurement]) -> str:
    """The same for a chart: ``95%, unadjusted``."""
    return interval_head(measurements).replace(" interval", "")


def excludes_zero(measurement: Measurement) -> bool:
    """Whether the interval of a difference lies on one side of zero."""
    low, high = measurement.low, measurement.high
    if measurement.unit in ("ratio", "share", "rate", "count") or low is None or high is None:
        return False
    return low > 0 or high < 0


def leaves_out_none(measurement: Measurement) -> bool:
    """Whether the interval of an effect leaves out "no difference": 0, of a ratio of groups 1."""
    low, high = measurement.low, measurement.high
    if measurement.unit == "ratio" and measurement.reference and low is not None and high is not None:
        return low > 1 or high < 1
    return excludes_zero(measurement) and measurement.metric not in PLACES


PLACES = (CF_CURVE_EFFECT,)
"""Points of a curve whose largest is tested: the curve's own table says so."""


def interval_and_p_apart(measurements: Sequence[Measurement], design: Design) -> list[str]:
    """A sentence where an unadjusted interval leaves zero out and the adjusted p does not fall below the level."""
    apart = [
        item
        for item in measurements
        if interval_kind(item) == "unadjusted"
        and excludes_zero(item)
        and (item.p_adjusted or 0.0) >= (design.q if (item.family or "").startswith("exploratory") else design.alpha)
    ]
    said = _band_and_p_apart(measurements, design)
    if not apart:
        return said
    # Two measures of one contrast may part ways: a contrast alone would not say which of them did.
    several = len({item.metric for item in measurements}) > 1
    named_first = [
        f"{lower_first(metric_label(item)) + ', ' if several else ''}{contrast(item)} "
        f"({numbers.p_words(item.p_adjusted or 0.0)})"
        for item in apart[:4]
    ]
    more = f" and {numbers.count(len(apart) - 4)} more" if len(apart) > 4 else ""
    return [
        *said,
        f"The interval leaves out zero and the adjusted p is not small: {', '.join(named_first)}{more}. The interval "
        "speaks of one contrast alone; p is adjusted for all that were tested together, and decides.",
    ]


def _band_and_p_apart(measurements: Sequence[Measurement], design: Design) -> list[str]:
    """The other way round: a simultaneous band that holds zero beside a small p."""
    apart = [
        contrast(item)
        for item in measurements
        if item.metric in SIMULTANEOUS
        and at_level(item.p_adjusted, alpha=design.alpha)
        and item.low is not None
        and item.high is not None
        and not excludes_zero(item)
    ]
    if not apart:
        return []
    return [
        f"The band holds zero and p is small: {joined(apart)}. The band comes from resamples of applications, p from "
        "swapping the two versions of each application, which asks only whether there is a difference; p decides."
    ]


def lead_measurement(measurements: Iterable[Measurement], findings: Sequence[Finding] = ()) -> Measurement | None:
    """The measurement that carries the verdict.

    The gravest conclusion among all primary measurements, of whatever family, and those that a finding of medium
    severity or more is graded by; the score alone does not lead where decisions are found to differ. What merely stands
    in a finding beside the measurement that earned its severity does not lead by it. Where several are as grave:
    primary ones, contrasts of the same applications, the gravest finding, the order of ``CONTRAST_METRICS``, the
    largest effect.
    """
    rank: dict[str, int] = {}
    earned: dict[str, int] = {}
    for finding in findings:
        for name in finding.measurements:
            rank[name] = max(rank.get(name, 0), finding.severity.rank)
        # A finding names first the measurement that it is graded by.
        for name in finding.measurements[:1]:
            earned[name] = max(earned.get(name, 0), finding.severity.rank)
    measurements = tuple(measurements)
    decided = any(
        item.role is Role.PRIMARY and item.metric in CONTRAST_METRICS and item.conclusion in SEEN
        for item in measurements
    )
    able = [
        item
        for item in measurements
        if item.role is Role.PRIMARY
        or (
            item.conclusion
            and earned.get(item.id, 0) >= Severity.MEDIUM.rank
            and not (decided and item.metric == CF_MEAN_SHIFT_SD)
        )
    ]
    return min(
        able,
        key=lambda item: (
            CONCLUSION_ORDER.index(item.conclusion or Conclusion.NOT_TESTED),
            item.role is not Role.PRIMARY,
            item.metric not in CONTRAST_METRICS,
            -rank.get(item.id, 0),
            CONTRAST_METRICS.index(item.metric) if item.metric in CONTRAST_METRICS else len(CONTRAST_METRICS),
            -abs(item.estimate or 0.0),
            item.id,
        ),
        default=None,
    )


def contradicting(conclusion: Conclusion, findings: Iterable[Finding]) -> Finding | None:
    """The gravest finding of medium severity or more beside a conclusion that reads clean; ``None`` where none is."""
    if conclusion not in QUIET:
        return None
    grave = [item for item in findings if item.severity.rank >= Severity.MEDIUM.rank]
    return max(grave, key=lambda item: item.severity.rank, default=None)


def card_conclusion(conclusion: Conclusion, findings: Iterable[Finding]) -> Conclusion:
    """The code that stands for a whole audit: none that reads clean beside a finding of medium severity or more."""
    grave = contradicting(conclusion, findings)
    if grave is None:
        return conclusion
    said = grave.conclusion or Conclusion.INCONCLUSIVE
    return Conclusion.INCONCLUSIVE if said in (*QUIET, Conclusion.NOT_TESTED) else said


def severity_word(severity: Severity) -> str:
    """``High``."""
    return severity.value.capitalize()


def joined(words: Sequence[str], *, last: str = "and") -> str:
    """``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else ""
