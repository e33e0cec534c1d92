"""Webhooks, received by real servers: signed, repeated under one name until they are taken, given up after a day."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from compliance import actions
from compliance.access.roles import Role
from compliance.exceptions import StateError
from compliance.models import DeliveryState, Event, EventPayload, Team, Webhook, WebhookDelivery, default_team
from compliance.notices import sending
from compliance.notices.sending import GIVEN_UP_AFTER, send_due
from tests.compliance.governed import FINDING, actor_of, open_finding
from tests.compliance.teams import make_person
from tests.receivers import Hook, hook_server

KINDS = ["finding_opened"]


@pytest.fixture(autouse=True)
def keys(settings: LazySettings, tmp_path: Path) -> None:
    settings.KEYS_FILE = tmp_path / "system-keys"
    settings.SITE_URL = "https://plumbline.bank.example"


@pytest.fixture
def receiver() -> Iterator[Hook]:
    with hook_server() as state:
        yield state


@pytest.fixture
def administrator(db: None) -> User:
    return make_person("adam", default_team(), [Role.ADMINISTRATOR])


def set_hook(administrator: User, url: str, **more: Any) -> tuple[Webhook, str]:
    said: dict[str, Any] = {"team": default_team(), "name": "SIEM", "url": url, "networks": [], "kinds": KINDS, **more}
    return actions.set_webhook(actor=actor_of(administrator), **said)


def test_a_receiver_can_tell_who_sent_it_and_that_nothing_was_changed(administrator: User, receiver: Hook) -> None:
    _, secret = set_hook(administrator, receiver.url)
    record = open_finding(default_team())
    actions.tell_people()
    assert send_due() == 1
    ((headers, body),) = receiver.arrived
    stamp = headers["Plumbline-Timestamp"]
    expected = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["Plumbline-Signature"] == f"v1={expected}"
    assert abs(int(stamp) - time.time()) < 60
    said = json.loads(body)
    assert said["id"] == headers["Plumbline-Delivery"] == str(WebhookDelivery.objects.get().public_id)
    assert (said["kind"], said["title"]) == ("finding_opened", record.title)
    assert said["link"] == f"https://plumbline.bank.example/findings/{record.number}/"
    assert set(said) == {"id", "kind", "at", "team", "words", "title", "link"}
    assert FINDING.condition not in body.decode()
    assert (send_due(), actions.tell_people(), len(receiver.arrived)) == (0, 0, 1)


def test_what_was_not_taken_comes_again_under_the_same_name_with_another_time(
    administrator: User, receiver: Hook
) -> None:
    set_hook(administrator, receiver.url)
    receiver.statuses = [500, 429]
    open_finding(default_team())
    actions.tell_people()
    for _ in range(3):
        send_due(now=WebhookDelivery.objects.get().due_at)
    row = WebhookDelivery.objects.get()
    assert (row.state, row.attempts, row.error) == (DeliveryState.SENT, 3, "")
    names = {headers["Plumbline-Delivery"] for headers, _ in receiver.arrived}
    assert names == {str(row.public_id)}
    assert len({body for _, body in receiver.arrived}) == 1


def test_a_sender_that_died_leaves_its_claim_to_the_next(administrator: User, receiver: Hook) -> None:
    set_hook(administrator, receiver.url)
    open_finding(default_team())
    actions.tell_people()
    now = timezone.now()
    WebhookDelivery.objects.update(claimed_until=now + sending.LEASE, attempts=1)
    assert send_due(now=now) == 0
    assert send_due(now=now + sending.LEASE + timedelta(seconds=1)) == 1


def test_a_receiver_that_hangs_keeps_no_other_waiting(
    administrator: User, receiver: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ATTEMPT_SECONDS", 1.5)
    with hook_server() as other:
        receiver.hangs = threading.Event()
        set_hook(administrator, receiver.url)
        set_hook(administrator, other.url, name="Chat")
        open_finding(default_team())
        actions.tell_people()
        begun = time.monotonic()
        assert send_due() == 1
        assert time.monotonic() - begun < 25
        receiver.hangs.set()
        assert len(other.arrived) == 1
    row = WebhookDelivery.objects.get(webhook__name="SIEM")
    assert (row.state, row.attempts) == (DeliveryState.WAITING, 1)
    assert row.error == "no whole answer within 1.5 s"
    assert row.due_at > timezone.now()


def test_a_dead_receiver_is_given_up_after_a_day_and_its_page_says_so(administrator: User, client: Client) -> None:
    with hook_server() as gone:
        url = gone.url
    hook, _ = set_hook(administrator, url)
    open_finding(default_team())
    actions.tell_people()
    begun, rounds = timezone.now(), 0
    while (row := WebhookDelivery.objects.get()).state == DeliveryState.WAITING:
        send_due(now=row.due_at)
        rounds += 1
    assert row.settled_at is not None
    assert row.settled_at - begun >= GIVEN_UP_AFTER - timedelta(seconds=5)
    assert 5 < rounds < 25
    client.force_login(administrator)
    assert "given up after a day" in client.get(f"/notices/webhooks/{hook.pk}/").content.decode()
    listed = client.get("/notices/webhooks/?as=json")
    assert [row["given_up"] for row in json.loads(b"".join(listed))["rows"]] == [1]


def test_what_is_behind_one_that_was_not_taken_waits_with_it_uncounted(administrator: User, receiver: Hook) -> None:
    set_hook(administrator, receiver.url)
    now = timezone.now()
    hook = Webhook.objects.get()
    for number in range(3):
        WebhookDelivery.objects.create(
            webhook=hook, key=f"{number}", kind="finding_opened", words="x", body="{}", made_at=now, due_at=now
        )
    receiver.statuses = [503]
    send_due()
    assert len(receiver.arrived) == 1
    rows = list(WebhookDelivery.objects.order_by("pk").values_list("attempts", "claimed_until", "due_at"))
    assert [attempts for attempts, _, _ in rows] == [1, 0, 0]
    assert {claimed for _, claimed, _ in rows} == {None}
    assert len({due for _, _, due in rows}) == 1
    send_due(now=rows[0][2])
    assert [row.state for row in WebhookDelivery.objects.all()] == [DeliveryState.SENT] * 3


def test_a_redirect_is_not_followed(administrator: User, receiver: Hook) -> None:
    with hook_server() as elsewhere:
        receiver.statuses, receiver.location = [307], elsewhere.url
        set_hook(administrator, receiver.url)
        open_finding(default_team())
        actions.tell_people()
        assert send_due() == 0
        assert elsewhere.arrived == []
    assert WebhookDelivery.objects.get().error == "it answered with status 307; expected one from 200 to 299"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://hooks.bank.example/x", "is not encrypted"),
        ("https://user:secret@bank.example/", "carries a user, password, query or fragment"),
        ("https://bank.example/?key=1", "carries a user, password, query or fragment"),
        ("ftp://bank.example/", "is not encrypted"),
    ],
)
def test_an_address_that_may_not_be_asked_is_refused(administrator: User, url: str, said: str) -> None:
    with pytest.raises(StateError, match=said):
        set_hook(administrator, url)


@pytest.mark.parametrize("url", ["https://10.1.2.3/hook", "https://169.254.169.254/latest"])
def test_a_private_address_that_is_not_listed_is_not_asked(administrator: User, url: str) -> None:
    set_hook(administrator, url)
    open_finding(default_team())
    actions.tell_people()
    assert send_due() == 0
    assert "; expected a public address, or its range in networks" in WebhookDelivery.objects.get().error


@pytest.mark.parametrize(
    ("url", "networks"),
    [
        ("http://127.0.0.1:6379/", []),
        ("http://localhost:8000/x", []),
        ("http://[::1]/x", []),
        ("https://hooks.bank.example/x", ["10.0.0.0/8"]),
        ("https://hooks.bank.example/x", ["0.0.0.0/0"]),
        ("https://hooks.bank.example/x", ["::/0"]),
    ],
)
def test_what_is_not_public_only_the_installation_opens(
    administrator: User, settings: LazySettings, url: str, networks: list[str]
) -> None:
    settings.WEBHOOK_NETWORKS = ("10.20.0.0/16",)
    with pytest.raises(StateError, match=r"not open to webhooks; expected a public address, or its range among PLUMB"):
        set_hook(administrator, url, networks=networks)
    hook, _ = set_hook(administrator, "https://hooks.bank.example/x", networks=["10.20.30.0/24"])
    assert hook.networks == ["10.20.30.0/24"]


def test_what_is_closed_again_is_not_asked_any_more(
    administrator: User, receiver: Hook, settings: LazySettings
) -> None:
    set_hook(administrator, receiver.url)
    settings.WEBHOOK_NETWORKS = ()
    open_finding(default_team())
    actions.tell_people()
    assert send_due() == 0
    assert receiver.arrived == []
    assert "this machine, which is not open to webhooks" in WebhookDelivery.objects.get().error


def test_a_webhook_is_told_of_its_own_team_and_its_own_kinds(administrator: User, receiver: Hook) -> None:
    set_hook(administrator, receiver.url)
    elsewhere = Team.objects.create(name="Elsewhere")
    make_person("owner", elsewhere, [Role.MODEL_OWNER])
    open_finding(elsewhere)
    actions.tell_people()
    assert WebhookDelivery.objects.count() == 0
    record = open_finding(default_team())
    actions.tell_people()
    assert [row.words for row in WebhookDelivery.objects.all()] == [f"{record.number} was opened"]


def test_its_secret_is_sealed_shown_once_and_sealed_anew_by_rotation(
    administrator: User, receiver: Hook, client: Client
) -> None:
    client.force_login(administrator)
    said = {"team": default_team().pk, "name": "SIEM", "url": receiver.url, "kinds": KINDS}
    answer = client.post("/notices/webhooks/", said)
    hook = Webhook.objects.get()
    page = answer.content.decode()
    secret = page.partition('<code class="hash">')[2].partition("<")[0]
    assert len(secret) >= 40
    assert secret.encode() not in bytes(hook.sealed)
    assert secret not in client.get(f"/notices/webhooks/{hook.pk}/").content.decode()
    assert not [row for row in EventPayload.objects.all() if secret in row.data_json]
    before = bytes(hook.sealed)
    call_command("rotate_keys")
    hook.refresh_from_db()
    assert bytes(hook.sealed) != before
    open_finding(default_team())
    actions.tell_people()
    assert send_due() == 1
    headers, body = receiver.arrived[0]
    stamp = headers["Plumbline-Timestamp"].encode()
    assert (
        headers["Plumbline-Signature"] == f"v1={hmac.new(secret.encode(), stamp + b'.' + body, 'sha256').hexdigest()}"
    )


def test_a_secret_opens_for_no_other_address(administrator: User, receiver: Hook) -> None:
    set_hook(administrator, "https://bank.example/hook")
    Webhook.objects.update(url=receiver.url)  # as somebody would who can write to the database
    open_finding(default_team())
    actions.tell_people()
    assert (send_due(), receiver.arrived) == (0, [])
    assert "was set for another address, or changed" in WebhookDelivery.objects.get().error


def test_no_event_and_no_refusal_keeps_more_of_an_address_than_its_host(administrator: User, client: Client) -> None:
    hook, _ = set_hook(administrator, "https://hooks.bank.example:8443/services/T0/s3cret-path")
    told = json.loads(Event.objects.get(object=hook.event_object, action="webhook.set").payload.data_json)
    assert told["host"] == "hooks.bank.example:8443"
    for url in ("http://hooks.bank.example/s3cret-path", "hooks.bank.example/s3cret-path"):
        with pytest.raises(StateError) as refused:
            set_hook(administrator, url)
        assert "s3cret" not in str(refused.value)
    assert not any("s3cret" in event.payload.data_json for event in Event.objects.select_related("payload"))


def test_one_that_is_ended_is_told_nothing_more(administrator: User, receiver: Hook, client: Client) -> None:
    hook, _ = set_hook(administrator, receiver.url)
    open_finding(default_team())
    actions.tell_people()
    client.force_login(administrator)
    assert client.post(f"/notices/webhooks/{hook.pk}/end/")["Location"] == f"/notices/webhooks/{hook.pk}/"
    assert (send_due(), receiver.arrived) == (0, [])
    assert WebhookDelivery.objects.get().state == DeliveryState.DROPPED
    assert client.post(f"/notices/webhooks/{hook.pk}/end/").status_code == 409
    assert client.post(f"/notices/webhooks/{hook.pk}/secret/").status_code == 409
    assert [event.action for event in Event.objects.filter(object=hook.event_object).order_by("seq")] == [
        "webhook.set",
        "webhook.ended",
    ]


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
def test_nobody_but_administrators_of_the_team_sees_or_sets_one(
    administrator: User, receiver: Hook, client: Client, role: Role
) -> None:
    hook, _ = set_hook(administrator, receiver.url)
    person = make_person("other", default_team(), [role])
    client.force_login(person)
    assert client.get("/notices/webhooks/").status_code == 403
    assert client.get(f"/notices/webhooks/{hook.pk}/").status_code == 404
    with pytest.raises(PermissionDenied):
        set_hook(person, receiver.url)
    with pytest.raises(PermissionDenied):
        actions.end_webhook(webhook=hook, actor=actor_of(person))
