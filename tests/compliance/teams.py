"""Two teams, each with a row of every register, and people with roles."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from auditor.records import Conclusion, Finding, Measurement, Severity
from auditor.records import Role as MeasurementRole
from compliance import actions
from compliance.access.roles import Role
from compliance.execution.ledger import DatabaseLedger
from compliance.governance.events import Actor
from compliance.models import (
    Audit,
    DesignState,
    Event,
    Membership,
    PolicyPackReview,
    PolicyPackVersion,
    Team,
    Worker,
)
from tests.compliance.factories import ACTOR, make_applications, make_chunks, make_plan, make_run
from tests.records import NO_FILES

#: Kinds of rows without a page in the administration: secrets, what is shown elsewhere, what only the software reads.
UNLISTED = ("accountlink", "chainhead", "eventpayload", "firstrunlink", "keptform", "lockout", "mailaddress",
            "maildelivery", "notice", "noticechoice", "noticecursor", "reminder", "savedview", "secondfactor", "signin",
            "systemkey", "webhook", "webhookdelivery")  # fmt: skip
WORKING = [role for role in Role if role != Role.EXAMINER]


def make_person(name: str, team: Team | None = None, roles: Iterable[Role] = (), **options: Any) -> User:
    """An account with roles in a team."""
    user = User.objects.create_user(name, password="a long password", **options)
    for role in roles:
        Membership.objects.create(team=team, user=user, role=role)
    return user


def listing_text(name: str, **more: Any) -> str:
    """The table of an endpoint on this machine, as an administrator types it."""
    lines = {"dialect": "chat_completions", "url": "http://127.0.0.1:9/v1", "model": "underwriter", **more}
    return "\n".join([f"[endpoint.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in lines.items()), ""])


def make_team_audit(team: Team, *, name: str) -> Audit:
    """A finished audit of a team, with one chunk, measurement and finding; all of it by the actions."""
    audit = actions.start_ungoverned_audit(
        run=make_run(name),
        chunks=make_chunks(1),
        prompts=2,
        tokens=20,
        model=actions.register_model(source="demo:x", sha256="2" * 64, manifest=NO_FILES, actor=ACTOR, team=team),
        data=actions.register_data(data=make_applications(), actor=ACTOR, team=team),
        plan=actions.register_plan(plan=make_plan(), actor=ACTOR, team=team),
        actor=ACTOR,
        command="python manage.py audit small.toml",
    )
    actions.begin_audit(audit=audit, actor=ACTOR)
    ledger = DatabaseLedger(audit)
    assert ledger.claim(0)
    assert ledger.complete(0, b"{}")
    measurement = Measurement(
        id="m", test="counterfactual", metric="cf_net_effect", role=MeasurementRole.PRIMARY, subject={"field": "race"},
        unit="rate_difference", reference="a", estimate=-0.2, low=-0.5, high=-0.1, n=40, p_value=0.01, p_adjusted=0.01,
        conclusion=Conclusion.DIFFERENCE_FOUND, conclusion_reason="…",
    level=0.95)  # fmt: skip
    finding = Finding(
        id="F-001", title="Approved less often", severity=Severity.HIGH, rule="R1: …", condition="…", criteria=("c",),
        cause="Not examined.", effect="…", recommendation="…", measurements=("m",),
        conclusion=Conclusion.DIFFERENCE_FOUND,
    )  # fmt: skip
    actions.finish_audit(
        audit=audit, measurements=[measurement], findings=[finding], files={}, finished_at=timezone.now(), actor=ACTOR
    )
    return audit


def rows_of(team: Team, *, name: str) -> dict[str, Any]:
    """One row of every register, by its model's name; policy packs belong to nobody and are the same for all."""
    from tests.compliance.governed import (  # which makes its people here
        GONE,
        actor_of,
        approved_plan,
        open_finding,
        run,
    )

    audit = make_team_audit(team, name=name)
    examiner = make_person(f"examiner {name}", team, [Role.EXAMINER])
    until = timezone.now() + timedelta(days=7)
    pack = PolicyPackVersion.objects.all()[0]
    language_model = audit.model.language_model
    due = date.today() + timedelta(days=90)
    validator = make_person(f"validator {name}", team, [Role.VALIDATOR])
    decides = Actor(name=validator.username, role="officer", user=validator)
    lists = make_person(f"lister {name}", team, [Role.ADMINISTRATOR])
    record = open_finding(team)
    comments = make_person(f"commenter {name}", team, [Role.COUNSEL])
    approved = approved_plan(team, name="governed")
    governed = run(plan=approved, model=audit.model, findings=[], measurements=[GONE])
    proposes = actor_of(make_person(f"owner {name}", team, [Role.MODEL_OWNER]))
    proposed = {"version": audit.model, "audits": [governed.number], "reason": "For loans.", "actor": proposes}
    actions.decide_on_version(
        proposal=actions.propose_version(**proposed), approve=True, reason="Read.", confirmed=True, actor=decides
    )
    return {
        "versiondecision": actions.propose_version(**proposed),
        "auditschedule": actions.make_schedule(
            plan=approved,
            language_model=language_model,
            data=audit.data,
            every_months=3,
            first_on=due,
            actor=actor_of(make_person(f"scheduler {name}", team, [Role.COMPLIANCE_OFFICER])),
        ),
        "findingrecord": record,
        "sighting": record.sightings.get(),
        "findingnote": actions.note_finding(
            record=record, text="Read.", name="a.txt", content=b"What was done.", actor=actor_of(comments)
        ),
        "team": team,
        "membership": examiner.memberships.get(),
        "release": actions.release_audit(audit=audit, reader=examiner, until=until, reason="asked", actor=ACTOR),
        "languagemodel": language_model,
        "languagemodelversion": audit.model,
        "datasetversion": audit.data,
        "planversion": audit.plan,
        "plandraft": actions.begin_draft(team=team, name=name, origin="nothing", text="", actor=ACTOR),
        "plandecision": actions.decide_on_design(
            plan=audit.plan, state=DesignState.APPROVED, reason="read", actor=decides
        ),
        "registration": actions.request_upload(team=team, name=name, file_name="a.csv", size=9, actor=ACTOR),
        "systemlisting": actions.propose_system(
            team=team,
            text=listing_text(name),
            reason="asked",
            actor=Actor(name=lists.username, role="site", user=lists),
        ),
        "webhook": actions.set_webhook(
            team=team,
            name=name,
            url="http://127.0.0.1:9/hook",
            networks=[],
            kinds=["finding_opened"],
            actor=Actor(name=lists.username, role="site", user=lists),
        )[0],
        "policypackversion": pack,
        "policypackreview": PolicyPackReview.objects.first()
        or actions.review_pack(pack=pack, due=due, note="read", actor=ACTOR),
        "audit": audit,
        "auditchunk": audit.chunks.get(),
        "measurementrow": audit.measurements.get(),
        "findingrow": audit.findings.get(),
        "worker": Worker.objects.get_or_create(
            key="1" * 32, defaults={"host": "here", "queues": ["audits"], "seen_at": timezone.now()}
        )[0],
        "event": Event.objects.filter(object=audit.number)[0],
    }
