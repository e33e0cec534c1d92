"""Rows that stay as they were written."""

from __future__ import annotations

from typing import Any

from django.db import models

from compliance.exceptions import EvidenceError
from compliance.models.rows import AuditParts, TeamRows


class EvidenceQuerySet(TeamRows):
    """Refuses every bulk change; rows may only be added."""

    def update(self, **values: Any) -> int:
        """Refuse."""
        raise EvidenceError(f"{self.model._meta.verbose_name_plural}: evidence cannot be changed")

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refuse."""
        raise EvidenceError(f"{self.model._meta.verbose_name_plural}: evidence cannot be deleted")


class AuditEvidenceQuerySet(AuditParts, EvidenceQuerySet):
    """The same for what belongs to an audit."""


class Evidence(models.Model):
    """A row that is written once: saving it again or deleting it raises."""

    objects = EvidenceQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        """Add the row; refuse one that is there already."""
        if not self._state.adding:
            raise EvidenceError(f"{self}: evidence cannot be changed")
        super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        """Refuse."""
        raise EvidenceError(f"{self}: evidence cannot be deleted")
