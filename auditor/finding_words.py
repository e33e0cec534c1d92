"""The sentences of findings: first what changed and in what, at which cut-off; then what is different elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.behaviour.metrics import (
    CF_EXCESS_FLIP,
    CF_MARGIN_FELL_SHARE,
    CF_MEAN_SHIFT_SD,
    CF_NET_EFFECT,
    CF_NET_EFFECT_MATCHED,
    CF_RANGE_EFFECT,
    REFUSAL_RATE_GAP,
    REFUSED_GAP,
)
from auditor.records import Conclusion, Measurement, Role
from auditor.rounding import digits, half_away, in_words, printed, significant
from auditor.statistics.verdict import size
from auditor.testing.state import percent

NATURAL, RANGE, MATCHED, SHIFT = CF_NET_EFFECT, CF_RANGE_EFFECT, CF_NET_EFFECT_MATCHED, CF_MEAN_SHIFT_SD
READABILITY, FELL, TURNED = REFUSAL_RATE_GAP, CF_MARGIN_FELL_SHARE, CF_EXCESS_FLIP
REFUSED = REFUSED_GAP
SEEN = (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD)
NO_DECISION_CHANGED = "Scores moved, no decision changed"


def title_of(item: Measurement) -> str:
    """What changed and in what, in one line."""
    changed = changed_words(item)
    if item.conclusion is Conclusion.INCONCLUSIVE:
        return f"{changed}: this run cannot say"
    return f"{changed}: {direction(item)}{where(item)}"


def changed_words(item: Measurement) -> str:
    """What was changed from what to what: "Race changed from White to Black"."""
    field, group = item.subject["field"], item.subject["group"]
    return f"{say(field).capitalize()} changed from {item.reference} to {group}"


def direction(item: Measurement) -> str:
    """What there is less or more of; slightly, where it is real and below the practical threshold."""
    less = (item.estimate or 0) < 0
    slightly = "slightly " if item.conclusion is Conclusion.DIFFERENCE_BELOW_THRESHOLD else ""
    if item.metric == READABILITY:
        return f"{slightly}{'fewer' if less else 'more'} answers that cannot be read"
    if item.metric == REFUSED:
        return f"{slightly}{'fewer' if less else 'more'} refused answers"
    if item.metric == TURNED:
        return f"{'a few ' if item.conclusion is Conclusion.DIFFERENCE_BELOW_THRESHOLD else ''}decisions turn both ways"
    if item.unit == "rate_difference":
        return f"{slightly}{'fewer' if less else 'more'} approvals"
    return f"the score moves {slightly}towards {'denial' if less else 'approval'}"


def where(item: Measurement) -> str:
    """At which cut-off, as it follows what changed."""
    if item.metric in (NATURAL, TURNED):
        return " at the model's own cut-off"
    if item.metric == MATCHED:
        return " at the matched cut-off"
    if item.metric == RANGE:
        return f" at a cut-off that approves {_rate(item, 'rate')} of the {item.reference} applications"
    return ""


def _rate(item: Measurement, key: str) -> str:
    share = item.counts.get(key)
    return "an unknown share" if share is None else f"{printed(float(share), 0, percent=True)}%"


def condition_of(worst: Measurement, involved: Sequence[Measurement], mine: Sequence[Measurement]) -> str:
    """What was seen: the worst first, then what is different elsewhere, then why each is concluded as it is.

    Parameters
    ----------
    worst
        The measurement the finding is graded by.
    involved
        All measurements that are graded, the worst among them.
    mine
        All measurements of the contrast.
    """
    first = _lead(worst, mine)
    others = [item for item in mine if item.metric in (NATURAL, RANGE, MATCHED, SHIFT) and item.id != worst.id]
    elsewhere = [text for item in others if (text := said(item, mine))]
    # What stands elsewhere is told with its size; why it is concluded as it is, where it cannot be told by a size.
    unsettled = [item for item in involved if item.id != worst.id and item.conclusion is Conclusion.INCONCLUSIVE]
    reasons = [item.conclusion_reason or "" for item in (worst, *unsettled)]
    parts = [first, f"Elsewhere: {'; '.join(_lower(text) for text in elsewhere)}." if elsewhere else ""]
    return " ".join(_stop(part) for part in (*parts, *reasons) if part)


def _lead(item: Measurement, mine: Sequence[Measurement]) -> str:
    """The first sentence: what changed, in what, by how much, at which cut-off."""
    if item.estimate is None or item.metric in (READABILITY, REFUSED, TURNED):
        return said(item, mine)
    changed = f"With {_lower(changed_words(item))},"
    if item.conclusion is Conclusion.INCONCLUSIVE:
        what = "approvals change" if item.unit == "rate_difference" else "the score moves"
        return f"{changed} this run cannot say whether {what}. {_in_full(said(item, mine))}"
    if item.unit != "rate_difference":
        towards = "denial" if item.estimate < 0 else "approval"
        moves = f"{changed} the score behind the decision moves towards {towards}"
        if (own := unturned(item, mine)) is not None:
            kept = f"at the model's own cut-off all {own.n:,} applications are decided as before"
            return f"{moves}. {NO_DECISION_CHANGED}: {kept}. {said(item, mine)}"
        return f"{moves}; that decisions change is not claimed. {said(item, mine)}"
    less = item.estimate < 0
    points = _in_full(_points(item.estimate, signs=False))
    small = "a small and real " if item.conclusion is Conclusion.DIFFERENCE_BELOW_THRESHOLD else ""
    way = f"by {small}{points}"
    text = f"{changed} approvals {'fall' if less else 'rise'} {way}{where(item)}{_moved(item)}"
    if item.metric == RANGE:
        text += (
            f". That is the model's own cut-off, outside the range of cut-offs that approve "
            f"{_rate(item, 'range_low')} to {_rate(item, 'range_high')} of the {item.reference} applications; no "
            "cut-off of the range shows more"
            if _at_own_cut_off(item)
            else f". That is the most over cut-offs that approve {_rate(item, 'range_low')} to "
            f"{_rate(item, 'range_high')} of the {item.reference} applications{_outside(item)}"
        )
    return text


def unturned(item: Measurement, measurements: Sequence[Measurement]) -> Measurement | None:
    """The net effect at the model's own cut-off of the contrast of ``item``, where no decision of any pair changed."""
    for other in measurements:
        if other.metric == NATURAL and (other.subject, other.reference) == (item.subject, item.reference):
            counted = other.estimate is not None and other.n > 0
            return other if counted and other.counts.get("b") == other.counts.get("c") == 0 else None
    return None


