"""Gaps between decisions already taken, in words: a title a kind of gap, and sizes as a finding lists them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from auditor.behaviour.metrics import (
    ADJUSTED_DIFFERENCE,
    AMOUNT_GAP,
    AMOUNT_GAP_ADJUSTED,
    AMOUNT_GAP_ADJUSTED_SD,
    AMOUNT_GAP_SD,
    IMPACT_RATIO,
    NEAR_LINE_DIFFERENCE,
    NEITHER_GAP,
    PRICE_GAP,
    PRICE_GAP_ADJUSTED,
    PRICE_GAP_ADJUSTED_SD,
    PRICE_GAP_SD,
    REASON_GAP,
    RISK_DIFFERENCE,
    SEGMENTED_DIFFERENCE,
    SMD,
    THRESHOLDED_DIFFERENCE,
    WEIGHTED_DIFFERENCE,
)
from auditor.catalogue import card_of
from auditor.finding_rules import criteria_of
from auditor.finding_words import say, signed
from auditor.plan import Plan
from auditor.policies.packs import PolicyPack
from auditor.records import AS_FILED_CASES, Conclusion, Measurement, Role
from auditor.rounding import printed, significant

TAKEN = "Decisions taken"
APART = ("field", "group")
PLACES = {"what": "of", "within": "by", "compared_with": "against the"}
"""What stands before the value of a key of a subject."""
IN_UNITS = {
    PRICE_GAP_SD: PRICE_GAP,
    PRICE_GAP_ADJUSTED_SD: PRICE_GAP_ADJUSTED,
    AMOUNT_GAP_SD: AMOUNT_GAP,
    AMOUNT_GAP_ADJUSTED_SD: AMOUNT_GAP_ADJUSTED,
}
"""A gap of prices or amounts in SDs, and the same gap in the unit of the file."""
ADJUSTED = (ADJUSTED_DIFFERENCE, PRICE_GAP_ADJUSTED_SD, AMOUNT_GAP_ADJUSTED_SD)
AT_EQUAL = {
    RISK_DIFFERENCE: ADJUSTED_DIFFERENCE,
    IMPACT_RATIO: ADJUSTED_DIFFERENCE,
    PRICE_GAP_SD: PRICE_GAP_ADJUSTED_SD,
    AMOUNT_GAP_SD: AMOUNT_GAP_ADJUSTED_SD,
}
"""A plain gap, and the one that is left of it at equal recorded factors."""
HOW_FAVOURED = {
    RISK_DIFFERENCE: "",
    ADJUSTED_DIFFERENCE: " at equal recorded factors",
    NEAR_LINE_DIFFERENCE: " among marginal applicants",
    SEGMENTED_DIFFERENCE: " within {within}",
    WEIGHTED_DIFFERENCE: ", weighted by the probability of their group",
    THRESHOLDED_DIFFERENCE: ", where their group is likely enough",
}
"""Differences of rates of favourable decisions, and how each compares them."""


CAUSE = (
    "Open: a file does not show that the attribute makes the difference. Other circumstances are held equal only as "
    "far as the file records them."
)
CAUSE_AS_FILED = (
    "Open: answers to different applicants do not show that the attribute makes the difference; the same application "
    "with one field changed does."
)
ON_THE_WAY = (
    " Exploratory: found on the way, not by a question fixed beforehand; decisions that were not used here can confirm "
    "it."
)


@dataclass(frozen=True)
class Applicants:
    """Whom a finding is about: a group of one attribute, or of two at once.

    Attributes
    ----------
    field, group
        As subjects of measurements have them.
    fields
        The attributes, one or two.
    words
        ``applicants with race Black and sex female``.
    changed
        ``race and sex``: what would be changed where the system can be asked.
    """

    field: str
    group: str
    fields: tuple[str, ...]
    words: str
    changed: str


def applicants_of(plan: Plan) -> Iterator[Applicants]:
    """Every group of every attribute of a plan, then every pair of groups of two attributes."""
    for attribute in plan.attributes:
        for group in attribute.groups:
            yield one_attribute(attribute.field, group)
    for first, second in combinations(plan.attributes, 2):
        fields = (first.field, second.field)
        for one in first.groups:
            for other in second.groups:
                words = f"applicants with {say(first.field)} {one} and {say(second.field)} {other}"
                yield Applicants(
                    " × ".join(fields), f"{one}, {other}", fields, words, f"{say(first.field)} and {say(second.field)}"
                )


def one_attribute(field: str, group: str) -> Applicants:
    """The applicants of one group."""
    return Applicants(field, group, (field,), f"applicants with {say(field)} {group}", say(field))


def is_of_approved(item: Measurement) -> bool:
    """Whether it compares what approved applicants were given: a price or an amount."""
    return item.metric in IN_UNITS or item.metric in IN_UNITS.values()


def title_of(item: Measurement, whom: Applicants, mine: Sequence[Measurement]) -> str:
    """What the gravest gap says of these applicants, in one line."""
    if item.conclusion is Conclusion.INCONCLUSIVE or item.estimate is None:
        what = "this run" if of_answers(item) else "this file"
        return f"{place_of(item)}: {what} cannot say whether {whom.words} fared as {item.reference}"
    return f"{place_of(item)}: {_seen(item, whom, mine)}"


def of_answers(item: Measurement) -> bool:
    """Whether answers to the applications as filed are measured, and not a file of decisions."""
    return item.cases == AS_FILED_CASES


def place_of(item: Measurement) -> str:
    """Where it was seen, to begin a title with."""
    return "As filed" if of_answers(item) else TAKEN


def compared_words(item: Measurement) -> str:
    """What is compared, to begin a sentence with."""
    if of_answers(item):
        return "The answers to the applications as filed are compared between different applicants"
    return "Decisions already taken on different applicants are compared"


def cause_of(item: Measurement) -> str:
    """Why the cause is open."""
    return CAUSE_AS_FILED if of_answers(item) else CAUSE


def _seen(item: Measurement, whom: Applicants, mine: Sequence[Measurement]) -> str:
    more = (item.estimate or 0.0) > 0
    points = f"{printed(100 * abs(item.estimate or 0.0), 1)} percentage points {'more' if more else 'less'} often"
    if item.metric in HOW_FAVOURED:
        how = HOW_FAVOURED[item.metric].format(within=say(item.subject.get("within", "")))
        return f"{whom.words} were favoured {points} than {item.reference}{how}"
    if item.metric == IMPACT_RATIO and set(item.subject) <= set(APART):
        return f"{whom.words} were favoured {printed(item.estimate or 0.0, 2)} times as often as {item.reference}"
    if item.metric in IN_UNITS:
        which = f"a {'higher' if more else 'lower'} {_lower(item.subject['what'])}"
        equal = " at equal recorded factors" if item.metric in ADJUSTED else ""
        size = f"{printed(abs(item.estimate or 0.0), 2)} SD{_in_units(item, mine, signs=False)}"
        return f"approved {whom.words} got {which} than {item.reference}{equal}, by {size}"
    seen = f"differ from {item.reference} in {name_of(item)}"
    if item.metric == SMD:
        size = f"{printed(abs(item.estimate or 0.0), 2)} SD {'higher' if more else 'lower'}"
        seen = f"were scored {size} than {item.reference}"
    elif item.metric == NEITHER_GAP:
        seen = f"were decided neither way {points} than {item.reference}"
    elif item.metric == REASON_GAP:
        seen = f"who were denied were given the reason “{item.subject['reason']}” {points} than {item.reference}"
    return f"{whom.words} {seen}"


def gap_words(item: Measurement, packs: Sequence[PolicyPack], mine: Sequence[Measurement] = ()) -> str:
    """A gap with its size, its adjusted p, and by which pack it is primary."""
    letter = "adjusted p" if item.role is Role.PRIMARY else "q"
    tail = f" ({letter} = {significant(item.p_adjusted, 2)})" if item.p_adjusted is not None else ""
    asking = [pack.name for pack in packs if pack.role_of(item.metric) == Role.PRIMARY]
    if item.role is Role.PRIMARY and asking:
        tail += f", a primary measure of {', '.join(asking)}"
    return f"{name_of(item)} {size_of(item)}{_in_units(item, mine)}{tail}"


def name_of(item: Measurement) -> str:
    """The measure in the middle of a sentence, and where in the file; of a price or an amount what it is called."""
    if item.metric in IN_UNITS:
        return _lower(item.subject["what"]) + (" at equal factors" if item.metric in ADJUSTED else "")
    card = card_of(item.test)
    label = next((each.label for each in card.metrics if each.name == item.metric), "") if card else ""
    more = {key: value for key, value in item.subject.items() if key not in APART}
    inner = "".join(f" {PLACES[key]} {say(value)}" for key, value in more.items() if key in PLACES)
    outer = "".join(f", {say(key)} {say(value)}" for key, value in more.items() if key not in PLACES)
    # What it is of follows the thing itself: "shortfall of approvals by county, in people".
    label = _lower(label or say(item.metric))
    what, at, rest = label.partition(" at ") if " at " in label else label.partition(",")
    return f"{what}{inner}{at}{rest}{outer}"


def size_of(item: Measurement) -> str:
    """The estimate in its unit."""
    if item.estimate is None:
        return "not estimable"
    if item.unit == "rate_difference":
        return f"{signed(100 * item.estimate, 1)} percentage points"
    if item.unit == "sd":
        return f"{signed(item.estimate, 2)} SD"
    if item.unit == "ratio":
        return printed(item.estimate, 2)
    return f"{significant(item.estimate, 3)} {item.unit}".rstrip()


def left_at_equal_factors(mine: Sequence[Measurement], worst: Measurement, *, told: Sequence[Measurement]) -> str:
    """What is left of a plain gap at equal recorded factors, in a sentence; empty for any other, or if ``told``."""
    held = next((item for item in mine if item.metric == AT_EQUAL.get(worst.metric) and _alike(item, worst)), None)
    if held is None or held.estimate is None or held in told:
        return ""
    left = f" At equal recorded factors {size_of(held)} are left"
    if held.conclusion in (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD):
        return f"{left}."
    return f"{left}, which this file cannot tell from chance."


def criteria_on(packs: Sequence[PolicyPack], metrics: Sequence[str], whom: Applicants) -> tuple[str, ...]:
    """Clauses of packs that protect the attribute, or one of two."""
    return tuple(dict.fromkeys(clause for field in whom.fields for clause in criteria_of(packs, metrics, field)))


def effect_of(worst: Measurement) -> str:
    """What a gap is a description of, and that it proves no unlike treatment."""
    taken = "what was answered" if of_answers(worst) else "decisions that were taken"
    what = "what these applicants were given once approved" if is_of_approved(worst) else taken
    on = "" if is_of_approved(worst) else " on these applicants"
    found = ON_THE_WAY if worst.role is Role.EXPLORATORY else ""
    return f"Describes {what}{on}. It does not show that like cases are treated apart.{found}"


def advice_on(worst: Measurement, whom: Applicants) -> str:
    """Whose files to read for what, and what to change where the system can be asked."""
    group, reference = whom.group, worst.reference
    if is_of_approved(worst):
        what = name_of(worst).removesuffix(" at equal factors")
        read = (
            f"Read files of approved {group} and {reference} applicants alike in what may set the {what}, for "
            "discretion, exceptions and facts that this file does not hold."
        )
    elif worst.metric == REASON_GAP:
        read = (
            f"Read files of denied {group} and {reference} applicants, and see whether the facts behind each stated "
            "reason are there."
        )
    else:
        read = (
            f"Read files of denied {group} and approved {reference} applicants alike in what may count, for facts that "
            "this file does not hold."
        )
    if of_answers(worst):
        return f"{read} Read them beside the results with only {whom.changed} changed."
    return f"{read} If the system behind them can be asked, audit it with only {whom.changed} changed."


def _in_units(item: Measurement, mine: Sequence[Measurement], *, signs: bool = True) -> str:
    """The same gap of prices or amounts in the unit of the file, in brackets."""
    plain = next((each for each in mine if each.metric == IN_UNITS.get(item.metric) and _alike(each, item)), None)
    if plain is None or plain.estimate is None:
        return ""
    sign = "" if not signs else "−" if plain.estimate < 0 else "+"
    return f" ({sign}{significant(abs(plain.estimate), 2)} {plain.unit})".replace(" as stated", "")


def _alike(one: Measurement, other: Measurement) -> bool:
    return _subject(one) == _subject(other)


def _subject(item: Measurement) -> Mapping[str, str]:
    return {key: value for key, value in item.subject.items() if key != "compared_with"}


def _lower(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
