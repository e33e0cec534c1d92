"""A governed model with a calendar: people, an approved design, and audits that count or could not tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

from django.contrib.auth.models import User

from auditor.records import Conclusion
from compliance import actions
from compliance.access.roles import Role
from compliance.models import Audit, AuditSchedule, LanguageModelVersion, PlanVersion, Team, default_team
from tests.compliance.factories import ACTOR, make_applications
from tests.compliance.governed import EFFECT, GONE, actor_of, approved_plan, run, version_of
from tests.compliance.teams import make_person

#: The same contrast in a run that was too small to see anything.
CANNOT_SAY = replace(GONE, conclusion=Conclusion.INCONCLUSIVE)


def officer(name: str = "ola", *, team: Team | None = None) -> User:
    """Somebody who may run and schedule audits."""
    return make_person(name, team or default_team(), [Role.COMPLIANCE_OFFICER], is_staff=True)


def validator(name: str = "vera", *, team: Team | None = None) -> User:
    """Somebody who may approve designs and versions."""
    return make_person(name, team or default_team(), [Role.VALIDATOR], is_staff=True)


def counted(
    *, number: int = 1, plan: PlanVersion | None = None, finished_at: datetime | None = None, found: bool = False
) -> Audit:
    """A finished, governed audit that moves the standing of its model."""
    return _governed(number, plan, finished_at, EFFECT if found else GONE)


def too_small(*, number: int = 1, plan: PlanVersion | None = None, finished_at: datetime | None = None) -> Audit:
    """A finished, governed audit that could not tell."""
    return _governed(number, plan, finished_at, CANNOT_SAY)


def _governed(number: int, plan: PlanVersion | None, finished_at: datetime | None, measured: Any) -> Audit:
    plan = plan or approved_plan(default_team())
    return run(
        plan=plan,
        model=version_of(plan.team, number),
        measurements=[measured],
        findings=[],
        finished_at=finished_at,
    )


def scheduled(
    by: User,
    *,
    first_on: date | None,
    every_months: int | None = 3,
    plan: PlanVersion | None = None,
    model: LanguageModelVersion | None = None,
) -> AuditSchedule:
    """An approved design, to be run again on a model."""
    plan = plan or approved_plan(default_team())
    model = model or version_of(plan.team, 1)
    return actions.make_schedule(
        plan=plan,
        language_model=model.language_model,
        data=actions.register_data(data=make_applications(), actor=ACTOR, team=plan.team),
        every_months=every_months,
        first_on=first_on,
        actor=actor_of(by),
    )
