"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ComplianceConfig(AppConfig):
    """Everything the site keeps and shows."""

    name = "compliance"
    verbose_name = "Compliance"

    def ready(self) -> None:
        """Let every migration end with the evidence protected."""
        from compliance.triggers import protect_evidence

        post_migrate.connect(protect_evidence, sender=self, dispatch_uid="protect_evidence")
