"""Reading an evidence bundle: a folder or its zip, every file checked against the manifest before it is believed."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.canonical import pretty_json, sha256_bytes
from auditor.controls import Controls
from auditor.environment import Environment
from auditor.exceptions import InputError
from auditor.plan import Plan, plan_from
from auditor.records import Check, Conclusion, Finding, Measurement, Role, Severity
from auditor.run_record import RunRecord
from reports.archives import MOST_JSON, read_folder, read_zip
from reports.governance import Governance
from reports.printable import printable

if TYPE_CHECKING:
    from reports.evidence_tables import Asked
    from reports.renderer import Renderer

MANIFEST = "manifest.json"
RECORDS = ("plan.json", "run.json", "environment.json", "measurements.json", "findings.json", "controls.json")
PACKS = "packs.json"
TABLES = ("cases.parquet", "decisions.parquet")
MEDIA_TYPES = {
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".svg": "image/svg+xml",
    ".toml": "application/toml",
}


def media_type(name: str) -> str:
    """What the manifest says a file is, by its name."""
    return MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream")


@dataclass(frozen=True)
class BundleFile:
    """One line of the integrity manifest."""

    file: str
    sha256: str
    size: int
    media_type: str


@dataclass(frozen=True)
class Bundle:
    """An evidence bundle in memory: the records, the raw bytes of every file, and the manifest's lines.

    ``margins`` holds, by arm (``race=White``), the sorted decision margins in logits of the cases that stand in it.
    """

    plan: Plan
    run: RunRecord
    environment: Environment
    measurements: tuple[Measurement, ...]
    findings: tuple[Finding, ...]
    controls: Controls
    packs: tuple[dict[str, Any], ...]
    files: tuple[BundleFile, ...]
    manifest_sha256: str
    contents: Mapping[str, bytes]

    @property
    def design_sha256(self) -> str:
        """Hash of the design, as the run record states it (``verification`` recomputes it)."""
        return self.run.design_sha256

    @property
    def run_sha256(self) -> str:
        """Hash of the frozen run record: its canonical JSON, without the line end of the file."""
        return sha256_bytes(self.contents["run.json"].removesuffix(b"\n"))

    @cached_property
    def asked(self) -> Asked | None:
        """Cases and decisions; ``None`` where the bundle does not hold both."""
        from reports.evidence_tables import asked

        return asked(self.contents)

    @cached_property
    def renderer(self) -> Renderer:
        """What drew the figures and sets the pages, as the manifest names it."""
        from reports.renderer import Renderer, named

        if MANIFEST not in self.contents:
            return Renderer()
        return named(parse(self.contents[MANIFEST], where=MANIFEST))

    @cached_property
    def margins(self) -> dict[str, tuple[float, ...]]:
        """Sorted margins by arm; empty where the bundle holds no scored decisions."""
        import polars as pl

        if self.asked is None:
            return {}
        cases, decisions = self.asked.cases, self.asked.decisions
        rows = (
            cases.filter(pl.col("role").is_in(("actual", "counterfactual")))
            .select("id", "arms")
            .join(decisions.select("case_id", "margin"), left_on="id", right_on="case_id")
            .explode("arms")
            .drop_nulls(("arms", "margin"))
            .sort("arms", "margin")
        )
        return {
            str(arm[0]): tuple(part["margin"].to_list()) for arm, part in rows.group_by("arms", maintain_order=True)
        }

    @cached_property
    def example(self) -> tuple[str, str] | None:
        """Number and prompt of the first application as filed; ``None`` where the bundle holds no cases."""
        if TABLES[0] not in self.contents:
            return None
        import polars as pl

        from reports.evidence_tables import read_columns

        cases = read_columns(self.contents[TABLES[0]], ("cluster", "id", "role", "prompt"), where=TABLES[0])
        first = cases.filter(pl.col("role") == "actual").sort("id").head(1).to_dicts()
        return (str(first[0]["cluster"]), str(first[0]["prompt"])) if first else None

    @cached_property
    def printable(self) -> tuple[Measurement, ...]:
        """The measurements as they may be printed; ``result.json`` and this bundle hold what was measured."""
        return printable(
            self.measurements, small_cell=self.plan.thresholds.small_cell, total=self.run.data.applications
        )

    def measured(self, *, test: str | None = None, metric: str | None = None) -> tuple[Measurement, ...]:
        """The measurements of a test or metric as they may be printed, in file order."""
        return tuple(item for item in self.printable if test in (None, item.test) and metric in (None, item.metric))


def read_bundle(path: Path) -> Bundle:
    """Read a bundle and check it against its manifest.

    Parameters
    ----------
    path
        A folder, or ``evidence.zip``.

    Raises
    ------
    InputError
        If the bundle cannot be read, a file is missing, or a file's hash is not the manifest's.
    """
    contents = read_files(path)
    if MANIFEST not in contents:
        raise InputError(str(path), "holds no manifest.json", "an evidence bundle")
    manifest = parse(contents[MANIFEST], where=f"{path}: {MANIFEST}")
    files = tuple(BundleFile(**line) for line in manifest["files"])
    for line in files:
        if line.file not in contents:
            raise InputError(f"{path}: {line.file}", "is missing", "every file of the manifest")
        if sha256_bytes(contents[line.file]) != line.sha256:
            raise InputError(f"{path}: {line.file}", "is not the file the manifest lists", f"SHA-256 {line.sha256}")
    return bundle_from(contents, files=files, where=str(path))


def bundle_from(contents: Mapping[str, bytes], *, files: tuple[BundleFile, ...], where: str) -> Bundle:
    """Build a bundle from the bytes of its files; errors as in :func:`read_bundle`."""
    for name in RECORDS:
        if name not in contents:
            raise InputError(f"{where}: {name}", "is missing", f"an evidence bundle with {', '.join(RECORDS)}")
    record = {name: parse(contents[name], where=f"{where}: {name}") for name in RECORDS}
    packs = parse(contents[PACKS], where=f"{where}: {PACKS}") if PACKS in contents else []
    return Bundle(
        plan=_plan(record["plan.json"], where=f"{where}: plan.json"),
        run=RunRecord.read(record["run.json"], where=f"{where}: run.json"),
        environment=Environment.read(record["environment.json"], where=f"{where}: environment.json"),
        measurements=tuple(measurement_from(row) for row in record["measurements.json"]),
        findings=tuple(finding_from(row) for row in record["findings.json"]),
        controls=Controls.read(record["controls.json"], where=f"{where}: controls.json"),
        packs=tuple(packs),
        files=files,
        manifest_sha256=sha256_bytes(contents.get(MANIFEST, b"")),
        contents=contents,
    )


def read_files(path: Path) -> dict[str, bytes]:
    """The bytes of every file of a bundle by its name within the bundle.

    Raises
    ------
    InputError
        If the path cannot be read, is neither a folder nor a zip, or is too large.
    """
    try:
        return read_folder(path) if path.is_dir() else read_zip(path)
    except OSError as error:
        raise InputError(str(path), f"cannot be read ({error})", "an evidence folder or evidence.zip") from error


def parse(data: bytes, *, where: str) -> Any:
    """JSON from bytes; InputError with the place otherwise.

    A key that stands twice is refused: readers differ in which of the two they believe.
    """
    if len(data) > MOST_JSON:
        raise InputError(where, f"has {len(data):,} bytes", f"at most {MOST_JSON:,}")
    try:
        return json.loads(data, object_pairs_hook=_once, parse_constant=_finite, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise InputError(where, f"is not valid JSON ({error})", "canonical JSON") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {twice!r} appears twice")
    return found


def _number(digits: str) -> float:
    # 1e999 is a number of JSON, and infinite to Python.
    value = float(digits)
    return value if math.isfinite(value) else _finite(digits)


def _finite(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def measurement_from(row: Mapping[str, Any]) -> Measurement:
    """A measurement from its plain row (``Measurement.row``)."""
    values = dict(row)
    values["role"] = Role(values["role"])
    values["conclusion"] = Conclusion(values["conclusion"]) if values.get("conclusion") else None
    values["checks"] = tuple(Check(**check) for check in values.get("checks", ()))
    return Measurement(**values)


def finding_from(row: Mapping[str, Any]) -> Finding:
    """A finding from its plain row (``Finding.row``)."""
    values = dict(row)
    values["severity"] = Severity(values["severity"])
    values["conclusion"] = Conclusion(values["conclusion"]) if values.get("conclusion") else None
    values["criteria"] = tuple(values["criteria"])
    values["measurements"] = tuple(values["measurements"])
    return Finding(**values)


def _plan(design: Any, *, where: str) -> Plan:
    if not isinstance(design, Mapping):
        raise InputError(where, "is not an object", "a design")
    return plan_from({**design, "run": {}}, where=where)


def result_record(bundle: Bundle, governance: Governance) -> dict[str, Any]:
    """The content of ``result.json``: the governance record, the hashes, and every measurement and finding."""
    return {
        "audit": governance.given(),
        "design_sha256": bundle.design_sha256,
        "run_sha256": bundle.run_sha256,
        "model": bundle.run.model.plain(),
        "data": bundle.run.data.plain(),
        "measurements": [item.row() for item in bundle.measurements],
        "findings": [item.row() for item in bundle.findings],
        "controls": bundle.controls.plain(),
        "environment": bundle.environment.plain(),
    }


def result_bytes(bundle: Bundle, governance: Governance) -> bytes:
    """The bytes of ``result.json``: indented, finite, the same for the same bundle and record."""
    return pretty_json(result_record(bundle, governance)).encode()
