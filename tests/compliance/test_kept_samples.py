"""Estimates and previews read what a worker kept of a table; no page reads the table itself, however small it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from auditor.applications import Applications
from auditor.plan import plan_from
from compliance import actions
from compliance.access.roles import Role
from compliance.audits import binding
from compliance.audits.binding import registered_data
from compliance.audits.estimates import NOT_KEPT, estimate
from compliance.models import DataSetVersion, LanguageModelVersion, PlanVersion, Registration, default_team
from compliance.plans import preview as previews
from compliance.plans.preview import preview
from compliance.registry import records
from compliance.registry.keeping import kept
from compliance.registry.registration import perform_registration
from tests.compliance.factories import ACTOR
from tests.compliance.jobs import person
from tests.compliance.teams import make_person
from tests.records import NO_FILES

pytestmark = pytest.mark.django_db
CSV = b"applicant_id,race,income,approved\n" + b"".join(
    b"K%04d,%s,%s,%d\n" % (n, (b"White", b"Black")[n % 2], b"" if n == 7 else b"%d.25" % (30 + n), n % 3 > 0)
    for n in range(60)
)
PLAN = {
    "schema": 1, "name": "small", "title": "Small",
    "use": {"business_use": "Loans", "decision_role": "advisory"},
    "prompt": {"template": "Income {income}, race {race}:", "answers": {"favourable": [" yes"], "adverse": [" no"]}},
    "cases": {"limit": 20, "seed": 1},
    "attributes": [{"field": "race", "groups": ["White", "Black"], "reference": "White"}],
    "tests": {"run": ["counterfactual"]},
}  # fmt: skip


@pytest.fixture
def version(client: Client, settings: LazySettings, tmp_path: Path) -> DataSetVersion:
    """A table that somebody uploaded and a worker registered."""
    settings.DATA_FOLDER, settings.MODEL_FOLDER = tmp_path / "data", tmp_path / "store"
    settings.DATA_FOLDER.mkdir()
    client.force_login(make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER]))
    form = {"team": default_team().pk, "name": "", "file": SimpleUploadedFile("loans.csv", CSV)}
    assert client.post("/register/data/", form).status_code == 302
    row = Registration.objects.get()
    client.post(f"/register/{row.public_id}/", {"mapping": row.look["mapping"], "register": ""})
    perform_registration(row.pk)
    row.refresh_from_db()
    assert row.data_version is not None, row.error
    return row.data_version


def rows() -> tuple[PlanVersion, LanguageModelVersion]:
    return (
        actions.register_plan(plan=plan_from(PLAN, where="small.toml"), actor=ACTOR),
        actions.register_model(source="demo:x", sha256="1" * 64, manifest=NO_FILES, actor=ACTOR),
    )


@pytest.fixture
def untouched(version: DataSetVersion, monkeypatch: pytest.MonkeyPatch) -> DataSetVersion:
    """The version, whose table is gone and cannot be read in this process either."""
    (binding.data_file(version)).unlink()

    def read(*_: object, **__: object) -> None:
        raise AssertionError("a page read the table")

    monkeypatch.setattr(binding, "read_table", read)
    monkeypatch.setattr("auditor.tables.read_table", read)
    previews._kept.cache_clear()
    return version


def test_what_is_kept_is_what_the_table_says(version: DataSetVersion) -> None:
    read, found = registered_data(version), kept(version)
    assert isinstance(found, Applications)
    assert found == read
    assert found.records[7].values["income"] is None


def test_an_estimate_and_its_page_read_no_table(untouched: DataSetVersion, client: Client) -> None:
    plan, model = rows()
    found = estimate(plan=plan, model=model, data=untouched)
    assert (found.problem, found.fits, found.prompts) == ("", True, 40)
    client.force_login(person("ada", "run_audit"))
    page = client.get("/admin/compliance/audit/request/")
    assert [offer.estimate.prompts for offer in page.context["offers"]] == [40]


def test_a_preview_reads_no_table(untouched: DataSetVersion) -> None:
    shown = preview(plan_from(PLAN, where="small.toml"), data=untouched, model=None)
    assert (len(shown.prompts), shown.applications, shown.problem) == (3, 20, None)


def test_without_a_sample_the_pages_say_so_and_the_audit_can_be_started(
    version: DataSetVersion, client: Client
) -> None:
    for path in (binding.settings.DATA_FOLDER / "kept").iterdir():
        path.unlink()
    previews._kept.cache_clear()
    plan, model = rows()
    found = estimate(plan=plan, model=model, data=version)
    assert (found.problem, found.fits, found.prompts) == (NOT_KEPT, True, None)
    assert preview(plan_from(PLAN, where="small.toml"), data=version, model=None).note == previews.NOT_KEPT
    client.force_login(person("ada", "run_audit"))
    assert "Start audit" in client.get("/admin/compliance/audit/request/").content.decode()


@pytest.mark.parametrize(("name", "most"), [("CELLS", 60 * 3 - 1), ("CHARACTERS", 500)])
def test_more_than_a_page_reads_is_not_kept(
    version: DataSetVersion, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    data = registered_data(version)
    assert json.loads(records.packed(data) or "")["names"] == ["race", "income", "approved"]
    monkeypatch.setattr(records, name, most)
    assert records.packed(data) is None
