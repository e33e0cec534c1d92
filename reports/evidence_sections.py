"""The sections that restate the plan and the run record: scope, provenance, packs, design, data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auditor.behaviour.metrics import CF_NET_EFFECT_MATCHED, NEAR_CUT_OFF
from auditor.environment import Environment
from auditor.model_manifest import Quantisation
from auditor.plan import OperatingPoint
from auditor.plan_reading import AMOUNT, REASONS
from auditor.run_record import HowGenerated, RowCounts, RunRecord
from auditor.statistics.verdict import PAIRS_FOR_SMALL_CLAIM
from reports import numbers, small_cells, wording
from reports.blocks import Block, Cell, Literal, Pairs, Table
from reports.bundle import Bundle
from reports.governance import Governance
from reports.system_rows import (
    again_words,
    is_handed_fields,
    seen_before_words,
    sent_words,
    system_rows,
    unusable_words,
)

NOT_GIVEN = "not given"
TRAINING_RECORD = "training-record.json"
LINE_AT_MOST = 1200  # characters of a line of a prompt; a longer one would not fit on a page


def scope_blocks(bundle: Bundle) -> list[Block]:
    """What the model is for, and under which limits the plan reads it."""
    use = bundle.plan.use
    return [
        Pairs(
            rows=(
                ("Business use", use.business_use),
                ("Decision role", use.decision_role),
                ("Products", _listed(use.products)),
                ("Jurisdictions", _listed(use.jurisdictions)),
                *population_rows(bundle),
                ("Excluded uses", _listed(use.excluded_uses)),
                ("Model tier", f"{use.model_tier} of 4, set by the plan"),
            )
        )
    ]


def population_rows(bundle: Bundle) -> list[tuple[str, Cell]]:
    """Whom the plan speaks of and whom the data are of, and what it means where the two are not said to be the same."""
    planned = bundle.plan.use.population.strip()
    asked = bundle.run.data.population.strip()
    rows: list[tuple[str, Cell]] = [
        ("Population, by the plan", planned or NOT_GIVEN),
        ("Population, of the data", asked or NOT_GIVEN),
    ]
    if planned and asked and " ".join(planned.split()).casefold() == " ".join(asked.split()).casefold():
        return rows
    words = (
        "Plan and data name different populations"
        if planned and asked
        else "Plan and data do not both name a population"
    )
    return [
        *rows,
        ("The same?", f"{words}: results speak of the applications that were asked about, and of no others."),
    ]


DECODING = "none: log-probabilities of the planned answers are read, nothing is sampled"


def _decoding(how: HowGenerated | None) -> str:
    """How the text of weights was had, where there is one."""
    if how is None:
        return DECODING
    drawn = f"sampled at temperature {how.temperature:g}, seed {how.seed}" if how.temperature else "greedy"
    times = f", every prompt {numbers.count(how.replicates)} times" if how.replicates > 1 else ""
    return f"text, {drawn}{times}, at most {numbers.count(how.max_tokens)} tokens; the whole answer is read as a choice"


def provenance_blocks(bundle: Bundle) -> list[Block]:
    """The model, the software and the machine, each by hash or version."""
    model, code, environment = bundle.run.model, bundle.run.code, bundle.environment
    manifest = model.manifest
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(code.libraries.items()))
    rows: list[tuple[str, Cell]] = [
        ("Model", model.name),
        ("Source", Literal(model.source)),
        ("Model SHA-256", Literal(model.sha256)),
    ]
    for label, said in (
        ("Architecture", manifest.architecture),
        ("Family", manifest.model_type),
        ("Parameters", numbers.count(manifest.parameters) if manifest.parameters else ""),
        ("Context, tokens", "" if manifest.context_length is None else numbers.count(manifest.context_length)),
        ("Number format", manifest.weights_dtype),
    ):
        if said:
            rows.append((label, said))
    if manifest.quantisation is not None:
        rows.append(("Quantisation", _quantisation(manifest.quantisation)))
    rows += [
        (label, Literal(sha256))
        for label, sha256 in (
            ("Base model SHA-256", manifest.base_sha256),
            ("Adapter SHA-256", manifest.adapter_sha256),
            ("Weights SHA-256", manifest.weights_sha256),
            ("Tokeniser SHA-256", manifest.tokenizer_sha256),
        )
        if sha256
    ]
    if manifest.system is not None:
        rows += system_rows(manifest.system, bundle.run.reading)
    files = manifest.files
    record = next((line for line in files if line.path == TRAINING_RECORD), None)
    if manifest.system is not None:
        rows.append(("Training record", "none: what a system was trained on cannot be seen from its answers"))
    elif record is None:
        rows.append(("Training record", "none came with the model: what it was trained on is not known here"))
    else:
        known = numbers.count(bundle.run.data.training_rows_known)
        rows.append(("Training record", f"{record.path}, listed below; names {known} rows of the data set"))
    rows += [
        *([("Decoding", _decoding(bundle.run.generated))] if manifest.system is None else []),
        ("System prompt", "none" if not bundle.plan.prompt.system else "in the plan, hashed with the design"),
        *([("Date in the chat template", Literal(day))] if (day := bundle.plan.prompt.date) else []),
        ("Software", f"Plumbline {code.version}"),
        ("Code SHA-256", Literal(code.sha256)),
        ("Libraries", libraries or NOT_GIVEN),
        ("Machine", machine_words(environment, threads=bundle.plan.budget.threads)),
        ("Scoring", _packing(environment)),
    ]
    blocks: list[Block] = [Pairs(rows=tuple(rows))]
    if files:
        blocks.append(
            Table(
                title="Files of the model",
                head=("File", "SHA-256", "Size"),
                rows=tuple((Literal(line.path), Literal(line.sha256), numbers.size(line.bytes)) for line in files),
                align="llr",
                weights=(0.31, 0.56, 0.13),
            )
        )
    return blocks


def design_blocks(bundle: Bundle, governance: Governance, design: wording.Design) -> list[Block]:
    """Hypotheses, family, thresholds and power, as fixed before the run."""
    plan = bundle.plan
    thresholds, point = plan.thresholds, plan.operating_point
    families: dict[str, int] = {}
    for item in bundle.measurements:
        if item.family:
            families[item.family] = families.get(item.family, 0) + 1
    hypotheses = [
        f"{wording.field_words(attribute.field)}: "
        f"{wording.joined([group for group in attribute.groups if group != attribute.reference])} "
        f"against {attribute.reference}"
        for attribute in plan.attributes
    ]
    rate = point.matched_rate
    pp = f"{numbers.percent(thresholds.practical_rate, decimals=1)} pp"
    return [
        Pairs(
            rows=(
                ("Design SHA-256", Literal(bundle.design_sha256)),
                (
                    "Frozen",
                    f"with the run record, before the first prompt; run begun {numbers.date(governance.started_at)}",
                ),
                ("Hypotheses", "No difference, two-sided, for " + "; ".join(hypotheses)),
                ("Tests", "; ".join(wording.test_label(name) for name in plan.tests.run)),
                ("Tested together", families_words(families) or "none"),
                (
                    "Adjustment",
                    f"Holm at α = {numbers.share(thresholds.alpha)} within each family; exploratory families by "
                    f"Benjamini–Hochberg at q = {numbers.share(thresholds.exploratory_q)}",
                ),
                ("Unit of analysis", "one application; its prompts are one cluster"),
                (
                    "Practical threshold",
                    f"{pp} of the approval rate; "
                    f"{numbers.number(thresholds.practical_margin_sd, decimals=2)} SD of scores "
                    "(platform defaults unless the institution set them; no lending law sets a number)",
                ),
                (
                    "Equivalence margin",
                    f"±{numbers.percent(thresholds.equivalence_rate, decimals=1)} pp, two one-sided tests",
                ),
                (
                    "Power",
                    f"{numbers.percent(design.power, decimals=0)}%; under "
                    f"{numbers.count(PAIRS_FOR_SMALL_CLAIM)} pairs a claim of 2 pp or less is inconclusive",
                ),
                (
                    "Own cut-off",
                    f"favourable where the score is {numbers.number(point.natural_margin, decimals=2)} or more; "
                    "an answer that cannot be read counts as not favourable",
                ),
                ("Matched cut-off", _matched(bundle, rate)),
                *_range(point),
                ("Stopping", "none: the number of applications was fixed with the design"),
                (
                    "Intervals",
                    f"{design.level}, not adjusted for the number of contrasts unless marked simultaneous; bootstrap "
                    f"{numbers.count(thresholds.bootstrap)} resamples of applications where one is used",
                ),
            )
        )
    ]


def data_blocks(bundle: Bundle, design: wording.Design) -> list[Block]:
    """The applications, what was left out, and how each case was made."""
    data, plan = bundle.run.data, bundle.plan
    left_out = data.left_out
    placebo = plan.placebo
    changes = [wording.field_words(attribute.field) for attribute in plan.attributes]
    blocks: list[Block] = [
        Pairs(
            rows=(
                ("Data set", f"{data.title} ({data.name})"),
                ("Source", Literal(data.source)),
                ("Citation", data.citation or NOT_GIVEN),
                *population_rows(bundle),
                ("File SHA-256", Literal(data.file_sha256 or NOT_GIVEN)),
                ("Fingerprint", Literal(data.fingerprint)),
                ("Applications", f"{numbers.count(data.applications)} of {numbers.count(data.rows)} rows"),
                *_reading_rows(data.counts),
                *([("Alike", said)] if (said := alike_words(bundle.run)) else []),
                (
                    "Changes",
                    f"{wording.joined(changes)}, one at a time" + (f"; placebo: {placebo.label}" if placebo else ""),
                ),
                (
                    "Asked again",
                    f"{numbers.count(plan.noise.reask)} applications, {again_words(bundle.run)}",
                ),
                ("Answers", _answer_words(bundle)),
                ("Unusable", unusable_words(bundle.run, floor=design.mass_floor)),
                ("Seen before", seen_before_words(bundle.run, select=plan.cases.select)),
            )
        )
    ]
    blocks += prompt_blocks(bundle)
    if left_out:
        shown = small_cells.printed_counts(left_out, small_cell=design.small_cell)
        blocks.append(
            Table(
                title="Applications left out",
                head=("Reason", "Applications"),
                rows=tuple((reason_words(str(reason)), shown[reason]) for reason in sorted(left_out)),
                align="lr",
                weights=(0.8, 0.2),
            )
        )
    return blocks


def _answer_words(bundle: Bundle) -> str:
    """What decides: the labels of a choice, those of the service's own listing, or the line of an amount."""
    run, plan = bundle.run, bundle.plan
    how = run.reading or run.generated
    if how is not None and how.readout == AMOUNT:
        line, unit = (0.0, "") if (form := plan.reading.amount) is None else (form.adverse_up_to, form.unit)
        return f"an amount; adverse up to {line:,g}{f' {unit}' if unit else ''}"
    if how is not None and how.readout == REASONS:
        return "reasons; adverse with any, favourable with none"
    labels = {"favourable": plan.prompt.answers.favourable, "adverse": plan.prompt.answers.adverse}
    system = run.model.manifest.system
    if is_handed_fields(run) and system is not None:
        labels = {name: tuple(system.asked.get("read", {}).get(name, ())) for name in labels}
    return f"favourable {_quoted(labels['favourable'])}; adverse {_quoted(labels['adverse'])}"


