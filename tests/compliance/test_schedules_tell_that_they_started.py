"""Whoever made a schedule is told when it starts an audit, and when it cannot; so is the team's webhook."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
import time_machine
from django.utils import translation

from compliance.access.roles import Role
from compliance.execution.notifying import notify
from compliance.execution.workers import reap
from compliance.models import Audit, Membership, Notice, WebhookDelivery, default_team
from compliance.notices.words import said_now
from tests.compliance.calendars import officer, scheduled
from tests.compliance.messages import keep_messages
from tests.compliance.teams import make_person
from tests.compliance.test_notices_by_webhook import set_hook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("database")]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch, settings, tmp_path) -> Iterator[time_machine.Coordinates]:
    """The day before a schedule starts; nobody works."""
    settings.DATA_FOLDER, settings.KEYS_FILE = tmp_path, tmp_path / "system-keys"
    settings.SITE_URL = "https://plumbline.bank.example"
    keep_messages(monkeypatch)
    with time_machine.travel(datetime(2027, 2, 28, 9, tzinfo=UTC), tick=False) as moved:
        yield moved


def test_who_scheduled_it_is_told_once_that_its_audit_began(clock: time_machine.Coordinates) -> None:
    ola, other = officer(), officer("other")
    scheduled(ola, first_on=date(2027, 3, 1))
    adam = make_person("adam", default_team(), [Role.ADMINISTRATOR])
    set_hook(adam, "http://127.0.0.1:9/hook", kinds=["schedule_started"])
    notify()
    assert not Notice.objects.filter(kind="schedule_started").exists()
    clock.move_to(datetime(2027, 3, 1, 9, tzinfo=UTC))
    assert reap() == 1
    notify()
    notify()
    audit = Audit.objects.get()
    told = Notice.objects.get(kind="schedule_started")
    assert (told.user, told.link, told.words) == (
        ola,
        audit.get_absolute_url(),
        f"Audit {audit.number} was started by its schedule",
    )
    assert not Notice.objects.filter(user=other, kind="schedule_started").exists()
    assert WebhookDelivery.objects.get().kind == "schedule_started"
    with translation.override("de"):
        assert said_now(told.words) == f"Die Prüfung {audit.number} wurde durch ihren Termin gestartet"


def test_who_scheduled_it_is_told_that_it_could_not_start(clock: time_machine.Coordinates) -> None:
    ola = officer()
    row = scheduled(ola, first_on=date(2027, 3, 1))
    Membership.objects.filter(user=ola).delete()
    make_person("left", default_team(), [Role.COMPLIANCE_OFFICER])
    Membership.objects.create(user=ola, team=default_team(), role=Role.INTERNAL_AUDIT)
    clock.move_to(datetime(2027, 3, 1, 9, tzinfo=UTC))
    reap()
    notify()
    told = Notice.objects.get(kind="schedule_held")
    assert (told.user, told.link, told.words) == (ola, row.get_absolute_url(), "A schedule could not start")
