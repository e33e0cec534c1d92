"""Two finished audits, simulated with a fixed seed: a model that works and one that answers nobody."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from auditor.canonical import sha256_file
from auditor.policies.packs import load_packs
from reports.bundle import Bundle, read_bundle
from reports.governance import Governance
from reports.publish import ANNEX, EVIDENCE, REPORT, RESULT, Published, publish
from tests.once import once
from tests.reports.simulate import write_evidence

PACKS = [pack.content for pack in load_packs(("us-ecoa-regb", "us-fha"), where="tests")]
GOVERNANCE = Governance.read(
    {
        "audit_id": "A-0001",
        "title": "Mortgage approval decisions",
        "governed": False,
        "status": "complete",
        "started_at": "2026-11-22T20:11:00+00:00",
        "finished_at": "2026-11-22T20:52:00+00:00",
        "requested_by": "command line",
        "command": "python manage.py audit plans/mortgage-hmda.toml",
        "runs_on_this_model": 1,
        "events_head": None,
        "signatures": [],
    },
    where="tests",
)


@dataclass(frozen=True)
class Audit:
    """A published audit and the bundle behind it."""

    folder: Path
    published: Published
    bundle: Bundle

    @property
    def text(self) -> str:
        """What a reader of the report and its annex sees, pages joined, white space folded."""
        from pypdf import PdfReader

        both = (self.published.report, self.published.annex)
        pages = [page for path in both for page in PdfReader(io.BytesIO(path.read_bytes())).pages]
        return " ".join(" ".join(page.extract_text() for page in pages).split())


def _audit(name: str, *, mute: bool) -> Audit:
    def make(base: Path) -> None:
        write_evidence(base / "evidence", packs=PACKS, mute=mute)
        publish(base / "evidence", GOVERNANCE, base / "out")

    base = once(name, make)
    report, annex, result, evidence = (base / "out" / name for name in (REPORT, ANNEX, RESULT, EVIDENCE))
    hashes = {path.name: sha256_file(path) for path in (evidence, result, annex, report)}
    published = Published(report=report, annex=annex, result=result, evidence=evidence, sha256s=hashes)
    return Audit(base / "evidence", published, read_bundle(base / "evidence"))


@pytest.fixture(scope="session")
def working() -> Audit:
    """A model that approves nine in ten and changes some decisions with race."""
    return _audit("working", mute=False)


@pytest.fixture(scope="session")
def mute() -> Audit:
    """A model that puts no probability on the answers."""
    return _audit("mute", mute=True)


@pytest.fixture(scope="session")
def packs() -> list[dict]:
    """The policy packs of the ready-made plan."""
    return PACKS


@pytest.fixture
def governance() -> dict:
    """The audit's record."""
    return GOVERNANCE


@pytest.fixture
def files(working: Audit, tmp_path: Path) -> dict[str, Path]:
    """Copies of what was published, to change."""
    copies = {}
    for kind in ("report", "result", "evidence"):
        source = getattr(working.published, kind)
        copies[kind] = Path(shutil.copy(source, tmp_path / source.name))
    return copies
