"""The roles people have in a team, and what each may do there (docs/site.md says it in words).

A role holds in one team only. Permissions are Django's codenames of this application, without its label; the pairs that
must be two persons (author and approver, owner and approver) are guarded by the actions, on persons, not here.
"""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy


class Role(TextChoices):
    """What somebody is in a team. One person may have several."""

    MODEL_OWNER = "model_owner", gettext_lazy("Model owner")
    DEVELOPER = "developer", gettext_lazy("Developer")
    COMPLIANCE_OFFICER = "compliance_officer", gettext_lazy("Compliance officer")
    VALIDATOR = "validator", gettext_lazy("Validator")
    APPROVER = "approver", gettext_lazy("Approver")
    COUNSEL = "counsel", gettext_lazy("Counsel")
    INTERNAL_AUDIT = "internal_audit", gettext_lazy("Internal audit")
    EXAMINER = "examiner_readonly", gettext_lazy("Examiner")
    ADMINISTRATOR = "admin", gettext_lazy("Administrator")


REGISTERS = (
    "audit",
    "auditchunk",
    "auditschedule",
    "datasetversion",
    "event",
    "findingnote",
    "findingrecord",
    "findingrow",
    "languagemodel",
    "languagemodelversion",
    "measurementrow",
    "membership",
    "plandecision",
    "plandraft",
    "planversion",
    "policypackreview",
    "policypackversion",
    "registration",
    "release",
    "sighting",
    "systemlisting",
    "team",
    "versiondecision",
    "worker",
)
LOOK = frozenset(f"view_{register}" for register in REGISTERS)

# An examiner sees audits that were released to them, and what belongs to those; nothing else of the team.
RELEASED = frozenset({"view_audit", "view_findingrow", "view_measurementrow"})

PERMISSIONS: dict[Role, frozenset[str]] = {
    Role.MODEL_OWNER: LOOK
    | {
        "add_languagemodel",
        "change_languagemodel",
        "add_languagemodelversion",
        "answer_findingrecord",
        "add_findingnote",
    },
    Role.DEVELOPER: LOOK | {"add_languagemodelversion", "add_findingnote"},
    Role.COMPLIANCE_OFFICER: LOOK
    | {
        "add_languagemodel",
        "change_languagemodel",
        "add_languagemodelversion",
        "add_datasetversion",
        "add_planversion",
        "run_audit",
        "cancel_audit",
        "export_audit",
        "add_findingnote",
    },
    Role.VALIDATOR: LOOK
    | {
        "approve_languagemodel",
        "approve_planversion",
        "review_policypackversion",
        "validate_findingrecord",
        "add_findingnote",
    },
    Role.APPROVER: LOOK | {"add_release", "delete_release", "accept_findingrecord", "add_findingnote"},
    Role.COUNSEL: LOOK | {"add_release", "delete_release", "add_findingnote"},
    Role.INTERNAL_AUDIT: LOOK,
    Role.EXAMINER: frozenset(),
    Role.ADMINISTRATOR: LOOK
    | {
        "add_membership",
        "view_accountlink",
        "delete_membership",
        "add_systemlisting",
        "approve_systemlisting",
        "withdraw_systemlisting",
        "add_systemkey",
        "view_webhook",
        "add_webhook",
        "delete_webhook",
    },
}


def roles_with(permission: str) -> frozenset[Role]:
    """The roles that hold a permission over all rows of their team."""
    return frozenset(role for role, permissions in PERMISSIONS.items() if permission in permissions)
