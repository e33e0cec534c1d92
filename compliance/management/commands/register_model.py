"""``manage.py register_model``: import a model and enter it into a team's register."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from auditor.language_models.sources import parse_source
from compliance import actions
from compliance.database.tables import ensure_tables
from compliance.management.accounts import command_actor, team_called
from compliance.management.base import BAD_INPUT, PlainCommand
from compliance.registry.registration import perform_registration


class Command(PlainCommand):
    """Registers a model now, in this process."""

    help = "Import a model and register it as a version of a language model. Exit code 0 done, 2 bad input."

    def add_arguments(self, parser: CommandParser) -> None:
        """The contract of docs/operations.md."""
        parser.add_argument("source", metavar="SOURCE", help="demo:underwriter, dir:PATH, gguf:PATH, hf:ORG/NAME@REV")
        parser.add_argument(
            "--name", metavar="NAME", help="of the language model; if left out, its source without the revision"
        )
        parser.add_argument("--team", metavar="NAME", help="whose register; the default team if left out")

    def work(self, **options: Any) -> int:
        """Ask for it and do it."""
        source = str(parse_source(options["source"]))
        ensure_tables()
        actor, team = command_actor(), team_called(options["team"])
        description = {"name": (options["name"] or actions.name_of(source))[:200]}
        language_model = actions.open_language_model(team=team, description=description, actor=actor)
        row = actions.request_model(language_model=language_model, source=source, actor=actor)
        perform_registration(row.pk)
        row.refresh_from_db()
        if row.model_version is None:
            self.end(BAD_INPUT, row.error, options)
        for line in row.model_version.described.imported.left_behind:
            self.stderr.write(line)
        self.stdout.write(row.model_version.sha256)
        return 0
