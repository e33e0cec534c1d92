"""``manage.py likely_groups``: probabilities of groups from surname and place, in a copy of a decision file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from auditor.data_sources import data_path
from auditor.exceptions import InputError, reason_of
from auditor.mapping_files import read_mapping
from auditor.observed.bisg import place_table, surname_table
from auditor.observed.likely_columns import LikelyColumns, likely_columns
from auditor.tables import Reading, read_table
from compliance.management.base import PlainCommand

KINDS = (".csv", ".parquet")


class Command(PlainCommand):
    """Writes a copy of a decision file with a column of probabilities a group (BISG), from the user's own tables."""

    help = (
        "Add P(group | surname, place) to a copy of a decision file and print what its mapping needs for them. The "
        "surnames are not copied. Exit code 0 done, 2 bad input."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The contract of docs/data.md."""
        parser.add_argument("file", metavar="FILE", help="a decision file with a column of surnames and one of places")
        parser.add_argument("--surname", metavar="COLUMN", required=True, help="its column of surnames")
        parser.add_argument("--place", metavar="COLUMN", required=True, help="its column of places, as tracts")
        parser.add_argument("--mapping", metavar="MAPPING.toml", type=Path, help="the mapping whose [reading] it needs")
        parser.add_argument(
            "--surnames", metavar="TABLE", type=Path, required=True, help="P(group | surname): a row a surname"
        )
        parser.add_argument("--surnames-key", metavar="COLUMN", default="name", help="its column of surnames (name)")
        parser.add_argument(
            "--places", metavar="TABLE", type=Path, required=True, help="people by place and group: a row a place"
        )
        parser.add_argument("--places-key", metavar="COLUMN", default="place", help="its column of places (place)")
        parser.add_argument(
            "--group",
            metavar="GROUP=COLUMN[,COLUMN]",
            action="append",
            required=True,
            help="a group as the decision file calls it, and its column in the table of surnames and in that of places",
        )
        parser.add_argument("--attribute", metavar="FIELD", required=True, help="the protected field, as in race")
        parser.add_argument("--source", metavar="WORDS", required=True, help="whose tables of which year they are")
        parser.add_argument(
            "--cut", metavar="P", type=float, default=0.8, help="where thresholding counts a member (0.8)"
        )
        parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="a new .csv or .parquet file")

    def work(self, **options: Any) -> int:
        """Read the file and both tables, work the probabilities out, write the copy."""
        out: Path = options["out"]
        if out.suffix not in KINDS:
            raise InputError("--out", f"ends in {out.suffix or 'nothing'!r}", f"one of: {', '.join(KINDS)}")
        if not 0.5 < options["cut"] <= 1:
            raise InputError(
                "--cut", f"is {options['cut']:g}", "a probability above 0.5, so that nobody is in two groups"
            )
        groups = dict(_group(said) for said in options["group"])
        by_surname = surname_table(
            read_table(options["surnames"]).frame,
            key=options["surnames_key"],
            groups={name: columns[0] for name, columns in groups.items()},
            where=str(options["surnames"]),
        )
        by_place = place_table(
            read_table(options["places"]).frame,
            key=options["places_key"],
            groups={name: columns[1] for name, columns in groups.items()},
            where=str(options["places"]),
        )
        reading = read_mapping(options["mapping"]).reading if options["mapping"] else Reading()
        path = data_path(options["file"])
        made = likely_columns(
            read_table(path, reading=reading).frame,
            surname=options["surname"],
            place=options["place"],
            by_surname=by_surname,
            by_place=by_place,
            attribute=options["attribute"],
            source=options["source"],
            where=str(path),
        )
        _write(made, out)
        counted = ", ".join(f"{way} {count:,}" for way, count in made.counts.items())
        self.stdout.write(f"{out}: {made.frame.height:,} rows, by {counted}; {options['surname']!r} is not copied")
        self.stdout.exactly(
            made.mapping_text(attribute=options["attribute"], source=options["source"], cut=options["cut"])
        )
        return 0


def _group(said: str) -> tuple[str, tuple[str, str]]:
    name, equals, columns = said.partition("=")
    first, _, second = columns.partition(",")
    if not (equals and name.strip() and first.strip()):
        raise InputError("--group", f"is {said!r}", 'GROUP=COLUMN, as in "Black=pct_black,black"')
    return name.strip(), (first.strip(), second.strip() or first.strip())


def _write(made: LikelyColumns, out: Path) -> None:
    # "x": a file that is there already may be the one that the rows came from.
    try:
        with out.open("xb") as stream:
            if out.suffix == ".csv":
                made.frame.write_csv(stream)
            else:
                made.frame.write_parquet(stream)
    except FileExistsError as error:
        raise InputError(str(out), "already exists", "the name of a new file") from error
    except OSError as error:
        raise InputError(str(out), f"cannot be written: {reason_of(error)}", "a file that can be written") from error
