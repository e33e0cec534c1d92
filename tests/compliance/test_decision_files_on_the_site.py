"""A decision file on the site: uploaded as data, registered as what is audited, bound, run by a worker, shown."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from auditor.decision_files import open_decisions
from auditor.mapping_files import write_mapping
from auditor.plan import plan_from
from compliance import actions
from compliance.access.roles import Role
from compliance.audits.estimates import estimate
from compliance.exceptions import StateError
from compliance.execution import workers
from compliance.execution.job import JobState
from compliance.execution.workers import work
from compliance.governance.events import Actor
from compliance.models import (
    Audit,
    DataSetVersion,
    LanguageModelVersion,
    PlanVersion,
    Registration,
    RegistrationState,
    default_team,
)
from compliance.registry.registration import perform_registration
from tests.compliance.factories import make_applications
from tests.compliance.teams import make_person
from tests.observed.made_up import mapping, table
from tests.observed.test_a_plan_audits_a_decision_file import raw_plan

pytestmark = pytest.mark.django_db(transaction=True)
WHO = Actor(name="ada", role="command line")


@pytest.fixture(autouse=True)
def folder(settings: LazySettings, tmp_path: Path) -> Iterator[Path]:
    settings.DATA_FOLDER = tmp_path
    return tmp_path


@pytest.fixture
def officer() -> User:
    return make_person("officer", default_team(), [Role.COMPLIANCE_OFFICER])


@pytest.fixture
def browser(client: Client, officer: User) -> Client:
    client.force_login(officer)
    return client


def newest() -> Registration:
    return Registration.objects.order_by("-pk")[0]


def packed() -> bytes:
    return gzip.compress(table(1200, bias=1.5).write_csv().encode(), mtime=0)


def register_data(browser: Client) -> DataSetVersion:
    content = packed()
    form = {"team": default_team().pk, "name": "", "file": SimpleUploadedFile("decisions.csv.gz", content)}
    assert browser.post("/register/data/", form).status_code == 302
    row = newest()
    browser.post(f"/register/{row.public_id}/", {"mapping": write_mapping(mapping()), "register": ""})
    perform_registration(row.pk)
    return DataSetVersion.objects.get()


def model_form(source: str) -> dict[str, Any]:
    return {
        "team": default_team().pk,
        "source": source,
        "name": "Loan desk",
        "owner": "Lending",
        "purpose": "Approves loans",
        "decision_role": "determinative",
        "risk_tier": "2",
        "access": "outputs",
    }


def register_decisions(browser: Client, source: str = "decisions:made_up") -> LanguageModelVersion:
    answer = browser.post("/register/model/", model_form(source))
    assert answer.status_code == 302, answer.content.decode()
    perform_registration(newest().pk)
    return LanguageModelVersion.objects.get()


def plan_version(**changes: Any) -> PlanVersion:
    plan = plan_from(raw_plan(Path("x.csv"), tests={"run": ["observed_rates"]}, **changes), where="plan")
    return actions.register_plan(plan=plan, actor=WHO)


def test_decisions_are_registered_bound_run_and_shown(browser: Client, folder: Path) -> None:
    data = register_data(browser)
    model = register_decisions(browser)
    assert model.sha256 == data.fingerprint
    assert model.described.identity.is_decision_file
    assert model.language_model.owner == "Lending"
    plan = plan_version()
    assert estimate(plan=plan, model=model, data=data).fits
    audit = actions.request_audit(plan=plan, model=model, data=data, queue="celery", request_key="k" * 32, actor=WHO)
    work(audit.pk)
    audit = Audit.objects.get()
    assert (audit.state, audit.error) == (JobState.DONE, "")
    assert audit.run.model.source == "decisions:made_up"
    assert str(folder) not in audit.run_json
    page = browser.get(f"/audits/{audit.number}/").content.decode()
    assert "Nobody was asked" in page
    assert "Decisions taken: how did groups fare?" in page
    assert "only the attribute changes" not in page
    assert "Decisions taken: applicants with race Black" in page
    assert browser.get(f"/models/{model.pk}/").status_code == 200
    assert f"/audits/{audit.number}/cases/" not in page, "nobody was asked: there are no cases to be led to"
    for address in sorted(set(re.findall(rf'href="(/audits/{audit.number}/(?:sections|numbers)/[^"#?]+)', page))):
        opened = browser.get(address)
        assert opened.status_code == 200, address
        assert f"/audits/{audit.number}/cases/" not in opened.content.decode(), address


def test_decisions_are_audited_with_their_own_data_alone(browser: Client) -> None:
    data = register_data(browser)
    model = register_decisions(browser)
    other = actions.register_data(data=make_applications(), actor=WHO)
    plan = plan_version()
    found = estimate(plan=plan, model=model, data=other)
    assert not found.fits
    assert "is audited by its own decisions" in found.problem
    with pytest.raises(StateError, match="is audited by its own decisions"):
        actions.request_audit(plan=plan, model=model, data=other, queue="celery", request_key="k" * 32, actor=WHO)
    colour = plan_version(attributes=[{"field": "colour", "groups": ["a", "b"], "reference": "a"}])
    assert "'colour' is not a protected field" in estimate(plan=colour, model=model, data=data).problem


def test_registering_decisions_is_bounded_as_other_work_on_strangers_files(
    browser: Client, settings: LazySettings
) -> None:
    register_data(browser)
    settings.PREPARE_SECONDS = 0.001
    assert browser.post("/register/model/", model_form("decisions:made_up")).status_code == 302
    perform_registration(newest().pk)
    row = newest()
    assert row.state == RegistrationState.FAILED
    assert row.error == (
        "decisions:made_up: registering its decisions takes longer than 0 s; PLUMBLINE_PREPARE_SECONDS allows more"
    )


def test_concluding_on_decisions_is_bounded_too(
    browser: Client, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = register_data(browser)
    model = register_decisions(browser)
    audit = actions.request_audit(
        plan=plan_version(), model=model, data=data, queue="celery", request_key="k" * 32, actor=WHO
    )
    conclude = workers._conclude

    def with_no_time(*args: Any, **named: Any) -> None:
        settings.PREPARE_SECONDS = 0.001
        conclude(*args, **named)

    monkeypatch.setattr(workers, "_conclude", with_no_time)
    work(audit.pk)
    audit = Audit.objects.get()
    assert audit.state == JobState.FAILED
    assert "takes longer than 0 s; PLUMBLINE_PREPARE_SECONDS allows more" in audit.error


def test_a_name_of_no_data_set_of_the_team_is_refused(browser: Client) -> None:
    for source in ("decisions:nothing", "decisions:/etc/passwd", "decisions:"):
        answer = browser.post("/register/model/", model_form(source))
        assert answer.status_code == 400
        assert "names no data set of this team" in answer.content.decode()
    assert not Registration.objects.exists()


def test_a_file_that_a_command_line_entered_first_is_audited_from_its_upload(browser: Client, folder: Path) -> None:
    path = folder / "elsewhere.csv.gz"
    path.write_bytes(packed())
    means = folder / "mapping.toml"
    means.write_text(write_mapping(mapping()))
    entered = actions.register_data(data=open_decisions(f"decisions:{path}", str(means)).survey, actor=WHO)
    assert not entered.file
    path.unlink()
    data, model, plan = register_data(browser), register_decisions(browser), plan_version()
    assert data == entered
    audit = actions.request_audit(plan=plan, model=model, data=data, queue="celery", request_key="k" * 32, actor=WHO)
    work(audit.pk)
    audit.refresh_from_db()
    assert (audit.state, audit.error) == (JobState.DONE, "")
