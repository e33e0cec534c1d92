"""Writing a plan on the site, registering it, and deciding about its design."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from auditor.canonical import sha256_bytes
from auditor.plan import Plan
from compliance.access import permissions as access
from compliance.actions.registry import register_plan
from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import DataSetVersion, DesignState, Event, PlanDecision, PlanDraft, PlanVersion, Team
from compliance.sentences import in_sentence, one_of

TRANSITIONS = {
    DesignState.PROPOSED: (DesignState.APPROVED, DesignState.RETURNED, DesignState.RETIRED),
    DesignState.RETURNED: (DesignState.RETIRED,),
    DesignState.APPROVED: (DesignState.RETIRED,),
    DesignState.RETIRED: (),
}


@transaction.atomic
def begin_draft(
    *,
    team: Team,
    name: str,
    origin: str,
    text: str,
    actor: Actor,
    copy_of: PlanVersion | None = None,
    data: DataSetVersion | None = None,
) -> PlanDraft:
    """Begin a draft as a copy of ``text``, which ``origin`` names.

    ``copy_of`` is the registered design it was copied from, ``data`` the table it was written from, if there is one.

    Raises
    ------
    PermissionDenied
        Without the permission to register plans in that team.
    StateError
        If the table belongs to another team.
    """
    _allow(actor, "add_planversion", team)
    if data is not None and data.team_id != team.pk:
        raise StateError(_("{data}: belongs to another team; expected data of {team}").format(data=data, team=team))
    lock_chain()
    draft = PlanDraft.objects.create(
        team=team,
        name=name[:200],
        origin=origin[:300],
        origin_text=text,
        text=text,
        agreed=text,
        copy_of=copy_of if copy_of is not None and copy_of.team_id == team.pk else None,
        data=data,
        begun_by=actor.name,
        changed_by=actor.name,
        changed_at=timezone.now(),
    )
    payload = {"origin": draft.origin, "text_sha256": _hash(text)}
    if data is not None:
        payload["data"] = data.event_object
    _tell(actor, "plan_draft.begun", draft, payload, team=team)
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
        raise StateError(
            _("{draft}: is registered and stays as it is; expected a copy of it to be changed").format(draft=draft)
        )
    if draft.revision != revision:
        raise StateError(
            _("{draft}: {changed_by} saved it in the meantime; expected your changes on top of theirs").format(
                draft=draft, changed_by=draft.changed_by
            )
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
        raise StateError(_("{draft}: is registered already").format(draft=draft))
    known = PlanVersion.objects.filter(team=draft.team, design_sha256=plan.design_sha256).first()
    if known is not None:
        raise StateError(
            _("{draft}: {team} has this design already as {known}; expected a change").format(
                draft=draft, team=draft.team, known=known
            )
        )
    version = register_plan(plan=plan, actor=actor, team=draft.team)
    draft.plan = version
    draft.save(update_fields=["plan"])
    payload = {"plan": version.event_object, "text_sha256": _hash(draft.text)}
    _tell(actor, "plan_draft.registered", draft, payload, team=draft.team)
    return version


@transaction.atomic
def decide_on_design(*, plan: PlanVersion, state: DesignState, reason: str, actor: Actor) -> PlanDecision:
    """Approve, return or retire a design. Four eyes: nobody approves what they wrote or registered.

    Returned, it waits for whoever wrote it: they register a corrected copy, or submit it again with an answer.

    Raises
    ------
    PermissionDenied
        Without the permission to approve designs in that team.
    StateError
        If it is not where this can follow, no reason is given, or the same person wrote or registered it.
    """
    if actor.user is None:
        raise PermissionDenied(_("{name}: a design is decided on by a person with an account").format(name=actor.name))
    _allow(actor, "approve_planversion", plan.team)
    # The lock makes "look where it stands, then decide" one step: two people who decide at once follow each other.
    lock_chain()
    before = design_state(plan)
    if state not in TRANSITIONS[before]:
        sources = [source.label for source, targets in TRANSITIONS.items() if state in targets]
        raise StateError(
            _("{plan}: is {state}; expected {expected}").format(
                plan=plan, state=in_sentence(before.label), expected=one_of(sources) or _("another decision")
            )
        )
    if not reason.strip():
        raise StateError(_("{plan}: no reason is given; expected a sentence on what was looked at").format(plan=plan))
    if state == DesignState.APPROVED and wrote(plan, actor):
        raise StateError(
            _("{plan}: {name} wrote or registered it; expected a second person to approve it").format(
                plan=plan, name=actor.name
            )
        )
    return _enter(plan, before, state, reason.strip(), actor)


@transaction.atomic
def submit_design_again(*, plan: PlanVersion, reason: str, actor: Actor) -> PlanDecision:
    """Answer the comments with which a design was returned, and ask for a decision once more.

    Raises
    ------
    PermissionDenied
        Without an account, or without the permission to register plans in that team.
    StateError
        If it was not returned, or no answer is given.
    """
    if actor.user is None:
        raise PermissionDenied(
            _("{name}: a design is submitted again by a person with an account").format(name=actor.name)
        )
    _allow(actor, "add_planversion", plan.team)
    lock_chain()
    before = design_state(plan)
    if before is not DesignState.RETURNED:
        raise StateError(
            _("{plan}: is {state}; expected one that was returned with comments").format(
                plan=plan, state=in_sentence(before.label)
            )
        )
    if not reason.strip():
        raise StateError(_("{plan}: no answer is given; expected a sentence on the comments").format(plan=plan))
    return _enter(plan, before, DesignState.PROPOSED, reason.strip(), actor)


def _enter(plan: PlanVersion, before: DesignState, state: DesignState, reason: str, actor: Actor) -> PlanDecision:
    decision = PlanDecision.objects.create(
        plan=plan, state=state, reason=reason, decided_by=actor.name, decided_by_user=actor.user
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
    if plan.decisions.filter(state=DesignState.PROPOSED, decided_by_user=getattr(actor.user, "pk", None)).exists():
        return True  # submitted it again
    people = events.values_list("actor_user_id", "actor").distinct()
    user = getattr(actor.user, "pk", None)
    return any(account == user or name.casefold() == actor.name.casefold() for account, name in people)


MAY_NOT = {
    "add_planversion": gettext_noop("{name}: may not register designs of {team}"),
    "approve_planversion": gettext_noop("{name}: may not approve designs of {team}"),
}


def _allow(actor: Actor, permission: str, team: Team) -> None:
    if actor.user is not None and not access.may(actor.user, permission, team.pk):
        raise PermissionDenied(_(MAY_NOT[permission]).format(name=actor.name, team=team))


def _tell(actor: Actor, action: str, draft: PlanDraft, payload: dict[str, Any], *, team: Team) -> None:
    append_event(actor=actor, action=action, object=draft.event_object, payload=payload, team=team)


def _hash(text: str) -> str:
    return sha256_bytes(text.encode())
