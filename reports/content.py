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
from reports.cover import cover, front_verdict
from reports.governance import Governance
from reports.sections import sections_of
from reports.story import Story

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
    story = _story(bundle, governance, charts, annex_sha256)
    return _content(story, part=REPORT, verdict=front_verdict(story), cover=cover(story))


def build_annex(bundle: Bundle, governance: Governance, *, charts: Mapping[str, Chart] | None = None) -> ReportContent:
    """The technical annex: design, data and prompts, every measurement, every test on internals with its self-checks.

    Parameters and result are those of `build_content`.
    """
    story = _story(bundle, governance, charts)
    return _content(story, part=ANNEX, verdict=None, cover=annex_cover(story))


def _story(bundle: Bundle, governance: Governance, charts: Mapping[str, Chart] | None, annex_sha256: str = "") -> Story:
    drawn = charts or render_charts(bundle)
    return Story(bundle=bundle, governance=governance, charts=drawn, annex_sha256=annex_sha256)


def _content(
    story: Story,
    *,
    part: str,
    verdict: Verdict | None,
    cover: Sequence[Block],
) -> ReportContent:
    governance, hashes = story.governance, story.hashes
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
            Section(id=kind.id, number=number, title=kind.title, blocks=tuple(kind.blocks(story)))
            for number, kind in enumerate(sections_of(part), start=1)
        ),
        run_line=f"Design {short['design']} · Bundle {short['bundle']}{head}",
        created=governance.finished_at or governance.started_at or "",
        subject=f"{which} of {story.model}: {governance.title}",
        hashes=hashes,
        part=part,
        audited="Model" if story.bundle.run.asks else "Decision file",
    )
