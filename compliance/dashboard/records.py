"""Rows back to the nouns of the engine, so that a page says what the report says, in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from auditor.controls import Controls
from auditor.environment import Environment
from auditor.exceptions import InputError
from auditor.records import Finding, Measurement
from compliance.dashboard.evidence import EvidenceFolder, evidence_in, kept_file
from compliance.exceptions import EvidenceError
from compliance.models import Audit, FindingRow, MeasurementRow
from reports.bundle import MANIFEST, Bundle, BundleFile, bundle_from, finding_from, measurement_from, parse
from reports.canvas import Chart
from reports.governance import COMPLETE, Governance
from reports.story import Story

STORIES = 4
"""Audits whose stories a process keeps, once somebody opened a section: whoever opens one tends to open the next."""
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
    """The report of an audit in the making, from its evidence and the record it was published with.

    A file that no section has asked for is not read. The story is kept, and made anew once a file of it was touched.

    Raises
    ------
    EvidenceError
        If a file is not there, or is not what was recorded.
    """
    result = kept_file(audit, "result.json")
    if result is None:
        line = _("{name}: is not on this server as it was recorded; expected the published file")
        raise EvidenceError(line.format(name="result.json"))
    with as_recorded():
        return story_of(
            evidence.folder,
            evidence.stamps(),
            manifest_sha256=evidence.manifest_sha256,
            result=(result, str(audit.files["result.json"])),
            annex_sha256=str(audit.files.get("annex.pdf") or ""),
        )


@contextmanager
def as_recorded() -> Iterator[None]:
    """Evidence is read in here, by whoever composes a section too: a file that cannot be used is an `EvidenceError`."""
    try:
        yield
    except InputError as error:
        raise EvidenceError(f"{error.where}: {error.what}; expected {error.expected}") from error


@lru_cache(maxsize=STORIES)
def story_of(
    folder: Path, stamps: object, *, manifest_sha256: str, result: tuple[Path, str], annex_sha256: str
) -> Story:
    """A story by all that it is read from: hashes of published files, and ``stamps`` of those of the evidence."""
    path, _ = result
    evidence = evidence_in(folder, of=folder.parent.name, manifest_sha256=manifest_sha256)
    record = Governance.read(parse(path.read_bytes(), where=path.name)["audit"], where=f"{path.name}: audit")
    lines = parse(evidence.files[MANIFEST], where=MANIFEST)["files"]
    files = tuple(BundleFile(**line) for line in lines)
    return Story(
        bundle=bundle_from(evidence.files, files=files, where=folder.name),
        governance=record,
        charts=evidence.charts(),
        annex_sha256=annex_sha256,
    )


def _fields(row: MeasurementRow | FindingRow) -> dict[str, Any]:
    names = (field.name for field in row._meta.concrete_fields)
    return {name: getattr(row, name) for name in names if name not in NOT_OF_A_RECORD}
