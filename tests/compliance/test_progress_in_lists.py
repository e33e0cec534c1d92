"""Audits under way are seen from every list they belong to, and models are called as the register calls them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from compliance import actions
from compliance.access.roles import Role
from compliance.execution.ledger import DatabaseLedger
from compliance.models import Audit, LanguageModel, Team, default_team
from tests.compliance.factories import ACTOR, make_audit
from tests.compliance.teams import make_person, make_team_audit
from tests.compliance.test_officers_site import text_of
from tests.records import NO_FILES

BOUND = ("languagemodel", "languagemodelversion", "datasetversion", "planversion")


@pytest.fixture
def running(db: None) -> Audit:
    """An audit of which a third is scored."""
    audit = make_audit()
    ledger = DatabaseLedger(audit)
    assert ledger.claim(0)
    assert ledger.complete(0, b"{}")
    return audit


@pytest.fixture
def ada(db: None, client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


@pytest.mark.parametrize("register", [*BOUND, "audit"])
def test_a_register_shows_how_far_the_audits_of_its_rows_are(ada: Client, running: Audit, register: str) -> None:
    page = ada.get(f"/admin/compliance/{register}/").content.decode()
    assert page.count('<progress class="slim" value="2" max="6" aria-label="A-0001 scored">') == 1
    assert '<a href="/audits/A-0001/">' in page
    actions.fail_audit(audit=running, error="no space left", actor=ACTOR)
    assert ("<progress" in ada.get(f"/admin/compliance/{register}/").content.decode()) is (register == "audit")


@pytest.mark.parametrize("register", BOUND)
def test_more_audits_under_way_cost_no_more_queries(ada: Client, running: Audit, register: str) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert ada.get(f"/admin/compliance/{register}/").status_code == 200
        return len(queries)

    few = asked()
    for name in ("two", "three"):
        make_audit(name=name)
        make_team_audit(Team.objects.create(name=name), name=f"finished {name}")
    assert asked() == few


def test_the_officers_lists_show_it_too(ada: Client, running: Audit) -> None:
    for page in ("/audits/", f"/models/{running.model_id}/"):
        answer = ada.get(page)
        assert "Running 2 of 6 prompts scored" in text_of(answer.content)
        assert 'aria-label="Prompts scored by A-0001"' in answer.content.decode()
    models = text_of(ada.get("/models/").content)
    assert "– A-0001 Running 2 of 6 prompts scored" in models, "it stands on no audit yet"


def test_a_model_with_a_finished_audit_shows_the_next_one_under_way(ada: Client) -> None:
    done = make_team_audit(default_team(), name="done")
    again = actions.request_audit(
        plan=done.plan, model=done.model, data=done.data, queue="audits", request_key="again", actor=ACTOR
    )
    text = text_of(ada.get("/models/").content)
    assert f"{again} Requested 0 of – prompts scored" in text


def test_models_are_called_as_the_register_calls_them(ada: Client) -> None:
    audit = make_team_audit(default_team(), name="done")
    LanguageModel.objects.update(name="Underwriter for mortgages")
    pages = ("/", "/models/", f"/models/{audit.model_id}/", "/audits/", f"/audits/{audit}/")
    for page in pages:
        text = text_of(ada.get(page).content)
        assert "Underwriter for mortgages" in text or page == "/", page
        # The page of a model says of each version where it came from, that of an audit which one was read.
        assert "demo:x" not in text or page in (f"/models/{audit.model_id}/", f"/audits/{audit}/"), page


def test_two_teams_models_of_one_name_are_two_models(ada: Client) -> None:
    for name in ("Mortgages", "Cards"):
        make_team_audit(Team.objects.create(name=name), name=name)
    assert len(ada.get("/models/").context["lines"]) == 2
    officer = make_person("officer", Team.objects.get(name="Cards"), [Role.COMPLIANCE_OFFICER])
    client = Client()
    client.force_login(officer)
    (line,) = client.get("/models/").context["lines"]
    assert [row["audit"].team.name for row in client.get(line["audited"].link).context["lines"]] == ["Cards"]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("demo:underwriter", "demo:underwriter"),
        ("hf:bank/scorer@1a2b3c", "hf:bank/scorer"),
        ("hf:bank/scorer@1a2b3c+adapter:/a", "hf:bank/scorer+adapter:/a"),
    ],
)
def test_a_model_that_nobody_named_is_called_like_its_source_without_the_revision(
    db: None, source: str, name: str
) -> None:
    version = actions.register_model(source=source, sha256="1" * 64, manifest=NO_FILES, actor=ACTOR)
    assert version.language_model.name == name