def _in_full(points: str) -> str:
    """The unit written out, where a sentence is read first."""
    return points.replace(" pp", " percentage points")


def _points(value: float, *, signs: bool = True) -> str:
    """Percentage points, where what is not 0 is not printed as 0."""
    if value and not half_away(1000 * value, 0):
        return f"under {('−' if value < 0 else '+') if signs else ''}0.1 pp"
    return f"{signed(100 * value, 1)} pp" if signs else f"{printed(abs(value), 1, percent=True)} pp"


def _moved(item: Measurement) -> str:
    lost, gained = item.counts.get("b"), item.counts.get("c")
    if lost is None or gained is None:
        return ""
    return f": {lost:,} of {item.n:,} applications lose approval, {gained:,} gain it"


def _at_own_cut_off(item: Measurement) -> bool:
    """Whether the largest effect stands at the model's own cut-off although that lies outside the range."""
    rate, low, high = (item.counts.get(key) for key in ("rate", "range_low", "range_high"))
    if rate is None or low is None or high is None or item.counts.get("natural_inside"):
        return False
    return not low - 1e-9 <= rate <= high + 1e-9


def _outside(item: Measurement) -> str:
    return "" if item.counts.get("natural_inside") else "; the model's own cut-off lies outside this range"


def said(item: Measurement, mine: Sequence[Measurement]) -> str:
    """One measurement of a contrast in a sentence without its full stop; empty where it has no value."""
    if item.estimate is None:
        return ""
    if item.metric == SHIFT:
        return _margin(item, mine)
    counted = {REFUSED: _refused, READABILITY: _readability, TURNED: _turned}
    if item.metric in counted:
        return counted[item.metric](item)
    moved = _moved(item)
    points = _points(item.estimate)
    if item.metric == RANGE and _at_own_cut_off(item):
        return (
            f"Approvals over cut-offs that approve {_rate(item, 'range_low')} to {_rate(item, 'range_high')} of the "
            f"{item.reference} applications differ nowhere more than at the model's own cut-off, outside this range, "
            f"where {_rate(item, 'rate')} are approved ({points}{moved})"
        )
    if item.metric == RANGE:
        return (
            f"Approvals over cut-offs that approve {_rate(item, 'range_low')} to {_rate(item, 'range_high')} of the "
            f"{item.reference} applications differ most where {_rate(item, 'rate')} are approved "
            f"({points}{moved}){_outside(item)}"
        )
    place = "At the model's own cut-off" if item.metric == NATURAL else "At the matched cut-off"
    return f"{place} approvals change by {points}{moved}"


