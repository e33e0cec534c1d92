"""Evidence that was changed together with its manifest is not shown: the recorded archive says which manifest it is."""

from __future__ import annotations

import pytest
from django.test import Client

from auditor.canonical import sha256_bytes
from compliance.dashboard.evidence import open_evidence
from compliance.exceptions import EvidenceError
from compliance.execution.runner import audit_folder
from compliance.models import Audit


def test_a_manifest_that_was_written_anew_with_its_files_is_refused(signed_in: Client, finished: Audit) -> None:
    folder = audit_folder(finished) / "evidence"
    controls, manifest = folder / "controls.json", folder / "manifest.json"
    held = open_evidence(finished)
    changed = controls.read_bytes() + b"\n"
    lines = manifest.read_bytes().replace(held.hashes["controls.json"].encode(), sha256_bytes(changed).encode())
    controls.write_bytes(changed)
    manifest.write_bytes(lines)
    with pytest.raises(EvidenceError, match=r"manifest\.json: is not the one in evidence\.zip; expected SHA-256"):
        open_evidence(finished)
    page = signed_in.get("/audits/A-0001/").content.decode()
    assert "The evidence cannot be shown." in page
    assert signed_in.get("/audits/A-0001/sections/limitations/").status_code == 404
    assert signed_in.get("/audits/A-0001/cases/").status_code == 404


def test_an_archive_that_is_not_the_recorded_one_vouches_for_no_manifest(finished: Audit) -> None:
    archive = audit_folder(finished) / "evidence.zip"
    archive.write_bytes(archive.read_bytes() + b"\n")
    with pytest.raises(EvidenceError, match=r"evidence\.zip: is not the file that was recorded; expected SHA-256"):
        open_evidence(finished)
    archive.unlink()
    with pytest.raises(EvidenceError, match=r"evidence\.zip: cannot be read: .*; expected the published file"):
        open_evidence(finished)
