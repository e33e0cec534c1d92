"""The Django application."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


class ComplianceConfig(AppConfig):
    """Everything the site keeps and shows."""

    name = "compliance"
    verbose_name = "Compliance"

    def ready(self) -> None:
        """Let every migration end with the packs entered and the evidence protected; hear what is done to accounts."""
        from compliance.accounts import (
            counted_where,  # noqa: F401, checks where attempts are counted
            form_owner,  # noqa: F401, hears who signs in
            sessions,  # noqa: F401, hears who signs in
        )
        from compliance.accounts.names import watch_names
        from compliance.accounts.records import listen
        from compliance.database.busy import bound_waits
        from compliance.database.triggers import protect_evidence
        from compliance.field_names import translate_names

        post_migrate.connect(protect_evidence, sender=self, dispatch_uid="protect_evidence")
        post_migrate.connect(_enter_packs, sender=self, dispatch_uid="enter_packs")
        post_migrate.connect(_enter_findings, sender=self, dispatch_uid="enter_findings")
        connection_created.connect(bound_waits, dispatch_uid="bound_waits")
        translate_names(self.get_models())
        listen()
        watch_names()


def _enter_packs(*, using: str, **_: Any) -> None:
    from compliance.actions import load_shipped_packs

    # post_migrate also follows a migration back to before the table was there.
    if "compliance_policypackversion" in connections[using].introspection.table_names():
        load_shipped_packs()


def _enter_findings(*, using: str, **_: Any) -> None:
    from compliance.actions import enter_earlier_findings

    if "compliance_sighting" in connections[using].introspection.table_names():
        enter_earlier_findings()
