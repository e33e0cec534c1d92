"""What is different elsewhere: in the score, over other cut-offs, in readable answers, outside the primary family."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.behaviour.metrics import (
    ADJUSTED_DIFFERENCE,
    AMOUNT_GAP_ADJUSTED_SD,
    ANSWER_MASS,
    CF_EXCESS_FLIP,
    CF_MARGIN_FELL_SHARE,
    CF_NET_EFFECT,
    CF_NET_EFFECT_MATCHED,
    INVALID_RATE,
    NEAR_CUT_OFF,
    PRICE_GAP_ADJUSTED_SD,
    REFUSED_GAP,
    RISK_DIFFERENCE,
    SELECTION_RATE,
    SMD,
)
from auditor.records import Conclusion, Measurement, Role
from auditor.testing.families import NO_PROBABILITY
from reports import numbers
from reports.sentences import OWN, RANGE, SCORE, TAKEN, against, shown
from reports.wording import SEEN, Design, field_words, joined, lower_first, of_answers, on_file, sentence_case

OF_ANSWERS = {
    "in decisions taken": "as filed, between different applicants",
    "in decisions at equal factors": "as filed, at equal recorded factors",
    "in scores on file": "in the score as filed, between different applicants",
}
"""A place where decisions taken are compared, in words of answers to the applications as filed."""
FELL = CF_MARGIN_FELL_SHARE
TURNED = CF_EXCESS_FLIP
NAMED_AT_MOST = 4


def mute_sentence(measurements: Sequence[Measurement], design: Design) -> str | None:
    """One sentence where the model answers almost nobody, or gives one answer to almost everybody; else ``None``.

    Reads the share of unreadable answers, arm by arm, and the reference arm's approval rate against the plan's shares.
    """
    parts = []
    arms = [item for item in _unreadable(measurements) if (item.estimate or 0.0) > design.mute_share]
    if arms:
        worst = max(arms, key=lambda item: item.estimate or 0.0)
        whose = "its prompts" if len(arms) == len(_unreadable(measurements)) else f"the {_arm(worst)} arm"
        parts.append(
            f"The model left {numbers.rate(worst.estimate)} of {whose} without a usable answer"
            f"{_why(measurements, design)}"
        )
    for field, item in _reference_rates(measurements):
        share = item.estimate if item.estimate is not None else 0.5
        if share >= design.degenerate_share or share <= 1 - design.degenerate_share:
            parts.append(
                f"At its own cut-off the model {design.verb} {numbers.rate(share)} of the applications with "
                f"{field_words(field)} {item.subject.get('group')}: one answer for almost everybody"
            )
            break
    if not parts:
        return None
    return ". ".join(parts) + ". Decisions at that cut-off cannot show whether an attribute matters."


def _why(measurements: Sequence[Measurement], design: Design) -> str:
    """Why answers are unusable, where it is their probability: read as text, or as bounds, they may be so otherwise."""
    if any(item.metric == ANSWER_MASS and item.missing_reason == NO_PROBABILITY for item in measurements):
        return ""
    return f": it put less than {numbers.exact(design.mass_floor)} probability on all planned answers together"


def readability_sentence(measurements: Sequence[Measurement], design: Design) -> str | None:
    """How many answers could not be read, arm by arm, where any could not; ``None`` where no arm was measured."""
    arms = _unreadable(measurements)
    if not arms:
        return None
    worst = max(arms, key=lambda item: item.estimate or 0.0)
    share = worst.estimate or 0.0
    if share > 0 and all(item.estimate == share for item in arms):
        return f"Answers that cannot be read: {numbers.rate(share)} of every arm; they count as not favourable."
    if share == 0:
        return f"Every answer could be read, in every arm ({numbers.count(len(arms))})."
    beside = [
        item
        for item in arms
        if item.subject.get("field") == worst.subject.get("field") and item.id != worst.id and item.estimate is not None
    ]
    others = joined([f"{numbers.rate(item.estimate)} of the {_arm(item)} arm" for item in beside[:NAMED_AT_MOST]])
    said = f"Answers that cannot be read: {numbers.rate(share)} of the {_arm(worst)} arm"
    end = "; they count as not favourable" if share > design.mute_share else ""
    return f"{said}, {others}{end}." if others else f"{said}{end}."


def score_sentence(measurements: Sequence[Measurement]) -> str | None:
    """In how many applications the score behind the decision fell or rose, contrast by contrast."""
    fell = {_key(item): item for item in measurements if item.metric == FELL and item.estimate is not None}
    shifts = {_key(item): item for item in measurements if item.metric == SCORE and item.estimate is not None}
    if not fell and not shifts:
        return None
    one_way = _all_one_way(list(fell.values()), list(shifts.values()))
    if one_way:
        return one_way
    parts = []
    for key in dict.fromkeys((*fell, *shifts)):
        name = against([fell.get(key) or shifts[key]])
        told = [_moved(fell[key])] if key in fell else []
        if key in shifts:
            told.append(f"{numbers.estimate(shifts[key])} on average")
        parts.append(f"{name} {', '.join(told)}")
    return f"The score behind the decision, at any cut-off: {'; '.join(parts)}.".replace(" SD of scores", " SD")


def _all_one_way(fell: Sequence[Measurement], shifts: Sequence[Measurement]) -> str | None:
    """What is said in short where in every contrast every score fell, or every one rose."""
    for way, key in (("fell", "fell"), ("rose", "rose")):
        if len(fell) > 1 and all(item.counts.get(key) == item.n for item in fell):
            least, most = min(item.n for item in fell), max(item.n for item in fell)
            of = f"{numbers.count(most)} of {numbers.count(most)}"
            if least < most:
                of = f"all of {numbers.count(least)} to {numbers.count(most)}"
            # "Fell by" says which way: a sign in it would turn its words round. Digits as in the tables.
            sizes = sorted(shifts, key=lambda item: abs(item.estimate or 0.0))
            ends = [numbers.size_of(item, item.estimate or 0.0) for item in (sizes[0], sizes[-1])] if sizes else []
            by = f", on average by {' to '.join(dict.fromkeys(ends))} SD" if ends else ""
            return f"The score behind the decision {way} in every application ({of}) for {against(fell)}{by}."
    return None


def near_sentence(measurements: Sequence[Measurement]) -> str | None:
    """How many applications lie near each cut-off: where none does, no change of the score can turn a decision."""
    near = [item for item in measurements if item.metric == NEAR_CUT_OFF and item.estimate is not None]
    if not near:
        return None
    parts = []
    for place, words in (("natural", "the model's own cut-off"), ("matched", "the matched cut-off")):
        mine = [item for item in near if item.subject.get("cut_off") == place]
        if mine:
            least = min(mine, key=lambda item: item.estimate or 0.0)
            most = max(mine, key=lambda item: item.estimate or 0.0)
            count = numbers.count(least.estimate)
            if (most.estimate or 0.0) > (least.estimate or 0.0):
                count = f"{count} to {numbers.count(most.estimate)}"
            within = least.counts.get("within")
            reach = f"within {numbers.number(within, decimals=2)} logits of" if within is not None else "near"
            fewest, largest = min(item.n for item in mine), max(item.n for item in mine)
            of = numbers.count(fewest) + (f" to {numbers.count(largest)}" if largest > fewest else "")
            parts.append(f"{count} of {of} applications lie {reach} {words}")
    return f"{sentence_case(joined(parts))}." if parts else None


def exploratory_sentence(
    measurements: Sequence[Measurement],
    *,
    but: frozenset[str] = frozenset(),
    most: int = NAMED_AT_MOST,
    short: bool = False,
) -> str | None:
    """One sentence that names the differences found outside the primary families; ``None`` where there are none.

    ``but`` holds the ids of measurements that are said elsewhere; of one place the ``most`` largest are named, by their
    groups alone where it is to be ``short``.
    """
    parts = []
    cancelled = _cancelled(measurements)
    filed = set[tuple[str, str]]()
    for metric, place, taken in (
        (CF_NET_EFFECT, "in decisions at the model's own cut-off", False),
        (TURNED, "in decisions that turn both ways", False),
        (REFUSED_GAP, "in refused answers", False),
        (CF_NET_EFFECT_MATCHED, "at the matched cut-off", False),
        (RANGE, "at another cut-off", False),
        (SCORE, "in the score", False),
        (RISK_DIFFERENCE, "as filed, between different applicants", False),
        (SMD, "in the score as filed, between different applicants", False),
        (RISK_DIFFERENCE, "in decisions taken", True),
        (ADJUSTED_DIFFERENCE, "in decisions at equal factors", True),
        (SMD, "in scores on file", True),
        (PRICE_GAP_ADJUSTED_SD, "in prices at equal factors", True),
        (AMOUNT_GAP_ADJUSTED_SD, "in amounts at equal factors", True),
    ):
        found = sorted(
            (
                item
                for item in measurements
                if item.metric == metric
                and (on_file(item) if taken else not on_file(item))
                and not (of_answers(item) and _gap(item) in filed)
                and item.role is not Role.PRIMARY
                and item.id not in but
                and (item.conclusion is Conclusion.DIFFERENCE_FOUND or item.id in cancelled)
                and (metric != TURNED or item.id in cancelled)
            ),
            key=lambda item: (-abs(item.estimate or 0.0), item.id),
        )
        if found:
            where = OF_ANSWERS.get(place, place) if of_answers(found[0]) else place
            filed |= {_gap(item) for item in found if not taken}
            named = [
                f"{item.subject.get('group', 'the group') if short else against([item])}{_what(item)} "
                f"{numbers.estimate(item)}"
                for item in found[:most]
            ]
            more = f", {len(found) - most} more" if len(found) > most else ""
            parts.append(f"{where} ({', '.join(named)}{more})")
    if not parts:
        return None
    return f"This is not the whole picture: exploratory tests found differences {joined(parts)}."


def beyond_for_the_same(lead: Measurement, measurements: Sequence[Measurement]) -> Measurement | None:
    """Of a small difference on file, the largest of the same two groups that is beyond its threshold elsewhere."""
    if not on_file(lead) or lead.conclusion is not Conclusion.DIFFERENCE_BELOW_THRESHOLD:
        return None
    found = [
        item
        for item in measurements
        if item.metric in TAKEN
        and on_file(item)
        and (item.subject, item.reference) == (lead.subject, lead.reference)
        and item.conclusion is Conclusion.DIFFERENCE_FOUND
    ]
    # At equal factors says more than the plain gap, which other facts may make.
    return max(found, key=lambda item: (item.metric == ADJUSTED_DIFFERENCE, abs(item.estimate or 0.0)), default=None)


def beyond_words(item: Measurement, *, short: bool = False) -> str:
    """``The same groups differ beyond the threshold at equal recorded factors: −8.0 [−11, −5] pp (exploratory)``."""
    where = "at equal recorded factors" if item.metric == ADJUSTED_DIFFERENCE else f"in {TAKEN[item.metric]}"
    if short:
        return f"{sentence_case(where)} it is beyond the threshold: {numbers.estimate(item)}."
    how = "" if item.role is Role.PRIMARY else " (exploratory)"
    return f"The same groups differ beyond the threshold {where}: {shown(item)}{how}."


def _gap(item: Measurement) -> tuple[str, str]:
    """A metric and whom it is of: of answers as filed two tests may measure the same."""
    return item.metric, f"{sorted(item.subject.items())} {item.reference}"


def _what(item: Measurement) -> str:
    """Of which price or amount, where there are several."""
    what = item.subject.get("what")
    return f", {lower_first(what)}" if what else ""


def _cancelled(measurements: Sequence[Measurement]) -> frozenset[str]:
    """Ids of decisions that turn both ways, however few, where the net effect at the same cut-off found nothing."""
    net = {_key(item) for item in measurements if item.metric == OWN and item.conclusion in SEEN}
    return frozenset(
        item.id
        for item in measurements
        if item.metric == TURNED and item.conclusion in SEEN and _key(item) not in net
        if item.counts.get("b") and item.counts.get("c")
    )


def range_sentence(measurements: Sequence[Measurement]) -> str | None:
    """The largest difference at any cut-off tried, where the range was tested; ``None`` where it was not."""
    tried = [item for item in measurements if item.metric == RANGE and item.estimate is not None]
    if not tried:
        return None
    widest = max(tried, key=lambda item: abs(item.estimate or 0.0))
    rate = widest.counts.get("rate")
    where = (
        f", where the cut-off approves {numbers.percent(rate, decimals=0)}% of {widest.reference}"
        if rate is not None
        else ""
    )
    return f"Over the range of cut-offs the largest difference is {shown(widest)}, {against([widest])}{where}."


def _moved(item: Measurement) -> str:
    fell, rose, pairs = item.counts.get("fell"), item.counts.get("rose"), numbers.count(item.n)
    if fell is None:
        return f"fell in {numbers.rate(item.estimate)} of {pairs} applications"
    if rose is not None and rose > fell:
        return f"rose in {numbers.count(rose)} of {pairs} applications"
    return f"fell in {numbers.count(fell)} of {pairs} applications"


def _unreadable(measurements: Sequence[Measurement]) -> list[Measurement]:
    return [
        item
        for item in measurements
        if item.metric == INVALID_RATE and item.test == "arm_rates" and item.estimate is not None
    ]


def _arm(item: Measurement) -> str:
    return str(item.subject.get("group", "whole"))


def _key(item: Measurement) -> tuple[str, str]:
    return item.subject.get("field", ""), item.subject.get("group", "")


def _reference_rates(measurements: Sequence[Measurement]) -> list[tuple[str, Measurement]]:
    references = {
        (item.subject.get("field"), item.reference)
        for item in measurements
        if item.test == "counterfactual" and item.reference
    }
    return [
        (item.subject["field"], item)
        for item in measurements
        if item.test == "arm_rates"
        and item.metric == SELECTION_RATE
        and (item.subject.get("field"), item.subject.get("group")) in references
    ]
