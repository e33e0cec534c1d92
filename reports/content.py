"""What a report says, before anybody decides how it looks: sections of plain blocks, from a bundle alone.

``build_content`` is pure: the same bundle and governance record give the same content; ``reports.pdf`` sets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.blocks import ReportContent
from reports.bundle import Bundle
from reports.canvas import Chart
from reports.charts import render_charts
from reports.sections import Story


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
        ``finished_at``, ``requested_by``, ``command``, ``runs_on_this_model``, ``events_head``, ``signatures``.
    charts
        What :func:`reports.charts.render_charts` gave for this bundle, where it was called already.

    Returns
    -------
    ReportContent
        Sections in the order of the report skeleton; nothing in it depends on the clock or the machine.
    """
    return Story(bundle=bundle, governance=governance, charts=charts or render_charts(bundle)).content()
