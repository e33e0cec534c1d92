"""Views of lists that people keep for themselves."""

from __future__ import annotations

from typing import Any, Self

from django.conf import settings
from django.db import models


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    """Views belong to people, not to teams."""

    def for_user(self, user: Any) -> Self:
        """Somebody's own: what they look for is nobody else's business."""
        return self.filter(user=user.pk) if user.is_authenticated and user.is_active else self.none()


class SavedView(models.Model):
    """What somebody asks a list for again and again: search, filters, order and columns, as an address has them.

    ``page`` is the name of the list's address. The view holds no rows: whoever opens it sees those that they may.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    page = models.CharField(max_length=40)
    name = models.CharField(max_length=80)
    query = models.CharField(max_length=2000)
    saved_at = models.DateTimeField(auto_now=True)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        ordering = ("name", "pk")
        constraints = (models.UniqueConstraint(fields=["user", "page", "name"], name="saved_view_once"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.page})"

    @property
    def event_object(self) -> str:
        """What events call it: it may be gone, and another one have its name."""
        return f"saved view {self.pk}"
