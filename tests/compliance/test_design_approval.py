"""Approving a design: by a second person, with a reason, before the run; and what that makes of an audit."""

from __future__ import annotations

import html
import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, transaction
from django.test import Client
from django.utils import timezone

from compliance import actions
from compliance.access.roles import Role
from compliance.actions.plans import design_state
from compliance.exceptions import EvidenceError, StateError
from compliance.execution.runner import governance
from compliance.governance.events import Actor, verify_chain
from compliance.models import Audit, DesignState, Event, PlanDecision, PlanVersion, Team, default_team
from compliance.plans.checks import check_text
from compliance.plans.shelf import ready_made
from tests.compliance.factories import ACTOR, make_plan
from tests.compliance.jobs import versions
from tests.compliance.teams import make_person
from tests.compliance.test_officers_site import text_of

QUICK = ready_made()["quick"].text
ADDRESS = "/admin/compliance/audit/request/"


def actor(name: str, *roles: Role, team: Team | None = None) -> Actor:
    user = make_person(name, team or default_team(), roles, is_staff=True)
    return Actor(name=name, role="officer", user=user)


def approve(plan: PlanVersion, by: Actor, *, state: DesignState = DesignState.APPROVED) -> PlanDecision:
    return actions.decide_on_design(plan=plan, state=state, reason="Read against the policy.", actor=by)


def ask(found: dict[str, Any], by: Actor, *, key: str = "one") -> Audit:
    return actions.request_audit(**found, queue="audits", request_key=key, actor=by)


@pytest.mark.django_db
def test_a_second_person_approves_with_a_reason_and_an_event() -> None:
    plan = versions()["plan"]
    assert approve(plan, actor("vera", Role.VALIDATOR)).state == DesignState.APPROVED
    event = Event.objects.get(action="plan.decided")
    assert (event.actor, event.object) == ("vera", plan.event_object)
    told = json.loads(event.payload.data_json)
    assert told == {
        "from": "proposed", "to": "approved", "reason": "Read against the policy.",
        "design_sha256": plan.design_sha256,
    }  # fmt: skip
    row = PlanVersion.objects.standing().get()
    assert (row.design_state, row.decided_by) == ("approved", "vera")
    assert verify_chain().problem is None


@pytest.mark.django_db
def test_nobody_approves_what_they_registered_whatever_their_roles() -> None:
    both = actor("bo", Role.COMPLIANCE_OFFICER, Role.VALIDATOR)
    draft = actions.begin_draft(team=default_team(), name="x", origin="o", text=QUICK, actor=both)
    plan = check_text(QUICK).plan
    assert plan is not None
    version = actions.register_draft(draft=draft, plan=plan, actor=both)
    with pytest.raises(StateError, match="bo wrote or registered it; expected a second person to approve it"):
        approve(version, both)
    assert not PlanDecision.objects.exists()
    assert approve(version, actor("vera", Role.VALIDATOR)).decided_by == "vera"


@pytest.mark.django_db
def test_whoever_saved_the_draft_once_is_one_of_its_authors() -> None:
    helper = actor("helper", Role.COMPLIANCE_OFFICER, Role.VALIDATOR)
    officer = actor("officer", Role.COMPLIANCE_OFFICER)
    draft = actions.begin_draft(team=default_team(), name="x", origin="o", text="", actor=officer)
    actions.save_draft(draft=draft, revision=1, name="x", text=QUICK, agreed=QUICK, changes={}, actor=helper)
    plan = check_text(QUICK).plan
    assert plan is not None
    version = actions.register_draft(draft=draft, plan=plan, actor=officer)
    with pytest.raises(StateError, match="helper wrote or registered it"):
        approve(version, helper)


@pytest.mark.django_db
def test_a_name_of_the_command_line_is_the_same_person_as_the_account_of_that_name() -> None:
    plan = versions()["plan"]  # registered by "ada" of the command line, who has no account
    with pytest.raises(StateError, match="Ada wrote or registered it"):
        approve(plan, actor("Ada", Role.VALIDATOR))


