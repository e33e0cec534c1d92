"""Publishing an audit: figures and manifest into the evidence folder, then bundle, result and report."""

from __future__ import annotations

import contextlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.canonical import canonical_json, sha256_bytes, sha256_file
from auditor.exceptions import StorageError, reason_of
from reports.blocks import ReportContent
from reports.bundle import MANIFEST, bundle_from, media_type, read_bundle, read_files, result_bytes
from reports.charts import render_charts
from reports.content import build_annex, build_content
from reports.governance import Governance
from reports.lint import refuse_claims, typed_words
from reports.pdf import render_pdf
from reports.renderer import installed

FIGURES = "figures"
REPORT, ANNEX, RESULT, EVIDENCE = "report.pdf", "annex.pdf", "result.json", "evidence.zip"
# Zip knows no earlier moment; a fixed one keeps the archive's bytes free of the clock.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Published:
    """Where the four files are, and their SHA-256 by file name."""

    report: Path
    annex: Path
    result: Path
    evidence: Path
    sha256s: dict[str, str]


def publish(folder: Path, governance: Governance, out: Path) -> Published:
    """Write figures and manifest into an evidence folder, and the four deliverables beside each other.

    Parameters
    ----------
    folder
        The evidence folder as the engine wrote it: records and tables, no manifest needed.
    governance
        The audit's record (see :func:`reports.content.build_content`).
    out
        Where ``report.pdf``, ``annex.pdf``, ``result.json`` and ``evidence.zip`` go; made if it is not there.

    Returns
    -------
    Published
        The same bytes for the same folder and record.

    Raises
    ------
    InputError
        If the folder is no evidence folder, or a sentence of the report itself claims what no report may.
    StorageError
        If something could not be written, for example because the disk is full; no half-written file keeps its name.
    """
    charts = render_charts(bundle_from(read_files(folder), files=(), where=str(folder)))
    _clear_figures(folder / FIGURES)
    for chart in charts.values():
        write_atomically(folder / FIGURES / f"{chart.name}.svg", chart.svg.encode())
    write_manifest(folder)
    bundle = read_bundle(folder)
    result = result_bytes(bundle, governance)
    typed = typed_words(governance, bundle.run)

    def set_(content: ReportContent) -> bytes:
        refuse_claims(content, packs=bundle.packs, typed=typed)
        return render_pdf(content, result=result)

    annex = set_(build_annex(bundle, governance, charts=charts))
    report = set_(build_content(bundle, governance, charts=charts, annex_sha256=sha256_bytes(annex)))
    paths = {EVIDENCE: zip_bytes(folder), RESULT: result, ANNEX: annex, REPORT: report}
    for name, data in paths.items():
        write_atomically(out / name, data)
    return Published(
        report=out / REPORT,
        annex=out / ANNEX,
        result=out / RESULT,
        evidence=out / EVIDENCE,
        sha256s={name: sha256_bytes(data) for name, data in paths.items()},
    )


def write_manifest(folder: Path) -> dict[str, Any]:
    """Write ``manifest.json``: every other file with hash, size and media type, the two run hashes, and the renderer.

    Raises
    ------
    InputError
        If the folder holds no run record.
    StorageError
        If the manifest cannot be written.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    run = bundle_from(read_files(folder), files=(), where=str(folder))
    drawn = installed()
    manifest = {
        "files": [
            {
                "file": name,
                "sha256": sha256_file(folder / name),
                "size": (folder / name).stat().st_size,
                "media_type": media_type(name),
            }
            for name in names
            if name != MANIFEST
        ],
        "renderer": {"version": drawn.version, "sha256": drawn.sha256},
        "run_sha256": run.run_sha256,
        "design_sha256": run.design_sha256,
    }
    write_atomically(folder / MANIFEST, canonical_json(manifest))
    return manifest


def zip_bytes(folder: Path) -> bytes:
    """The folder as a zip: files sorted by name, one fixed date, one fixed mode."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in sorted(read_files(folder).items()):
            entry = zipfile.ZipInfo(name, date_time=ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return stream.getvalue()


def write_atomically(target: Path, data: bytes) -> None:
    """Write under a temporary name and rename; StorageError otherwise, and nothing under the final name."""
    partial = target.with_name(target.name + ".partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise StorageError(
            f"{target}: cannot be written: {reason_of(error)}; expected room and permission to write"
        ) from error


def _clear_figures(figures: Path) -> None:
    """Remove figures of an earlier report: the manifest lists what is there."""
    for stale in figures.glob("*.svg"):
        stale.unlink()
