"""Rows of a team, and the one door to them."""

from __future__ import annotations

from typing import Any, Self

from django.db import models

from compliance.access import permissions as access


class TeamRows(models.QuerySet[Any]):
    """Rows that belong to a team. ``team_path`` of the model leads there; ``None`` is for what all teams share."""

    def for_user(self, user: Any, permission: str = "view") -> Self:
        """The rows over which somebody holds a permission: ``view`` them, ``change`` them, and so on.

        Every page, list and lookup takes its rows through here. A row it leaves out is not there for that person.
        """
        name = f"{permission}_{self.model._meta.model_name}"
        path = getattr(self.model, "team_path", "team")
        if path is None:
            return self.all() if user.has_perm(f"{access.APP}.{name}") else self.none()
        teams = access.teams_where(user, name)
        return self.all() if teams is None else self.filter(**{f"{path}__in": teams})


class AuditParts(TeamRows):
    """Rows that belong to an audit: whoever may see the audit and this kind of row sees them."""

    def for_user(self, user: Any, permission: str = "view") -> Self:
        """The rows of the audits somebody may see."""
        audits: Any = self.model._meta.get_field("audit").related_model
        if not user.has_perm(f"{access.APP}.{permission}_{self.model._meta.model_name}"):
            return self.none()
        return self.filter(audit__in=audits.objects.for_user(user))
