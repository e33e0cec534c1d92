"""A version is approved by a second person, resting on its governed audits; another word about its model ends that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection, transaction
from django.test import Client

from compliance import actions
from compliance.access.roles import Role, roles_with
from compliance.exceptions import EvidenceError, StateError
from compliance.governance.attestation import problems
from compliance.governance.events import Actor
from compliance.models import (
    Approval,
    Audit,
    Event,
    LanguageModel,
    LanguageModelVersion,
    VersionDecision,
    VersionState,
    default_team,
)
from compliance.models.approvals import approval_words, version_standing
from tests.compliance.calendars import counted, officer, too_small, validator
from tests.compliance.factories import ACTOR, make_applications
from tests.compliance.governed import actor_of, approved_plan, asked_for, version_of
from tests.compliance.teams import make_person, make_team_audit
from tests.compliance.test_officers_site import text_of
from tests.records import NO_FILES

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_FOLDER = tmp_path


def propose(audit: Audit, by: Actor, *, reason: str = "Read for the yearly validation.") -> VersionDecision:
    return actions.propose_version(version=audit.model, audits=[audit.number], reason=reason, actor=by)


def decide(proposal: VersionDecision, by: Actor, *, approve: bool = True, **said: Any) -> VersionDecision:
    told = {"reason": "The audit was read.", "confirmed": True, **said}
    return actions.decide_on_version(proposal=proposal, approve=approve, actor=by, **told)


@pytest.fixture
def ola() -> Actor:
    return actor_of(officer())


@pytest.fixture
def vera() -> Actor:
    return actor_of(validator())


@pytest.fixture
def approved(ola: Actor, vera: Actor) -> LanguageModelVersion:
    """A version, approved by a second person."""
    audit = counted()
    decide(propose(audit, ola), vera)
    assert version_standing(audit.model).approval is not None
    return audit.model


def fresh(version: LanguageModelVersion) -> LanguageModelVersion:
    return LanguageModelVersion.objects.select_related("language_model__team").get(pk=version.pk)


def test_a_second_person_approves_a_version_with_its_audits_a_reason_and_events(
    ola: Actor, vera: Actor, tmp_path: Path
) -> None:
    audit = counted()
    proposal = propose(audit, ola)
    row = decide(proposal, vera)
    assert (row.state, row.rests_on, row.decided_by) == (VersionState.APPROVED, [audit.number], "vera")
    told = Event.objects.filter(object=audit.model.event_object, action__startswith="model.").order_by("seq")
    assert [event.action for event in told] == ["model.registered", "model.proposed", "model.approved"]
    assert f'"rests_on":["{audit.number}"]' in told[2].payload.data_json
    assert approval_words(audit.model.language_model).startswith("Version 1 approved for its purpose by vera, ")
    assert list(problems(folder=tmp_path)) == []


def test_another_version_of_the_model_is_not_approved_with_it_and_ends_nothing(
    approved: LanguageModelVersion, ola: Actor
) -> None:
    second = version_of(default_team(), 2, of=approved.language_model)
    assert version_standing(fresh(approved)).approval is not None
    assert version_standing(second).words == "not approved"
    with pytest.raises(StateError, match="A-0001: is not a finished, governed audit of this version"):
        actions.propose_version(version=second, audits=["A-0001"], reason="The same.", actor=ola)


def trial() -> Audit:
    return make_team_audit(default_team(), name="trial")


def unfinished() -> Audit:
    plan = approved_plan(default_team())
    data = actions.register_data(data=make_applications(), actor=ACTOR, team=plan.team)
    return asked_for(plan=plan, model=version_of(plan.team, 1), data=data)


NO_GROUND: dict[str, tuple[Callable[[], Audit], str]] = {
    "a trial run": (trial, "is not a finished, governed audit of this version; expected one of: none is there yet"),
    "an unfinished audit": (unfinished, "is not a finished, governed audit of this version"),
    "one that was too small": (too_small, "could not tell; expected at least one audit large enough"),
}


@pytest.mark.parametrize("what", NO_GROUND)
def test_an_approval_rests_on_nothing_less_than_a_finished_governed_audit_that_could_tell(
    what: str, ola: Actor
) -> None:
    make, line = NO_GROUND[what]
    audit = make()
    with pytest.raises(StateError, match=line):
        propose(audit, ola)
    with pytest.raises(StateError, match="no audit is named"):
        actions.propose_version(version=audit.model, audits=[], reason="Because.", actor=ola)
    assert not VersionDecision.objects.exists()


def test_nothing_is_approved_without_a_proposal_a_reason_and_a_confirmation(ola: Actor, vera: Actor) -> None:
    audit = counted()
    proposal = propose(audit, ola)
    with pytest.raises(StateError, match="no reason is given; expected a sentence on what was looked at"):
        decide(proposal, vera, reason=" ")
    with pytest.raises(StateError, match="is not confirmed; expected the box below the reason to be ticked"):
        decide(proposal, vera, confirmed=False)
    decide(proposal, vera)
    with pytest.raises(StateError, match="nobody proposes it for approval"):
        decide(proposal, vera)


def test_a_proposal_that_was_replaced_is_not_decided_with_the_new_one(ola: Actor, vera: Actor) -> None:
    audit = counted()
    old = propose(audit, ola)
    propose(audit, ola, reason="With another reason.")
    with pytest.raises(StateError, match="ola proposed it anew in the meantime"):
        decide(old, vera)


def both(name: str) -> Actor:
    return actor_of(make_person(name, default_team(), [Role.COMPLIANCE_OFFICER, Role.VALIDATOR]))


def proposes(audit: Audit, by: Actor) -> None:
    pass  # what every part below ends with


def describes(audit: Audit, by: Actor) -> None:
    actions.describe_language_model(
        language_model=audit.model.language_model, description={"purpose": "Loans"}, actor=by
    )


def owns(audit: Audit, by: Actor) -> None:
    owner = {"owner": by.name.upper()}
    actions.describe_language_model(language_model=audit.model.language_model, description=owner, actor=ACTOR)


PARTS = {
    "proposed": (proposes, "proposed it"),
    "described": (describes, "described the model or registered this version"),
    "owns": (owns, "owns the model"),
}


@pytest.mark.parametrize("part", PARTS)
def test_nobody_approves_a_version_in_which_they_had_a_part(part: str, ola: Actor, vera: Actor) -> None:
    bo, audit = both("bo"), counted()
    act, line = PARTS[part]
    act(audit, bo)
    audit.model.language_model.refresh_from_db()
    proposal = propose(audit, bo if part == "proposed" else ola)
    with pytest.raises(StateError, match=f"bo {line}; expected a second person to approve it"):
        decide(proposal, bo)
    assert decide(proposal, vera).decided_by == "vera"


def test_nobody_approves_a_version_that_they_registered(ola: Actor) -> None:
    bo = both("bo")
    model = actions.open_language_model(team=default_team(), description={"name": "demo:x"}, actor=ACTOR)
    actions.register_model(source="demo:x", sha256=f"{1:064x}", manifest=NO_FILES, language_model=model, actor=bo)
    with pytest.raises(StateError, match="bo described the model or registered this version"):
        decide(propose(counted(), ola), bo)


def test_nobody_approves_what_rests_on_an_audit_they_asked_for(ola: Actor) -> None:
    audit = counted()
    asked = audit.requested_by_user
    assert asked is not None
    asked.memberships.create(team=default_team(), role=Role.VALIDATOR)
    with pytest.raises(StateError, match=f"asked for {audit.number}, on which it rests"):
        decide(propose(audit, ola), actor_of(type(asked).objects.get(pk=asked.pk)))


@pytest.mark.parametrize("role", list(Role))
def test_roles_do_what_they_may(role: Role, ola: Actor, vera: Actor) -> None:
    audit, person = counted(), actor_of(make_person("somebody", default_team(), [role]))
    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        ("change_languagemodel", lambda: propose(audit, person)),
        ("approve_languagemodel", lambda: decide(propose(audit, ola), person)),
        (
            "approve_languagemodel",
            lambda: actions.withdraw_approval(version=audit.model, reason="Replaced.", actor=person),
        ),
    )
    for permission, step in steps:
        if role in roles_with(permission):
            step()
        else:
            with pytest.raises(PermissionDenied):
                step()
            if step is steps[1][1]:
                decide(propose(audit, ola), vera)
    for nobody in (Actor(name="vera", role="command line"),):
        with pytest.raises(PermissionDenied, match="by people with an account"):
            propose(audit, nobody)


def test_a_version_comes_back_with_comments_and_is_proposed_again(ola: Actor, vera: Actor) -> None:
    audit = counted()
    row = decide(propose(audit, ola), vera, approve=False, reason="Say which loans.", confirmed=False)
    standing = version_standing(audit.model)
    assert (row.state, standing.pending, standing.approval) == (VersionState.RETURNED, row, None)
    assert waits("ola") == ["Returned to you: a version of a model"]
    assert waits("vera") == []
    propose(audit, ola, reason="For small loans.")
    assert waits("ola") == []
    assert waits("vera") == ["Decide on a version of a model"]


def waits(name: str) -> list[str]:
    from django.contrib.auth.models import User

    client = Client()
    client.force_login(User.objects.get(username=name))
    return [task.words for task in client.get("/").context["tasks"]]


def described(**description: object) -> Callable[[LanguageModel], object]:
    return lambda model: actions.describe_language_model(language_model=model, description=description, actor=ACTOR)


CHANGES = {
    "name": (described(name="V"), "its name changed"),
    "owner": (described(owner="Eve"), "its owner changed"),
    "purpose": (described(purpose="Pricing"), "its purpose changed"),
    "role": (described(decision_role="determinative"), "its decision role changed"),
    "tier": (described(risk_tier=4), "its risk tier changed"),
    "access": (described(access="outputs"), "its access level changed"),
    "two": (described(purpose="Pricing", risk_tier=1), "its purpose and risk tier changed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_word_about_the_model_ends_the_approval_with_an_event_and_the_reason(
    approved: LanguageModelVersion, ola: Actor, vera: Actor, tmp_path: Path, change: str
) -> None:
    act, why = CHANGES[change]
    act(approved.language_model)
    standing = version_standing(fresh(approved))
    assert standing.approval is None
    assert standing.last is not None
    assert standing.last.reason == f"its approval ended when {why}; it has to be approved again"
    event = Event.objects.order_by("seq").last()
    assert event is not None
    assert (event.action, event.actor, event.object) == ("model.approval_ended", "ada", approved.event_object)
    assert list(problems(folder=tmp_path)) == []
    decide(propose(Audit.objects.get(), ola), vera)
    assert version_standing(fresh(approved)).approval is not None


def test_saying_the_same_again_leaves_it_approved(approved: LanguageModelVersion) -> None:
    described(purpose="", owner="")(approved.language_model)
    assert version_standing(fresh(approved)).approval is not None


def test_what_is_said_after_a_proposal_is_not_approved_with_it(ola: Actor, vera: Actor) -> None:
    audit = counted()
    proposal = propose(audit, ola)
    described(purpose="Pricing")(audit.model.language_model)
    with pytest.raises(StateError, match="something else is said of its model since; expected it to be proposed anew"):
        decide(proposal, vera)


def test_an_approval_stands_while_it_is_proposed_anew_and_until_it_is_withdrawn(
    approved: LanguageModelVersion, ola: Actor, vera: Actor, tmp_path: Path
) -> None:
    later = counted()
    decide(propose(later, ola), vera, approve=False, reason="Not yet.")
    assert version_standing(fresh(approved)).approval is not None
    actions.withdraw_approval(version=approved, reason="Replaced.", actor=vera)
    assert version_standing(fresh(approved)).approval is None
    with pytest.raises(StateError, match="is not approved; expected an approved version"):
        actions.withdraw_approval(version=approved, reason="Again.", actor=vera)
    assert list(problems(folder=tmp_path)) == []


def test_a_model_as_a_whole_is_never_approved_and_a_retired_one_has_no_version_proposed(
    ola: Actor, vera: Actor
) -> None:
    audit = counted()
    model = audit.model.language_model
    with pytest.raises(StateError, match="a model is approved version by version; expected a version on its page"):
        actions.decide_on_language_model(language_model=model, approval=Approval.APPROVED, actor=vera)
    actions.decide_on_language_model(language_model=model, approval=Approval.RETIRED, actor=vera)
    with pytest.raises(StateError, match="is retired; expected a model that is in use"):
        propose(audit, ola)


def test_a_decision_cannot_be_changed_or_deleted(approved: LanguageModelVersion) -> None:
    row = VersionDecision.objects.first()
    assert row is not None
    with pytest.raises(EvidenceError):
        row.save()
    with pytest.raises(DatabaseError, match="evidence cannot be changed"), transaction.atomic():
        VersionDecision.objects.all()._raw_delete("default")


@pytest.mark.parametrize("column", ["purpose = 'Pricing'", "risk_tier = 4"])
def test_a_change_past_the_actions_is_shown_and_named(
    approved: LanguageModelVersion, tmp_path: Path, column: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE compliance_languagemodel SET {column}")
    standing = version_standing(fresh(approved))
    assert standing.words == "not approved: it is not what was approved, and no event tells of the change"
    lines = list(problems(folder=tmp_path))
    assert [line for line in lines if "something else is said of its model than was approved" in line]


def test_an_approval_as_a_whole_by_an_earlier_release_approves_nothing(ola: Actor) -> None:
    audit = counted()
    LanguageModel.objects.update(approval=Approval.APPROVED, approved_sha256="1" * 64)
    model = LanguageModel.objects.get()
    assert approval_words(model) == "Not approved: it was approved as a whole, before approvals were of versions"
    assert version_standing(audit.model).approval is None


def test_the_page_proposes_returns_approves_and_withdraws(client: Client, ola: Actor, vera: Actor) -> None:
    audit = counted()
    page = f"/models/{audit.model_id}/approval/"
    client.force_login(ola.user)
    sent = {"propose-audits": audit.number, "propose-reason": "For loans."}
    assert "! " not in text_of(client.get(page).content)
    refused = client.post(f"/models/{audit.model_id}/propose/", {**sent, "propose-audits": "A-0009"})
    assert refused.status_code == 400
    assert b"For loans." in refused.content  # what was typed is kept
    assert client.post(f"/models/{audit.model_id}/propose/", sent)["Location"] == page
    assert client.post(f"/models/{audit.model_id}/decide/", {}).status_code == 403
    proposal = VersionDecision.objects.get()
    client.force_login(vera.user)
    decision = {"decide-proposal": proposal.pk, "decide-decision": "return", "decide-reason": "Which loans?"}
    assert client.post(f"/models/{audit.model_id}/decide/", decision)["Location"] == page
    assert "Which loans?" in text_of(client.get(page).content)
    propose(audit, ola, reason="For small loans.")
    again = {**decision, "decide-decision": "approve", "decide-reason": "Read."}
    stale = client.post(f"/models/{audit.model_id}/decide/", {**again, "decide-confirmed": "on"})
    assert (stale.status_code, "proposed it anew" in text_of(stale.content)) == (409, True)
    newest = VersionDecision.objects.order_by("-pk")[0].pk
    again["decide-proposal"] = newest
    unconfirmed = client.post(f"/models/{audit.model_id}/decide/", again)
    assert (unconfirmed.status_code, "is not confirmed" in text_of(unconfirmed.content)) == (409, True)
    assert client.post(f"/models/{audit.model_id}/decide/", {**again, "decide-confirmed": "on"})["Location"] == page
    assert "Approved by vera" in text_of(client.get(page).content)
    assert "approved for its purpose by vera" in text_of(client.get(f"/models/{audit.model_id}/").content).lower()
    client.post(f"/models/{audit.model_id}/withdraw/", {"withdraw-reason": "Replaced."})
    assert "This version is not approved." in text_of(client.get(page).content)
