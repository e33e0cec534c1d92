"""What happens to accounts is in the event log, whoever does it: pages, the administration, Django's own commands.

Django and allauth change accounts where no action of the site stands between, so the models' own signals are heard.
Passwords are named as changed and never shown, not even as hashes. ``QuerySet.update`` sends no signal; nothing here
uses it on accounts, and THREAT_MODEL.md says so.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save

from compliance.accounts.acting import actor
from compliance.governance.events import append_event

SHOWN = ("username", "first_name", "last_name", "email", "is_active", "is_staff", "is_superuser")
WATCHED = (*SHOWN, "password")
BEFORE = "_before_it_was_saved"
LOST = "_roles_it_had"
VERBS = {"post_add": "given", "post_remove": "taken", "pre_clear": "taken"}


def listen() -> None:
    """Hear what is saved, deleted, given and taken. Called once, when the application is ready."""
    user = get_user_model()
    # An event is in the transaction of what it tells of; Django saves a row without one.
    user.save = transaction.atomic(user.save)  # type: ignore[method-assign]
    Group.save = transaction.atomic(Group.save)  # type: ignore[method-assign]
    pre_save.connect(_look, sender=user, dispatch_uid="accounts_look")
    post_save.connect(_saved, sender=user, dispatch_uid="accounts_saved")
    pre_delete.connect(_look_at_roles, sender=user, dispatch_uid="accounts_roles")
    post_delete.connect(_deleted, sender=user, dispatch_uid="accounts_deleted")
    post_save.connect(_group_saved, sender=Group, dispatch_uid="groups_saved")
    post_delete.connect(_group_deleted, sender=Group, dispatch_uid="groups_deleted")
    for through in (user.groups.through, user.user_permissions.through, Group.permissions.through):
        m2m_changed.connect(_given, sender=through, dispatch_uid=f"accounts_given_{through.__name__}")


def _tell(action: str, object: str, payload: dict[str, Any]) -> None:
    with transaction.atomic():
        append_event(actor=actor(), action=action, object=object, payload=payload)


def _look(instance: Any, update_fields: Any = None, **_: Any) -> None:
    watched = WATCHED if update_fields is None else tuple(name for name in WATCHED if name in update_fields)
    before = type(instance)._default_manager.filter(pk=instance.pk).values(*watched) if instance.pk and watched else ()
    setattr(instance, BEFORE, next(iter(before), {}))


def _saved(instance: Any, created: bool, **_: Any) -> None:
    label = f"account {instance.pk}"
    if created:
        _tell("account.created", label, {name: getattr(instance, name) for name in SHOWN})
        return
    changed: dict[str, Any] = {
        name: {"from": before, "to": getattr(instance, name)}
        for name, before in getattr(instance, BEFORE).items()
        if before != getattr(instance, name)
    }
    if "password" in changed:
        changed["password"] = "changed"  # noqa: S105, the word
    if changed:
        _tell("account.changed", label, {"username": instance.get_username(), **changed})


def _look_at_roles(instance: Any, **_: Any) -> None:
    roles = instance.memberships.order_by("pk").values_list("team__name", "role")
    setattr(instance, LOST, [{"team": team, "role": role} for team, role in roles])


def _deleted(instance: Any, **_: Any) -> None:
    payload = {
        "username": instance.get_username(),
        "is_superuser": instance.is_superuser,
        "roles": getattr(instance, LOST),
    }
    _tell("account.deleted", f"account {instance.pk}", payload)


def _group_saved(instance: Group, created: bool, **_: Any) -> None:
    _tell("group.created" if created else "group.changed", f"group {instance.pk}", {"name": instance.name})


def _group_deleted(instance: Group, **_: Any) -> None:
    _tell("group.deleted", f"group {instance.pk}", {"name": instance.name})


def _given(instance: Any, action: str, reverse: bool, model: Any, pk_set: set[int] | None, **_: Any) -> None:
    """Permissions and groups, given to accounts or groups; from either side of the relation."""
    verb = VERBS.get(action)
    if verb is None:
        return
    if action == "pre_clear":
        payload: dict[str, Any] = {"what": f"every {model._meta.verbose_name}"}
    elif pk_set:
        payload = {"what": sorted(map(str, model._default_manager.filter(pk__in=pk_set)))}
    else:
        return
    if reverse:
        _tell(f"account.{verb}", f"{instance._meta.verbose_name} {instance.pk}", {**payload, "name": str(instance)})
        return
    kind = "group" if isinstance(instance, Group) else "account"
    _tell(f"{kind}.{verb}", f"{kind} {instance.pk}", {**payload, "name": str(instance)})