def alike_words(run: RunRecord) -> str:
    """How many applications say word for word what another one says; empty where none does."""
    alike, n = run.prompts.alike, run.data.applications
    if not alike:
        return ""
    return (
        f"{numbers.count(alike)} of {numbers.count(n)} applications say word for word what another one says. If they "
        "are the same people under several ids, every result counts them several times and looks surer than it is."
    )


def _reading_rows(counts: RowCounts | None) -> list[tuple[str, str]]:
    """What became of the rows of the file, and what its outcome says; nothing for a run that did not count them."""
    if counts is None:
        return []
    left_out = counts.left_out
    rows = (
        [("Rows left out", "; ".join(f"{numbers.count(left_out[why])} {why}" for why in left_out))] if left_out else []
    )
    if counts.outcome:
        neither = sum(counts.no_outcome.values())
        sides = f"{numbers.count(counts.favourable)} favourable, {numbers.count(counts.adverse)} adverse"
        others = f", {numbers.count(neither)} neither, and so without an outcome" if neither else ""
        rows.append(("Recorded outcomes", sides + others))
    return [*rows, ("How the file was read", "; ".join(counts.notes))] if counts.notes else rows


def reason_words(reason: str) -> str:
    """A reason that begins with the name of a field, in words."""
    name, space, rest = reason.partition(" ")
    return f"{wording.sentence_case(wording.field_words(name))}{space}{rest}"