@pytest.mark.django_db
def test_a_superuser_needs_a_second_person_too_and_nobody_without_an_account_decides() -> None:
    from django.contrib.auth.models import User

    root = User.objects.create_superuser("ada")
    plan = versions()["plan"]
    with pytest.raises(StateError, match="expected a second person"):
        approve(plan, Actor(name="ada", role="officer", user=root))
    with pytest.raises(PermissionDenied):
        approve(plan, Actor(name="somebody", role="command line"))


@pytest.mark.django_db
def test_who_may_not_approve_in_that_team_does_not() -> None:
    plan = versions()["plan"]
    with pytest.raises(PermissionDenied):
        approve(plan, actor("officer", Role.COMPLIANCE_OFFICER))
    with pytest.raises(PermissionDenied):
        approve(plan, actor("stranger", Role.VALIDATOR, team=Team.objects.create(name="Elsewhere")))


@pytest.mark.django_db
def test_a_design_goes_from_proposed_to_approved_to_retired_and_no_other_way() -> None:
    plan, vera = versions()["plan"], actor("vera", Role.VALIDATOR)
    with pytest.raises(StateError, match="no reason is given"):
        actions.decide_on_design(plan=plan, state=DesignState.APPROVED, reason=" ", actor=vera)
    approve(plan, vera)
    with pytest.raises(StateError, match="is approved; expected proposed"):
        approve(plan, vera)
    approve(plan, vera, state=DesignState.RETIRED)
    with pytest.raises(StateError, match="is retired; expected proposed"):
        approve(plan, vera)


@pytest.mark.django_db
def test_a_decision_cannot_be_changed_or_deleted() -> None:
    decision = approve(versions()["plan"], actor("vera", Role.VALIDATOR))
    with pytest.raises(EvidenceError):
        decision.save()
    with pytest.raises(DatabaseError, match="evidence cannot be changed"), transaction.atomic():
        PlanDecision.objects.all()._raw_delete("default")


@pytest.mark.django_db
def test_an_audit_of_an_approved_design_is_governed_and_says_by_whom() -> None:
    found, vera, ola = versions(), actor("vera", Role.VALIDATOR), actor("ola", Role.COMPLIANCE_OFFICER)
    before = ask(found, ola)
    decision = approve(found["plan"], vera)
    after = ask(found, ola, key="two")
    assert (before.governed, before.design_decision) == (False, None)
    assert (after.governed, after.design_decision) == (True, decision)
    told = [json.loads(event.payload.data_json) for event in Event.objects.filter(action="audit.requested")]
    assert [(item["governed"], item["design_approved_by"]) for item in told] == [(True, "vera"), (False, "")]
    with pytest.raises(DatabaseError, match="evidence cannot be changed"), transaction.atomic():
        Audit.objects.filter(pk=before.pk).update(design_decision=decision)
    record = governance(after, title="t", command="", finished_at=timezone.now())
    assert record.governed
    assert record.design_approval is not None
    assert record.design_approval.by == "vera"
    assert record.design_approval.reason == "Read against the policy."
    assert governance(before, title="t", command="", finished_at=timezone.now()).design_approval is None


@pytest.mark.django_db
def test_a_run_that_nobody_with_an_account_asked_for_and_one_of_a_retired_design_are_ungoverned() -> None:
    found, vera = versions(), actor("vera", Role.VALIDATOR)
    approve(found["plan"], vera)
    assert not ask(found, ACTOR).governed
    approve(found["plan"], vera, state=DesignState.RETIRED)
    assert not ask(found, actor("ola", Role.COMPLIANCE_OFFICER), key="two").governed


