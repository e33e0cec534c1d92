"""Reading an audit's evidence folder: every file is checked against a recorded hash before it is shown."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree as ET

from django.utils.translation import gettext as _

from auditor.canonical import sha256_bytes, sha256_file
from auditor.controls import Controls
from compliance.exceptions import EvidenceError
from compliance.execution.runner import PUBLISHED, audit_folder
from compliance.models import Audit
from compliance.refusals import reason_said
from reports.bundle import MANIFEST
from reports.canvas import Chart
from reports.publish import EVIDENCE, FIGURES

# What our own charts are drawn with. Anything else in a kept figure is not ours, and is not put into a page.
ELEMENTS = frozenset({"svg", "title", "desc", "g", "path", "line", "rect", "circle", "text", "tspan"})
FORBIDDEN_ATTRIBUTE = re.compile(r"^on|href$|^style$|^src$", re.IGNORECASE)
MANIFESTS = 1_000
"""Audits the hash of whose manifest a process keeps: a line each."""
SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True, kw_only=True)
class EvidenceFolder:
    """The evidence of one audit: ``hashes`` are those of its manifest, ``manifest_sha256`` is the bundle's."""

    folder: Path
    hashes: dict[str, str]
    manifest_sha256: str

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises
        ------
        EvidenceError
            If the file is not there or is not the one the manifest lists.
        """
        try:
            content = (self.folder / name).read_bytes()
        except OSError as error:
            raise EvidenceError(_unread(name, error)) from error
        listed = self.manifest_sha256 if name == MANIFEST else self.hashes.get(name)
        if sha256_bytes(content) != listed:
            raise EvidenceError(_other(name, listed))
        return content

    def table(self, name: str) -> Path:
        """The path of a table whose hash was checked; errors as in :meth:`read`."""
        path = self.folder / name
        if not path.is_file():
            raise EvidenceError(_("{name}: is missing; expected a file of the evidence folder").format(name=name))
        if sha256_file(path) != self.hashes.get(name):
            raise EvidenceError(_other(name, self.hashes.get(name)))
        return path

    @property
    def files(self) -> CheckedFiles:
        """Every file of the bundle by its name, its manifest too, read when it is asked for."""
        return CheckedFiles(self)

    def stamps(self) -> tuple[tuple[str, int, int, int], ...]:
        """What tells that a file was replaced or written to, without reading it; errors as in :meth:`read`."""
        return tuple(self._stamp(name) for name in self.files)

    def _stamp(self, name: str) -> tuple[str, int, int, int]:
        try:
            stat = (self.folder / name).stat()
        except OSError as error:
            raise EvidenceError(_unread(name, error)) from error
        return name, stat.st_size, stat.st_mtime_ns, stat.st_ino

    def controls(self) -> Controls:
        """What the audit found out about itself."""
        return Controls.read(self.read("controls.json"), where="controls.json")

    def charts(self) -> dict[str, Chart]:
        """The figures that were drawn when the run was concluded, by name."""
        names = sorted(name for name in self.hashes if name.startswith(f"{FIGURES}/") and name.endswith(".svg"))
        return {Path(name).stem: chart_from(Path(name).stem, self.read(name).decode()) for name in names}


@dataclass(frozen=True, eq=False)
class CheckedFiles(Mapping[str, bytes]):
    """The files of an evidence folder; what nobody asks for is not read, and what is read is checked."""

    evidence: EvidenceFolder

    def __getitem__(self, name: str) -> bytes:
        if name not in self:
            raise KeyError(name)
        return self.evidence.read(name)

    def __contains__(self, name: object) -> bool:
        return name == MANIFEST or name in self.evidence.hashes

    def __iter__(self) -> Iterator[str]:
        yield MANIFEST
        yield from self.evidence.hashes

    def __len__(self) -> int:
        return 1 + len(self.evidence.hashes)


def open_evidence(audit: Audit) -> EvidenceFolder:
    """The evidence folder of a finished audit.

    Raises
    ------
    EvidenceError
        If there is none, or its manifest is not that of the evidence that was recorded.
    """
    folder = audit_folder(audit)
    recorded = _manifest_in(folder / EVIDENCE, str(audit.files.get(EVIDENCE)))
    return evidence_in(folder / "evidence", of=str(audit), manifest_sha256=recorded)


def evidence_in(folder: Path, *, of: str, manifest_sha256: str) -> EvidenceFolder:
    """The evidence in a folder under the manifest of this hash; ``of`` is whose it is, for errors."""
    try:
        manifest = (folder / MANIFEST).read_bytes()
    except OSError as error:
        line = _("{name}: cannot be read: {reason}; expected the evidence on this server")
        raise EvidenceError(line.format(name=f"{of}: {MANIFEST}", reason=reason_said(error))) from error
    # Whoever can write the folder can write a manifest that fits it; the archive's hash is in the database.
    if sha256_bytes(manifest) != manifest_sha256:
        line = _("{name}: is not the one in {archive}; expected SHA-256 {sha256}")
        raise EvidenceError(line.format(name=f"{of}: {MANIFEST}", archive=EVIDENCE, sha256=manifest_sha256))
    hashes = {line["file"]: line["sha256"] for line in json.loads(manifest)["files"]}
    return EvidenceFolder(folder=folder, hashes=hashes, manifest_sha256=manifest_sha256)


@lru_cache(maxsize=MANIFESTS)
def _manifest_in(archive: Path, recorded: str) -> str:
    """The SHA-256 of the manifest in the archive of this hash: read once, since it can be no other one later."""
    try:
        with archive.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != recorded:
                line = _("{name}: is not the file that was recorded; expected SHA-256 {sha256}")
                raise EvidenceError(line.format(name=EVIDENCE, sha256=recorded))
            with zipfile.ZipFile(file) as opened:
                return sha256_bytes(opened.read(MANIFEST))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        line = _("{name}: cannot be read: {reason}; expected the published file on this server")
        reason = reason_said(error) if isinstance(error, OSError) else _("it holds no manifest that can be read")
        raise EvidenceError(line.format(name=EVIDENCE, reason=reason)) from error


def chart_from(name: str, svg: str) -> Chart:
    """A kept figure as a chart.

    Raises
    ------
    EvidenceError
        If it holds anything that our charts are not drawn with: scripts, links, styles, foreign elements.
    """
    if "<!" in svg or "<?" in svg:
        raise EvidenceError(_("{name}: holds a declaration; expected a chart drawn by an audit").format(name=name))
    try:
        root = ET.fromstring(svg)  # noqa: S314, declarations, and so entities, are refused above
    except ET.ParseError as error:
        line = _("{name}: is not valid SVG (line {line}, column {column}); expected a chart drawn by an audit")
        row, column = error.position
        raise EvidenceError(line.format(name=name, line=row, column=column)) from error
    for element in root.iter():
        known = element.tag.startswith(SVG) and element.tag.removeprefix(SVG) in ELEMENTS
        if not known or any(FORBIDDEN_ATTRIBUTE.search(key) for key in element.keys()):  # noqa: SIM118, not a dict
            line = _("{name}: holds {element}; expected a chart drawn by an audit")
            raise EvidenceError(line.format(name=name, element=element.tag))
    title, description = (root.findtext(f"{SVG}{part}", "") for part in ("title", "desc"))
    width, height = (int(float(root.get(side, "0"))) for side in ("width", "height"))
    return Chart(name, title, description, "", svg, width, height)


def _unread(name: str, error: OSError) -> str:
    line = _("{name}: cannot be read: {reason}; expected a file of the evidence folder")
    return line.format(name=name, reason=reason_said(error))


def _other(name: str, listed: str | None) -> str:
    return _("{name}: is not the file the manifest lists; expected SHA-256 {sha256}").format(name=name, sha256=listed)


def kept_file(audit: Audit, name: str) -> Path | None:
    """A published file, if it is on this server and is the one that was recorded."""
    path = audit_folder(audit) / name
    if name not in PUBLISHED or not path.is_file() or sha256_file(path) != audit.files.get(name):
        return None
    return path
