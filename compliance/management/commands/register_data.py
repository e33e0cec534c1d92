"""``manage.py register_data``: enter a table of decision records into a team's register."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from auditor.data_sources import DEMONSTRATION, data_path
from auditor.exceptions import InputError, reason_of
from auditor.mapping_files import read_mapping, write_mapping
from compliance import actions
from compliance.database.tables import ensure_tables
from compliance.management.accounts import command_actor, team_called
from compliance.management.base import BAD_INPUT, PlainCommand
from compliance.registry.registration import demonstration_data, perform_registration
from compliance.registry.uploads import begin_upload, take_whole


class Command(PlainCommand):
    """Registers a data set now, in this process; the table is copied into the data folder."""

    help = "Register a table of decision records with its mapping. Exit code 0 done, 2 bad input."

    def add_arguments(self, parser: CommandParser) -> None:
        """The contract of docs/operations.md."""
        parser.add_argument("file", metavar="FILE", help="a .csv, .tsv, .txt, .parquet or .xlsx file, or demo:loanapp")
        parser.add_argument("--mapping", metavar="MAPPING.toml", type=Path, help="what its columns mean")
        parser.add_argument("--team", metavar="NAME", help="whose register; the default team if left out")

    def work(self, **options: Any) -> int:
        """Copy it, enter it."""
        if options["file"] == DEMONSTRATION:
            ensure_tables()
            data, preview = demonstration_data()
            team, actor = team_called(options["team"]), command_actor()
            self.stdout.write(actions.register_data(data=data, team=team, preview=preview, actor=actor).fingerprint)
            return 0
        path = data_path(options["file"])
        if options["mapping"] is None:
            raise InputError("--mapping", "is not given", f"what `manage.py describe_data {path}` proposes, corrected")
        mapping = read_mapping(options["mapping"])
        ensure_tables()
        actor, team = command_actor(), team_called(options["team"])
        try:
            with path.open("rb") as stream:
                size = path.stat().st_size
                row = begin_upload(team=team, title=mapping.name, file_name=path.name, size=size, actor=actor)
                take_whole(row, stream, actor=actor)
        except OSError as error:
            raise InputError(
                str(path), f"cannot be read: {reason_of(error)}", "a file this account may read"
            ) from error
        actions.keep_mapping(registration=row, mapping=write_mapping(mapping), ready=True, actor=actor)
        perform_registration(row.pk)
        row.refresh_from_db()
        if row.data_version is None:
            self.end(BAD_INPUT, row.error, options)
        for line in row.look.get("lines", ()):
            self.stderr.write(line)
        self.stdout.write(row.data_version.fingerprint)
        return 0
