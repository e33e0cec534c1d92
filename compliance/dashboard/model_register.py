"""What the register holds of a model: its versions, who approved which, and what is scheduled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from compliance.access import permissions as access
from compliance.actions.approvals import PROPOSE
from compliance.actions.schedules import RUN
from compliance.models import AuditSchedule, LanguageModel, LanguageModelVersion, ScheduleState
from compliance.models.approvals import VersionApproval, versions_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


@dataclass(frozen=True, kw_only=True)
class VersionLine:
    """One version, and where it stands."""

    version: LanguageModelVersion
    number: int
    standing: VersionApproval


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What is shown of a model to those who may see the register of its team."""

    model: LanguageModel
    versions: list[VersionLine]
    schedules: list[AuditSchedule]
    may_propose: bool
    may_schedule: bool


def register_of(user: User | AnonymousUser, language_model: int) -> Registered | None:
    """What the register holds of a model; ``None`` for whoever sees only audits of it that were released to them."""
    model = LanguageModel.objects.for_user(user).filter(pk=language_model).first()
    if model is None:
        return None
    schedules = AuditSchedule.objects.for_user(user).filter(language_model=model).exclude(state=ScheduleState.ENDED)
    return Registered(
        model=model,
        versions=[VersionLine(number=number, version=row, standing=found) for number, row, found in versions_of(model)],
        schedules=list(schedules.select_related("plan", "language_model").defer("plan__design_json")),
        may_propose=access.may(user, PROPOSE, model.team_id),
        may_schedule=access.may(user, RUN, model.team_id),
    )