@pytest.mark.django_db
def test_the_form_offers_approved_designs_first_and_says_what_the_others_become(client: Client) -> None:
    approved, other = versions("approved")["plan"], versions("other")
    approve(approved, actor("vera", Role.VALIDATOR))
    client.force_login(actor("ola", Role.COMPLIANCE_OFFICER).user)
    page = client.get(ADDRESS, {"plans": [approved.pk, other["plan"].pk]})
    labels = [label for _, label in page.context["form"].fields["plans"].choices]
    assert labels[0].startswith("approved (")
    assert f"design approved by vera, {timezone.now():%d %b %Y}" in labels[0]
    assert labels[1].endswith("design not approved: runs ungoverned")
    assert "those whose design is not approved are marked ungoverned" in text_of(page.content)
    one = text_of(client.get(ADDRESS, {"plans": approved.pk}).content)
    assert "with your name and the approval of its design: it is governed" in one
    answer = client.post(
        ADDRESS,
        {"plans": approved.pk, "models": other["model"].pk, "data": other["data"].pk, "queue": "audits", "priority": 0,
         "token": "a" * 32},
    )  # fmt: skip
    live = text_of(client.get(answer["Location"]).content)
    assert "design approved by vera" in live
    assert "Ungoverned" not in live


@pytest.mark.django_db
def test_the_page_of_a_plan_records_a_decision_and_tells_its_author_why_it_cannot(client: Client) -> None:
    plan = versions()["plan"]
    form = {"state": "approved", "reason": "Read against the policy."}
    author = actor("ada", Role.VALIDATOR)
    client.force_login(author.user)
    assert "a second person has to approve it" in text_of(client.get(f"/plans/{plan.pk}/").content)
    refused = client.post(f"/plans/{plan.pk}/decide/", form)
    assert refused.status_code == 409
    assert "ada wrote or registered it" in html.unescape(refused.content.decode())
    client.force_login(actor("vera", Role.VALIDATOR).user)
    assert client.post(f"/plans/{plan.pk}/decide/", {"state": "approved"}).status_code == 400
    assert client.post(f"/plans/{plan.pk}/decide/", form)["Location"] == f"/plans/{plan.pk}/"
    page = text_of(client.get(f"/plans/{plan.pk}/").content)
    assert "by vera" in page
    assert "Read against the policy." in page
    admin = client.get(f"/admin/compliance/planversion/{plan.pk}/change/").content.decode()
    assert f"/plans/{plan.pk}/#standing" in admin
    assert "design approved by vera" in admin


@pytest.mark.django_db
def test_a_clock_that_was_set_back_brings_no_approval_back() -> None:
    found, vera = versions(), actor("vera", Role.VALIDATOR)
    approve(found["plan"], vera)
    with time_machine.travel(timezone.now() - timedelta(hours=3), tick=True):
        approve(found["plan"], vera, state=DesignState.RETIRED)
    assert design_state(found["plan"]) == DesignState.RETIRED
    assert PlanVersion.objects.standing().get(pk=found["plan"].pk).design_state == "retired"
    assert not ask(found, actor("officer", Role.COMPLIANCE_OFFICER)).governed


def returned(plan: PlanVersion, by: Actor, *, reason: str = "Name the loans.") -> PlanDecision:
    return actions.decide_on_design(plan=plan, state=DesignState.RETURNED, reason=reason, actor=by)


@pytest.mark.django_db
def test_a_design_comes_back_with_comments_and_cannot_be_approved_before_it_is_submitted_again() -> None:
    plan, vera, ola = versions()["plan"], actor("vera", Role.VALIDATOR), actor("ola", Role.COMPLIANCE_OFFICER)
    returned(plan, vera)
    assert design_state(plan) == DesignState.RETURNED
    with pytest.raises(StateError, match="is returned with comments; expected proposed"):
        approve(plan, vera)
    with pytest.raises(StateError, match="no answer is given; expected a sentence on the comments"):
        actions.submit_design_again(plan=plan, reason=" ", actor=ola)
    actions.submit_design_again(plan=plan, reason="They are named in the title.", actor=ola)
    with pytest.raises(StateError, match="is proposed; expected one that was returned with comments"):
        actions.submit_design_again(plan=plan, reason="Again.", actor=ola)
    approve(plan, vera)
    told = [json.loads(event.payload.data_json) for event in Event.objects.filter(action="plan.decided")]
    assert [item["to"] for item in told] == ["approved", "proposed", "returned"]


