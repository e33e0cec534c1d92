"""The sections about what was measured: primary and exploratory results, controls, model quality, findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from auditor.behaviour import amount_gaps, reasons_given
from auditor.behaviour.metrics import (
    ANSWER_MASS,
    CF_FLIP_RATE,
    CF_MEAN_SHIFT_SD,
    CF_NET_EFFECT,
    CF_NET_EFFECT_MATCHED,
    CF_RANGE_EFFECT,
    INVALID_RATE,
    NEAR_CUT_OFF,
    REFUSAL_RATE_GAP,
)
from auditor.catalogue import TESTS, card_of, on_outputs
from auditor.records import Measurement, Role
from auditor.testing.factory import NOT_TESTED
from reports import decision_sections, elsewhere, numbers, sentences, wording
from reports.blocks import CONTRASTS, Block, Cases, Code, FindingBlock, Level, Table, Text
from reports.charts import by_conclusion
from reports.controls import control_table, missing_words
from reports.decision_record_sections import of_file
from reports.how_many import of_one, one_case_words
from reports.labels import CASE_ROLE_LABELS, CONTROL_ARM_LABELS
from reports.story import Story
from reports.unmoved import unmoved_sentence

#: The chart of each metric of contrasts.
CHART_OF = {
    CF_NET_EFFECT: "effects",
    CF_NET_EFFECT_MATCHED: "effects-matched",
    CF_RANGE_EFFECT: "effects-range",
    REFUSAL_RATE_GAP: "readability",
    CF_MEAN_SHIFT_SD: "margin-shift",
}


def results_primary(story: Story) -> list[Block]:
    """The confirmatory families, one after another: figure and table of each."""
    if not story.primary:
        none = Text("Not tested: the plan declares no primary contrast, or the run gave none.")
        return [none, *_of_answers(story)]
    sizes = Counter(str(item.family) for item in story.primary if item.family)
    named = [f"{wording.family_words(name)} ({numbers.count(size)})" for name, size in sizes.items()]
    blocks: list[Block] = [
        Text(
            "Each application was put to the model again with one field changed and every other word the same; what "
            "compares different applicants as filed says so. "
            f"Confirmatory, each family adjusted by Holm on its own: {wording.joined(named)}. {_over_families(story)}"
        )
    ]
    if any(item.metric == CF_NET_EFFECT_MATCHED for item in story.primary):
        blocks.append(
            Text(
                "The matched cut-off is primary here: one cut-off for all arms, set so that the reference arm's "
                "approval rate equals the share of favourable outcomes in the data.",
                tone="note",
            )
        )
    for metric in _in_order({item.metric for item in story.primary}):
        blocks += _contrasts(story, [item for item in story.primary if item.metric == metric])
    return [*blocks, *story.figure("cut-off-curve"), *_near(story), *_of_answers(story)]


def _of_answers(story: Story) -> list[Block]:
    """What answers hold beside, or as, the decision: amounts and reasons, where the run read any."""
    blocks: list[Block] = []
    for test in (amount_gaps, reasons_given):
        own = [item for item in story.measurements if item.test == test.CARD.name and item.metric != NOT_TESTED]
        if own:
            title, note = wording.test_label(test.CARD.name), f"Exploratory. {test.CARD.limitations}"
            blocks.append(story.numbers(test.CARD.name, own, printed=tuple(own), title=title, note=note))
    return blocks


def _over_families(story: Story) -> str:
    """What adjusting each family on its own leaves: the chance of a false finding adds up over families."""
    families = len({item.family for item in story.primary if item.family})
    if families < 2:
        return ""
    alpha = story.design.alpha
    return (
        f"Within a family the chance of any false difference is at most {numbers.rate(alpha)}; over all {families} "
        f"together it can be larger, at most {numbers.rate(min(1.0, families * alpha))}."
    )


def results_secondary(story: Story) -> list[Block]:
    """Everything that is reported and not confirmatory."""
    rest = [item for item in story.measurements if item.role is not Role.PRIMARY]
    blocks: list[Block] = []
    for metric in _in_order({item.metric for item in rest} & set(CHART_OF)):
        blocks += _contrasts(story, by_conclusion([item for item in rest if item.metric == metric]))
    flips = [item for item in rest if item.metric.startswith((CF_FLIP_RATE, "cf_margin_fell", "cf_excess"))]
    filed = [item for item in rest if item.test == "group_rates"]
    blocks += story.figure("rates")
    if flips:
        blocks.append(
            story.numbers(
                "flips",
                flips,
                printed=tuple(flips),
                title="Decisions and scores that change, pair by pair",
                note="Read each beside what changes by itself: in the report, under “Could this audit have seen it?”.",
            )
        )
    if filed:
        blocks.append(
            story.numbers(
                "as-filed",
                filed,
                printed=tuple(filed),
                title="As filed: different applicants",
                note="Exploratory. Groups of different applicants differ in more than the protected field; a gap here "
                "does not show that the field caused it. Groups of fewer than "
                f"{story.design.small_cell} people are not printed, nor what their numbers could be worked out from; "
                "of a larger group the rate is printed, even where few were denied.",
            )
        )
    blocks += _of_others(story, rest)
    if of_file(story):
        words = (
            "The answers to the applications as filed, measured as decisions taken are: different applicants are "
            "compared, so that a gap here does not show that the field caused it."
        )
        blocks += [Text(words, title="Answers as filed"), *decision_sections.sheet(story)]
    return blocks or [Text("Not part of this run: no secondary or exploratory test was planned.")]


def _of_others(story: Story, rest: Sequence[Measurement]) -> list[Block]:
    """What tests on outputs of other packages measured: their cards' words, then their figures."""
    blocks: list[Block] = []
    for name in dict.fromkeys(item.test for item in rest if item.test not in TESTS and on_outputs(item.test)):
        card, own = card_of(name), [item for item in rest if item.test == name]
        if card is not None:
            blocks.append(
                Text(f"{card.purpose} {card.method} Limits: {card.limitations}", title=wording.test_label(name))
            )
        blocks.append(story.numbers(name, own, printed=tuple(own), title=wording.test_label(name)))
    return blocks