def prompt_blocks(bundle: Bundle) -> list[Block]:
    """The whole prompt template, line by line, beside one application as the model saw it."""
    prompt = bundle.plan.prompt
    template = prompt.template.strip("\n").split("\n")
    blocks: list[Block] = []
    if prompt.system:
        blocks.append(
            Table(
                title="System prompt",
                head=("Line by line",),
                rows=tuple((Literal(line),) for line in pieces(prompt.system.split("\n"))),
                align="l",
                weights=(1.0,),
            )
        )
    example = bundle.example
    if example and is_handed_fields(bundle.run):
        return [
            Table(
                title=f"Fields of application {example[0]}",
                head=("Line by line",),
                rows=tuple((Literal(line),) for line in pieces(example[1].split("\n"))),
                align="l",
                weights=(1.0,),
                note="What the service is handed about one of the applications, as filed. Nothing of a prompt is sent.",
            )
        ]
    filled = example[1].strip("\n").split("\n") if example else []
    how = f"{sent_words(bundle.run, form=prompt.form)} Names in braces are filled with the values of an application."
    if example and len(filled) == len(template) and max(map(len, template + filled)) <= LINE_AT_MOST:
        both = tuple((Literal(one), Literal(two)) for one, two in zip(template, filled, strict=True))
        heads = ("Template", f"Application {example[0]}, as filed")
        blocks.append(
            Table(title="Prompt", head=heads, rows=both, align="ll", weights=(0.5, 0.5), note=how),
        )
        return blocks
    for title, lines in (
        ("Prompt template", template),
        (f"Prompt of application {example[0] if example else ''}", filled),
    ):
        if lines:
            rows = tuple((Literal(line),) for line in pieces(lines))
            note = how if lines is template else "One of the applications asked, as filed."
            blocks.append(Table(title=title, head=("Line by line",), rows=rows, align="l", weights=(1.0,), note=note))
    return blocks


