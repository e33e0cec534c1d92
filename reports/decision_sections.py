"""The sections of a report on a decision file: what was decided on different applicants, and nobody was asked."""

from __future__ import annotations

from collections import Counter

from auditor.catalogue import card_of
from auditor.records import Conclusion, Measurement, Role
from reports import numbers, sentences, small_cells, wording
from reports.blocks import CONTRASTS, Block, Cell, Table, Text
from reports.charts import TAKEN, by_conclusion, is_gap
from reports.decision_counts import compared, open_words
from reports.decision_record_sections import held_equal, of_file
from reports.price_charts import NAME as PRICES
from reports.price_charts import is_price_gap
from reports.story import Story
from reports.wording import sentence_case

PLAIN = {"field", "group"}
"""The keys of a subject that is a group and nothing narrower."""
FACTORS_AT_MOST = 2


def audited_words(story: Story) -> str:
    """What was audited, in the first lines of the cover."""
    plan, data = story.bundle.plan, story.bundle.run.data
    said = f"Audited: {plan.use.business_use} ({plan.use.decision_role}). {data.title or data.name}: "
    part = data.applications != data.rows
    said += f"{numbers.count(data.applications)} of " if part else ""
    said += f"{numbers.count(data.rows)} applications{'; of all' if part else ''}"
    counts = data.counts
    if counts is not None:
        neither = sum(counts.no_outcome.values())
        said += f", {numbers.count(counts.favourable)} decided favourably, {numbers.count(counts.adverse)} not"
        said += f", {numbers.count(neither)} neither way" if neither else ""
    return f"{said}. Nobody was asked."


def unseen_rows(story: Story) -> list[tuple[str, Cell]]:
    """What a file cannot show, and what this one could not."""
    left_open = open_words(story.measurements)
    rows: list[tuple[str, Cell]] = [("Cannot say", f"{left_open} That is not a clean result.")] if left_open else []
    rows += [
        (
            "Cause",
            "That the attribute makes a difference: a file holds each application once, never with one field changed.",
        ),
        (
            "Factors",
            f"{held_equal(story, most=FACTORS_AT_MOST)} What is not recorded can make or hide a gap.",
        ),
    ]
    if found := _least_powerful(story):
        item, mde = found
        share = numbers.percent(story.design.power, decimals=0)
        rows.append(
            (
                "Smallest effect",
                f"The least sure: {wording.lower_first(wording.metric_label(item))}, {sentences.against([item])}. One "
                f"of {numbers.detectable(mde, item.unit)} percentage points is found with {share}% chance.",
            )
        )
    rows.append(
        (
            "Not covered",
            "Applicants, products and periods not in the file; whoever did not apply; how decisions came about.",
        )
    )
    return rows


def results(story: Story) -> list[Block]:
    """Confirmatory measures by family, then rates and gaps with as many decisions as each is of."""
    mine = of_file(story)
    if not any(item.estimate is not None for item in mine):
        return [Text(f"Not tested. {' '.join(_not_tested(story))}".strip(), tone="lead")]
    blocks: list[Block] = [
        Text(
            "Decisions already taken are compared between groups of different applicants. "
            f"{_confirmatory(story)} Every other measure is exploratory: adjusted by Benjamini and Hochberg within its "
            f"test. {_over_families(story)}The annex has every measure, test by test."
        )
    ]
    for metric in dict.fromkeys(item.metric for item in story.primary):
        items = [item for item in story.primary if item.metric == metric]
        title = f"Numbers: {sentences.what_words(items[0], story.design, items)}"
        blocks.append(story.numbers(metric, items, printed=tuple(items), title=title, columns=CONTRASTS))
    blocks += story.figure("rates")
    for metric, (name, _) in TAKEN.items():
        items = by_conclusion([item for item in mine if item.metric == metric and is_gap(item)])
        if items:
            below = story.numbers(name, items, printed=tuple(items), title="Numbers", columns=CONTRASTS)
            blocks += story.figure(name, below) or [below]
    if prices := by_conclusion([item for item in mine if is_price_gap(item)]):
        # The chart prints every number of them; only where it cannot be drawn the table stands on paper.
        numbers_of = story.numbers(PRICES, prices, printed=tuple(prices), title="Prices and amounts", columns=CONTRASTS)
        blocks += story.figure(PRICES) or [numbers_of]
    return blocks + [Text(words, tone="note") for words in _not_tested(story)]


def sheet(story: Story) -> list[Block]:
    """Every measure of every test on the file: what the test says of itself, then its numbers."""
    mine = of_file(story)
    blocks: list[Block] = []
    for name in dict.fromkeys(item.test for item in mine):
        card, own = card_of(name), [item for item in mine if item.test == name]
        if card is None or not any(item.reference or item.estimate is not None for item in own):
            continue
        words = f"{card.purpose} {card.method} What would worry: {card.worrying} Limits: {card.limitations}"
        blocks.append(Text(words, title=wording.test_label(name)))
        # On paper single segments stand in the list of all measurements alone.
        printed = tuple(item for item in own if "segment" not in item.subject)
        blocks.append(story.numbers(f"sheet-{name}", own, printed=printed, title=wording.test_label(name)))
    return blocks or [Text("Not part of this run: no test on the decision file gave a number.")]


