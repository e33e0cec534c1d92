"""What a report on a decision file says of the file, the design and its limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from auditor.records import Measurement
from reports import numbers, small_cells, wording
from reports.blocks import Block, Cell, Literal, Pairs, Table
from reports.evidence_sections import NOT_GIVEN, families_words, machine_words, population_rows, reason_words
from reports.limitations import limitations_table
from reports.story import Story
from reports.wording import sentence_case

PARTS = {
    "score": "Score",
    "prices": "Prices, better when lower",
    "amounts": "Amounts, better when higher",
    "reasons": "Reasons",
    "decided_at": "Date of the decision",
    "decided_by": "Who decided",
    "cluster": "What decisions have in common, for errors",
    "controls": "Legitimate factors, held equal",
    "segments": "Segments, compared within",
    "later": "What became of it",
    "human": "What a person decided",
    "probabilities": "Probabilities of groups",
}
NOT_IN_FILE: tuple[tuple[str, str], ...] = (
    ("Model quality", "no model was asked"),
    ("Inside the model", "a decision file has no model to look into"),
    ("Less discriminatory alternatives", "no alternative was compared"),
    ("Consumer notice and recourse", "no notice text was given"),
    ("Monitoring plan", "an audit of one file; set by the institution"),
    ("Remediation and risk acceptance", "answers to findings are recorded after this report"),
)


def of_file(story: Story) -> list[Measurement]:
    """Everything that tests on decision files measured."""
    return [item for item in story.measurements if wording.on_file(item)]


def held_equal(story: Story, *, most: int | None = None) -> str:
    """Which factors are held equal, in a sentence that names all or ``most`` of them."""
    mapping = story.bundle.run.data.mapping
    labels = {item.name: item.label for item in mapping.fields}
    names = mapping.decisions.get("controls", ())
    if not names:
        return "The mapping names no legitimate factor, so none is held equal."
    named = [wording.lower_first(labels[name]) for name in names[:most]]
    left = len(names) - len(named)
    return f"Held equal where said: {wording.joined([*named, *([f'{left} more'] if left else [])])}."


def provenance(story: Story) -> list[Block]:
    """The decision file, the software and the machine, each by hash or version."""
    run, code, environment = story.bundle.run, story.bundle.run.code, story.bundle.environment
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(code.libraries.items()))
    file = run.model.manifest.files[0]
    return [
        Pairs(
            rows=(
                ("Decision file", run.model.name),
                ("Source", Literal(run.model.source)),
                ("File", f"{file.path}, {numbers.size(file.bytes)}"),
                ("File SHA-256", Literal(file.sha256)),
                ("Fingerprint", Literal(run.model.sha256)),
                ("Asked", "nobody: the decisions are those of the file"),
                ("Software", f"Plumbline {code.version}"),
                ("Code SHA-256", Literal(code.sha256)),
                ("Libraries", libraries or NOT_GIVEN),
                ("Machine", machine_words(environment)),
            )
        )
    ]


def design(story: Story) -> list[Block]:
    """Hypotheses, families and thresholds, as fixed before the file was measured."""
    plan = story.bundle.plan
    thresholds = plan.thresholds
    families = Counter(item.family for item in story.bundle.measurements if item.family)
    hypotheses = [
        f"{wording.field_words(item.field)}: "
        f"{wording.joined([group for group in item.groups if group != item.reference])} against {item.reference}"
        for item in plan.attributes
    ]
    rows: list[tuple[str, Cell]] = [
        ("Design SHA-256", Literal(story.bundle.design_sha256)),
        ("Frozen", f"with the run record; run begun {numbers.date(story.governance.started_at)}"),
        ("Hypotheses", f"No difference, two-sided, for {'; '.join(hypotheses)}"),
        ("Tests", "; ".join(wording.test_label(name) for name in plan.tests.run)),
        ("Tested together", families_words(families) or "none"),
        (
            "Adjustment",
            f"Holm at α = {numbers.share(thresholds.alpha)} within each family that a policy pack makes primary; "
            f"exploratory families by Benjamini–Hochberg at q = {numbers.share(thresholds.exploratory_q)}",
        ),
        ("Unit of analysis", "one application; one applicant where the mapping keeps several rows of one apart"),
        (
            "Practical threshold",
            f"{numbers.percent(thresholds.practical_rate, decimals=1)} pp of the approval rate; "
            f"{numbers.number(thresholds.practical_margin_sd, decimals=2)} SD of scores, prices and amounts "
            "(platform defaults unless the institution set them; no lending law sets a number)",
        ),
        ("Equivalence", "never concluded: the groups of a file are not the same applicants"),
        (
            "Power",
            f"{numbers.percent(story.design.power, decimals=0)}%, for the smallest difference each could have shown",
        ),
        ("Small groups", f"under {thresholds.small_cell} people nothing is printed"),
        ("Stopping", "none: the applications were fixed with the file and the design"),
        (
            "Intervals",
            f"{story.design.level}, not adjusted for the number of contrasts; bootstrap "
            f"{numbers.count(thresholds.bootstrap)} resamples of applications where one is used",
        ),
    ]
    return [Pairs(rows=tuple(rows))]


def data(story: Story) -> list[Block]:
    """The decision file: how it was read, what was decided, which fields play which part, what was left out."""
    found, small = story.bundle.run.data, story.design.small_cell
    rows: list[tuple[str, Cell]] = [
        ("Data set", f"{found.title} ({found.name})" if found.title else found.name),
        ("Source", Literal(found.source)),
        ("Citation", found.citation or NOT_GIVEN),
        *population_rows(story.bundle),
        ("File SHA-256", Literal(found.file_sha256 or NOT_GIVEN)),
        ("Fingerprint", Literal(found.fingerprint)),
        ("Applications", f"{numbers.count(found.applications)} of {numbers.count(found.rows)} in the file"),
    ]
    blocks: list[Block] = []
    if (counts := found.counts) is not None:
        if counts.left_out:
            left = "; ".join(f"{numbers.count(count)} {why}" for why, count in counts.left_out.items())
            rows.append(("Rows left out", left))
        if counts.notes:
            rows.append(("How it was read", "; ".join(counts.notes)))
        outcomes = {"favourable": counts.favourable, "adverse": counts.adverse, **dict(counts.no_outcome)}
        shown = small_cells.printed_counts(outcomes, small_cell=small)
        blocks.append(
            Table(
                title="What was decided",
                head=("Outcome", "Counts as", "Applications"),
                rows=tuple(
                    (
                        sentence_case(name),
                        name if name in ("favourable", "adverse") else "neither way: in no rate of decisions",
                        shown[name],
                    )
                    for name in outcomes
                ),
                align="llr",
                weights=(0.4, 0.4, 0.2),
            )
        )
    parts = found.mapping.decisions
    labels = {item.name: item.label for item in found.mapping.fields}
    if parts:
        blocks.append(
            Table(
                title="Which fields play which part",
                head=("Part", "Fields"),
                rows=tuple((PARTS[key], _fields(parts[key], labels)) for key in PARTS if key in parts),
                align="ll",
                weights=(0.35, 0.65),
            )
        )
    if found.left_out:
        left_out = small_cells.printed_counts(found.left_out, small_cell=small)
        blocks.append(
            Table(
                title="Applications left out of contrasts",
                head=("Reason", "Applications"),
                rows=tuple((reason_words(reason), left_out[reason]) for reason in sorted(found.left_out)),
                align="lr",
                weights=(0.8, 0.2),
            )
        )
    return [Pairs(rows=tuple(rows)), *blocks]


def limitations(story: Story) -> list[Block]:
    """What the conclusion cannot carry."""
    rows: list[tuple[Cell, ...]] = [
        (
            "Different applicants are compared",
            "A gap may come from what else they differ in, and its absence may hide one among like applicants",
            f"{held_equal(story)} Where the system can be asked, audit it with one field changed",
        ),
        (
            "One file",
            "Other periods, products and applicants may show something else",
            "The file is named by its hash; the design can be run on the next one",
        ),
        (
            "Who is in the file",
            "Whoever was discouraged, withdrew or was screened out before is not compared",
            "Decisions taken neither way are counted, and their share is compared by group",
        ),
        (
            "Nothing could be planted",
            "That this audit finds a known difference is not shown on this file",
            "The smallest difference that each comparison could have shown is printed",
        ),
    ]
    return [limitations_table(story, rows, weights=(0.24, 0.4, 0.36))]


def not_in_run(story: Story) -> list[Block]:
    """Sections of the skeleton that a decision file has nothing for, each with its reason."""
    rows = list(NOT_IN_FILE)
    tested = {item.test for item in of_file(story) if item.estimate is not None}
    if "observed_reasons" not in tested:
        rows.insert(2, ("Adverse-action reasons", "the file gives none, or the plan does not compare them"))
    if "observed_agreement" not in tested:
        why = "the file records no decisions by people beside its own, or the plan does not compare them"
        rows.insert(3, ("Human oversight", why))
    return [Table(title="", head=("Section", "Why"), rows=tuple(rows), align="ll", weights=(0.4, 0.6))]


def terms() -> tuple[tuple[str, str], ...]:
    """Term and meaning, of a report on decisions already taken."""
    return (
        (
            "Favourable",
            "A decision that the mapping counts so, such as an approval. What is neither favourable nor adverse "
            "(withdrawn, incomplete) is in no rate of decisions; its share is compared by itself.",
        ),
        ("Impact ratio", "The rate of favourable decisions in a group over the rate in the reference group."),
        (
            "At equal factors",
            "What is left of a difference among applicants who are alike in the legitimate factors that the mapping "
            "names, by regression.",
        ),
        ("Marginal applicants", "Those near the line, where the recorded factors would allow either decision."),
        (
            "Unadjusted",
            "An unadjusted interval speaks of one contrast alone. Adjusted p-values speak of all contrasts that were "
            "tested together, and decide; q is that of exploratory tests.",
        ),
        ("MDE", "The smallest difference that the test would have found with the plan's power."),
        ("SD", "A standard deviation of what is compared: scores, prices or amounts."),
        ("Shortfall", "How many more people of a group would have been favoured at the rate of the reference group."),
    )


def _fields(value: object, labels: dict[str, str]) -> str:
    """The fields of a part, by their labels."""
    if isinstance(value, str):
        return labels.get(value, value)
    if isinstance(value, dict):
        return _fields(value["field"], labels)
    if isinstance(value, Sequence):
        return "; ".join(
            f"{item['attribute']} ({item['source']})" if isinstance(item, dict) else _fields(item, labels)
            for item in value
        )
    return str(value)