def _in_order(metrics: set[str]) -> list[str]:
    return [metric for metric in wording.CONTRAST_METRICS if metric in metrics] + sorted(
        metrics - set(wording.CONTRAST_METRICS)
    )


def _contrasts(story: Story, items: list[Measurement]) -> list[Block]:
    """The chart of a metric with its numbers and methods under it; these alone where no chart was drawn."""
    metric = items[0].metric
    name, methods = CHART_OF.get(metric, metric), _methods(items)
    own = story.numbers(
        name,
        items,
        title=f"Numbers: {sentences.what_words(items[0], story.design, items)}",
        columns=CONTRASTS,
        printed=tuple(items),
        method=f"Method: {' '.join(methods)}" if methods else "",
    )
    figures = story.figure(name, own) if metric in CHART_OF else []
    blocks: list[Block] = [*figures] if figures else [own]
    if metric in CHART_OF and not figures and of_one(items):
        blocks.append(Text(one_case_words(items)))
    moved = unmoved_sentence(story.measurements) if metric == CF_MEAN_SHIFT_SD else None
    return [*blocks, Text(moved, tone="note")] if moved else blocks


def _methods(items: Sequence[Measurement]) -> list[str]:
    """A sentence a method; where rows have several, each says of which. A row without a value was not computed."""
    by_method: dict[str, list[str]] = {}
    for item in items:
        if item.method and item.estimate is not None:
            by_method.setdefault(item.method, []).append(wording.contrast(item))
    if len(by_method) < 2:
        return [f"{method}." for method in by_method]
    return [f"{', '.join(names)}: {method}." for method, names in by_method.items()]


def _near(story: Story) -> list[Block]:
    """How many applications lie near each cut-off, attribute by attribute."""
    near = [item for item in story.measurements if item.metric == NEAR_CUT_OFF]
    if not near:
        return []
    return [
        Table(
            title="Applications near a cut-off",
            head=("Reference arm of", "Cut-off", "At a score of", "Within, logits", "Applications", "Of"),
            rows=tuple(
                (
                    wording.sentence_case(wording.field_words(item.subject.get("field", ""))),
                    wording.named("cut_off", item.subject.get("cut_off", "")),
                    numbers.number(item.counts.get("threshold"), decimals=2, signed=True),
                    numbers.number(item.counts.get("within"), decimals=2),
                    numbers.estimate(item),
                    numbers.count(item.n),
                )
                for item in near
            ),
            align="llrrrr",
            weights=(0.2, 0.3, 0.14, 0.14, 0.12, 0.1),
            note=" ".join(
                [
                    "Where no application lies near a cut-off, a change of the score turns no decision there, however "
                    "general it is.",
                    *missing_words(near),
                ]
            ),
            of=tuple(near),
        )
    ]


