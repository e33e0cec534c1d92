"""What a report says, section by section, as plain frozen blocks without layout.

``build_content`` is the one door: pages and the PDF are set from the same content; ``reports.pdf`` sets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports import numbers
from reports.blocks import ReportContent, Section
from reports.bundle import Bundle
from reports.canvas import Chart
from reports.charts import render_charts
from reports.cover import REPRODUCTION, conclusion, cover, front_verdict
from reports.evidence_sections import data_blocks, design_blocks, provenance_blocks, scope_blocks
from reports.inside_sections import inside
from reports.pack_sections import pack_blocks
from reports.record_sections import document_control, integrity, limitations, not_in_run, reproduction, sign_off
from reports.result_sections import controls, findings, model_quality, results_primary, results_secondary
from reports.story import Story
from reports.tables import all_measurements

UNGOVERNED = "ungoverned"


def build_content(
    bundle: Bundle, governance: Mapping[str, Any], *, charts: Mapping[str, Chart] | None = None
) -> ReportContent:
    """Turn a bundle and a governance record into a report's content.

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

    Returns
    -------
    ReportContent
        Sections in the order of the report skeleton; nothing in it depends on the clock or the machine.
    """
    story = Story(bundle=bundle, governance=governance, charts=charts or render_charts(bundle))
    governed = bool(governance["governed"])
    short = {name: numbers.short_hash(digest) for name, digest in story.hashes.items()}
    head = f" · Event head {short['events_head']}" if story.hashes["events_head"] else ""
    return ReportContent(
        audit_id=str(governance["audit_id"]),
        title=str(governance["title"]),
        model=story.model,
        governed=governed,
        mark="" if governed else UNGOVERNED,
        verdict=front_verdict(story),
        cover=tuple(cover(story)),
        sections=_sections(story),
        run_line=f"Design {short['design']} · Bundle {short['bundle']}{head}",
        created=str(governance.get("finished_at") or governance.get("started_at") or ""),
        subject=f"Audit of {story.model}: {governance['title']}",
        hashes=story.hashes,
    )


def _sections(story: Story) -> tuple[Section, ...]:
    """Every section in the order an examiner reads them."""
    bundle, design = story.bundle, story.design
    design_and_power = [*design_blocks(bundle, story.governance, design), *story.figures("power")]
    sections = (
        ("document_control", "Document control", document_control(story)),
        ("conclusion", "Conclusion", conclusion(story)),
        ("scope_and_intended_use", "Scope and intended use", scope_blocks(bundle)),
        ("system_provenance", "System and provenance", provenance_blocks(bundle)),
        ("policy_packs_applied", "Policy packs and clauses", pack_blocks(bundle)),
        ("test_design_and_power", "Test design and power", design_and_power),
        ("data_and_test_cases", "Data and test cases", data_blocks(bundle, design)),
        ("results_primary", "Primary results", results_primary(story)),
        ("results_secondary", "Secondary and exploratory results", results_secondary(story)),
        ("controls", "Could this audit have seen it?", controls(story)),
        ("model_quality", "Model quality", model_quality(story)),
        ("mechanistic_evidence", "Inside the model (supporting evidence)", inside(story)),
        ("not_in_run", "Sections not part of this run", not_in_run()),
        ("findings_register", "Findings", findings(story)),
        ("limitations", "Limitations", limitations(story)),
        ("measurements", "All measurements", all_measurements(bundle.printable, design)),
        ("reproduction", REPRODUCTION, reproduction(story)),
        ("review_and_sign_off", "Review and sign-off", sign_off(story)),
        ("integrity_manifest", "Integrity manifest", integrity(story)),
    )
    return tuple(
        Section(id=name, number=index, title=title, blocks=tuple(blocks))
        for index, (name, title, blocks) in enumerate(sections, start=1)
    )
