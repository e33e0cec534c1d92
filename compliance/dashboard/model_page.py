"""What the page of a model shows: all audits of its versions, trends of its effects, one version against another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from django.core.cache import cache

from auditor.canonical import sha256_json
from auditor.comparison import Answer, compare_versions
from auditor.records import Measurement, Outcome
from compliance.dashboard.evidence import open_evidence
from compliance.dashboard.records import measurement
from compliance.execution.job import JobState
from compliance.models import Audit, MeasurementRow
from reports import wording
from reports.bundle import measurement_from
from reports.canvas import Chart
from reports.trends import TrendPoint, trend_chart, trend_point

KEPT_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Trend:
    """One contrast over the audits of a model: its chart and the measurements behind it, oldest first."""

    contrast: str
    chart: Chart
    rows: tuple[tuple[Audit, TrendPoint, Measurement], ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs of one design on two versions, the earlier first, and what the engine measured between them."""

    earlier: Audit
    later: Audit
    measurements: tuple[Measurement, ...]


def trends(audits: Sequence[Audit], *, most: int) -> list[Trend]:
    """The primary contrasts over the finished audits of the newest plan, gravest first.

    Parameters
    ----------
    audits
        Audits of one model, oldest first.
    most
        How many contrasts.
    """
    finished = [audit for audit in audits if audit.state == JobState.DONE]
    if not finished:
        return []
    same = [audit for audit in finished if audit.plan_id == finished[-1].plan_id]
    if len(same) < 2:
        return []
    keys = _leading(finished[-1], most)
    rows = MeasurementRow.objects.filter(audit__in=[audit.pk for audit in same], key__in=keys).order_by()
    found = {(row.audit_id, row.key): measurement(row) for row in rows}
    design = wording.Design.of(finished[-1].plan.parsed)
    drawn = []
    for key in keys:
        points = [
            (audit, _point(audit, found[audit.pk, key]), found[audit.pk, key])
            for audit in same
            if (audit.pk, key) in found
        ]
        if not points:
            continue
        lead = points[-1][2]
        threshold = design.practical_margin_sd if lead.unit == "sd" else design.practical_rate
        chart = trend_chart(
            [point for _, point, _ in points], measurement=lead, threshold=threshold, power=design.power
        )
        if chart is not None:
            drawn.append(Trend(contrast=wording.contrast(lead), chart=chart, rows=tuple(points)))
    return drawn


def shown_in_trends(audits: Sequence[Audit]) -> list[Audit]:
    """The governed audits among these; where none of them is finished, the trial runs."""
    governed = [audit for audit in audits if audit.governed]
    return governed if any(audit.state == JobState.DONE for audit in governed) else list(audits)


def comparable(audits: Sequence[Audit]) -> list[Audit]:
    """Finished audits, newest first, that have one of the same plan and data on another version beside them."""
    finished = [audit for audit in reversed(audits) if audit.state == JobState.DONE]
    return [one for one in finished if any(_fit(one, other) for other in finished)]


def choose(audits: Sequence[Audit], *, earlier: str, later: str) -> tuple[Audit, Audit] | None:
    """The two audits to compare: those asked for if they fit, ``None`` if not; the newest that fit where none is."""
    fitting = comparable(audits)
    named = {audit.number: audit for audit in fitting}
    if earlier in named and later in named and _fit(named[earlier], named[later]):
        one, other = named[earlier], named[later]
        return (one, other) if one.serial < other.serial else (other, one)
    if earlier or later:
        return None  # others in their place would read as the answer to what was asked
    for index, one in enumerate(fitting):
        before = next((other for other in fitting[index + 1 :] if _fit(one, other)), None)
        if before is not None:
            return before, one
    return None


def compared(earlier: Audit, later: Audit) -> Comparison:
    """What the engine measures between two runs. Kept by the hashes of both evidence folders, of which it follows.

    Raises
    ------
    EvidenceError
        If the evidence of one of them is not there or is not what was recorded.
    """
    folders = [open_evidence(audit) for audit in (earlier, later)]
    key = "comparison:" + sha256_json([folder.manifest_sha256 for folder in folders])
    rows: list[dict[str, Any]] | None = cache.get(key)
    if rows is None:
        before, after = (_answers(folder) for folder in folders)
        apart = any(audit.run.data.mapping.keeps_rows_apart for audit in (earlier, later))
        measured = compare_versions(plan=later.plan.parsed, earlier=before, later=after, rows_apart=apart)
        rows = [item.row() for item in measured]
        cache.set(key, rows, KEPT_SECONDS)
    return Comparison(earlier=earlier, later=later, measurements=tuple(measurement_from(row) for row in rows))


def version_words(audit: Audit) -> str:
    """What tells a version from the others: the name in its manifest, else the first digits of its hash."""
    source, _, revision = audit.model.source.partition("@")
    return revision[:8] if revision and source else audit.model.sha256[:8]


def _fit(one: Audit, other: Audit) -> bool:
    same = one.plan_id == other.plan_id and one.data_id == other.data_id
    return same and one.model_id != other.model_id


def _leading(audit: Audit, most: int) -> list[str]:
    primary = MeasurementRow.objects.filter(audit=audit, role="primary").order_by()
    known = [measurement(row) for row in primary]
    ordered: list[str] = []
    left = [item for item in known if item.metric in wording.CONTRAST_METRICS]
    while left and len(ordered) < most:
        lead = wording.lead_measurement(left)
        if lead is None:
            break
        ordered.append(lead.id)
        left.remove(lead)
    return ordered


def _point(audit: Audit, item: Measurement) -> TrendPoint:
    when = f"{audit.finished_at:%b %y}" if audit.finished_at else ""
    return trend_point(item, version=version_words(audit), when=when, audit=audit.number)


def _answers(evidence: Any) -> list[Answer]:
    cases = pl.scan_parquet(evidence.table("cases.parquet")).select("id", "cluster", "role", "arms")
    given = pl.scan_parquet(evidence.table("decisions.parquet")).select("case_id", "outcome", "margin")
    table = cases.join(given, left_on="id", right_on="case_id", how="inner", maintain_order="left").collect()
    return [
        Answer(case_id, cluster, role, tuple(arms), Outcome(outcome), margin)
        for case_id, cluster, role, arms, outcome, margin in table.iter_rows()
    ]
