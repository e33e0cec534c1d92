"""The cover and the conclusion: verdict, findings, what the audit could have seen, and scope, each in a few lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from auditor.behaviour.metrics import CF_NET_EFFECT
from auditor.decision_words import TAKEN
from auditor.finding_words import SEEN, found_by
from auditor.records import Conclusion, Finding, Measurement, Role, Severity
from reports import elsewhere, numbers, sentences, small_cells, wording
from reports.blocks import Block, Cell, Code, Level, Literal, Pairs, Table, Target, Text, Verdict
from reports.controls import least_powerful, missing_words, power
from reports.cover_lines import cover_lines
from reports.decision_counts import counts_words, open_words
from reports.decision_record_sections import terms as terms_of_files
from reports.decision_sections import audited_words, unseen_rows
from reports.evidence_sections import alike_words
from reports.facts import facts
from reports.story import Story
from reports.terms import terms
from reports.unmoved import unmoved_sentence
from reports.wording import sentence_case

COVER_FINDINGS, FILE_FINDINGS = 5, 3


def verdict(story: Story) -> Verdict:
    """The box on the cover: the gravest result in a sentence, then what is different elsewhere."""
    lead, design = story.lead, story.design
    said = [story.mute] if story.mute else []
    if not story.governance.complete:
        words = "The run is incomplete: no conclusion is drawn from part of it."
        return Verdict(Conclusion.INCONCLUSIVE, words, (), None)
    if lead is None:
        return Verdict(Conclusion.NOT_TESTED, "No primary contrast was tested.", tuple(said), None)
    code = lead.conclusion or Conclusion.NOT_TESTED
    if code in (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD):
        sentence = sentences.conclusion_sentence(lead, design)
        rest = [item for item in story.contrasts if item is not lead]
    else:
        together = next(
            (group for group in sentences.grouped(story.contrasts, design) if lead in group),
            [lead],
        )
        sentence = sentences.group_sentence(together, design)
        rest = [item for item in story.contrasts if item not in together]
    moved = unmoved_sentence(story.measurements)
    first = moved is not None and not story.mute and code not in SEEN
    if first:
        sentence = f"{moved} {sentence}"
    more = elsewhere.exploratory_sentence(story.measurements, but=_said(story, lead))
    # A quiet first sentence must not stand alone where something was found beside it.
    beside = more if more and (code in wording.QUIET or _small_on_file(lead, code)) else ""
    grave = wording.contradicting(code, story.bundle.findings)
    if grave is not None:
        code = wording.card_conclusion(code, story.bundle.findings)
        sentence = f"{wording.severity_word(grave.severity)} finding {grave.id}: {grave.title}. {sentence}"
    for group in sentences.grouped(rest, design):
        # Of a mute model its own cut-off says nothing, and the sentence before has said why.
        silent = story.mute and group[0].metric == CF_NET_EFFECT and group[0].conclusion is Conclusion.INCONCLUSIVE
        said.append(sentences.group_sentence(group, design, cause="see above" if silent else None))
    told = {item.metric for item in story.contrasts}
    same = elsewhere.beyond_for_the_same(lead, story.measurements)
    if same is not None:
        sentence = f"{sentence} {elsewhere.beyond_words(same)}"
    more_said = (
        None if first else moved,
        elsewhere.score_sentence(story.measurements),
        None if sentences.RANGE in told else elsewhere.range_sentence(story.measurements),
        elsewhere.readability_sentence(story.measurements, design),
        None if beside else more,
    )
    said += [words for words in more_said if words]
    return Verdict(code, sentence, tuple(said), story.charts.get("verdict"), beside, figures(story, lead))


def _small_on_file(lead: Measurement, code: Conclusion) -> bool:
    """Whether a file leads with a small difference, beside which larger ones may stand in exploratory tests."""
    return wording.on_file(lead) and code is Conclusion.DIFFERENCE_BELOW_THRESHOLD


def figures(story: Story, lead: Measurement) -> str:
    """The numbers of the leading contrast: ``Black − White: −2.9 [−4.1, −1.7] pp, 95% interval; n = 600; …``."""
    name = f"{wording.metric_label(lead)}, {wording.contrast(lead)}"
    if lead.estimate is None:
        return f"{name}: {numbers.DASH} ({wording.reason_words(lead)})."
    parts = [f"{name}: {numbers.estimate_and_interval(lead)} {numbers.unit_name(lead)}".rstrip()]
    if numbers.interval(lead) != numbers.MISSING:
        parts[0] += f" ({wording.interval_head([lead])})"
    what = "people" if sentences.of_different(lead) else "applications"
    parts.append(f"{small_cells.people(lead, small_cell=story.design.small_cell)} {what}")
    if lead.p_adjusted is not None:
        symbol = "adjusted p" if lead.role is Role.PRIMARY else "q"
        family = sum(item.family == lead.family for item in story.measurements)
        tested = f" ({numbers.count(family)} tested together)" if family > 1 else ""
        parts.append(f"{numbers.p_words(lead.p_adjusted, symbol=symbol)}{tested}")
    if by := found_by(lead):
        parts.append(f"* {wording.with_p_values(by).partition(', adjusted p')[0]}")
    return f"{'; '.join(parts)}."


def _said(story: Story, lead: Measurement) -> frozenset[str]:
    """What the card says apart from the sentence on exploratory tests: the leading contrast, and scores."""
    scores = [item.id for item in story.measurements if item.metric == sentences.SCORE]
    quiet = (lead.conclusion or Conclusion.NOT_TESTED) in wording.QUIET
    if (same := elsewhere.beyond_for_the_same(lead, story.measurements)) is not None:
        return frozenset([lead.id, same.id, *scores])
    return frozenset([lead.id] if quiet else [lead.id, *scores])


def cover_verdict(story: Story) -> Verdict:
    """The verdict of a page: its sentence, one labelled line a place instead of every sentence, figures with cases."""
    whole = replace(verdict(story), facts=facts(story))
    if story.lead is None or not story.governance.complete:
        return whole
    return replace(whole, others=cover_lines(story, story.lead))


def front_verdict(story: Story) -> Verdict:
    """The verdict for the first page of a report: one sentence, and what must be read together with it."""
    whole = verdict(story)
    lead = story.lead
    if lead is None or not story.governance.complete:
        return whole
    sentence = whole.sentence
    plain = whole.chart is not None and lead.conclusion in SEEN
    if plain and not found_by(lead):
        sentence = sentence.replace(
            sentences.conclusion_sentence(lead, story.design), sentences.plain_sentence(lead, story.design)
        )
        if (same := elsewhere.beyond_for_the_same(lead, story.measurements)) is not None:
            sentence = sentence.replace(elsewhere.beyond_words(same), elsewhere.beyond_words(same, short=True))
    larger = larger_elsewhere(story, lead)
    counts = counts_words(story.measurements)
    shorter = elsewhere.exploratory_sentence(story.measurements, but=_said(story, lead), most=1, short=True)
    return replace(
        whole,
        sentence=sentence,
        # The first page has room for the largest of each kind; the section Conclusion names them all.
        beside=str(shorter) if whole.beside and wording.on_file(lead) else whole.beside,
        others=tuple(words for words in (story.mute, larger, *_same(story, lead), counts) if words),
    )


def _same(story: Story, lead: Measurement) -> list[str]:
    """What the same applications show, where the first sentence speaks of different ones alone."""
    if not sentences.of_different(lead):
        return []
    own = [item for item in story.contrasts if item.metric == sentences.OWN]
    return [sentences.group_sentence(group, story.design) for group in sentences.grouped(own, story.design)]


def larger_elsewhere(story: Story, lead: Measurement) -> str | None:
    """The largest other primary difference, where it is larger than the one that the first sentence names."""
    found = [
        item
        for item in story.contrasts
        if item.conclusion is Conclusion.DIFFERENCE_FOUND and item.unit == lead.unit and item.metric != lead.metric
    ]
    most = max(found, key=lambda item: abs(item.estimate or 0.0), default=None)
    if most is None or lead.conclusion in wording.QUIET or abs(most.estimate or 0.0) <= abs(lead.estimate or 0.0):
        return None
    about = sentences.what_words(most, story.design, [most])
    return f"Larger in {about}: {sentences.against([most])} {sentences.shown(most)}, n = {numbers.count(most.n)}."


def cover(story: Story) -> list[Block]:
    """What was audited, the gravest findings, what could not be seen, what to do next, and where to check it."""
    plan, run = story.bundle.plan, story.bundle.run
    # One at a time: "race and sex changed" would be both at once.
    fields = wording.joined([wording.field_words(attribute.field) for attribute in plan.attributes], last="or")
    asked = (
        f"Audited: {plan.use.business_use} ({plan.use.decision_role}). {run.data.title}: "
        f"{numbers.count(run.data.applications)} of {numbers.count(run.data.rows)} rows, each as filed "
        f"and again with only {fields} changed."
    )
    return [
        Text(asked if run.asks else audited_words(story)),
        finding_table(story, most=COVER_FINDINGS if run.asks else FILE_FINDINGS),
        Pairs(title="What this audit could not see", rows=tuple(_unseen(story))),
        Pairs(
            title="What next",
            rows=(
                *_next(story),
                (
                    "Check",
                    f"Section “{REPRODUCTION}” has the command that shows whether a file of this audit was changed; "
                    "“Conclusion” says every result. This report is evidence, not an approval.",
                ),
            ),
        ),
    ]


REPRODUCTION = "Check and repeat this report"


def _unseen(story: Story) -> list[tuple[str, Cell]]:
    """What stayed open, one line each: contrasts this run cannot settle, the positive control, power, and scope."""
    rows: list[tuple[str, Cell]] = []
    design = story.design
    asks = story.bundle.run.asks
    undecided = [item for item in story.contrasts if item.conclusion is Conclusion.INCONCLUSIVE]
    if undecided:
        by_place: dict[str, list[Measurement]] = {}
        for item in undecided:
            by_place.setdefault(sentences.what_words(item, design, undecided), []).append(item)
        said = "; ".join(f"{what}: {sentences.against(items)}" for what, items in list(by_place.items())[:UNSETTLED])
        more = len(by_place) - UNSETTLED
        rest = f"; and {more} more {'measures' if more > 1 else 'measure'}" if more > 0 else ""
        rows.append(("Cannot say", f"Whether there is a difference in {said}{rest}."))
    if not asks:
        return [*rows, *unseen_rows(story)]
    untried = []
    if story.bundle.controls.planted_bias is None:
        untried.append(f"a known, planted difference, to see that it is found ({story.no_planted_bias})")
    for change, words in (("placebo", "an irrelevant field changed"), ("reask", "the same prompt asked again")):
        if not any(item.subject.get("change") == change for item in story.floors):
            untried.append(words)
    if untried:
        rows.append(("Not tried", f"{sentence_case(wording.joined(untried))}."))
    if moving := _moves_by_itself(story):
        rows.append(("Noise", moving))
    # A comparison that would be graded and cannot be shown, as beside a group of four people, is not left to a table.
    filed = [item for item in story.primary if sentences.of_different(item)]
    if withheld := missing_words([item for item in (*filed, *story.floors) if item.estimate is None]):
        rows.append(("Withheld", " ".join(withheld)))
    if many := _much_alike(story):
        rows.append(("Alike", many))
    rows.append(_missed(story))
    rows.append(
        (
            "Not covered",
            f"{_some_alone(story)} Other prompts, data and versions; names, places and other signals of a group; "
            "people's use of the decision.",
        )
    )
    return rows


ALIKE = 0.01
"""From this share of applications on, that some say the same word for word is told on the first page."""


def _much_alike(story: Story) -> str:
    run = story.bundle.run
    share = (run.prompts.alike or 0) / max(1, run.data.applications)
    return alike_words(run) if share >= ALIKE else ""


def _missed(story: Story) -> tuple[str, Cell]:
    """How large a difference could have been missed, in words that need no statistics."""
    name, how, result, _ = power(story)
    found = least_powerful(story)
    if found is None:
        return (str(name), f"{sentence_case(str(result))}. {how}.")
    item, mde, of = found
    share = numbers.percent(story.design.power, decimals=0)
    unit = "percentage points" if item.unit == "rate_difference" else numbers.unit_name(item)
    return (
        str(name),
        f"A difference smaller than {numbers.detectable(mde, item.unit)} {unit} could well have been missed: "
        f"{sentences.against([item])}, in {sentences.what_words(item, story.design, [item])}, the least sure of "
        f"{numbers.count(of)} comparisons (one of that size is found with {share}% chance; worked out after the run "
        "from its own decisions).",
    )


def _some_alone(story: Story) -> str:
    """That an effect on a part of the applications counts by its share of all, and how large that may be unseen."""
    found, by = least_powerful(story), "Subgroups, or two attributes together, by themselves"
    if found is None:
        return f"{by}: a difference for a part of the applications can be missed."
    share = numbers.detectable(found[1], "rate_difference")
    return f"{by}: what turns every decision of under {share}% of the applications can be missed."


def _moves_by_itself(story: Story) -> str:
    """How many decisions turn without the attribute, where that is no less than the practical threshold."""
    said = []
    for change, words in (
        ("placebo", "an irrelevant field is changed"),
        ("reask", "the same prompt is asked again"),
        ("replicate", "another answer to the same prompt is drawn"),
    ):
        there = [item for item in story.floors if item.subject.get("change") == change]
        own = next((item for item in there if item.subject.get("cut_off", "natural") == "natural"), None)
        if own is not None and own.estimate is not None and own.estimate >= story.design.practical_rate:
            said.append(f"{numbers.rate(own.estimate)} of decisions turn when {words} (n = {numbers.count(own.n)})")
    return f"{sentence_case(wording.joined(said))}: an effect no larger than that may be nothing else." if said else ""


UNSETTLED = 3
ADVICE, FILE_ADVICE = 3, 2
NAMED = 3
STATED = "has to state {} at all"  # how a recommendation names its field (auditor.finding_words)


def _next(story: Story) -> list[tuple[str, Cell]]:
    """What to do: what the gravest findings recommend, or why a quiet result is no reason to do nothing."""
    if not story.governance.complete:
        return [("Do", "Finish the run; nothing is concluded from part of it.")]
    findings = sorted(story.bundle.findings, key=lambda item: (-item.severity.rank, item.id))
    if not findings:
        words = "Read what this audit could not see before relying on it; repeat the plan when model or prompt changes."
        return [("Do", words), *_undecided(story)]
    told = _advice(story, findings)
    # A few whole sentences, and no finding without a word: the rest are named together.
    most = ADVICE if story.bundle.run.asks else FILE_ADVICE
    rows: list[tuple[str, Cell]] = [(", ".join(ids), advice) for advice, ids in told[:most]]
    if rest := [name for _, ids in told[most:] for name in ids]:
        names = ", ".join(sorted(rest)[:NAMED]) + (f" and {len(rest) - NAMED} more" if len(rest) > NAMED else "")
        rows.append((names, "See each finding's own page."))
    return rows + _undecided(story)


def _advice(story: Story, findings: Sequence[Finding]) -> list[tuple[str, list[str]]]:
    """Recommendations with the findings that share them; one that differs by its field alone names every field."""
    measured = {item.id: item for item in story.measurements}
    by_advice: dict[str, tuple[list[str], dict[str, None]]] = {}
    for item in findings:
        fields = [measured[name].subject.get("field", "") for name in item.measurements if name in measured]
        field = wording.field_words(fields[0]) if fields else ""
        stated = STATED.format(field)
        advice = item.recommendation.replace(stated, STATED) if field else item.recommendation
        ids, named = by_advice.setdefault(advice, ([], {}))
        ids.append(item.id)
        named[field] = None
    return [
        (advice.replace(STATED, STATED.format(wording.joined(list(named), last="or"))), ids)
        for advice, (ids, named) in by_advice.items()
    ]


def _undecided(story: Story) -> list[tuple[str, Cell]]:
    """What to do about contrasts that this run cannot settle."""
    if not any(item.conclusion is Conclusion.INCONCLUSIVE for item in story.contrasts):
        return []
    words = (
        "What this audit cannot say must not be read as clean. Section “Conclusion” says what is missing for each "
        "comparison; where applications are too few, ask about more."
    )
    return [("Undecided", words)]


def conclusion(story: Story) -> list[Block]:
    """The verdict and every primary contrast in a sentence, with the codes explained."""
    said = verdict(story)
    seen = {item.conclusion for item in story.measurements if item.conclusion}
    near = elsewhere.near_sentence(story.measurements)
    return [
        Text(said.sentence, tone="lead"),
        *([Text(said.beside, tone="lead")] if said.beside else []),
        *(Text(words) for words in said.others),
        *([Text(near)] if near else []),
        *([Text(left_open)] if (left_open := open_words(story.measurements)) else []),
        Pairs(
            rows=(
                ("Conclusion", Code(said.conclusion)),
                ("Findings", findings_words(story.bundle.findings)),
                *((("Comparisons", counts),) if (counts := counts_words(story.measurements)) else ()),
            )
        ),
        Table(
            title="What the conclusions in this report mean",
            head=("Conclusion", "Meaning", "Code in result.json"),
            rows=tuple(
                (
                    Code(code),
                    wording.conclusion_meaning(code, story.design, story.measurements),
                    Literal(code.value),
                )
                for code in wording.CONCLUSION_ORDER
                if code in seen
            ),
            align="lll",
            weights=(0.29, 0.49, 0.22),
            note="The absence of a difference is never a seal of approval.",
        ),
        Pairs(title="Terms", rows=terms(story.design.noun) if story.bundle.run.asks else terms_of_files()),
    ]


def findings_words(findings: tuple[Finding, ...]) -> str:
    """``3: 1 high, 2 low``, and of one level alone ``1 high``; the levels that no finding has are left out."""
    if not findings:
        return "none was raised by the plan's rules"
    counted = [(level, sum(item.severity is level for item in findings)) for level in reversed(Severity)]
    by_level = ", ".join(f"{numbers.count(many)} {level.value}" for level, many in counted if many)
    return f"{numbers.count(len(findings))}: {by_level}" if "," in by_level else by_level


def finding_table(story: Story, *, most: int) -> Block:
    """Findings in one line each, worst first; of more than ``most`` only those, and how many more there are."""
    named = {item.id: item for item in story.measurements}
    rows: list[tuple[Cell, ...]] = []
    for item in sorted(story.bundle.findings, key=lambda item: (-item.severity.rank, item.id)):
        first = named.get(item.measurements[0]) if item.measurements else None
        people = numbers.DASH if first is None or first.estimate is None else numbers.count(first.n)
        # A first page on a decision file has said already what it is about.
        title = item.title if story.bundle.run.asks else sentence_case(item.title.removeprefix(f"{TAKEN}: "))
        rows.append((item.id, Level(item.severity), title, _effect(first), people, Target(item.id)))
    if not rows:
        return Text("Findings: none was raised by the plan's rules. That is not proof that there is nothing to find.")
    left = len(rows) - most
    marked = [one for each in story.bundle.findings if (one := named.get(next(iter(each.measurements), "")))]
    notes = dict.fromkeys(wording.with_p_values(by) for one in marked if (by := found_by(one)))
    return Table(
        title=f"Findings: {findings_words(story.bundle.findings)}" + (f"; the {most} gravest" if left > 0 else ""),
        head=("No.", "Severity", "Finding", "Effect", "n", "Page"),
        rows=tuple(rows[:most]),
        align="lllrrr",
        weights=(0.075, 0.13, 0.475, 0.19, 0.07, 0.06),
        note=f"* {sentence_case('; '.join(notes))}." if notes else "",
    )


def _effect(first: Measurement | None) -> str:
    if first is None:
        return numbers.DASH
    return _brief(first)


def _brief(item: Measurement) -> str:
    """The effect with a mark where the interval alone does not show what was found; the note says what did."""
    if not found_by(item):
        return sentences.shown(item)
    return f"{numbers.estimate_and_interval(item)} {numbers.unit_name(item)} *"
