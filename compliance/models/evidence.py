"""Rows that stay as they were written."""

from __future__ import annotations

from typing import Any, Self

from django.db import models

from compliance.exceptions import EvidenceError
from compliance.models.rows import Row, TeamRows, audits_seen


class EvidenceQuerySet(TeamRows[Row]):
    """Refuses every bulk change; rows may only be added."""

    def update(self, **values: Any) -> int:
        """Refuse."""
        raise EvidenceError(f"{self.model._meta.verbose_name_plural}: evidence cannot be changed")

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refuse."""
        raise EvidenceError(f"{self.model._meta.verbose_name_plural}: evidence cannot be deleted")


class AuditEvidenceQuerySet(EvidenceQuerySet[Row]):
    """The same for what belongs to an audit."""

    def for_user(self, user: Any, permission: str = "view") -> Self:
        """The rows of the audits somebody may see."""
        audits = audits_seen(self.model, user, permission)
        return self.none() if audits is None else self.filter(audit__in=audits)


class Evidence(models.Model):
    """A row that is written once: saving it again or deleting it raises.

    Each kind names its own ``objects``, an `EvidenceQuerySet`: Django would give it one that changes and deletes.
    """

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