def controls(story: Story) -> list[Block]:
    """What the file could have shown: the least difference of each comparison, and what has no number and why."""
    blocks: list[Block] = [
        Text(
            "Nobody was asked, so no difference could be planted, no irrelevant field changed and nothing asked again. "
            "What such an audit can see is set by how many decisions there are of each group: the smallest difference "
            "that each comparison would have found, and what stays hidden or open because a group is small."
        )
    ]
    known = [item for item in _compared(story) if item.counts.get("mde") is not None and _of_decisions(item)]
    if known:
        share = numbers.percent(story.design.power, decimals=0)
        blocks.append(
            Table(
                title=f"Smallest difference found with {share}% power",
                head=("Comparison", "Measure", "n", "Smallest", "Threshold", "Seen at the threshold?"),
                rows=tuple(
                    (
                        wording.contrast(item),
                        sentence_case(wording.metric_label(item)),
                        small_cells.people(item, small_cell=story.design.small_cell),
                        f"{numbers.detectable(item.counts.get('mde'), item.unit)} {numbers.unit_name(item)}",
                        sentences.threshold_words(item, story.design),
                        "could have been missed" if sentences.misses_threshold(item, story.design) else "yes",
                    )
                    for item in known
                ),
                align="llrrrl",
                weights=(0.28, 0.26, 0.08, 0.11, 0.1, 0.17),
                note="Worked out after the run from the decisions themselves, at the level of the family.",
                of=tuple(known),
            )
        )
    reasons = Counter(wording.reason_words(item) for item in _compared(story) if item.estimate is None)
    short = sum(item.conclusion is Conclusion.INCONCLUSIVE and item.estimate is not None for item in _compared(story))
    rows = [(sentence_case(reason), numbers.count(count)) for reason, count in reasons.most_common()]
    if short:
        rows.append(("A number, from which nothing is concluded", numbers.count(short)))
    if rows:
        blocks.append(
            Table(
                title="Comparisons without a number or a conclusion",
                head=("Why", "Comparisons"),
                rows=tuple(rows),
                align="lr",
                weights=(0.82, 0.18),
                note=f"Of {numbers.count(len(_compared(story)))} comparisons. Groups under {story.design.small_cell} "
                "people are hidden with whatever would give them back; under 30 decisions nothing is concluded.",
                unfolded=True,
            )
        )
    if not known and not rows:
        blocks.append(Text("Nothing was compared: no test of the plan reads a decision file.", tone="lead"))
    return blocks


def _confirmatory(story: Story) -> str:
    sizes = Counter(str(item.family) for item in story.primary if item.family)
    if not sizes:
        return "No policy pack of the plan makes a measure of decision files primary, so nothing here is confirmatory."
    named = [f"{wording.family_words(name)} ({numbers.count(size)})" for name, size in sizes.items()]
    return f"Confirmatory, by the policy packs, each family adjusted by Holm on its own: {wording.joined(named)}."


def _over_families(story: Story) -> str:
    """What adjusting each exploratory family on its own leaves: over many of them a false signal is no surprise."""
    mine = [item for item in of_file(story) if item.role is Role.EXPLORATORY and item.p_adjusted is not None]
    families, q = len({item.family for item in mine}), story.design.q
    if families < 2:
        return ""
    return (
        f"In a file without any difference a family gives a false signal with a chance of at most {numbers.rate(q)}; "
        f"were its {families} families independent of one another, one of them at least would with a chance of up to "
        f"{numbers.rate(1 - (1 - q) ** families)}: a single signal is to be looked into. "
    )


def _not_tested(story: Story) -> list[str]:
    """Why planned tests were not done, a sentence a reason."""
    by_reason: dict[str, list[str]] = {}
    for item in story.measurements:
        if item.conclusion is Conclusion.NOT_TESTED and item.role is Role.SUPPORTING and item.missing_reason:
            by_reason.setdefault(item.missing_reason, []).append(wording.test_label(item.test))
    return [f"Not tested: {'; '.join(names)}: {reason.rstrip('.')}." for reason, names in by_reason.items()]


def _compared(story: Story) -> list[Measurement]:
    return compared(story.measurements)


def _of_decisions(item: Measurement) -> bool:
    return is_gap(item) or (item.role is Role.PRIMARY and set(item.subject) == PLAIN)


def _least_powerful(story: Story) -> tuple[Measurement, float] | None:
    known = [
        (item, mde)
        for item in _compared(story)
        if _of_decisions(item) and item.unit == "rate_difference" and (mde := item.counts.get("mde")) is not None
    ]
    return max(known, key=lambda pair: pair[1]) if known else None
