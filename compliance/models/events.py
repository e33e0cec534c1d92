"""The event log: append-only, hash-chained, its payloads kept apart so that they can be erased."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from auditor.canonical import sha256_json
from compliance.models.evidence import Evidence, EvidenceQuerySet
from compliance.models.teams import Team

GENESIS = "0" * 64
FIRST_FORM, FORM = 1, 2


class ChainHead(models.Model):
    """One row: the last event's number and hash. Whoever appends an event holds a lock on it."""

    seq = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, default=GENESIS)

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(pk=1), name="chain_has_one_head"),)

    def __str__(self) -> str:
        return f"{self.seq} {self.hash}"


class Event(Evidence):
    """Something that happened. ``hash`` covers every field here and, through ``prev``, every event before it.

    People are kept as text beside the foreign key: an event must stay readable when the account is gone.
    ``form`` says which fields are hashed: 1, before teams and accounts were; 2, every field.
    """

    seq = models.PositiveBigIntegerField(unique=True)
    prev = models.CharField(max_length=64)
    ts = models.CharField("time (UTC)", max_length=32)
    actor = models.CharField(max_length=200)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="events")
    actor_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.DO_NOTHING, db_constraint=False
    )
    role = models.CharField(max_length=40)
    action = models.CharField(max_length=80, db_index=True)
    object = models.CharField(max_length=200, db_index=True)
    payload_sha256 = models.CharField("SHA-256 of the salted payload", max_length=64)
    hash = models.CharField(max_length=64, unique=True)
    form = models.PositiveSmallIntegerField(default=1)

    objects = EvidenceQuerySet.as_manager()

    class Meta:
        ordering = ("-seq",)

    def __str__(self) -> str:
        return f"{self.seq} {self.action} {self.object}"

    def computed_hash(self) -> str:
        """The hash this event must have: SHA-256 of the canonical JSON of its fields."""
        hashed: dict[str, Any] = {
            "seq": self.seq,
            "prev": self.prev,
            "ts": self.ts,
            "actor": self.actor,
            "role": self.role,
            "action": self.action,
            "object": self.object,
            "payload_sha256": self.payload_sha256,
        }
        if self.form != FIRST_FORM:
            hashed |= {"form": self.form, "team": self.team_id, "actor_user": self.actor_user_id}
        return sha256_json(hashed)


class EventPayload(models.Model):
    """What an event says in detail. Erasing it leaves the chain whole, since the event holds only its salted hash."""

    event = models.OneToOneField(Event, on_delete=models.DO_NOTHING, related_name="payload")
    salt = models.CharField(max_length=64)
    data_json = models.TextField("data")

    def __str__(self) -> str:
        return f"payload of event {self.event_id}"

    def computed_hash(self) -> str:
        """The hash the event must hold for this payload."""
        return salted_hash(salt=self.salt, data_json=self.data_json)


def salted_hash(*, salt: str, data_json: str) -> str:
    """SHA-256 of the canonical JSON of salt and payload text."""
    return sha256_json({"salt": salt, "data": data_json})
