"""Rows back to the nouns of the engine, so that a page says what the report says, in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from auditor.controls import Controls
from auditor.environment import Environment
from auditor.exceptions import InputError
from auditor.records import Finding, Measurement
from compliance.dashboard.evidence import EvidenceFolder, kept_file
from compliance.exceptions import EvidenceError
from compliance.models import Audit, FindingRow, MeasurementRow
from reports.bundle import Bundle, finding_from, measurement_from, parse, read_bundle
from reports.canvas import Chart
from reports.governance import COMPLETE, Governance
from reports.story import Story

NOT_OF_A_RECORD = ("id", "audit", "key", "position", "severity_rank", "measurement_keys")


def measurement(row: MeasurementRow) -> Measurement:
    """The measurement a row holds."""
    return measurement_from({"id": row.key, **_fields(row)})


def finding(row: FindingRow) -> Finding:
    """The finding a row holds."""
    return finding_from({"id": row.key, "measurements": row.measurement_keys, **_fields(row)})


def story(
    audit: Audit,
    *,
    measurements: Iterable[MeasurementRow],
    findings: Iterable[FindingRow],
    controls: Controls,
    charts: Mapping[str, Chart],
) -> Story:
    """The report of an audit in the making, from its rows and the charts that were kept: nothing is drawn anew."""
    bundle = Bundle(
        plan=audit.plan.parsed,
        run=audit.run,
        environment=Environment(),
        measurements=tuple(measurement(row) for row in measurements),
        findings=tuple(finding(row) for row in findings),
        controls=controls,
        packs=(),
        files=(),
        manifest_sha256="",
        contents={"run.json": audit.run_json.encode()},
    )
    status = COMPLETE if audit.complete else "incomplete"
    record = Governance(audit_id=audit.number, title=audit.plan.title, governed=audit.governed, status=status)
    return Story(bundle=bundle, governance=record, charts=charts)


def kept_story(audit: Audit, evidence: EvidenceFolder) -> Story:
    """The report of an audit in the making, from its whole evidence and the record it was published with.

    Raises
    ------
    EvidenceError
        If a file is not there, or is not what was recorded.
    """
    result = kept_file(audit, "result.json")
    if result is None:
        raise EvidenceError("result.json: is not on this server as it was recorded; expected the published file")
    try:
        record = Governance.read(parse(result.read_bytes(), where=result.name)["audit"], where=f"{result.name}: audit")
        bundle = read_bundle(evidence.folder)
    except InputError as error:
        raise EvidenceError(f"{error.where}: {error.what}; expected {error.expected}") from error
    return Story(
        bundle=bundle, governance=record, charts=evidence.charts(), annex_sha256=str(audit.files.get("annex.pdf") or "")
    )


def _fields(row: MeasurementRow | FindingRow) -> dict[str, Any]:
    names = (field.name for field in row._meta.concrete_fields)
    return {name: getattr(row, name) for name in names if name not in NOT_OF_A_RECORD}