def pieces(lines: list[str]) -> list[str]:
    """Lines cut to lengths that fit on a page."""
    return [line[at : at + LINE_AT_MOST] for line in lines for at in range(0, max(1, len(line)), LINE_AT_MOST)]


def families_words(sizes: Mapping[str, int]) -> str:
    """Every family with how many tests it has."""
    return "; ".join(f"{wording.family_words(name)} ({numbers.count(size)})" for name, size in sorted(sizes.items()))


def _matched(bundle: Bundle, rate: object) -> str:
    whose = "set so that the reference arm's approval rate is "
    wanted = "the data's share of favourable outcomes" if rate == "observed" else numbers.rate(float(str(rate)))
    found = sorted(
        {
            round(float(threshold), 6)
            for item in bundle.printable
            if item.metric in (CF_NET_EFFECT_MATCHED, NEAR_CUT_OFF)
            and item.subject.get("cut_off", "matched") == "matched"
            and (threshold := item.counts.get("threshold")) is not None
        }
    )
    reached = [numbers.number(value, decimals=2, signed=True) for value in (found[0], found[-1])] if found else []
    at = f"; a score of {' to '.join(dict.fromkeys(reached))}" if reached else ""
    return f"{whose}{wanted}{at}"


def _range(point: OperatingPoint) -> tuple[tuple[str, str], ...]:
    if isinstance(point.range, str):
        return ()
    low, high = (numbers.percent(value, decimals=0) for value in point.range)
    return (("Range of cut-offs", f"all that approve {low} to {high}% of the reference arm"),)


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values) or "none named"


def _quoted(answers: Sequence[str]) -> str:
    return ", ".join(f"“{answer}”" for answer in answers)


def _quantisation(record: Quantisation) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(record.tensor_types.items()))
    return f"{record.container} ({kinds} tensors), computed in {record.stored_as or NOT_GIVEN}"


def machine_words(environment: Environment, *, threads: int | None = None) -> str:
    """The machine in a line; ``threads`` are those that scored."""
    parts = [part for part in (environment.machine, environment.platform) if part]
    if environment.cpus:
        parts.append(f"{numbers.count(environment.cpus)} processors")
    if environment.python:
        parts.append(f"Python {environment.python}")
    return ", ".join([*parts, *([f"{threads} threads for scoring"] if threads is not None else [])])


def _packing(environment: Environment) -> str:
    packing = environment.scoring.packing if environment.scoring is not None else None
    if packing is None or packing.packable is None:
        return NOT_GIVEN
    largest = packing.largest_difference
    compared = "" if largest is None else f"; largest difference of a margin from one by one: {largest:.1e} logits"
    how = "packed, prompts share what they have in common" if packing.packable else "one by one"
    why = f" ({packing.reason})" if packing.reason else ""
    return f"{how}{why}{compared.replace('e-', f'e{numbers.MINUS}')}"
