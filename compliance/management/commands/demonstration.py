"""``manage.py demonstration``: what ``make serve`` does first, so that the site has the demonstration's audit in it."""

from __future__ import annotations

from typing import Any

from compliance.database.tables import ensure_tables
from compliance.management.accounts import command_actor
from compliance.management.base import PlainCommand
from compliance.registry.demonstration import ask_for_audit


class Command(PlainCommand):
    """Registers the demonstration's model, data and plan, and asks for their audit."""

    help = (
        "Where there is no audit yet, register the demonstration's model, data and plan and ask for their audit; a "
        "worker runs it. Exit code 0 done, or nothing to do; 2 if the demonstration is not installed."
    )

    def work(self, **options: Any) -> int:
        """Ask, and say so."""
        ensure_tables()
        audit = ask_for_audit(actor=command_actor(), say=self._tell)
        if audit is not None:
            self._tell(f"{audit} was asked for; a worker runs it in about ten minutes on two cores")
        return 0

    def _tell(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
