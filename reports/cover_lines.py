"""What stands below the verdict on the first page: one labelled line for each place where something may differ."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.behaviour.metrics import RISK_DIFFERENCE
from auditor.records import Conclusion, Measurement, Role
from reports import elsewhere, numbers, sentences
from reports.decision_counts import counts_words, open_words
from reports.sentences import MATCHED, OWN, RANGE, READABLE
from reports.story import Story
from reports.unmoved import unmoved_sentence
from reports.wording import (
    CONCLUSION_ORDER,
    QUIET,
    SEEN,
    Design,
    joined,
    lower_first,
    metric_label,
    of_answers,
    on_file,
)

PLACES = ((OWN, "Own cut-off"), (RANGE, "Other cut-offs"), (MATCHED, "Matched cut-off"))
FILED = RISK_DIFFERENCE
NAMED_AT_MOST = 4


def cover_lines(story: Story, lead: Measurement | None) -> tuple[str, ...]:
    """The lines, each beginning with its place: ``Own cut-off: …``."""
    items, design = story.measurements, story.design
    lines = [story.mute] if story.mute else []
    for metric, label in PLACES:
        mine = [item for item in items if item.metric == metric and item.conclusion and item is not lead]
        # The verdict names every contrast it holds of; a line without its largest would seem to leave that one out.
        quiet = lead.conclusion if lead is not None and lead.metric == metric and lead.conclusion in QUIET else None
        if quiet is not None and all(item.conclusion is quiet for item in mine):
            continue
        # Of a mute model its own cut-off says nothing, and the line before has said why.
        if mine and not (story.mute and metric == OWN):
            exploratory = all(item.role is Role.EXPLORATORY for item in mine)
            lines.append(f"{label}{' (exploratory)' if exploratory else ''}: {_by_conclusion(mine, design)}.")
    score = elsewhere.score_sentence(items)
    if score:
        lines.append(score)
    moved = unmoved_sentence(items)
    # Where nothing else was found the verdict itself says it.
    if moved and (story.mute or lead is None or lead.conclusion in SEEN):
        lines.append(moved)
    lines += _readable(items, design, lead)
    filed = [
        item
        for item in items
        if sentences.of_different(item)
        and item is not lead
        and item.conclusion is Conclusion.DIFFERENCE_FOUND
        and (item.role is Role.PRIMARY or item.metric == FILED)
    ]
    primary = [item for item in filed if item.role is Role.PRIMARY]
    for mine, how in ((primary, "primary by a policy pack"), ([] if primary else filed, "exploratory")):
        for metric in dict.fromkeys(item.metric for item in mine):
            rows = [item for item in mine if item.metric == metric]
            name = lower_first(metric_label(rows[0]))
            where = "Decisions taken" if on_file(rows[0]) and not of_answers(rows[0]) else "As filed"
            lines.append(f"{where}, different applicants, {name} ({how}): {_by_conclusion(rows, design)}.")
    lines += [words for words in (counts_words(items), open_words(items)) if words]
    return tuple(lines)


def _readable(items: Sequence[Measurement], design: Design, lead: Measurement | None) -> list[str]:
    said = elsewhere.readability_sentence(items, design)
    found = [
        item
        for item in items
        if item.metric == READABLE
        and item is not lead
        and item.conclusion
        in (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD, Conclusion.INCONCLUSIVE)
    ]
    gaps = f"Difference of answers that cannot be read: {_by_conclusion(found, design)}." if found else ""
    return [line for line in (said, gaps) if line]


def _by_conclusion(items: Sequence[Measurement], design: Design) -> str:
    """``difference found for Black against White −6.0 [−11.8, −0.2] pp; cannot say for …``."""
    parts = []
    for code in CONCLUSION_ORDER:
        group = [item for item in items if item.conclusion is code]
        if group:
            parts.append(_said(code, group, design))
    return "; ".join(parts)


def _said(code: Conclusion, group: Sequence[Measurement], design: Design) -> str:
    threshold, band = sentences.threshold_words(group[0], design), sentences.ratio_band(group[0])
    if code in (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD):
        ranked = sorted(group, key=lambda item: -abs(item.estimate or 0.0))
        named = [f"{sentences.against([item])} {sentences.shown(item)}" for item in ranked[:NAMED_AT_MOST]]
        more = f" and {numbers.count(len(group) - NAMED_AT_MOST)} more" if len(group) > NAMED_AT_MOST else ""
        size = "difference found" if code is Conclusion.DIFFERENCE_FOUND else f"small and real, below {threshold},"
        if band:
            size = f"outside {band}" if code is Conclusion.DIFFERENCE_FOUND else f"small and real, inside {band},"
        return f"{size} for {', '.join(named)}{more}"
    names = sentences.against(group)
    if code is Conclusion.INCONCLUSIVE:
        causes = [sentences.inconclusive_cause(item, design) for item in group]
        why = _why(causes)
        return f"this run cannot say for {names} ({why})"
    if code is Conclusion.EQUIVALENT_WITHIN_MARGIN:
        return f"within ±{numbers.percent(design.equivalence_rate)} pp for {names} ({_largest(group)})"
    if code is Conclusion.NO_EVIDENCE and band:
        return f"no evidence of a ratio outside {band} for {names} ({_largest(group)})"
    if code is Conclusion.NO_EVIDENCE:
        aside = sentences.one_way(group, design).strip().rstrip(".")
        seen = f"{_largest(group)}; {lower_first(aside)}" if aside else _largest(group)
        return f"no evidence of a difference ≥ {threshold} for {names} ({seen})"
    return f"not tested for {joined([names])}"


def _why(causes: Sequence[str]) -> str:
    """One cause for several contrasts: the same one, or its first ground, which their figures leave alike."""
    if len(set(causes)) == 1:
        return causes[0]
    # "No difference was found, but its absence cannot be said: too few denials to say: 15 of 600 …; …"
    grounds = {(cause.partition(": ")[2] or cause).split("; ")[0].partition(": ")[0] for cause in causes}
    if all(ground.startswith("at a cut-off where") for ground in grounds):
        return "at other cut-offs decisions differ, so their absence here says little"
    return grounds.pop() if len(grounds) == 1 else "see the section Conclusion"


def _largest(group: Sequence[Measurement]) -> str:
    known = [item for item in group if item.estimate is not None]
    if not known:
        return "no value"
    widest = max(known, key=lambda item: abs(item.estimate or 0.0))
    return f"{'largest ' if len(group) > 1 else ''}{sentences.shown(widest)}"
