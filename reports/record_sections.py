"""The sections about the record itself: document control, limitations, repetition, signatures, integrity."""

from __future__ import annotations

from auditor.records import Measurement
from auditor.run_record import RunRecord
from reports import numbers, sentences, wording
from reports.blocks import Block, Cell, Literal, Pairs, Table, Text
from reports.limitations import limitations_table
from reports.story import Story

UNGOVERNED = (
    "ungoverned: not asked for on the site with a design that a second person had approved; it can never be signed"
)
#: Checks the hashes of a report and its evidence with poppler, unzip and coreutils.
BY_HAND = (
    "pdfdetach -saveall report.pdf; sha256sum annex.pdf result.json; unzip -p evidence.zip manifest.json | sha256sum"
)
#: What people call the media types of a bundle.
KINDS = {
    "application/json": "JSON",
    "application/vnd.apache.parquet": "Parquet",
    "image/svg+xml": "SVG",
    "application/toml": "TOML",
}
NOT_IN_RUN: tuple[tuple[str, str, str], ...] = (
    ("adverse_action_reasons", "Adverse-action reasons", "the plan asks for a decision, not for reasons"),
    ("human_oversight", "Human oversight", "no record of people's use of the decisions was given"),
    (
        "less_discriminatory_alternatives",
        "Less discriminatory alternatives",
        "one model version was asked; no alternative was compared",
    ),
    ("consumer_notice_and_recourse", "Consumer notice and recourse", "no notice text was given"),
    ("monitoring_plan", "Monitoring plan", "an audit of one version; set by the institution"),
    (
        "remediation_and_risk_acceptance",
        "Remediation and risk acceptance",
        "answers to findings are recorded after this report",
    ),
)


def document_control(story: Story) -> list[Block]:
    """Who made which document when, by what."""
    record = story.governance
    approval = record.design_approval
    governance = (
        "governed: its design was approved by a second person before the run was asked for"
        if record.governed
        else UNGOVERNED
    )
    approved: tuple[tuple[str, Cell], ...] = ()
    if record.governed and approval is not None:
        approved = (
            ("Design approved by", f"{approval.by}, {numbers.date(approval.at)}"),
            ("Reason given", approval.reason),
        )
    return [
        Pairs(
            rows=(
                ("Report", f"{record.audit_id}: {record.title}"),
                ("Governance", governance),
                *approved,
                ("Status of the run", record.status),
                ("Requested by", record.requested_by or "not recorded"),
                ("Run", f"{numbers.date(record.started_at)} to {numbers.date(record.finished_at)}"),
                (
                    "Runs on this model" if story.bundle.run.asks else "Runs on this file",
                    f"{numbers.count(record.runs_on_this_model)}, failed and withdrawn ones included",
                ),
                ("Privilege", "none designated; only counsel may set it"),
                ("Generator", _generator(story)),
                ("Pages set by", _renderer(story)),
                (
                    "Model SHA-256" if story.bundle.run.asks else "Decision file, fingerprint",
                    Literal(story.bundle.run.model.sha256),
                ),
                ("Design SHA-256", Literal(story.hashes["design"])),
                ("Run SHA-256", Literal(story.hashes["run"])),
                ("Bundle SHA-256", Literal(story.hashes["bundle"])),
            )
        )
    ]


def not_in_run() -> list[Block]:
    """Sections of the skeleton this run has nothing for, each with its reason."""
    return [
        Table(
            title="",
            head=("Section", "Why"),
            rows=tuple((title, why) for _, title, why in NOT_IN_RUN),
            align="ll",
            weights=(0.4, 0.6),
        )
    ]


def _low_power(story: Story) -> str:
    """The contrasts that could have missed the practical threshold, by what they are about; empty if none could."""
    places: dict[str, list[Measurement]] = {}
    short = [item for item in story.primary if sentences.misses_threshold(item, story.design)]
    for item in short:
        about = sentences.what_words(item, story.design, [other for other in short if other.metric == item.metric])
        places.setdefault(about, []).append(item)
    return "; ".join(f"{about}: {sentences.against(items)}" for about, items in places.items())


def limitations(story: Story) -> list[Block]:
    """What the conclusion cannot carry."""
    low_power = _low_power(story)
    rows: list[tuple[Cell, ...]] = [
        (
            "One prompt and one data set",
            "Another wording or population may give another result",
            "The prompt is printed in the annex under “Data and test cases” and hashed with the design",
        ),
        (
            "The protected fields are stated in words",
            "Signals such as names or places were not tested",
            "Named under policy packs as bases not tested",
        ),
        (
            "Scores of the model alone",
            "People who use the decision may follow or override it",
            "Decision role is stated under scope",
        ),
        (
            "Subgroups and two attributes together were not compared by themselves",
            "A difference for a small part of the applications counts by their share of all and can be missed",
            "Decisions that turn both ways are looked for in each contrast, and its cases can be opened",
        ),
    ]
    if story.bundle.controls.planted_bias is None:
        rows.append(
            (
                "No planted difference",
                "That this audit finds a known difference is not shown on this model",
                wording.sentence_case(story.no_planted_bias),
            )
        )
    if low_power:
        rows.append(
            (
                f"Power below the plan's for {low_power}",
                "A difference of the practical threshold could have been missed",
                "The smallest detectable difference is printed for each contrast",
            )
        )
    return [limitations_table(story, rows, weights=(0.3, 0.38, 0.32))]


