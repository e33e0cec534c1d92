"""Sending what waits to arrive elsewhere: mail to people, requests to webhooks.

    claim ──▶ send, each receiver in a thread of its own ──▶ sent
                                   └──▶ waits longer and longer, and is given up after a day

Two senders may be at it at once: each claims rows by a conditional update. A receiver that is dead, slow or full costs
one attempt of ten seconds a round and keeps nobody else waiting; what else is for it waits with the one that failed.
Only this module's first and last steps know the database: the threads get plain data.
"""

from __future__ import annotations

import logging
import smtplib
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage, get_connection
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from auditor.exceptions import AuditorError
from auditor.systems.addresses import pin
from auditor.systems.keys import Key, Scrubber
from auditor.systems.transport import Fault, Outgoing, Transport
from compliance.access import permissions as access
from compliance.actions.notices import address_of
from compliance.exceptions import ComplianceError
from compliance.models import DeliveryState, MailAddress, MailDelivery, Notice, Webhook, WebhookDelivery
from compliance.notices.kinds import visible
from compliance.notices.mail import Line, notice_mail
from compliance.notices.reach import webhook_address
from compliance.notices.signing import headers
from compliance.registry.key_ring import Sealed, read_ring
from compliance.shown import one_line

ATTEMPT_SECONDS = 10.0
ROUND_SECONDS = 20.0
"""For which one receiver is sent to in one round; what is left waits for the next."""
LEASE = timedelta(minutes=3)
"""How long a claim holds; longer than a round, so that nothing is sent twice by two that live."""
DELAYS = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 600, 1800, 7200))
GIVEN_UP_AFTER = timedelta(days=1)
HOLD = timedelta(minutes=5)
"""Between two mails to one person: what comes meanwhile goes in one."""
A_ROUND = 200
FOR_ONE = 20
THREADS = 16
LARGEST_ANSWER = 64 << 10

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One delivery to a webhook."""

    pk: int
    public_id: str
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """A webhook and what it is sent now."""

    name: str
    url: str
    networks: tuple[str, ...]
    secret: str = field(repr=False)
    requests: tuple[Request, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one thread does: which rows of which kind, and how."""

    model: type[Any]
    keys: tuple[int, ...]
    run: Callable[[], Outcome]

    def outcome(self) -> Outcome:
        """What became of it; whatever goes wrong in it is a failure of its rows, and of no others."""
        try:
            return self.run()
        except Exception as error:
            logger.exception("deliveries could not be sent")
            return Outcome(failed=dict.fromkeys(self.keys, f"it could not be sent ({type(error).__name__})"))


@dataclass
class Outcome:
    """What became of deliveries of one receiver: sent, refused with a reason, or not tried this time."""

    sent: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    untried: list[int] = field(default_factory=list)


def send_due(*, now: datetime | None = None) -> int:
    """Send what is due; how many deliveries were sent."""
    now = now or timezone.now()
    jobs = [*_requests(now), *_mails(now)]
    sent = 0
    with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="notices") as pool:
        running = {pool.submit(job.outcome): job.model for job in jobs}
        for done in as_completed(running):
            outcome = done.result()
            sent += len(outcome.sent)
            _settle(running[done], outcome, now)
    return sent


def _due(model: Any, now: datetime) -> Any:
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    return model.objects.filter(free, state=DeliveryState.WAITING, due_at__lte=now)


def _claim(model: Any, keys: Iterable[int], now: datetime) -> list[int]:
    """Those among these rows that are now this sender's."""
    mine = []
    for key in keys:
        # Another sender may be at the same row; the count says whose it is.
        if _due(model, now).filter(pk=key).update(claimed_until=now + LEASE, attempts=F("attempts") + 1):
            mine.append(key)
    return mine


