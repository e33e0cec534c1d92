"""``manage.py describe_data``: what the columns of a file seem to mean, or whether a mapping fits them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from auditor.data_sources import data_path
from auditor.exceptions import InputError, reason_of
from auditor.mapping_checks import check_mapping
from auditor.mapping_files import read_mapping, reading_from
from auditor.proposals import proposed
from auditor.tables import read_table
from compliance.management.base import PlainCommand

READING_KEYS = ("sheet", "header", "last", "delimiter", "encoding")


class Command(PlainCommand):
    """Proposes a mapping for a file of decision records, or checks one against it."""

    help = (
        "Without --mapping: propose what the columns mean, as TOML for --out or standard output. "
        "With it: print what does not fit, one line each. Exit code 0 done, 2 bad input."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The contract of docs/data.md."""
        parser.add_argument("file", metavar="FILE", help="a .csv, .tsv, .txt, .parquet or .xlsx file")
        parser.add_argument("--mapping", metavar="MAPPING.toml", type=Path, help="check this mapping against the file")
        parser.add_argument("--out", metavar="MAPPING.toml", type=Path, help="write the proposal to a new file")
        reading = parser.add_argument_group("how the file is read, if it does not say so itself")
        reading.add_argument("--sheet", metavar="NAME", help="the sheet of a workbook")
        reading.add_argument(
            "--header", metavar="N", type=int, help="the line or row of the column names; 0: there are none"
        )
        reading.add_argument("--last", metavar="N", type=int, help="the line or row of the last record")
        reading.add_argument("--delimiter", metavar="CHARACTER", help="what separates fields; \\t is the tab")
        reading.add_argument("--encoding", metavar="NAME", help="what the bytes of a text file mean")

    def work(self, **options: Any) -> int:
        """Read the file, then propose or check."""
        path = data_path(options["file"])
        given = {key: options[key] for key in READING_KEYS if options[key] is not None}
        if given.get("header") == 0:
            given["header"] = False
        if given.get("delimiter") == "\\t":
            given["delimiter"] = "\t"
        said = reading_from(given, where=f"--{next(iter(given), '')}")
        if options["mapping"] is not None:
            if options["out"] is not None:
                raise InputError("--out", "goes with a proposal, not with a check", "either --mapping or --out")
            if given:
                where = f"--{next(iter(given))}"
                raise InputError(where, "goes with a proposal, not with a check", "the same key under [reading]")
            mapping = read_mapping(options["mapping"])
            table = read_table(path, reading=mapping.reading)
            lines = check_mapping(table, mapping)
            for line in lines:
                self.stdout.write(line)
            count = f"{len(lines)} thing{'s' * (len(lines) != 1)} to look at" if lines else "nothing to look at"
            rows = f"{table.frame.height:,} rows"
            self.stdout.write(f"{options['mapping']}: {count}, {rows}, {len(mapping.fields)} fields")
            return 0
        proposal = proposed(path, path.stem, said=said).proposal
        text = (
            f"# Proposed from names and values of {path.name}. Every role, word and code below is a guess: read it.\n"
        )
        text += proposal.text()
        if options["out"] is None:
            self.stdout.exactly(text)
        else:
            _write_new(options["out"], text)
            for line in proposal.lines():
                self.stdout.write(line)
            self.stdout.write(str(options["out"]))
        return 0


def _write_new(path: Path, text: str) -> None:
    # "x": a mapping that somebody has worked on is never replaced by a guess.
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise InputError(str(path), "already exists", "the name of a new file") from error
    except OSError as error:
        raise InputError(str(path), f"cannot be written: {reason_of(error)}", "a file that can be written") from error
