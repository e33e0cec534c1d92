"""``manage.py describe_data``: what the columns of a file seem to mean, or whether a mapping fits them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from auditor.applications import read_mapping, write_mapping
from auditor.data_sources import data_path
from auditor.exceptions import InputError
from auditor.mapping_checks import check_mapping
from auditor.mapping_inference import infer_mapping
from auditor.tables import read_table
from compliance.management.base import PlainCommand


class Command(PlainCommand):
    """Proposes a mapping for a file of decision records, or checks one against it."""

    help = (
        "Without --mapping: propose what the columns mean, as TOML for --out or standard output. "
        "With it: print what does not fit, one line each. Exit code 0 done, 2 bad input."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The contract of docs/data.md."""
        parser.add_argument("file", metavar="FILE", help="a .csv, .parquet or .xlsx file")
        parser.add_argument("--mapping", metavar="MAPPING.toml", type=Path, help="check this mapping against the file")
        parser.add_argument("--out", metavar="MAPPING.toml", type=Path, help="write the proposal to a new file")

    def work(self, **options: Any) -> int:
        """Read the file, then propose or check."""
        path = data_path(options["file"])
        if options["mapping"] is not None:
            if options["out"] is not None:
                raise InputError("--out", "goes with a proposal, not with a check", "either --mapping or --out")
            mapping = read_mapping(options["mapping"])
            frame = read_table(path).frame
            lines = check_mapping(frame, mapping)
            for line in lines:
                self.stdout.write(line)
            count = f"{len(lines)} thing{'s' * (len(lines) != 1)} to look at" if lines else "nothing to look at"
            self.stdout.write(f"{options['mapping']}: {count}, {frame.height:,} rows, {len(mapping.fields)} fields")
            return 0
        frame = read_table(path).frame
        text = (
            f"# Proposed from names and values of {path.name}. Every role, word and code below is a guess: read it.\n"
        )
        text += write_mapping(infer_mapping(frame, path.stem))
        if options["out"] is None:
            self.stdout.write(text, ending="")
        else:
            _write_new(options["out"], text)
            self.stdout.write(str(options["out"]))
        return 0


def _write_new(path: Path, text: str) -> None:
    # "x": a mapping that somebody has worked on is never replaced by a guess.
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise InputError(str(path), "is there already", "the name of a new file") from error
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be written", "a file that can be written") from error
