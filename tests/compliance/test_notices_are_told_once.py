"""Two notifiers at once, on both databases: each event is told once a person and sent once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.utils import timezone

from compliance import actions
from compliance.access.roles import Role
from compliance.execution.notifying import notify
from compliance.models import MailAddress, MailDelivery, Notice, NoticeCursor, WebhookDelivery, default_team
from compliance.notices.sending import send_due
from tests.compliance.governed import actor_of, open_finding
from tests.compliance.messages import keep_messages
from tests.compliance.teams import make_person
from tests.compliance.test_races import at_once
from tests.receivers import Hook, MailServer, hook_server, mail_server

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = 3


@pytest.fixture
def servers(settings: LazySettings, tmp_path: Path) -> Iterator[tuple[MailServer, Hook]]:
    settings.KEYS_FILE = tmp_path / "system-keys"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with mail_server() as mail, hook_server() as hook:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mail.port
        yield mail, hook


def test_two_rounds_at_once_tell_and_send_everything_once(
    database: str, servers: tuple[MailServer, Hook], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_messages(monkeypatch)
    mail, hook = servers
    team, now = default_team(), timezone.now()
    for number in range(PEOPLE):
        user = make_person(f"owner {number}", team, [Role.MODEL_OWNER])
        MailAddress.objects.create(user=user, address=f"o{number}@bank.example", asked_at=now, confirmed_at=now)
    administrator = actor_of(make_person("adam", team, [Role.ADMINISTRATOR]))
    actions.set_webhook(
        team=team, name="SIEM", url=hook.url, networks=[], kinds=["finding_opened"], actor=administrator
    )
    open_finding(team)
    assert at_once(*[notify] * 4) == []
    notify()  # what the busy one of two left to the next
    opened = Notice.objects.filter(kind="finding_opened")
    assert opened.count() == MailDelivery.objects.filter(notice__in=opened).count() == PEOPLE
    assert sorted(person for people, _ in mail.arrived for person in people) == [
        f"o{number}@bank.example" for number in range(PEOPLE)
    ]
    assert (len(hook.arrived), WebhookDelivery.objects.count()) == (1, 1)


def test_a_cursor_that_two_would_make_at_once_is_one(database: str) -> None:
    make_person("olga", default_team(), [Role.MODEL_OWNER])
    NoticeCursor.objects.all().delete()
    assert at_once(*[actions.tell_people] * 4) == []
    assert NoticeCursor.objects.count() == 1
    assert at_once(*[send_due] * 2) == []
