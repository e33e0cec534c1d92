"""Notices by mail, to a real mail server: to confirmed addresses only, without applications, tried for a day."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import pytest
import time_machine
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from compliance import actions
from compliance.access.roles import Role
from compliance.models import DeliveryState, MailAddress, MailDelivery, Membership, Notice, default_team
from compliance.notices.sending import GIVEN_UP_AFTER, HOLD, send_due
from tests.compliance.governed import FINDING, actor_of, open_finding
from tests.compliance.teams import make_person
from tests.receivers import MailServer, mail_server

TO = "olga@bank.example"


@pytest.fixture
def server(db: None, settings: LazySettings) -> Iterator[MailServer]:
    with mail_server() as state:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", state.port
        settings.SITE_URL = "https://plumbline.bank.example"
        settings.DEFAULT_FROM_EMAIL = "Plumbline <plumbline@bank.example>"
        yield state


@pytest.fixture
def owner(db: None) -> User:
    user = make_person("olga", default_team(), [Role.MODEL_OWNER])
    now = timezone.now()
    MailAddress.objects.create(user=user, address=TO, asked_at=now, confirmed_at=now)
    return user


def test_one_notice_is_one_mail_with_number_title_and_link(server: MailServer, owner: User) -> None:
    record = open_finding(default_team())
    actions.tell_people()
    assert send_due() == 1
    ((people, mail),) = server.arrived
    assert people == [TO]
    assert mail["Subject"] == f"Plumbline: {record.number} was opened"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@bank.example>")
    text = mail.get_content()
    assert text.splitlines()[:3] == [
        f"{record.number} was opened.",
        record.title,
        f"https://plumbline.bank.example/findings/{record.number}/",
    ]
    assert FINDING.condition not in text
    assert send_due() == 0
    assert len(server.arrived) == 1


def test_many_at_once_are_one_mail(server: MailServer, owner: User) -> None:
    told = [notice(owner, number) for number in range(60)]
    assert send_due() == 60
    ((_, mail),) = server.arrived
    assert mail["Subject"] == "Plumbline: 60 notices"
    text = mail.get_content()
    assert told[0].words in text
    assert "And 10 more, on the site." in text


def test_what_comes_within_five_minutes_waits_for_the_next_mail(server: MailServer, owner: User) -> None:
    notice(owner, 1)
    send_due()
    for number in (2, 3):
        notice(owner, number)
        send_due()
    assert len(server.arrived) == 1
    with time_machine.travel(timezone.now() + HOLD + timedelta(seconds=1)):
        send_due()
    assert [mail["Subject"] for _, mail in server.arrived][1:] == ["Plumbline: 2 notices"]


def test_a_title_with_line_ends_adds_no_header(server: MailServer, owner: User) -> None:
    row = notice(owner, 1)
    Notice.objects.filter(pk=row.pk).update(words="A\r\nBcc: eve@bank.example\r\n\r\nbody", title="B\nC: d")
    send_due()
    ((people, mail),) = server.arrived
    assert people == [TO]
    assert mail["Bcc"] is None
    assert "Bcc: eve" in mail["Subject"]


def test_nothing_is_mailed_before_the_address_is_confirmed_by_its_owner(server: MailServer, client: Client) -> None:
    user, eve = (make_person(name, default_team(), [Role.MODEL_OWNER]) for name in ("olga", "eve"))
    client.force_login(user)
    assert client.post("/notices/address/", {"address": TO})["Location"] == "/notices/choices/"
    ((people, mail),) = server.arrived
    assert people == [TO]
    link = re.search(r"https://plumbline.bank.example(/notices/address/\S+/)", mail.get_content())
    assert link is not None
    open_finding(default_team())
    actions.tell_people()
    assert (send_due(), MailDelivery.objects.count()) == (0, 0)
    other = Client()
    other.force_login(eve)
    page = other.post(link[1], follow=True).content.decode()
    assert "does not confirm your address" in page
    assert client.get(link[1]).status_code == 200
    assert MailAddress.objects.get(user=user).confirmed_at is None  # following the link is no click
    assert "Your address is confirmed" in client.post(link[1], follow=True).content.decode()
    assert MailAddress.objects.get(user=user).confirmed_at is not None


def test_nobody_has_links_sent_again_and_again_not_even_by_taking_the_address_away(
    server: MailServer, client: Client
) -> None:
    client.force_login(make_person("olga", default_team(), [Role.MODEL_OWNER]))
    client.post("/notices/address/", {"address": TO})
    client.post("/notices/address/remove/")
    answer = client.post("/notices/address/", {"address": "victim@bank.example"})
    assert answer.status_code == 409
    assert "a link was sent a few minutes ago" in answer.content.decode()
    assert 'value="victim@bank.example"' in answer.content.decode()
    assert len(server.arrived) == 1
    assert client.post("/notices/address/", {"address": "a@b\nBcc: c@d.example"}).status_code == 400


def test_an_address_that_is_refused_keeps_nobody_elses_mail_waiting(server: MailServer, owner: User) -> None:
    now = timezone.now()
    ada = make_person("ada", default_team(), [Role.MODEL_OWNER])
    MailAddress.objects.create(user=ada, address="ada@bank.example", asked_at=now, confirmed_at=now)
    server.refused = {TO}
    row = notice(owner, 1)
    notice(ada, 2)
    assert send_due() == 1
    assert [people for people, _ in server.arrived] == [["ada@bank.example"]]
    mail = MailDelivery.objects.get(notice=row)
    assert (mail.state, mail.attempts) == (DeliveryState.WAITING, 1)
    assert mail.error == "the mail server refused the address"
    assert TO not in mail.error


def test_a_dead_server_is_tried_for_a_day_and_the_page_says_that_it_was_given_up(
    settings: LazySettings, owner: User, client: Client
) -> None:
    with mail_server() as gone:
        settings.EMAIL_PORT = gone.port
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1"
    row, begun = notice(owner, 1), timezone.now()
    moments = []
    now = begun
    while MailDelivery.objects.get(notice=row).state == DeliveryState.WAITING:
        now = MailDelivery.objects.get(notice=row).due_at
        send_due(now=now)
        moments.append(now - begun)
    assert moments[-1] >= GIVEN_UP_AFTER
    assert len(moments) < 25
    gaps = [after - before for before, after in pairwise(moments)]
    assert gaps == sorted(gaps)
    client.force_login(owner)
    assert "given up after a day" in client.get("/notices/").content.decode()


def test_what_somebody_may_not_see_any_more_is_not_mailed(server: MailServer, owner: User) -> None:
    open_finding(default_team())
    actions.tell_people()
    Membership.objects.filter(user=owner).update(role=Role.DEVELOPER)  # who sees it, and does not answer it
    assert send_due() == 0
    mail = MailDelivery.objects.get()
    assert (mail.state, server.arrived) == (DeliveryState.DROPPED, [])


def test_an_address_that_was_taken_away_gets_nothing_that_waits(server: MailServer, owner: User) -> None:
    notice(owner, 1)
    actions.remove_mail_address(actor=actor_of(owner))
    assert (send_due(), server.arrived) == (0, [])


def notice(user: User, number: int) -> Notice:
    """A notice on its way by mail, of a finding that is there."""
    from compliance.models import FindingRecord

    record = FindingRecord.objects.first() or open_finding(default_team())
    now = timezone.now()
    row = Notice.objects.create(
        user=user,
        key=f"test {user.pk} {number}",
        kind="finding_opened",
        team=record.team,
        subject="findingrecord",
        subject_id=record.pk,
        words=f"F-{number:04d} was opened",
        title=record.title,
        link=record.get_absolute_url(),
        made_at=now,
    )
    MailDelivery.objects.create(notice=row, made_at=now, due_at=now)
    return row