def controls(story: Story) -> list[Block]:
    """The audit's own controls on the same model and design."""
    # Those of tests on internals stand with their figures, each kind once.
    inside = {item.id for item in story.measurements if item.role is Role.SUPPORTING and not on_outputs(item.test)}
    checks = [item for item in story.bundle.controls.self_checks if item.measurement not in inside]
    blocks: list[Block] = [
        Text(
            "Controls ask the same model under the same design whether this audit "
            "can see a difference that is there, and stays quiet where there is none."
        ),
        control_table(story, ""),
    ]
    if checks:
        blocks.append(
            Table(
                title="Self-checks of the scoring",
                head=("Check", "Held", "Figure", "Bound", "Of", "Note"),
                # A check stands beside every number it speaks of; here it is printed once, with how many those are.
                rows=tuple(
                    (*row[:4], numbers.count(count), row[4])
                    for row, count in Counter(
                        (
                            item.name,
                            "yes" if item.held else "no",
                            numbers.figure(item.value),
                            numbers.figure(item.bound),
                            item.note or numbers.DASH,
                        )
                        for item in checks
                    ).items()
                ),
                align="llrrrl",
                weights=(0.31, 0.07, 0.12, 0.12, 0.08, 0.3),
                unfolded=not all(item.held for item in checks),
            )
        )
    return blocks


def model_quality(story: Story) -> list[Block]:
    """Whether the model answers at all, and how its answers relate to the recorded outcomes."""
    quality = [
        item
        for item in story.measurements
        if item.test == "model_quality" or item.metric in (INVALID_RATE, ANSWER_MASS)
    ]
    blocks: list[Block] = [Text(story.mute, tone="note")] if story.mute else []
    blocks += story.figure("margins")
    near = elsewhere.near_sentence(story.measurements)
    blocks += [Text(near)] if near else []
    if quality:
        blocks.append(story.numbers("quality", quality, printed=tuple(quality), title="Quality of the answers"))
    return blocks or [Text("Not part of this run: neither margins nor quality figures are in the bundle.")]


def findings(story: Story) -> list[Block]:
    """One block a finding, worst first."""
    named = {item.id: item for item in story.measurements}
    ranked = sorted(story.bundle.findings, key=lambda item: (-item.severity.rank, item.id))
    if not ranked:
        return [Text("No finding was raised by the plan's rules. This says nothing about what was not tested.")]
    return [
        FindingBlock(
            finding=item,
            brief=" · ".join(_brief(named[name]) for name in item.measurements if name in named),
            rows=(
                ("Severity", Level(item.severity)),
                ("Rule", item.rule),
                ("Condition", wording.with_p_values(item.condition)),
                ("Criteria", "; ".join(item.criteria) or numbers.DASH),
                ("Cause", wording.with_p_values(item.cause)),
                ("Effect", wording.with_p_values(item.effect)),
                ("Recommend", item.recommendation),
                ("Measurements", Cases(tuple(_named(named[name]) for name in item.measurements if name in named))),
                ("Cases", Cases((("", cases_words(item.cases), "", item.cases),)) if item.cases else numbers.DASH),
                ("Conclusion", Code(item.conclusion) if item.conclusion else numbers.DASH),
            ),
        )
        for item in ranked
    ]


def _named(measurement: Measurement) -> tuple[str, str, str, str]:
    """A measurement in a list of them: its name, then its figure, which leads to its cases."""
    name = f"{wording.metric_label(measurement)}, {wording.contrast(measurement)}"
    return f"{name} (", sentences.shown(measurement), ")", measurement.cases


def _brief(measurement: Measurement) -> str:
    return f"{wording.metric_label(measurement)}, {wording.contrast(measurement)} {sentences.shown(measurement)}"


def cases_words(query: str) -> str:
    """The cases that a query names, in words: ``race: Black and race: White``."""
    parts = dict(part.split(":", 1) for part in query.split(";") if ":" in part)
    arms = [part.partition("=") for part in parts.get("arm", "").split("|") if part]
    said = wording.joined(
        [
            f"{CONTROL_ARM_LABELS.get(name, wording.field_words(name))}: {wording.field_words(value)}"
            for name, _, value in arms
        ]
    )
    role = CASE_ROLE_LABELS.get(parts.get("role", ""), "")
    return ", ".join(word for word in (said, role) if word) or numbers.DASH
