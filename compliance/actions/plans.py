"""Writing a plan on the site, registering it, and deciding about its design."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from auditor.canonical import sha256_bytes
from auditor.plan import Plan
from compliance.access import permissions as access
from compliance.actions.registry import register_plan
from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import DesignState, Event, PlanDecision, PlanDraft, PlanVersion, Team

TRANSITIONS = {
    DesignState.PROPOSED: (DesignState.APPROVED, DesignState.RETIRED),
    DesignState.APPROVED: (DesignState.RETIRED,),
    DesignState.RETIRED: (),
}


@transaction.atomic
def begin_draft(*, team: Team, name: str, origin: str, text: str, actor: Actor) -> PlanDraft:
    """Begin a draft as a copy of ``text``; ``origin`` says of what.

    Raises
    ------
    PermissionDenied
        Without the permission to register plans in that team.
    """
    _allow(actor, "add_planversion", team)
    lock_chain()
    draft = PlanDraft.objects.create(
        team=team,
        name=name[:200],
        origin=origin[:300],
        origin_text=text,
        text=text,
        agreed=text,
        begun_by=actor.name,
        changed_by=actor.name,
        changed_at=timezone.now(),
    )
    _tell(actor, "plan_draft.begun", draft, {"origin": draft.origin, "text_sha256": _hash(text)}, team=team)
    return draft


@transaction.atomic
def save_draft(
    *, draft: PlanDraft, revision: int, name: str, text: str, agreed: str, changes: dict[str, Any], actor: Actor
) -> None:
    """Keep what somebody wrote, right or wrong; what is as it was leaves no event.

    Parameters
    ----------
    revision
        The one that was read before.
    name, text, agreed, changes
        As the row describes them.

    Raises
    ------
    PermissionDenied
        Without the permission to register plans in that team.
    StateError
        If it was registered, or somebody else saved it in the meantime.
    """
    _allow(actor, "add_planversion", draft.team)
    lock_chain()
    draft.refresh_from_db()
    if draft.plan_id is not None:
        raise StateError(f"{draft}: is registered and stays as it is; expected a copy of it to be changed")
    if draft.revision != revision:
        raise StateError(
            f"{draft}: {draft.changed_by} saved it in the meantime; expected your changes on top of theirs"
        )
    if (draft.text, draft.agreed, draft.changes) == (text, agreed, changes):
        return
    draft.text, draft.agreed, draft.changes, draft.name = text, agreed, changes, name[:200]
    draft.revision, draft.changed_by, draft.changed_at = revision + 1, actor.name, timezone.now()
    draft.save()
    payload = {"revision": draft.revision, "text_sha256": _hash(text)}
    _tell(actor, "plan_draft.saved", draft, payload, team=draft.team)


@transaction.atomic
def register_draft(*, draft: PlanDraft, plan: Plan, actor: Actor) -> PlanVersion:
    """Enter the design of a draft; ``plan`` is what its saved text says.

    Raises
    ------
    PermissionDenied
        Without the permission to register plans in that team.
    StateError
        If it was registered before, or the team has this design.
    """
    _allow(actor, "add_planversion", draft.team)
    lock_chain()
    draft.refresh_from_db()
    if draft.plan_id is not None:
        raise StateError(f"{draft}: is registered already")
    known = PlanVersion.objects.filter(team=draft.team, design_sha256=plan.design_sha256).first()
    if known is not None:
        raise StateError(f"{draft}: {draft.team} has this design already as {known}; expected a change")
    version = register_plan(plan=plan, actor=actor, team=draft.team)
    draft.plan = version
    draft.save(update_fields=["plan"])
    payload = {"plan": version.event_object, "text_sha256": _hash(draft.text)}
    _tell(actor, "plan_draft.registered", draft, payload, team=draft.team)
    return version


@transaction.atomic
def decide_on_design(*, plan: PlanVersion, state: DesignState, reason: str, actor: Actor) -> PlanDecision:
    """Approve or retire a design. Four eyes: nobody approves what they wrote or registered.

    Raises
    ------
    PermissionDenied
        Without the permission to approve plans in that team.
    StateError
        If it is not where this can follow, no reason is given, or the same person wrote or registered it.
    """
    if actor.user is None:
        raise PermissionDenied(f"{actor.name}: a design is decided on by a person with an account")
    _allow(actor, "approve_planversion", plan.team)
    # The lock makes "look where it stands, then decide" one step: two people who decide at once follow each other.
    lock_chain()
    before = design_state(plan)
    if state not in TRANSITIONS[before]:
        sources = [source.label.lower() for source, targets in TRANSITIONS.items() if state in targets]
        raise StateError(f"{plan}: is {before.label.lower()}; expected {' or '.join(sources) or 'another decision'}")
    if not reason.strip():
        raise StateError(f"{plan}: no reason is given; expected a sentence on what was looked at")
    if state == DesignState.APPROVED and wrote(plan, actor):
        raise StateError(f"{plan}: {actor.name} wrote or registered it; expected a second person to approve it")
    decision = PlanDecision.objects.create(
        plan=plan, state=state, reason=reason.strip(), decided_by=actor.name, decided_by_user=actor.user
    )
    payload = {
        "from": str(before),
        "to": str(state),
        "reason": decision.reason,
        "design_sha256": plan.design_sha256,
    }
    append_event(actor=actor, action="plan.decided", object=plan.event_object, payload=payload, team=plan.team)
    return decision


def newest_decision(plan: PlanVersion) -> PlanDecision | None:
    """The decision by which a design stands where it stands: the last one entered, whatever the clock said."""
    return PlanDecision.objects.filter(plan=plan).order_by("-pk").first()


def design_state(plan: PlanVersion) -> DesignState:
    """Where a design stands."""
    newest = newest_decision(plan)
    return DesignState(newest.state) if newest else DesignState.PROPOSED


def wrote(plan: PlanVersion, actor: Actor) -> bool:
    """Whether the event log names this person as one who wrote or registered a design.

    By account, and by name too: a run of the command line knows its user by name alone.
    """
    drafts = [f"plan draft {key}" for key in plan.drafts.values_list("pk", flat=True)]
    events = Event.objects.filter(
        Q(object=plan.event_object, action="plan.registered") | Q(object__in=drafts), Q(team=plan.team) | Q(team=None)
    )
    people = events.values_list("actor_user_id", "actor").distinct()
    user = getattr(actor.user, "pk", None)
    return any(account == user or name.casefold() == actor.name.casefold() for account, name in people)


def _allow(actor: Actor, permission: str, team: Team) -> None:
    if actor.user is not None and not access.may(actor.user, permission, team.pk):
        raise PermissionDenied(f"{actor.name}: may not {permission.replace('_', ' ')} of {team}")


def _tell(actor: Actor, action: str, draft: PlanDraft, payload: dict[str, Any], *, team: Team) -> None:
    append_event(actor=actor, action=action, object=draft.event_object, payload=payload, team=team)


def _hash(text: str) -> str:
    return sha256_bytes(text.encode())