def _readability(item: Measurement) -> str:
    reference, group = (item.counts.get(key) for key in ("unreadable_reference", "unreadable_group"))
    gap = f"Answers that cannot be read differ by {signed(100 * (item.estimate or 0), 1)} percentage points"
    if reference is None or group is None or not item.n:
        return gap
    return (
        f"{percent(group / item.n)} of the {item.subject['group']} applications and {percent(reference / item.n)} of "
        f"the {item.reference} applications got no answer that can be read"
    )


def _refused(item: Measurement) -> str:
    reference, group = (int(item.counts.get(key) or 0) for key in ("b", "c"))
    return (
        f"Of {item.n:,} applications {group:,} are refused an answer with {item.subject['group']} alone, and "
        f"{reference:,} with {item.reference} alone"
    )


def _turned(item: Measurement) -> str:
    lost, gained = (int(item.counts.get(key) or 0) for key in ("b", "c"))
    floor, of = (int(item.counts.get(key) or 0) for key in ("floor_flips", "floor_n"))
    net = gained - lost
    shows = f"{abs(net):,} {'gained' if net > 0 else 'lost'} alone" if net else "none of it"
    return (
        f"With {_lower(changed_words(item))}, {lost:,} of {item.n:,} applications lose approval and {gained:,} gain "
        f"it, so that the net change shows {shows}; with a field changed that should not matter, {floor:,} of {of:,} "
        "decisions turn"
    )


def _margin(item: Measurement, mine: Sequence[Measurement]) -> str:
    fell = next((other for other in mine if other.metric == FELL and other.estimate is not None), None)
    many = digits(item.low, item.high, least=2)  # as its interval is printed, so that both say one number
    shift = f"The score moves by {signed(item.estimate, many)} SD on average"
    if fell is None or not {"fell", "rose"} <= fell.counts.keys():
        return shift
    return f"{shift}; {fell.counts['fell']:,} of {fell.n:,} scores fell, {fell.counts['rose']:,} rose"


def effect_of(item: Measurement) -> str:
    """The effect per 1,000 applications, or in the margin, where no approvals may be claimed."""
    if item.estimate is None:
        return "Not estimated; the measurement gives the reason."
    small = " Small, and real." if item.conclusion is Conclusion.DIFFERENCE_BELOW_THRESHOLD else ""
    if item.unit != "rate_difference":
        many = digits(item.low, item.high, least=2)
        far = abs(item.estimate)
        by = f"{printed(far, many)} SD" if half_away(far, many) else size(far, "standardised")
        shift = f"{by} towards {'denial' if item.estimate < 0 else 'approval'}"
        return (
            f"Seen in the score alone: {shift}{_range(item, 1, 2, _SHIFT)}. No change in approvals is claimed.{small}"
        )
    if item.metric == TURNED:
        more = int(half_away(1000 * item.estimate, 0))
        turn = f"About {more:,} more decisions" if more else "Less than one decision more"
        return (
            f"{turn} in 1,000 such applications {'turn' if more else 'turns'}, one way or the other, than with a "
            f"field changed that should not matter{_range(item, 1000, 0 if more else 1)}.{small}"
        )
    what = {READABILITY: "answers that cannot be read", REFUSED: "refused answers"}.get(item.metric, "approvals")
    place = where(item)
    people = int(half_away(1000 * item.estimate, 0))
    if people == 0 and item.estimate and item.conclusion in SEEN:
        way = "Fewer" if item.estimate < 0 else "More"
        return (
            f"{way} {what}{place}, by less than one in 1,000 such applications, than as {item.reference}"
            f"{_range(item, 1000, 1)}.{small}"
        )
    if people == 0:
        return f"No measurable change in {what}{place}, compared with {item.reference}{_range(item, 1000, 0)} in 1,000."
    way = "fewer" if people < 0 else "more"
    return (
        f"About {abs(people):,} {way} {what}{place} in 1,000 such applications than as {item.reference}"
        f"{_range(item, 1000, 0)}.{small}"
    )


