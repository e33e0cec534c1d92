"""``manage.py rotate_keys``: another key of the installation for the keys of systems."""

from __future__ import annotations

from typing import Any

from compliance import actions
from compliance.database.tables import ensure_tables
from compliance.management.accounts import command_actor
from compliance.management.base import PlainCommand


class Command(PlainCommand):
    """Seals every key of a system anew."""

    help = "Seal the keys of listed systems under a new key of the installation. Exit code 0 done, 3 not done."

    def work(self, **options: Any) -> int:
        """Rotate, and say how many."""
        ensure_tables()
        count = actions.rotate_keys(actor=command_actor())
        self.stdout.write(
            f"{count:,} {'key' if count == 1 else 'keys'} sealed anew; the older keys are gone from the file"
        )
        return 0
