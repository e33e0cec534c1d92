"""The sections about what was measured: primary and exploratory results, controls, model quality, findings."""

from __future__ import annotations

from collections import Counter

from auditor.records import Measurement, Role
from reports import numbers, wording
from reports.blocks import Block, Code, FindingBlock, Level, Literal, Table, Text
from reports.charts import by_conclusion
from reports.cover import control_table
from reports.story import Story
from reports.tables import contrasts, short_rows


def results_primary(story: Story) -> list[Block]:
    """The confirmatory family: figure, table, sentences."""
    if not story.primary:
        return [Text("Not tested: the plan declares no primary contrast, or the run gave none.")]
    families = Counter(str(item.family) for item in story.primary)
    sizes = [f"{size} contrasts in the family “{name}”" for name, size in sorted(families.items())]
    methods = list(dict.fromkeys(item.method for item in story.contrasts if item.method))
    metric = {item.metric for item in story.primary}
    names = [
        "effects" if name == "cf_net_effect" else "effects-matched"
        for name in sorted(metric)
        if name.startswith("cf_net_effect")
    ]
    lines: list[Block] = [
        Text(
            f"Each application was put to the model again with one field changed and every other word the same. "
            f"Confirmatory: {wording.joined(sizes)}; "
            f"p-values are adjusted by Holm within each. Method: {'. '.join(methods) or 'as the plan states'}."
        )
    ]
    if "cf_net_effect_matched" in metric:
        lines.append(
            Text(
                "The matched operating point is primary here: one "
                "threshold for all arms, set so that the reference arm's "
                "approval rate equals the share of favourable outcomes in the data.",
                tone="note",
            )
        )
    return [
        *lines,
        *story.figures(*names),
        contrasts(story.primary, story.design, title="The numbers of the primary contrasts"),
    ]


def results_secondary(story: Story) -> list[Block]:
    """Everything that is reported and not confirmatory."""
    rest = [item for item in story.bundle.measurements if item.role is not Role.PRIMARY]
    pairs = by_conclusion([item for item in rest if item.metric.startswith("cf_net_effect")])
    shifts = by_conclusion([item for item in rest if item.metric == "cf_mean_shift_sd"])
    flips = [item for item in rest if item.test == "counterfactual" and item.metric.startswith("cf_flip_rate")]
    filed = [item for item in rest if item.test == "group_rates"]
    names = [
        "effects" if name == "cf_net_effect" else "effects-matched" for name in sorted({item.metric for item in pairs})
    ]
    blocks: list[Block] = []
    if pairs:
        blocks += [
            *story.figures(*names),
            contrasts(pairs, story.design, title="Net effect, not part of the primary family"),
        ]
    if shifts:
        blocks += [*story.figures("margin-shift"), contrasts(shifts, story.design, title="Margin shift")]
    blocks += story.figures("rates")
    if flips:
        blocks.append(
            short_rows(
                flips,
                story.design,
                title="Flip rates, in both directions where measured",
                note="Read each beside the noise floor of the next section.",
            )
        )
    if filed:
        blocks.append(
            short_rows(
                filed,
                story.design,
                title="As filed: different applicants",
                note="Exploratory. Groups of different applicants differ in "
                "more than the protected field; a gap here does not show "
                "that the field caused it. Counts of people below the small-cell rule are not printed.",
            )
        )
    return blocks or [Text("Not part of this run: no secondary or exploratory test was planned.")]


def controls(story: Story) -> list[Block]:
    """The audit's own controls on the same model and design."""
    # Those of tests on internals stand with their figures, each kind once.
    inside = {item.id for item in story.bundle.measurements if item.role is Role.SUPPORTING}
    checks = [item for item in story.bundle.controls.get("self_checks") or [] if item.get("measurement") not in inside]
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
                            str(item["name"]),
                            "yes" if item["held"] else "no",
                            numbers.figure(item.get("value")),
                            numbers.figure(item.get("bound")),
                            str(item.get("note") or numbers.DASH),
                        )
                        for item in checks
                    ).items()
                ),
                align="llrrrl",
                weights=(0.31, 0.07, 0.12, 0.12, 0.08, 0.3),
            )
        )
    return blocks


def model_quality(story: Story) -> list[Block]:
    """Whether the model answers at all, and how its answers relate to the recorded outcomes."""
    quality = [
        item
        for item in story.bundle.measurements
        if item.test == "model_quality" or item.metric in ("invalid_rate", "answer_mass")
    ]
    blocks: list[Block] = [Text(story.mute, tone="note")] if story.mute else []
    blocks += story.figures("margins")
    if quality:
        blocks.append(short_rows(quality, story.design, title="Quality of the answers"))
    return blocks or [Text("Not part of this run: neither margins nor quality figures are in the bundle.")]


def findings(story: Story) -> list[Block]:
    """One block a finding, worst first."""
    named = {item.id: item for item in story.bundle.measurements}
    ranked = sorted(story.bundle.findings, key=lambda item: (-item.severity.rank, item.id))
    if not ranked:
        return [Text("No finding was raised by the plan's rules. This says nothing about what was not tested.")]
    return [
        FindingBlock(
            finding=item,
            rows=(
                ("Severity", Level(item.severity)),
                ("Rule", item.rule),
                ("Condition", wording.with_p_values(item.condition)),
                ("Criteria", "; ".join(item.criteria) or numbers.DASH),
                ("Cause", item.cause),
                ("Effect", item.effect),
                ("Recommend", item.recommendation),
                ("Measurements", "; ".join(_named(named[name]) for name in item.measurements if name in named)),
                ("Cases", Literal(item.cases or numbers.DASH)),
                ("Conclusion", Code(item.conclusion) if item.conclusion else numbers.DASH),
            ),
        )
        for item in ranked
    ]


def _named(measurement: Measurement) -> str:
    return f"{wording.metric_label(measurement)}, {wording.contrast(measurement)}"