def _requests(now: datetime) -> list[Job]:
    of: dict[int, list[int]] = {}
    for pk, hook in _due(WebhookDelivery, now).order_by("pk").values_list("pk", "webhook_id"):
        found = of.setdefault(hook, [])
        if len(found) < FOR_ONE:
            found.append(pk)
    hooks = Webhook.objects.in_bulk(list(of))
    jobs = []
    for pk, keys in of.items():
        hook = hooks[pk]
        mine = _claim(WebhookDelivery, keys, now)
        if hook.ended_at is not None:
            _drop(WebhookDelivery, mine, now)
            continue
        rows = WebhookDelivery.objects.filter(pk__in=mine).order_by("pk")
        found_requests = tuple(Request(pk=row.pk, public_id=str(row.public_id), body=row.body.encode()) for row in rows)
        if found_requests:
            jobs.append(Job(model=WebhookDelivery, keys=tuple(mine), run=_run(hook, found_requests)))
    return jobs


def _run(hook: Webhook, requests: tuple[Request, ...]) -> Callable[[], Outcome]:
    try:
        sealed = Sealed(ring_key=hook.ring_key, data=bytes(hook.sealed))
        secret = read_ring().unseal(sealed, destination=hook.destination, where=f"webhook {hook.name}")
    except (ComplianceError, AuditorError) as error:
        said = str(error)
        return lambda: Outcome(failed=dict.fromkeys((item.pk for item in requests), said))
    receiver = Receiver(name=hook.name, url=hook.url, networks=tuple(hook.networks), secret=secret, requests=requests)
    return lambda: send_requests(receiver)


def send_requests(receiver: Receiver) -> Outcome:
    """Send to one webhook, in order, until one is not taken."""
    outcome, end = Outcome(), time.monotonic() + ROUND_SECONDS
    waiting = list(receiver.requests)
    transport = None
    try:
        where = f"webhook {receiver.name}"
        pinned = pin(webhook_address(receiver.url, networks=receiver.networks, where=where), where=where)
        scrub = Scrubber()
        scrub.add(Key(receiver.secret))
        transport = Transport(
            pinned, where=where, scrub=scrub, seconds=ATTEMPT_SECONDS, largest=LARGEST_ANSWER, connections=1
        )
        while waiting and time.monotonic() < end:
            request = waiting.pop(0)
            refusal = _send(transport, receiver.secret, request)
            if refusal:
                outcome.failed[request.pk] = refusal
                break
            outcome.sent.append(request.pk)
    except AuditorError as error:
        if waiting:
            outcome.failed[waiting.pop(0).pk] = str(error)
    finally:
        if transport is not None:
            transport.close()
    outcome.untried += [request.pk for request in waiting]
    return outcome


def _send(transport: Transport, secret: str, request: Request) -> str:
    """Why it was not taken; empty if it was."""
    given = headers(secret, delivery=request.public_id, timestamp=str(int(time.time())), body=request.body)
    arrived = transport.send(Outgoing(path="", headers=given, content=request.body))
    if isinstance(arrived, Fault):
        return arrived.note
    if 200 <= arrived.status < 300:
        return ""
    return f"it answered with status {arrived.status}; expected one from 200 to 299"


def _mails(now: datetime) -> list[Job]:
    of: dict[int, list[int]] = {}
    for pk, user in _due(MailDelivery, now).order_by("pk").values_list("pk", "notice__user_id"):
        of.setdefault(user, []).append(pk)
    users = get_user_model().objects.in_bulk(list(of))
    addresses = {row.user_id: row for row in MailAddress.objects.filter(user__in=of, confirmed_at__isnull=False)}
    mails: list[tuple[list[int], EmailMessage]] = []
    for pk, keys in list(of.items())[:A_ROUND]:
        address = addresses.get(pk)
        if address is not None and address.mailed_at is not None and address.mailed_at > now - HOLD:
            continue  # what comes until then goes with it
        mine = _claim(MailDelivery, keys, now)
        rows = list(MailDelivery.objects.filter(pk__in=mine).select_related("notice").order_by("pk"))
        theirs = allowed(users[pk], [row.notice for row in rows]) if address is not None else set()
        _drop(MailDelivery, [row.pk for row in rows if row.notice_id not in theirs], now)
        kept = [row for row in rows if row.notice_id in theirs]
        if kept and address is not None:
            lines = [_line(row) for row in kept]
            mail = notice_mail(lines, to=address.address, choices=address_of(reverse("notice_choices")))
            mails.append(([row.pk for row in kept], mail))
    sent = tuple(key for found, _ in mails for key in found)
    return [Job(model=MailDelivery, keys=sent, run=lambda: send_mails(mails))] if mails else []


