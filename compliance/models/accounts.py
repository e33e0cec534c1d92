"""What an account has of its own: sessions, a second factor, lock-outs, and forms that were not sent yet."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from compliance.dates import moment_said


class SignIn(models.Model):
    """A session that somebody began. Whether it still holds, the session itself says."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_ins")
    session_key = models.CharField(max_length=40, unique=True)
    began_at = models.DateTimeField()
    address = models.CharField(max_length=45, blank=True, help_text="The network address it began from.")
    browser = models.CharField(max_length=200, blank=True, help_text="What the browser called itself.")

    class Meta:
        ordering = ("-began_at", "-pk")

    def __str__(self) -> str:
        return gettext("session of {moment}").format(moment=moment_said(self.began_at))


class SecondFactor(models.Model):
    """The device that shows an account's codes, and the recovery codes that stand in for it.

    The secret is sealed with the keys of the installation (compliance/registry/key_ring.py). Of recovery codes only
    hashes are kept; a code that was used is taken out. ``last_step`` is the period of the newest code that was taken:
    neither it nor an older one is taken again.
    """

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="second_factor")
    ring_key = models.CharField(max_length=12)
    sealed = models.BinaryField()
    begun_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    last_step = models.BigIntegerField(default=0)
    recovery = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return gettext("second factor of {user}").format(user=self.user)


class LockOut(models.Model):
    """An account that nobody could log in to for a while, because of wrong passwords or codes."""

    class Why(models.TextChoices):
        """What was wrong too often."""

        PASSWORDS = "passwords", gettext_lazy("Wrong passwords")
        CODES = "codes", gettext_lazy("Wrong codes")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="lock_outs")
    why = models.CharField(max_length=10, choices=Why.choices)
    address = models.CharField(max_length=45, blank=True, help_text="The network address of the last attempt.")
    began_at = models.DateTimeField()
    until = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("-began_at", "-pk")
        constraints = (models.CheckConstraint(condition=Q(why__in=["passwords", "codes"]), name="lock_out_why_known"),)

    def __str__(self) -> str:
        return gettext("lock-out of {user}, {moment}").format(user=self.user, moment=moment_said(self.began_at))

    @property
    def state(self) -> str:
        """Where it stands, in a word that pages translate."""
        if self.lifted_at is not None:
            return gettext_noop("lifted")
        return gettext_noop("in force") if self.until > timezone.now() else gettext_noop("over")


class KeptForm(models.Model):
    """What somebody wrote into a form and did not send, or sent after their session had ended.

    Nobody but its account reads it: it is sealed with the keys of the installation, bound to the account and the page.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="kept_forms")
    page = models.CharField(max_length=500, help_text="The address of the page that the form stood on.")
    target = models.CharField(max_length=500, help_text="The address that the form is sent to.")
    sent = models.BooleanField(help_text="Whether it was sent after the session had ended.")
    ring_key = models.CharField(max_length=12)
    sealed = models.BinaryField()
    kept_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ("kept_at", "pk")
        constraints = (models.UniqueConstraint(fields=["user", "page", "target"], name="kept_form_once"),)

    def __str__(self) -> str:
        return f"form of {self.page}"
