"""Versions on which audits can be asked for, without a model."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Permission, User

from compliance import actions
from compliance.access.roles import Role
from compliance.governance.events import Actor
from compliance.models import Audit, Membership, Priority, default_team
from tests.compliance.factories import ACTOR, make_applications, make_chunks, make_plan, make_run
from tests.records import NO_FILES


def versions(name: str = "small"):
    """A plan, a model and data in the register."""
    return {
        "plan": actions.register_plan(plan=make_plan(name), actor=ACTOR),
        "model": actions.register_model(source="demo:small", sha256="1" * 64, manifest=NO_FILES, actor=ACTOR),
        "data": actions.register_data(data=make_applications(), actor=ACTOR),
    }


def request(key: str = "one", *, priority: int = Priority.NORMAL, actor: Actor = ACTOR) -> Audit:
    """Ask for an audit."""
    queue = settings.CELERY_TASK_DEFAULT_QUEUE
    return actions.request_audit(**versions(), queue=queue, priority=priority, request_key=key, actor=actor)


def freeze(audit: Audit, *, chunks: int = 3, claim_token: str | None = None) -> Audit:
    """What a worker does first, without the engine."""
    run, prompts = make_run(audit.number), 2 * chunks
    actions.freeze_audit(
        audit=audit,
        run=run,
        chunks=make_chunks(chunks),
        prompts=prompts,
        tokens=20,
        actor=ACTOR,
        claim_token=claim_token,
    )
    return audit


def person(name: str, *permissions: str, staff: bool = True, member: bool = True) -> User:
    """A member of the default team, or of none, with some permissions besides those to look."""
    user = User.objects.create_user(name, password="a long password", is_staff=staff)
    if member:
        Membership.objects.create(team=default_team(), user=user, role=Role.DEVELOPER)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user