def _line(row: MailDelivery) -> Line:
    notice = row.notice
    return Line(
        delivery=str(row.public_id),
        words=one_line(notice.words),
        title=one_line(notice.title),
        link=address_of(notice.link),
    )


def send_mails(mails: Sequence[tuple[Sequence[int], EmailMessage]]) -> Outcome:
    """Send mails over one connection. A person whose address is refused keeps nobody else's mail waiting."""
    outcome, end = Outcome(), time.monotonic() + ROUND_SECONDS
    waiting = list(mails)
    connection = get_connection(fail_silently=False)
    try:
        connection.open()
        while waiting and time.monotonic() < end:
            keys, mail = waiting.pop(0)
            try:
                mail.connection = connection
                mail.send()
                outcome.sent += keys
            except smtplib.SMTPServerDisconnected:
                waiting.insert(0, (keys, mail))
                raise
            except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused, ValueError) as error:
                outcome.failed |= dict.fromkeys(keys, _refused(error))
    except (OSError, smtplib.SMTPException) as error:
        if waiting:
            outcome.failed |= dict.fromkeys(waiting.pop(0)[0], _refused(error))
    finally:
        _close(connection)
    outcome.untried += [key for keys, _ in waiting for key in keys]
    return outcome


def _close(connection: Any) -> None:
    try:
        connection.close()
    except (OSError, smtplib.SMTPException) as error:
        logger.info("mail: the connection could not be closed (%s)", type(error).__name__)


def _refused(error: Exception) -> str:
    """What a mail server said, without the address: pages show it."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the mail server refused it with code {error.smtp_code}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "the mail server refused the address"
    return f"the mail server cannot be reached ({type(error).__name__})"


def allowed(user: Any, notices: Sequence[Notice]) -> set[int]:
    """Keys of the notices of what somebody may still see, and of what is still theirs to do."""
    if not user.is_active:
        return set()
    wanted: dict[str, set[int]] = {}
    for notice in notices:
        wanted.setdefault(notice.subject, set()).add(notice.subject_id)
    seen = {subject: visible(user, subject, keys) for subject, keys in wanted.items()}
    return {
        notice.pk
        for notice in notices
        if notice.subject_id in seen[notice.subject]
        and (not notice.permission or access.may(user, notice.permission, notice.team_id))
    }


def _drop(model: Any, keys: Sequence[int], now: datetime) -> None:
    said = "whom it was for may not see it any more"
    model.objects.filter(pk__in=keys).update(
        state=DeliveryState.DROPPED, settled_at=now, claimed_until=None, error=said
    )


def _settle(model: Any, outcome: Outcome, now: datetime) -> None:
    waiting = model.objects.filter(state=DeliveryState.WAITING)
    waiting.filter(pk__in=outcome.sent).update(
        state=DeliveryState.SENT, settled_at=timezone.now(), claimed_until=None, error=""
    )
    if model is MailDelivery and outcome.sent:
        MailAddress.objects.filter(user__notices__mail__in=outcome.sent).update(mailed_at=now)
    again, why = now, ""
    for row in waiting.filter(pk__in=list(outcome.failed)):
        why = outcome.failed[row.pk][:300]
        again = max(again, now + DELAYS[min(row.attempts, len(DELAYS)) - 1])
        _put_off(waiting.filter(pk=row.pk), row.made_at, again, now, error=why)
    # What was claimed and not tried counts as no attempt; it waits as long as the one that failed before it.
    for row in waiting.filter(pk__in=outcome.untried):
        waiting.filter(pk=row.pk).update(attempts=F("attempts") - 1)
        _put_off(waiting.filter(pk=row.pk), row.made_at, again, now, error=why or row.error)


def _put_off(row: Any, made_at: datetime, again: datetime, now: datetime, *, error: str) -> None:
    told: dict[str, Any] = {"claimed_until": None, "error": error}
    if error and made_at + GIVEN_UP_AFTER <= now:
        row.update(**told, state=DeliveryState.GIVEN_UP, settled_at=now)
    else:
        row.update(**told, due_at=again)