@pytest.mark.django_db
def test_whoever_submitted_it_again_is_one_of_its_authors() -> None:
    plan, vera = versions()["plan"], actor("vera", Role.VALIDATOR)
    both = actor("bo", Role.COMPLIANCE_OFFICER, Role.VALIDATOR)
    returned(plan, vera)
    actions.submit_design_again(plan=plan, reason="It says so.", actor=both)
    with pytest.raises(StateError, match="bo wrote or registered it; expected a second person"):
        approve(plan, both)


@pytest.mark.django_db
@pytest.mark.parametrize("role", [role for role in Role if role != Role.COMPLIANCE_OFFICER])
def test_who_may_not_register_plans_submits_none_again(role: Role) -> None:
    plan = versions()["plan"]
    returned(plan, actor("vera", Role.VALIDATOR))
    with pytest.raises(PermissionDenied):
        actions.submit_design_again(plan=plan, reason="Please.", actor=actor("somebody", role))


@pytest.mark.django_db
def test_a_returned_design_runs_ungoverned() -> None:
    found = versions()
    returned(found["plan"], actor("vera", Role.VALIDATOR))
    assert not ask(found, actor("ola", Role.COMPLIANCE_OFFICER)).governed


@pytest.mark.django_db
def test_the_page_of_a_design_shows_its_prompts_the_comments_and_what_differs_from_the_last_approved(
    client: Client,
) -> None:
    vera, ola = actor("vera", Role.VALIDATOR), actor("ola", Role.COMPLIANCE_OFFICER)
    approve(versions()["plan"], vera)
    changed = make_plan().model_copy(update={"title": "Small, changed"})
    second = actions.register_plan(plan=changed, actor=ACTOR)
    client.force_login(vera.user)
    page = text_of(client.get(f"/plans/{second.pk}/").content)
    assert "What differs from the last approved version" in page
    assert 'title "Small" "Small, changed"' in page
    form = {"state": "returned", "reason": "Name the loans."}
    assert client.post(f"/plans/{second.pk}/decide/", form)["Location"] == f"/plans/{second.pk}/"
    client.force_login(ola.user)
    assert "by vera" in text_of(client.get(f"/plans/{second.pk}/").content)
    empty = client.post(f"/plans/{second.pk}/again/", {"reason": " "})
    assert empty.status_code == 400
    begun = client.post("/plans/new/", {"team": default_team().pk, "origin": f"plan:{second.pk}"})["Location"]
    assert "vera returned the design it is copied from : Name the loans." in text_of(client.get(begun).content)
    assert client.post(f"/plans/{second.pk}/again/", {"reason": "They are."})["Location"] == f"/plans/{second.pk}/"
    assert "They are." in text_of(client.get(f"/plans/{second.pk}/").content)


@pytest.mark.django_db
def test_the_page_of_a_corrected_design_shows_the_comments_on_the_version_before(client: Client) -> None:
    vera, ola = actor("vera", Role.VALIDATOR), actor("ola", Role.COMPLIANCE_OFFICER)
    plan = versions()["plan"]
    returned(plan, vera)
    draft = actions.begin_draft(team=default_team(), name="small", origin="a copy", text="", copy_of=plan, actor=ola)
    corrected = make_plan().model_copy(update={"title": "Small, of named loans"})
    version = actions.register_draft(draft=draft, plan=corrected, actor=ola)
    client.force_login(vera.user)
    page = text_of(client.get(f"/plans/{version.pk}/").content)
    assert "Comments on the version it corrects" in page
    assert "Name the loans." in page
    assert "Comments on the version it corrects" not in text_of(client.get(f"/plans/{plan.pk}/").content)
