"""A finished audit without a model: rows entered by the actions, evidence simulated and published."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import polars as pl
from django.utils import timezone

from auditor.canonical import canonical_json, sha256_file
from auditor.evidence import CASES_SCHEMA
from auditor.plan import read_plan
from auditor.run_record import RunRecord
from compliance import actions
from compliance.execution.runner import PUBLISHED, audit_folder
from compliance.models import Audit
from reports.bundle import read_bundle
from reports.publish import publish
from tests.compliance.factories import ACTOR, make_applications
from tests.compliance.inside import add_inside
from tests.records import NO_FILES
from tests.reports.conftest import GOVERNANCE, PACKS
from tests.reports.simulate import PLAN, write_evidence


def simulate(base: Path, *, weights: str = "weights", bias: float = -0.9, attributed: bool = True) -> Path:
    """A published audit: an evidence folder with prompts and spans as the engine writes them, and the four files.

    ``weights`` names the model version, ``bias`` is how much it lowers the margin of one group, in nats; it holds what
    every field did to the decisions only if ``attributed``.
    """
    folder = base / "evidence"
    write_evidence(folder, packs=PACKS, mute=False, weights=weights, bias=bias)
    rows = pl.read_parquet(folder / "cases.parquet").to_dicts()
    pl.DataFrame([_with_prompt(row) for row in rows], schema=CASES_SCHEMA, orient="row").write_parquet(
        folder / "cases.parquet"
    )
    add_inside(folder)
    if not attributed:
        (folder / "attributions.parquet").unlink()
    publish(folder, GOVERNANCE, base)
    return base


def finish(base: Path, *, finished_at: datetime | None = None, governed: bool = False) -> Audit:
    """Enter, run and finish the audit that left this evidence; its files are where the runner puts them.

    ``governed``: asked for by a person, with a design that another one has approved.
    """
    from tests.compliance.governed import approved, asked_for  # which makes its people here

    evidence = base / "evidence"
    run = RunRecord.read((evidence / "run.json").read_bytes(), where="run.json")
    cut: dict[str, Any] = {
        "run": run,
        "chunks": (),
        "prompts": pl.read_parquet(evidence / "cases.parquet").height,
        "tokens": 1000,
        "actor": ACTOR,
    }
    bound: dict[str, Any] = {
        "model": actions.register_model(
            source=run.model.source, sha256=run.model.sha256, manifest=NO_FILES, actor=ACTOR
        ),
        "data": actions.register_data(data=make_applications(), actor=ACTOR),
        "plan": actions.register_plan(plan=read_plan(PLAN), actor=ACTOR),
    }
    if governed:
        audit = asked_for(**{**bound, "plan": approved(bound["plan"])})
        actions.freeze_audit(audit=audit, **cut)
    else:
        command = "python manage.py audit plans/mortgage-hmda.toml"
        audit = actions.start_ungoverned_audit(**cut, **bound, command=command)
    actions.begin_audit(audit=audit, actor=ACTOR)
    audit.refresh_from_db()
    folder = audit_folder(audit)
    shutil.copytree(base, folder)
    bundle = read_bundle(folder / "evidence")
    actions.finish_audit(
        audit=audit,
        measurements=bundle.measurements,
        findings=bundle.findings,
        files={name: sha256_file(folder / name) for name in PUBLISHED},
        finished_at=finished_at or timezone.now(),
        actor=ACTOR,
    )
    return audit


def _with_prompt(row: dict[str, Any]) -> dict[str, Any]:
    groups = json.loads(row["groups"])
    prompt, spans = f"Application {row['cluster']} <b>& more</b>\n", []
    for field, group in groups.items():
        prompt += f"{field}: "
        spans.append({"field": field, "start": len(prompt), "stop": len(prompt) + len(group)})
        prompt += f"{group}\n"
    listed = [{"field": field, "group": group} for field, group in groups.items()]
    return {**row, "groups": listed, "spans": spans, "prompt": prompt + "Decision:"}


def record_as_published(audit: Audit) -> None:
    """Make the archive of what stands in the evidence folder, and record it: evidence as another version published it.

    Only the owner of a database can (`test_tampering.owner`).
    """
    folder = audit_folder(audit)
    manifest = json.loads((folder / "evidence" / "manifest.json").read_text())
    for line in manifest["files"]:
        line["sha256"] = sha256_file(folder / "evidence" / line["file"])
    (folder / "evidence" / "manifest.json").write_bytes(canonical_json(manifest))
    with ZipFile(folder / "evidence.zip", "w") as archive:
        for name in ("manifest.json", *(line["file"] for line in manifest["files"])):
            archive.write(folder / "evidence" / name, name)
    audit.files = {**audit.files, "evidence.zip": sha256_file(folder / "evidence.zip")}
    Audit.objects.filter(pk=audit.pk).update(files=audit.files)
