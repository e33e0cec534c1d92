"""What a report says, section by section, as plain frozen blocks without layout.

Two documents are set from the same evidence: the report proper, which a person reads, and its technical annex, which a
validator goes through line by line. The report states the hash of its annex, and both are checked together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports import numbers
from reports.annex_cover import annex_cover
from reports.blocks import ANNEX, REPORT, Block, ReportContent, Section, Verdict
from reports.bundle import Bundle
from reports.canvas import Chart
from reports.charts import render_charts
from reports.cover import REPRODUCTION, conclusion, cover, front_verdict
from reports.evidence_sections import data_blocks, design_blocks, provenance_blocks, scope_blocks
from reports.governance import Governance
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
from reports.tables import all_measurements

UNGOVERNED = "ungoverned"


def build_content(
    bundle: Bundle,
    governance: Governance,
    *,
    charts: Mapping[str, Chart] | None = None,
    annex_sha256: str = "",
) -> ReportContent:
    """The report proper: what a person reads to judge an audit.

    Parameters
    ----------
    bundle
        The evidence, as :func:`reports.bundle.read_bundle` gives it.
    governance
        The audit's record as plain data: ``audit_id``, ``title``, ``governed``, ``status``, ``started_at``,
        ``finished_at``, ``requested_by``, ``command``, ``runs_on_this_model``, ``events_head``, ``signatures``, and for
        a governed run ``design_approval``: ``by``, ``at`` and ``reason``.
    charts
        What :func:`reports.charts.render_charts` gave for this bundle, where it was called already.
    annex_sha256
        SHA-256 of the annex as it was set, which the report states: the two are one.

    Returns
    -------
    ReportContent
        Sections in the order of the report skeleton; nothing in it depends on the clock or the machine.
    """
    story = _story(bundle, governance, charts)
    hashes = story.hashes | {"annex": annex_sha256}
    return _content(
        story,
        part=REPORT,
        verdict=front_verdict(story),
        cover=cover(story),
        sections=_report_sections(story, hashes),
        hashes=hashes,
    )


def build_annex(bundle: Bundle, governance: Governance, *, charts: Mapping[str, Chart] | None = None) -> ReportContent:
    """The technical annex: design, data and prompts, every measurement, every test on internals with its self-checks.

    Parameters and result are those of `build_content`.
    """
    story = _story(bundle, governance, charts)
    return _content(
        story, part=ANNEX, verdict=None, cover=annex_cover(story), sections=_annex_sections(story), hashes=story.hashes
    )


def _story(bundle: Bundle, governance: Governance, charts: Mapping[str, Chart] | None) -> Story:
    return Story(bundle=bundle, governance=governance, charts=charts or render_charts(bundle))


def _content(
    story: Story,
    *,
    part: str,
    verdict: Verdict | None,
    cover: Sequence[Block],
    sections: Sequence[tuple[str, str, Sequence[Block]]],
    hashes: Mapping[str, str],
) -> ReportContent:
    governance = story.governance
    governed = governance.governed
    short = {name: numbers.short_hash(digest) for name, digest in hashes.items()}
    head = f" · Event head {short['events_head']}" if hashes["events_head"] else ""
    which = "Audit" if part == REPORT else "Technical annex to the audit"
    return ReportContent(
        audit_id=governance.audit_id,
        title=governance.title,
        model=story.model,
        governed=governed,
        mark="" if governed else UNGOVERNED,
        verdict=verdict,
        cover=tuple(cover),
        sections=tuple(
            Section(id=name, number=number, title=title, blocks=tuple(blocks))
            for number, (name, title, blocks) in enumerate(sections, start=1)
        ),
        run_line=f"Design {short['design']} · Bundle {short['bundle']}{head}",
        created=governance.finished_at or governance.started_at or "",
        subject=f"{which} of {story.model}: {governance.title}",
        hashes=hashes,
        part=part,
    )


def _report_sections(story: Story, hashes: Mapping[str, str]) -> list[tuple[str, str, Sequence[Block]]]:
    """What a person reads, in the order in which an examiner reads it."""
    return [
        ("document_control", "Document control", document_control(story)),
        ("conclusion", "Conclusion", conclusion(story)),
        ("scope_and_intended_use", "Scope and intended use", scope_blocks(story.bundle)),
        ("policy_packs_applied", "Policy packs and clauses", pack_blocks(story.bundle)),
        ("results_primary", "Primary results", results_primary(story)),
        ("controls", "Could this audit have seen it?", controls(story)),
        ("model_quality", "Model quality", model_quality(story)),
        ("mechanistic_evidence", "Inside the model (supporting evidence)", inside_in_short(story)),
        ("not_in_run", "Sections not part of this run", not_in_run()),
        ("findings_register", "Findings", findings(story)),
        ("limitations", "Limitations", limitations(story)),
        ("reproduction", REPRODUCTION, reproduction(story)),
        ("review_and_sign_off", "Review and sign-off", sign_off(story)),
        ("integrity_manifest", "Integrity manifest", integrity(story, hashes)),
    ]


def _annex_sections(story: Story) -> list[tuple[str, str, Sequence[Block]]]:
    """What a validator goes through line by line."""
    bundle, design = story.bundle, story.design
    return [
        ("system_provenance", "System and provenance", provenance_blocks(bundle)),
        (
            "test_design_and_power",
            "Test design and power",
            [*design_blocks(bundle, story.governance, design), *story.figures("power")],
        ),
        ("data_and_test_cases", "Data and test cases", data_blocks(bundle, design)),
        ("results_secondary", "Secondary and exploratory results", results_secondary(story)),
        ("tests_on_internals", "Tests on internals, each with its self-checks", inside(story)),
        ("measurements", "All measurements", all_measurements(bundle.printable, design)),
        ("bundle_files", "Files of the evidence bundle", bundle_files(story)),
    ]
