"""What cannot be run, made or approved is said in one line, before anything is started."""

from __future__ import annotations

import pytest
from django.test import Client

from auditor.demo_data import load_loanapp
from compliance import actions
from compliance.access.roles import Role
from compliance.audits.estimates import estimate
from compliance.exceptions import StateError
from compliance.models import Approval, Audit, LanguageModel, Registration, default_team
from tests.compliance.factories import ACTOR, make_plan
from tests.compliance.jobs import person
from tests.compliance.teams import make_person
from tests.records import NO_FILES

pytestmark = pytest.mark.django_db
ADDRESS = "/admin/compliance/audit/request/"
MODEL = {
    "source": "demo:underwriter", "name": "Underwriter", "owner": "Ada", "purpose": "Mortgages",
    "decision_role": "advisory", "risk_tier": "1", "access": "internals",
}  # fmt: skip


def chosen() -> dict[str, object]:
    """A plan about race a and b, and loan applications that know other ones."""
    return {
        "plan": actions.register_plan(plan=make_plan(), actor=ACTOR),
        "model": actions.register_model(source="demo:small", sha256="1" * 64, manifest=NO_FILES, actor=ACTOR),
        "data": actions.register_data(data=load_loanapp(), actor=ACTOR),
    }


def test_the_estimate_of_a_plan_and_data_that_do_not_fit_is_one_line_without_an_object() -> None:
    found = estimate(**chosen())  # type: ignore[arg-type]
    assert not found.fits
    assert found.problem.startswith("small ")
    assert "\n" not in found.problem
    assert len(found.problem) < 300
    assert "=" not in found.problem, found.problem  # as Python prints an object
    assert found.prompts is None


def test_such_an_audit_is_neither_offered_nor_started(client: Client) -> None:
    rows = chosen()
    client.force_login(person("ada", "run_audit"))
    page = client.get(ADDRESS)
    assert page.status_code == 200
    text = page.content.decode()
    (offer,) = page.context["offers"]
    assert "do not fit together" in text
    assert "Start audit" not in text
    form = {
        "plans": rows["plan"].pk, "models": rows["model"].pk, "data": rows["data"].pk,  # type: ignore[attr-defined]
        "queue": "audits", "priority": 0, "token": "a" * 32,
    }  # fmt: skip
    refused = client.post(ADDRESS, form)
    assert refused.status_code == 422
    assert refused.context["form"].non_field_errors() == [offer.estimate.problem]
    assert not Audit.objects.exists()


def test_a_developer_adds_versions_and_no_language_model(client: Client) -> None:
    team = default_team()
    client.force_login(make_person("dev", team, [Role.DEVELOPER]))
    asked = {**MODEL, "team": team.pk}
    assert client.post("/register/model/", asked).status_code == 403
    assert client.post(f"/first-steps/{team.pk}/model/").status_code == 403
    assert not LanguageModel.objects.exists()
    assert not Registration.objects.exists()
    actions.open_language_model(team=team, description={"name": "Underwriter"}, actor=ACTOR)
    assert client.post("/register/model/", asked).status_code == 302
    assert Registration.objects.get().language_model == LanguageModel.objects.get()


def test_a_model_without_a_version_cannot_be_approved_and_can_be_retired() -> None:
    empty = actions.open_language_model(team=default_team(), description={"name": "U"}, actor=ACTOR)
    with pytest.raises(StateError, match="U: a model is approved version by version; expected a version on its page"):
        actions.decide_on_language_model(language_model=empty, approval=Approval.APPROVED, actor=ACTOR)
    actions.decide_on_language_model(language_model=empty, approval=Approval.RETIRED, actor=ACTOR)
    assert LanguageModel.objects.get().approval == Approval.RETIRED
