"""A record that this version cannot read is told in one line, and nothing else falls with it."""

from __future__ import annotations

import json
from html import unescape

import pytest
from django.db import connection
from django.test import Client

from auditor.canonical import canonical_json
from compliance.execution.runner import audit_folder
from compliance.models import Audit
from tests.compliance.finished import record_as_published
from tests.compliance.test_tampering import owner

UNKNOWN = "of_a_later_version"


def store(audit: Audit, *, column: str, text: str) -> None:
    """Enter a text in the place of what this version wrote, as another version would have."""
    table, key = {
        "design_json": ("compliance_planversion", audit.plan_id),
        "run_json": ("compliance_audit", audit.pk),
        "manifest": ("compliance_languagemodelversion", audit.model_id),
        "mapping": ("compliance_datasetversion", audit.data_id),
    }[column]
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [text, key])


@pytest.mark.parametrize("address", ["/audits/A-0001/", "/audits/A-0001/cases/"])
def test_a_plan_of_another_version_is_told_in_one_line(signed_in: Client, finished: Audit, address: str) -> None:
    with owner():
        store(finished, column="design_json", text=json.dumps({**finished.plan.design, UNKNOWN: 1}))
        answer = signed_in.get(address)
        assert answer.status_code == 404
        assert f"{finished.plan}: {UNKNOWN}: " in unescape(answer.content.decode())


def test_a_run_of_another_version_is_told_in_one_line(signed_in: Client, finished: Audit) -> None:
    with owner():
        store(finished, column="run_json", text=canonical_json({"design_sha256": "0" * 64}).decode())
        answer = signed_in.get("/audits/A-0001/")
        assert answer.status_code == 404
        assert "A-0001: run: design: field required" in answer.content.decode()


def test_controls_of_another_version_leave_the_rest_of_the_page(signed_in: Client, finished: Audit) -> None:
    folder = audit_folder(finished) / "evidence"
    (folder / "controls.json").write_text(json.dumps({"noise_floor": "none"}))
    with owner():
        record_as_published(finished)
        page = unescape(signed_in.get("/audits/A-0001/").content.decode())
    assert "! The evidence cannot be shown. controls.json: noise_floor: 'none'" in page
    assert 'id="findings"' in page


@pytest.mark.parametrize(
    ("column", "address", "said"),
    [
        ("design_json", "/admin/compliance/planversion/{plan}/change/", ": field required; expected"),
        ("manifest", "/admin/compliance/languagemodelversion/{model}/change/", "manifest: identity: field required"),
        ("mapping", "/admin/compliance/datasetversion/{data}/change/", "mapping: name: field required"),
    ],
)
def test_the_administration_shows_a_record_that_it_cannot_read(
    admin_client: Client, finished: Audit, column: str, address: str, said: str
) -> None:
    where = address.format(plan=finished.plan_id, model=finished.model_id, data=finished.data_id)
    with owner():
        store(finished, column=column, text=json.dumps({UNKNOWN: {"a": 1}}))
        answer = admin_client.get(where)
        assert answer.status_code == 200
        assert said in unescape(answer.content.decode())
