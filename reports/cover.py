"""The cover and the conclusion: verdict, controls, findings and scope, each in a few lines."""

from __future__ import annotations

from auditor.records import Conclusion, Severity
from reports import numbers, wording
from reports.blocks import Block, Cell, Code, Level, Pairs, Table, Target, Text, Verdict
from reports.story import Story
from reports.wording import sentence_case

COVER_FINDINGS = 6


def verdict(story: Story) -> Verdict:
    """The box on the cover."""
    lead = wording.lead_measurement(story.bundle.measurements)
    said = [story.mute] if story.mute else []
    if story.governance.get("status") != "complete":
        words = "The run is incomplete: no conclusion is drawn from part of it."
        return Verdict(Conclusion.INCONCLUSIVE, words, (), None)
    if lead is None:
        return Verdict(Conclusion.NOT_TESTED, "No primary contrast was tested.", tuple(said), None)
    if lead.conclusion is Conclusion.DIFFERENCE_FOUND:
        sentence = wording.conclusion_sentence(lead, story.design)
        rest = [item for item in story.contrasts if item is not lead]
    else:
        together = next(group for group in wording.grouped(story.contrasts, story.design) if lead in group)
        sentence = wording.group_sentence(together, story.design)
        rest = [item for item in story.contrasts if item not in together]
        more = wording.exploratory_sentence(story.bundle.measurements)
        said += [more] if more else []
    for group in wording.grouped(rest, story.design):
        # Of a mute model the natural threshold says nothing, and the sentence before has said why.
        silent = story.mute and group[0].metric == "cf_net_effect" and group[0].conclusion is Conclusion.INCONCLUSIVE
        said.append(wording.group_sentence(group, story.design, cause="see above" if silent else None))
    return Verdict(lead.conclusion or Conclusion.NOT_TESTED, sentence, tuple(said), story.charts.get("verdict"))


def cover(story: Story) -> list[Block]:
    """Controls, findings and scope in short."""
    plan, run = story.bundle.plan, story.bundle.run
    not_covered = (
        "Other prompts, data and versions; people's use of the decision. This report is evidence, not an approval."
    )
    frozen = (
        f"Design {numbers.short_hash(story.hashes['design'])}, frozen before the first prompt; "
        f"run begun {numbers.date(story.governance.get('started_at'))}"
    )
    criteria = (
        "; ".join(f"{pack['id']} {pack['version']}" for pack in run["packs"])
        or "no policy pack; the plan's own thresholds"
    )
    return [
        control_table(story, "Could this audit have seen a difference?"),
        finding_table(story, most=COVER_FINDINGS),
        Pairs(
            title="Scope",
            rows=(
                (
                    "Data",
                    f"{run['data']['title']}: {numbers.count(len(run['data']['selected']))} "
                    f"of {numbers.count(run['data']['rows'])} applications",
                ),
                ("Use", f"{plan['use']['business_use']}; {plan['use']['decision_role']}"),
                ("Plan", frozen),
                ("Criteria", criteria),
                ("Not covered", not_covered),
            ),
        ),
    ]


def conclusion(story: Story) -> list[Block]:
    """The verdict and every primary contrast in a sentence, with the codes explained."""
    said = verdict(story)
    by_level = [
        f"{sum(f.severity is level for f in story.bundle.findings)} {level.value}" for level in reversed(Severity)
    ]
    seen = {item.conclusion for item in story.bundle.measurements if item.conclusion}
    return [
        Text(said.sentence, tone="lead"),
        *(Text(words) for words in said.others),
        Pairs(
            rows=(
                ("Conclusion code", Code(said.conclusion)),
                ("Findings", f"{numbers.count(len(story.bundle.findings))}: {', '.join(by_level)}"),
            )
        ),
        Table(
            title="What the codes in this report mean",
            head=("Code", "Meaning"),
            rows=tuple(
                (Code(code), wording.CONCLUSION_MEANING[code]) for code in wording.CONCLUSION_ORDER if code in seen
            ),
            align="ll",
            weights=(0.36, 0.64),
            note="The absence of a difference is never a seal of approval.",
        ),
    ]


def control_table(story: Story, title: str) -> Table:
    """Positive control, placebo, noise floor and power, one row each."""
    controls = story.bundle.controls
    rows: list[tuple[Cell, ...]] = []
    planted = controls.get("planted_bias")
    if planted is None:
        rows.append(("Positive: planted bias", sentence_case(story.no_planted_bias), "not tested", numbers.DASH))
    else:
        rows.append(
            ("Positive: planted bias", str(planted.get("design", "")), str(planted.get("result", "")), numbers.DASH)
        )
    floors = (
        ("Negative: placebo field", "One irrelevant field changed", "placebo"),
        ("Noise floor", "Same prompt asked again, packed differently", "noise_floor"),
    )
    for name, how, key in floors:
        floor = controls.get(key)
        if floor is None:
            rows.append((name, "Not part of this run", "not tested", numbers.DASH))
        else:
            bounds = (
                f"[{numbers.number(100 * floor['low'], decimals=1)}, {numbers.number(100 * floor['high'], decimals=1)}]"
            )
            rows.append(
                (
                    name,
                    f"{how}; {numbers.count(floor['n'])} applications",
                    f"{numbers.rate(floor['flip_rate'])} flips",
                    bounds,
                )
            )
    contrasts = controls.get("power") or []
    power = [item for item in contrasts if item.get("mde") is not None]
    if contrasts and not power:
        why = "The run gives no smallest one; the intervals show what is excluded"
        rows.append(("Detectable effect", why, "not known", numbers.DASH))
    elif power:
        widest = max(power, key=lambda item: item["mde"])
        share = numbers.number(100 * story.design.power, decimals=0)
        rows.append(
            (
                "Detectable effect",
                f"Smallest with {share}% power: {widest['contrast']} (the least powerful of {len(power)})",
                f"{numbers.number(100 * widest['mde'], decimals=1)} pp",
                numbers.DASH,
            )
        )
    return Table(
        title=title,
        head=("Control", "Design", "Result", "95% interval, %"),
        rows=tuple(rows),
        align="llrr",
        weights=(0.2, 0.55, 0.12, 0.13),
    )


def finding_table(story: Story, *, most: int) -> Block:
    """Findings in one line each, worst first; of more than ``most`` only those, and how many more there are."""
    named = {item.id: item for item in story.bundle.measurements}
    rows: list[tuple[Cell, ...]] = []
    for item in sorted(story.bundle.findings, key=lambda item: (-item.severity.rank, item.id)):
        first = named.get(item.measurements[0]) if item.measurements else None
        effect = f"{numbers.estimate_and_interval(first)} {numbers.unit_name(first)}" if first else numbers.DASH
        rows.append((item.id, Level(item.severity), item.title, effect, Target(item.id)))
    if not rows:
        return Text("Findings: none was raised by the plan's rules.")
    left = len(rows) - most
    return Table(
        title="Findings",
        head=("No.", "Severity", "Finding", "Effect", "Page"),
        rows=tuple(rows[:most]),
        note=f"{numbers.count(left)} more in the section Findings." if left > 0 else "",
        align="lllrr",
        weights=(0.075, 0.145, 0.52, 0.2, 0.06),
    )