def _repeat_words(run: RunRecord) -> str:
    """What comes of running the design again: files and weights answer alike, a system that is asked may not."""
    if not run.asks:
        return (
            "Repeat it, as said at “Repeat”: that reads the same decision file under the same design. On the same "
            "machine the measurement and finding files come out byte for byte; elsewhere the last digits of a number "
            "may move."
        )
    if run.reading is not None:
        return (
            "Repeat it, as said at “Repeat”: that puts the same design to the same system, which may answer otherwise "
            "when it is asked again. From the answers that were kept the case, decision, measurement and finding "
            "files come out byte for byte."
        )
    return (
        "Repeat it, as said at “Repeat”: that binds the same design to the same model and data. On the same machine, "
        "thread count and packing the case, decision, measurement and finding files come out byte for byte; elsewhere "
        "the last digits of a margin may move."
    )


def reproduction(story: Story) -> list[Block]:
    """How to check the report offline, and how to run the audit again."""
    return [
        Text(
            "Check it: put the four files in one folder and run the command at “Check”. It needs no network, "
            "recomputes every hash and names the first file, and the place in it, that differs. The version of "
            "Plumbline named below also sets these pages again, to the last byte, and computes the figures again that "
            "follow from the decisions; any other says what it cannot compare. The file result.json is also attached "
            "to this PDF. With common tools alone: take it out and hash it, and hash annex.pdf and manifest.json of "
            "evidence.zip; the SHA-256 must be those of this report, and the manifest lists the SHA-256 of every other "
            "file."
        ),
        Text(_repeat_words(story.bundle.run)),
        Pairs(
            rows=(
                ("Check", Literal("python manage.py verify report.pdf annex.pdf result.json evidence.zip")),
                ("Made by", f"{_generator(story)}; pages by {_renderer(story)}"),
                ("Without Plumbline", Literal(BY_HAND)),
                ("Repeat", Literal(story.governance.command or "not recorded")),
                ("Seed", str(story.bundle.plan.cases.seed)),
                ("result.json SHA-256", Literal(story.hashes["result"])),
                ("Bundle SHA-256", Literal(story.hashes["bundle"])),
            )
        ),
    ]


def sign_off(story: Story) -> list[Block]:
    """Signatures, or why there can be none."""
    if not story.governance.governed:
        return [
            Text("This run is ungoverned. It can never be signed.", tone="lead"),
            Text(
                "It was not asked for on the site with a design that a second person had approved. To obtain a report "
                "that can be signed, have the same design approved and run it again on the site."
            ),
        ]
    signatures = story.governance.signatures
    if not signatures:
        return [
            Text(
                "Not yet signed. A signature says that a person has read "
                "the evidence; it does not approve the use of the model."
            )
        ]
    return [
        Text("Each person signs that they have read the evidence. A signature does not approve the use of the model."),
        Table(
            title="Signatures",
            head=("Name", "Role", "Meaning", "Signed"),
            rows=tuple((s.name, s.role, s.meaning, numbers.date(s.signed_at)) for s in signatures),
            align="llll",
            weights=(0.3, 0.25, 0.2, 0.25),
        ),
    ]


def _generator(story: Story) -> str:
    """What asked the model and computed the figures."""
    code = story.bundle.run.code
    return f"Plumbline {code.version}, code {numbers.short_hash(code.sha256)}"


def _renderer(story: Story) -> str:
    """What set the pages: only the same sets them again byte for byte."""
    named = story.bundle.renderer
    return f"Plumbline {named.version}, renderer {numbers.short_hash(named.sha256)}" if named.sha256 else "not named"


def integrity(story: Story) -> list[Block]:
    """The heads that hold the files of an audit together; the annex lists every file of the bundle."""
    head = story.hashes["events_head"]
    return [
        Pairs(
            rows=(
                ("Design", Literal(story.hashes["design"])),
                ("Run", Literal(story.hashes["run"])),
                ("Bundle (manifest.json)", Literal(story.hashes["bundle"])),
                ("result.json", Literal(story.hashes["result"])),
                ("annex.pdf", Literal(story.hashes["annex"] or "not set")),
                ("Event chain head", Literal(head) if head else "none: the run was not recorded in an event chain"),
            )
        ),
    ]


def bundle_files(story: Story) -> list[Block]:
    """Every file of the evidence bundle with its hash."""
    return [
        Table(
            title="",
            head=("File", "SHA-256", "Size", "Kind"),
            rows=tuple(
                (
                    Literal(line.file),
                    Literal(line.sha256),
                    numbers.size(line.size),
                    KINDS.get(line.media_type, line.media_type),
                )
                for line in story.bundle.files
            ),
            align="llrl",
            weights=(0.25, 0.54, 0.08, 0.13),
        ),
    ]
