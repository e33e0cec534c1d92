"""Governed audits without a model: a design that a second person approved, versions of one model, what a run found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from auditor.records import Conclusion, Finding, Measurement, Severity
from auditor.records import Role as MeasurementRole
from compliance import actions
from compliance.access.roles import Role
from compliance.actions.plans import design_state
from compliance.execution.ledger import DatabaseLedger
from compliance.governance.events import Actor
from compliance.models import (
    Audit,
    DataSetVersion,
    DesignState,
    FindingRecord,
    LanguageModel,
    LanguageModelVersion,
    PlanVersion,
    Team,
    default_team,
)
from tests.compliance.factories import ACTOR, make_applications, make_chunks, make_plan, make_run
from tests.compliance.teams import make_person
from tests.records import NO_FILES

#: A net effect of race, as the engine words one.
EFFECT = Measurement(
    id="counterfactual.race.b", test="counterfactual", metric="cf_net_effect", role=MeasurementRole.PRIMARY,
    subject={"field": "race", "group": "b"}, unit="rate_difference", reference="a", estimate=-0.20, low=-0.26,
    high=-0.14, level=0.95, n=400, p_value=0.001, p_adjusted=0.001, conclusion=Conclusion.DIFFERENCE_FOUND,
    conclusion_reason="…", cases="arm:race=a|race=b", counts={"mde": 0.05},
)  # fmt: skip
FINDING = Finding(
    id="F-001", title="Race changed from a to b: fewer approvals", severity=Severity.HIGH, rule="R1: …",
    condition="Approvals fall.", criteria=("clause",), cause="Not examined.", effect="Fewer are approved.",
    recommendation="Look at the prompt.", measurements=(EFFECT.id,), cases=EFFECT.cases,
    conclusion=Conclusion.DIFFERENCE_FOUND,
)  # fmt: skip
#: The same contrast in a run that no longer shows it, and could have.
GONE = replace(EFFECT, estimate=-0.01, low=-0.03, high=0.01, p_value=0.4, p_adjusted=0.4,
               conclusion=Conclusion.NO_EVIDENCE)  # fmt: skip


def actor_of(user: User) -> Actor:
    """The person, acting through the site."""
    return Actor(name=user.get_username(), role="site", user=user)


def people_of(team: Team, *, but: str = "") -> dict[Role, User]:
    """One person a role; ``but`` tells them from those of other calls."""
    return {role: make_person(f"{role}{but}", team, [role], is_staff=role != Role.EXAMINER) for role in Role}


def approved_plan(team: Team, *, name: str = "small") -> PlanVersion:
    """A registered design that somebody else has approved."""
    return approved(actions.register_plan(plan=make_plan(name), actor=ACTOR, team=team))


def approved(plan: PlanVersion) -> PlanVersion:
    """The same, of a design that is registered."""
    if design_state(plan) == DesignState.APPROVED:
        return plan
    name = f"approves {plan.team}"
    validator = User.objects.filter(username=name).first() or make_person(name, plan.team, [Role.VALIDATOR])
    actions.decide_on_design(plan=plan, state=DesignState.APPROVED, reason="Read.", actor=actor_of(validator))
    return plan


def asked_for(*, plan: PlanVersion, model: LanguageModelVersion, data: DataSetVersion, by: User | None = None) -> Audit:
    """An audit that a person has asked for."""
    team = plan.team
    by = by or User.objects.filter(username=f"asks {team}").first()
    by = by or make_person(f"asks {team}", team, [Role.COMPLIANCE_OFFICER])
    return actions.request_audit(
        plan=plan,
        model=model,
        data=data,
        queue=settings.CELERY_TASK_DEFAULT_QUEUE,
        request_key=f"{team.pk} {Audit.objects.count()}",
        actor=actor_of(by),
    )


def version_of(team: Team, number: int, *, of: LanguageModel | None = None) -> LanguageModelVersion:
    """A version of a model, told apart by a number."""
    known = {"language_model": of} if of is not None else {}
    return actions.register_model(
        source="demo:x", sha256=f"{number:064x}", manifest=NO_FILES, actor=ACTOR, team=team, **known
    )


def run(
    *,
    plan: PlanVersion,
    model: LanguageModelVersion,
    findings: Sequence[Finding] = (FINDING,),
    measurements: Sequence[Measurement] = (EFFECT,),
    finished_at: datetime | None = None,
    by: User | None = None,
) -> Audit:
    """Ask for an audit and let it conclude as a worker would: everything by the actions."""
    data = actions.register_data(data=make_applications(), actor=ACTOR, team=plan.team)
    audit = asked_for(plan=plan, model=model, data=data, by=by)
    return conclude(audit, findings=findings, measurements=measurements, finished_at=finished_at)


def conclude(
    audit: Audit,
    *,
    findings: Sequence[Finding] = (FINDING,),
    measurements: Sequence[Measurement] = (EFFECT,),
    finished_at: datetime | None = None,
) -> Audit:
    """What workers do with an audit that was asked for, without the engine."""
    actions.freeze_audit(
        audit=audit, run=make_run(audit.number), chunks=make_chunks(1), prompts=2, tokens=20, actor=ACTOR
    )
    actions.begin_audit(audit=audit, actor=ACTOR)
    ledger = DatabaseLedger(audit)
    assert ledger.claim(0)
    assert ledger.complete(0, b"{}")
    actions.finish_audit(
        audit=audit, measurements=measurements, findings=findings, files={},
        finished_at=finished_at or timezone.now(), actor=ACTOR,
    )  # fmt: skip
    return audit


def open_finding(team: Team | None = None, *, number: int = 1, **changes: Any) -> FindingRecord:
    """A finding that a governed audit opened; ``changes`` are those of the engine's finding."""
    team = team or default_team()
    audit = run(
        plan=approved_plan(team, name="governed"),
        model=version_of(team, number),
        findings=[replace(FINDING, **changes)],
    )
    return FindingRecord.objects.get(sightings__audit=audit)
