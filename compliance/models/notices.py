"""What people are told: notices, how each is chosen, and what of them is under way by mail and to webhooks."""

from __future__ import annotations

import uuid
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy

from compliance.access import permissions as access
from compliance.models.rows import TeamRows
from compliance.models.teams import Team


class NoticeCursor(models.Model):
    """One row: the number of the last event that people were told of. Whoever tells holds a lock on it."""

    seq = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(pk=1), name="notices_have_one_cursor"),)

    def __str__(self) -> str:
        return f"told up to event {self.seq}"


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Notices. Nobody but the person whose they are reads them."""

    def shown_to(self, user: Any) -> Self:
        """Those on the site for somebody, of the teams that they are still in."""
        rows = self.filter(user=user.pk, on_site=True)
        return rows if user.is_superuser else rows.filter(team__in=list(access.roles_of(user)))


class Notice(models.Model):
    """Something that happened, told to one person once. ``key`` names the occasion: an event, or a day that comes.

    ``permission`` is what the person holds over the object as long as it is theirs to do; empty where it is told to
    them as the person they are. It holds nothing of applications: the number, the title, the address.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notices")
    key = models.CharField(max_length=160)
    kind = models.CharField(max_length=40)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    subject = models.CharField(max_length=20)
    subject_id = models.PositiveBigIntegerField()
    permission = models.CharField(max_length=60, blank=True)
    words = models.CharField(max_length=200)
    title = models.CharField(max_length=300, blank=True)
    link = models.CharField(max_length=300)
    on_site = models.BooleanField(default=True)
    made_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=["user", "key"], name="notice_once"),)
        indexes = (models.Index(fields=["user", "read_at"], name="notice_unread"),)

    def __str__(self) -> str:
        return self.words


class NoticeChoice(models.Model):
    """How one person wants to be told of one kind; without a row it is as the kind says."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notice_choices")
    kind = models.CharField(max_length=40)
    on_site = models.BooleanField()
    by_mail = models.BooleanField()

    class Meta:
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=["user", "kind"], name="notice_choice_once"),)

    def __str__(self) -> str:
        return f"{self.user}: {self.kind}"


class MailAddress(models.Model):
    """Where somebody is written to. Nothing is sent before they have followed a link that was sent there.

    Taken away, the row stays without an address: when a link was last asked for bounds how often one is sent.
    """

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="mail_address")
    address = models.EmailField(blank=True)
    asked_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    mailed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.address


class DeliveryState(models.TextChoices):
    """Where a delivery stands.

    waiting ──▶ sent
       ├──────▶ given up: nobody took it within a day
       └──────▶ dropped: whom it was for may not see it any more
    """

    WAITING = "waiting", gettext_lazy("Waiting")
    SENT = "sent", gettext_lazy("Sent")
    GIVEN_UP = "given_up", gettext_lazy("Given up")
    DROPPED = "dropped", gettext_lazy("Dropped")


class Delivery(models.Model):
    """Something that is to arrive elsewhere, at least once; the receiver tells repetitions by ``public_id``.

    Whoever sends it claims it until ``claimed_until``; a process that died lets the next one claim it then.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    made_at = models.DateTimeField()
    due_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        abstract = True


class MailDelivery(Delivery):
    """A notice on its way by mail; several to one person at once go in one mail."""

    notice = models.OneToOneField(Notice, on_delete=models.CASCADE, related_name="mail")

    class Meta:
        default_permissions = ()
        indexes = (models.Index(fields=["state", "due_at"], name="mail_due"),)

    def __str__(self) -> str:
        return f"mail of {self.notice}"


class Webhook(models.Model):
    """An address of a team's own that is told of events. Its secret is sealed, and was shown once."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="webhooks")
    name = models.CharField(max_length=60)
    url = models.CharField(max_length=500)
    networks = models.JSONField(default=list, blank=True, help_text="Private ranges that its host may lie in.")
    kinds = models.JSONField(default=list)
    ring_key = models.CharField(max_length=12)
    sealed = models.BinaryField()
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField()
    ended_by = models.CharField(max_length=200, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = TeamRows.as_manager()

    class Meta:
        ordering = ("-pk",)
        default_permissions = ("add", "delete", "view")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Its page."""
        return reverse("webhook", args=[self.pk])

    @property
    def event_object(self) -> str:
        """What events call it."""
        return f"webhook {self.pk}"

    @property
    def destination(self) -> dict[str, str]:
        """What its secret is sealed for: with another address it does not open."""
        return {"webhook": self.name, "url": self.url}


class WebhookDelivery(Delivery):
    """One occasion on its way to one webhook. ``body`` is sent as it stands, at every attempt."""

    webhook = models.ForeignKey(Webhook, on_delete=models.PROTECT, related_name="deliveries")
    key = models.CharField(max_length=160)
    kind = models.CharField(max_length=40)
    words = models.CharField(max_length=200)
    body = models.TextField()

    class Meta:
        ordering = ("-pk",)
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=["webhook", "key"], name="webhook_told_once"),)
        indexes = (models.Index(fields=["state", "due_at"], name="webhook_due"),)

    def __str__(self) -> str:
        return f"{self.words}, to {self.webhook}"
