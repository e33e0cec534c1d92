"""Only a finished, governed audit that could tell moves how a model stands, and by when it is due again."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from compliance import actions
from compliance.dashboard.audited_models import AuditedModel, finished, registered_models
from compliance.governance.revalidation import months_after
from compliance.governance.standing import due_dates, last_that_count
from compliance.models import Approval, Audit, LanguageModel, default_team
from tests.compliance.calendars import counted, officer, scheduled, too_small
from tests.compliance.factories import ACTOR
from tests.compliance.governed import approved_plan, version_of
from tests.compliance.teams import make_team_audit
from tests.compliance.test_officers_site import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_FOLDER = tmp_path


@pytest.fixture
def ola(client: Client) -> Client:
    """The browser of somebody who may run audits."""
    client.force_login(officer())
    return client


def standing() -> AuditedModel:
    (found,) = registered_models(actor_of_root(), finished(Audit.objects.all()))
    return found


def actor_of_root() -> Any:
    from django.contrib.auth.models import User

    return User.objects.filter(is_superuser=True).first() or User.objects.create_superuser("root")


def test_a_model_that_nobody_audited_is_listed_without_a_standing_and_says_why(ola: Client) -> None:
    version_of(default_team(), 1)
    found = standing()
    assert (found.basis, found.due, found.reason) == (None, None, "no audit of it is finished")
    assert "no audit of it is finished" in text_of(ola.get("/models/").content)
    assert "no date for the next validation: no audit of it is finished" in text_of(ola.get(found.link).content)


def test_a_trial_run_moves_nothing_and_is_listed_apart(ola: Client) -> None:
    trial = make_team_audit(default_team(), name="trial")
    found = standing()
    assert (found.basis, found.due, found.trials, found.reason) == (None, None, 1, "only trial runs so far")
    page = ola.get(found.link)
    assert [line["audit"] for line in page.context["trials"]] == [trial]
    assert page.context["governed"] == []
    text = text_of(page.content)
    assert "Trial runs, newest first They move neither the standing nor the date; their findings are drafts" in text
    assert "No governed audit yet." in text
    assert ola.get("/").context["models"] == 0


def test_a_governed_audit_that_was_too_small_moves_nothing_and_says_so(ola: Client) -> None:
    audit = too_small()
    found = standing()
    assert (found.basis, found.due, found.reason) == (None, None, f"{audit.number} was too small to tell")
    assert "no: too small to tell" in text_of(ola.get(found.link).content)


@pytest.mark.parametrize("found_something", [False, True])
def test_a_governed_audit_that_could_tell_moves_both_whatever_it_found(found_something: bool) -> None:
    audit = counted(found=found_something)
    now = standing()
    assert now.basis is not None
    assert now.basis.audit == audit.number
    assert audit.finished_at is not None
    assert now.due == months_after(audit.finished_at, 24)


def test_later_trial_runs_and_small_audits_leave_it_where_it_was() -> None:
    plan = approved_plan(default_team())
    audit = counted(plan=plan, number=2)
    before = standing()
    too_small(plan=plan, number=2)
    make_team_audit(default_team(), name="trial")
    now = standing()
    assert (now.basis, now.due, now.trials) == (before.basis, before.due, 1)
    assert [item.last.audit for item in due_dates()] == [audit.pk]
    assert list(last_that_count()) == [audit.model.language_model_id]


@pytest.mark.parametrize(("tier", "months"), [(1, 12), (2, 24), (3, 36), (4, 36)])
def test_the_date_goes_by_the_tier_in_the_register(tier: int, months: int) -> None:
    audit = counted()
    LanguageModel.objects.update(risk_tier=tier)
    assert audit.finished_at is not None
    assert (standing().tier, standing().due) == (tier, months_after(audit.finished_at, months))


def test_an_institution_sets_its_own_months(settings: Any) -> None:
    settings.REVALIDATION_MONTHS = {1: 6, 2: 9, 3: 12, 4: 18}
    audit = counted()
    assert audit.finished_at is not None
    assert standing().due == months_after(audit.finished_at, 9)


def test_a_retired_model_has_no_date(ola: Client) -> None:
    audit = counted()
    actions.decide_on_language_model(language_model=audit.model.language_model, approval=Approval.RETIRED, actor=ACTOR)
    assert (standing().due, standing().reason, due_dates()) == (None, "it is retired", [])
    assert "This model is retired." in text_of(ola.get(standing().link).content)


def due_in(days: int) -> datetime:
    """When an audit of tier 2 was finished that is due in so many days."""
    return months_after(timezone.now() + timedelta(days=days), -24)


def words(client: Client) -> list[str]:
    return [task.words for task in client.get("/").context["tasks"]]


@pytest.mark.parametrize(
    ("days", "expected"), [(70, []), (50, ["Plan the next validation"]), (-2, ["Repeat the validation"])]
)
def test_the_inbox_calls_it_up_before_it_is_due_and_when_it_is(days: int, expected: list[str], ola: Client) -> None:
    counted(finished_at=due_in(days))
    assert words(ola) == expected


def test_what_is_scheduled_by_then_need_not_be_planned() -> None:
    plan = approved_plan(default_team())
    audit = counted(plan=plan, finished_at=due_in(50))
    person = officer("other")
    client = Client()
    client.force_login(person)
    assert words(client) == ["Plan the next validation"]
    day = timezone.now().date() + timedelta(days=40)
    scheduled(person, first_on=day, plan=plan, model=audit.model)
    assert words(client) == []