_COUNT, _SHIFT = ("fewer", "more"), ("towards denial", "towards approval")


def _range(item: Measurement, scale: float, least: int, ways: tuple[str, str] = _COUNT) -> str:
    """The interval in brackets and in words: beside "fewer" a sign would say the opposite."""
    if item.low is None or item.high is None:
        return ""
    low, high = scale * item.low, scale * item.high
    many = digits(low, high, least=least)
    said = in_words((low, high), [printed(abs(bound), many) for bound in (low, high)], less=ways[0], more=ways[1])
    by = found_by(item)
    return f" ({100 * item.level:g}% interval {said}{f'; {by}' if by else ''})"


def found_by(item: Measurement) -> str:
    """What found a difference whose printed interval does not leave "no difference" out; empty for any other."""
    if item.conclusion not in SEEN or item.low is None or item.high is None:
        return ""
    null = 1 if item.unit == "ratio" else 0
    if not item.low <= null <= item.high:
        return ""
    p = f", adjusted p = {significant(item.p_adjusted, 2)}" if item.p_adjusted is not None else ""
    if item.metric == RANGE:
        return f"found by the test over all cut-offs{p}; the interval is wider and reaches {null}"
    return f"found by the test{p}; the interval is made in another way and reaches {null}"


def signed(value: float | None, decimals: int) -> str:
    """A number with a true minus sign, a plus sign, or neither where it rounds to 0."""
    if value is None:
        return "not estimated"
    text = printed(abs(value), decimals)
    if not float(text.replace(",", "")):
        return text
    return ("−" if value < 0 else "+") + text


def advice_on(item: Measurement) -> str:
    """What to do about the worst measurement of a contrast."""
    field = say(item.subject["field"])
    if item.conclusion is Conclusion.INCONCLUSIVE:
        return (
            "Do not read this as clean. Ask about more applications, or put right what the finding names as missing, "
            "and run the same audit again."
        )
    if item.metric == TURNED:
        return (
            "Open the cases of this finding and compare who loses with who gains. Then write a plan that asks as a "
            f"main question about the groups among which that differs (by {field} and one other attribute together), "
            "and run it on applications that were not used here."
        )
    if item.role is Role.EXPLORATORY:
        return (
            "This was found on the way, not by a question fixed beforehand. Write a plan that asks it as a main "
            "question, and run that on applications that were not used here."
        )
    if item.metric == READABILITY:
        return (
            f"Open the cases of this finding and read what the model answered for {item.subject['group']}. Correct the "
            "prompt or the list of accepted answers, and run the same audit again. Until then this audit cannot say "
            f"that {field} makes no difference."
        )
    next_version = "change the prompt or the model, and run the same audit on what was changed"
    if item.conclusion is Conclusion.DIFFERENCE_BELOW_THRESHOLD:
        return (
            f"The difference is real and small. Ask whether the prompt has to state {field} at all; if it need not, "
            f"{next_version}. Otherwise look at it again with every new version. Potential issue for counsel review."
        )
    return (
        f"Do not rely on this model for these decisions until the cause is known. Ask whether the prompt has to state "
        f"{field} at all, {next_version}. Potential issue for counsel review."
    )


def say(field: str) -> str:
    """A field's name in words."""
    return field.replace("_", " ")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _stop(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
