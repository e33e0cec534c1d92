"""The sections of report and annex in the order they are printed: the title of each, who composes it, where it stands.

A new section is a function, given the :class:`~reports.story.Story`, and its line here. Report or annex print it, and
the page of the audit shows it in the same words: in the room that its line names, else among those that are opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports import decision_record_sections, decision_sections
from reports.blocks import ANNEX, REPORT, Block
from reports.cover import REPRODUCTION, conclusion
from reports.depths import coverage
from reports.evidence_sections import data_blocks, design_blocks, provenance_blocks, scope_blocks
from reports.inside_in_short import inside_in_short
from reports.inside_sections import inside
from reports.pack_sections import pack_blocks
from reports.record_sections import (
    bundle_files,
    document_control,
    integrity,
    limitations,
    not_in_run,
    reproduction,
    sign_off,
)
from reports.result_sections import controls, findings, model_quality, results_primary, results_secondary
from reports.story import Story
from reports.tables import every_number
from reports.what_left import what_left

OPENED = ""
Composer = Callable[[Story], Sequence[Block]]


def at_depth(asked: Composer, on_file: Composer) -> Composer:
    """The section of a run that asked a system, or that of one on decisions already taken."""
    return lambda story: (asked if story.bundle.run.asks else on_file)(story)


@dataclass(frozen=True)
class SectionKind:
    """A section: its id, title and blocks; ``part`` is the document that prints it.

    ``room`` is where the page of an audit has it. What stands in a room is composed from the rows of the database and
    the kept figures whenever the page is asked for; what is `OPENED` is composed from the whole evidence, when somebody
    opens it, and may read the record, the prompts and the files of the bundle too.
    """

    id: str
    title: str
    blocks: Composer
    part: str = REPORT
    room: str = OPENED


@dataclass(frozen=True)
class Room:
    """A part of an audit's page: the heading of its first section, what stands beside it, its name among the tabs."""

    id: str
    heading: str
    beside: str
    tab: str


ROOMS: tuple[Room, ...] = (
    Room("controls", "Could this audit have seen it?", "Controls on the same model, same plan", "Controls"),
    Room("findings", "Findings, worst first", "Raised by the plan's rules", "Findings"),
    Room(
        "outputs",
        "Outputs: does the decision change when only the attribute changes?",
        "Every number leads to its cases",
        "Outputs",
    ),
    Room(
        "internals",
        "Internals: is the attribute inside, and does the decision use it?",
        "These numbers support the findings and never make one alone",
        "Internals",
    ),
)
#: Of decisions already taken nothing is changed: the numbers are of groups.
ON_FILE = Room(
    "outputs",
    "Decisions taken: how did groups fare?",
    "Different applicants are compared, each number with how many stand behind it",
    "Decisions",
)


def rooms_of(story: Story) -> tuple[Room, ...]:
    """The rooms of an audit's page, each asking what this audit can answer."""
    return ROOMS if story.bundle.run.asks else tuple(ON_FILE if room.id == ON_FILE.id else room for room in ROOMS)


_NOT_IN_RUN = at_depth(lambda _: not_in_run(), decision_record_sections.not_in_run)
SECTIONS: tuple[SectionKind, ...] = (
    # What a person reads, in the order in which an examiner reads it.
    SectionKind("document_control", "Document control", document_control),
    SectionKind("conclusion", "Conclusion", conclusion),
    SectionKind("scope_and_intended_use", "Scope and intended use", lambda story: scope_blocks(story.bundle)),
    SectionKind("policy_packs_applied", "Policy packs and clauses", lambda story: pack_blocks(story.bundle)),
    SectionKind(
        "results_primary", "Primary results", at_depth(results_primary, decision_sections.results), room="outputs"
    ),
    SectionKind(
        "controls", "Could this audit have seen it?", at_depth(controls, decision_sections.controls), room="controls"
    ),
    SectionKind("depths", "What each depth can see", coverage),
    SectionKind("model_quality", "Model quality", model_quality, room="outputs"),
    SectionKind("mechanistic_evidence", "Inside the model (supporting evidence)", inside_in_short, room="internals"),
    SectionKind(
        "not_in_run",
        "Sections not part of this run",
        _NOT_IN_RUN,
    ),
    SectionKind("findings_register", "Findings", findings, room="findings"),
    SectionKind("limitations", "Limitations", at_depth(limitations, decision_record_sections.limitations)),
    SectionKind("what_left_the_machine", "What left the machine", what_left),
    SectionKind("reproduction", REPRODUCTION, reproduction),
    SectionKind("review_and_sign_off", "Review and sign-off", sign_off),
    SectionKind("integrity_manifest", "Integrity manifest", integrity),
    # What a validator goes through line by line.
    SectionKind(
        "system_provenance",
        "System and provenance",
        at_depth(lambda story: provenance_blocks(story.bundle), decision_record_sections.provenance),
        ANNEX,
    ),
    SectionKind(
        "test_design_and_power",
        "Test design and power",
        at_depth(
            lambda story: [*design_blocks(story.bundle, story.governance, story.design), *story.figure("power")],
            decision_record_sections.design,
        ),
        ANNEX,
    ),
    SectionKind(
        "data_and_test_cases",
        "Data and test cases",
        at_depth(lambda story: data_blocks(story.bundle, story.design), decision_record_sections.data),
        ANNEX,
    ),
    SectionKind(
        "results_secondary",
        "Secondary and exploratory results",
        at_depth(results_secondary, decision_sections.sheet),
        ANNEX,
        room="outputs",
    ),
    SectionKind("tests_on_internals", "Tests on internals, each with its self-checks", inside, ANNEX, room="internals"),
    SectionKind(
        "measurements",
        "All measurements",
        lambda story: [every_number(story.measurements, story.design)],
        ANNEX,
        room="outputs",
    ),
    SectionKind("bundle_files", "Files of the evidence bundle", bundle_files, ANNEX),
)


def sections_of(part: str) -> list[SectionKind]:
    """The sections of one document, in their order."""
    return [kind for kind in SECTIONS if kind.part == part]


def sections_in(room: str) -> list[SectionKind]:
    """The sections of one room of an audit's page, or those that are `OPENED`, in their order."""
    return [kind for kind in SECTIONS if kind.room == room]
