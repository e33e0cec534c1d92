"""Entering a model, a data set or a plan into a team's register. What is there already is found, not entered again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Field, Q
from django.utils.translation import gettext as _

from auditor.applications import Applications, Survey
from auditor.canonical import canonical_json
from auditor.model_manifest import ModelManifest
from auditor.plan import Plan
from compliance.access import permissions as access
from compliance.actions.permitted import permitted
from compliance.actions.version_decisions import end_approvals
from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import (
    Approval,
    DataSetVersion,
    Event,
    LanguageModel,
    LanguageModelVersion,
    PlanVersion,
    Team,
    default_team,
)
from compliance.models.versions import DESCRIPTION
from compliance.sentences import in_english, in_sentence, one_of

#: Versions are approved one by one (compliance/actions/approvals.py); a whole model is in use or retired.
APPROVALS = {
    Approval.PROPOSED: (Approval.RETIRED,),
    Approval.APPROVED: (Approval.RETIRED,),  # as a whole, by an earlier release
    Approval.RETIRED: (Approval.PROPOSED,),
}


@transaction.atomic
def register_model(
    *,
    source: str,
    sha256: str,
    manifest: ModelManifest,
    actor: Actor,
    team: Team | None = None,
    language_model: LanguageModel | None = None,
) -> LanguageModelVersion:
    """Enter a stored model; ``sha256`` and ``manifest`` as the model store gave them.

    Parameters
    ----------
    team
        Whose register; the default team if none is named.
    language_model
        What it is a version of. Without one: what the team knows these files as, else the one called like the source.
    """
    lock_chain()
    if language_model is None:
        team = team or default_team()
        known = LanguageModelVersion.objects.filter(language_model__team=team, sha256=sha256).order_by("pk").first()
        if known is not None:
            return known
        language_model = open_language_model(team=team, description={"name": name_of(source)}, actor=actor)
    version, new = LanguageModelVersion.objects.get_or_create(
        language_model=language_model, sha256=sha256, defaults={"source": source, "manifest": manifest.plain()}
    )
    if new:
        payload = {"language_model": language_model.name, **_named(version)}
        _tell(actor, "model.registered", version, payload, team=language_model.team)
        _end_approval(language_model, f"version {sha256[:12]} was registered", actor)
    return version


@transaction.atomic
def open_language_model(*, team: Team, description: dict[str, Any], actor: Actor) -> LanguageModel:
    """The language model of that name in a team; described and entered if there is none.

    Raises
    ------
    PermissionDenied
        If there is none, and the account may not add one. A new version of one that is there is another permission.
    """
    lock_chain()
    found = LanguageModel.objects.filter(team=team, name=description["name"]).first()
    if found is not None:
        return found
    if actor.user is not None and not access.may(actor.user, "add_languagemodel", team.pk):
        raise PermissionDenied(_("{name}: may not add language models of {team}").format(name=actor.name, team=team))
    created = LanguageModel.objects.create(team=team, **description)
    _tell(actor, "language_model.described", created, _description(created), team=team)
    return created


@transaction.atomic
def describe_language_model(*, language_model: LanguageModel, description: dict[str, Any], actor: Actor) -> None:
    """Say something else about a language model: any of ``DESCRIPTION``. Saying the same again leaves no event.

    An approval was of what was said before, and ends.

    Raises
    ------
    NotPermitted
        Without the permission to change language models in its team.
    """
    permitted(actor, "change_languagemodel", language_model.team_id)
    lock_chain()
    language_model.refresh_from_db()
    before = _description(language_model)
    for name in DESCRIPTION:
        setattr(language_model, name, description.get(name, before[name]))
    after = _description(language_model)
    changed = {name: {"from": before[name], "to": after[name]} for name in DESCRIPTION if before[name] != after[name]}
    if changed:
        language_model.save(update_fields=DESCRIPTION)
        _tell(actor, "language_model.described", language_model, changed, team=language_model.team)
        _end_approval(language_model, f"{_listed(changed)} changed", actor)
        end_approvals(language_model, f"{_listed(changed)} changed", actor)


@transaction.atomic
def decide_on_language_model(*, language_model: LanguageModel, approval: Approval, actor: Actor) -> None:
    """Retire a model, or take it into use again. Its versions are approved one by one, by another action.

    Raises
    ------
    NotPermitted
        Without the permission to approve language models in its team.
    StateError
        If it is not where this can follow.
    """
    permitted(actor, "approve_languagemodel", language_model.team_id)
    lock_chain()
    language_model.refresh_from_db()
    if approval == Approval.APPROVED:
        raise StateError(
            _("{language_model}: a model is approved version by version; expected a version on its page").format(
                language_model=language_model
            )
        )
    before = language_model.approval
    sources = [state for state, targets in APPROVALS.items() if approval in targets]
    # Two people may decide at once; the second finds it decided.
    rows = LanguageModel.objects.filter(pk=language_model.pk, approval__in=sources)
    if not rows.update(approval=approval, approved_sha256="", approval_note=""):
        language_model.refresh_from_db(fields=["approval"])
        state = in_sentence(Approval(language_model.approval).label)
        expected = one_of(source.label for source in sources)
        raise StateError(
            _("{language_model}: is {state}; expected {expected}").format(
                language_model=language_model, state=state, expected=expected
            )
        )
    language_model.approval, language_model.approved_sha256, language_model.approval_note = approval, "", ""
    payload = {"from": before, "to": str(approval)}
    _tell(actor, "language_model.decided", language_model, payload, team=language_model.team)


def _end_approval(language_model: LanguageModel, why: str, actor: Actor) -> None:
    """An approval of a whole model, by an earlier release, ends with any change. With the chain locked."""
    note = f"its approval ended when {why}; it has to be approved again"
    # By the row: whoever holds the model may have read it before somebody approved it.
    rows = LanguageModel.objects.filter(pk=language_model.pk, approval=Approval.APPROVED)
    if not rows.update(approval=Approval.PROPOSED, approved_sha256="", approval_note=note):
        return
    language_model.approval, language_model.approved_sha256 = Approval.PROPOSED, ""
    language_model.approval_note = note
    payload = {"from": str(Approval.APPROVED), "to": str(Approval.PROPOSED), "reason": note}
    _tell(actor, "language_model.approval_ended", language_model, payload, team=language_model.team)


def _listed(changed: dict[str, Any]) -> str:
    fields = [LanguageModel._meta.get_field(name) for name in changed]
    with in_english():
        names = [str(field.verbose_name) for field in fields if isinstance(field, Field)]
    *most, last = names
    return f"its {', '.join(most)} and {last}" if most else f"its {last}"


def described(language_model: LanguageModel, actor: Actor, *, of: Iterable[LanguageModelVersion]) -> bool:
    """Whether the event log names this person as one who described a model or registered one of these versions.

    By account, and by name too: the command line knows its user by name alone.
    """
    versions = [version.event_object for version in of]
    events = Event.objects.filter(
        Q(object=language_model.event_object, action="language_model.described")
        | Q(object__in=versions, action="model.registered"),
        Q(team=language_model.team) | Q(team=None),
    )
    people = events.values_list("actor_user_id", "actor").distinct()
    user = getattr(actor.user, "pk", None)
    return any(
        (account is not None and account == user) or name.casefold() == actor.name.casefold()
        for account, name in people
    )


def name_of(source: str) -> str:
    """What a language model is called when nobody named it: its source, without the revision that names a version."""
    return re.sub(r"@[^+]*", "", source)[:200]


@transaction.atomic
def register_data(
    *,
    data: Applications | Survey,
    actor: Actor,
    team: Team | None = None,
    file: str = "",
    preview: list[list[str]] | None = None,
) -> DataSetVersion:
    """Enter a set of applications, kept or only surveyed, with its mapping.

    Parameters
    ----------
    file
        Where an uploaded table is kept, below the data folder.
    preview
        Its first rows, personal data masked; the first line holds the names.
    """
    lock_chain()
    team = team or default_team()
    version, new = DataSetVersion.objects.get_or_create(
        team=team,
        fingerprint=data.fingerprint,
        defaults={
            "name": data.mapping.name[:200],
            "source": data.source,
            "mapping": data.mapping.design(),
            "rows": data.count,
            "file": file,
            "preview": preview or [],
        },
    )
    if new:
        payload = {**_named(version), "left_out": dict(data.counts.left_out), "outcomes": data.counts.outcomes()}
        _tell(actor, "data.registered", version, payload, team=team)
    return version


@transaction.atomic
def register_plan(*, plan: Plan, actor: Actor, team: Team | None = None) -> PlanVersion:
    """Enter a design; what it is bound to is not part of it.

    Raises
    ------
    NotPermitted
        Without the permission to register plans in that team.
    """
    team = team or default_team()
    permitted(actor, "add_planversion", team.pk)
    lock_chain()
    version, new = PlanVersion.objects.get_or_create(
        team=team,
        design_sha256=plan.design_sha256,
        defaults={"name": plan.name, "title": plan.title, "design_json": canonical_json(plan.design()).decode()},
    )
    if new:
        _tell(actor, "plan.registered", version, _named(version), team=team)
    return version


def _tell(actor: Actor, action: str, row: Any, payload: dict[str, Any], *, team: Team) -> None:
    append_event(actor=actor, action=action, object=row.event_object, payload=payload, team=team)


def _description(language_model: LanguageModel) -> dict[str, Any]:
    return {name: getattr(language_model, name) for name in DESCRIPTION}


def _named(version: LanguageModelVersion | DataSetVersion | PlanVersion) -> dict[str, Any]:
    """The fields of a version that name it."""
    names = ("source", "name", "title", "sha256", "fingerprint", "design_sha256", "rows")
    return {name: getattr(version, name) for name in names if hasattr(version, name)}
