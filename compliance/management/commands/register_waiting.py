"""``manage.py register_waiting``: do the registrations that were asked for on the site."""

from __future__ import annotations

from typing import Any

from compliance.database.tables import ensure_tables
from compliance.management.base import PlainCommand
from compliance.models import Registration, RegistrationState
from compliance.registry.registration import perform_registration


class Command(PlainCommand):
    """Registers what waits, oldest first."""

    help = "Do every registration that waits, oldest first; one line each. Exit code 0 when none waits any more."

    def work(self, **options: Any) -> int:
        """One after the other."""
        ensure_tables()
        waiting = Registration.objects.filter(state=RegistrationState.WAITING).order_by("pk")
        for key in list(waiting.values_list("pk", flat=True)):
            perform_registration(key)
            row = Registration.objects.get(pk=key)
            self.stdout.write(
                f"{row.name}: {row.get_state_display().lower()}" + (f": {row.error}" if row.error else "")
            )
        return 0
