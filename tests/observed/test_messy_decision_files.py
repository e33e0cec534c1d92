"""Decision files as people send them: read for what they hold, or refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from auditor.exceptions import DataError
from auditor.mapping_files import mapping_from
from auditor.observed.columns import Observed
from auditor.observed.reading import read_decisions
from tests.observed.made_up import DECISIONS, FIELDS, table

ROWS = 60
COLUMNS = ("loan", "decision", "race", "sex", "income", "limit", "day", "branch")
NAMED = {"amounts": ["limit"], "controls": ["income"], "decided_at": "day", "cluster": "branch"}


def made(**changes: Any) -> pl.DataFrame:
    """Text in every column, with a name beyond ASCII and a quoted line break."""
    frame = table(ROWS).select(COLUMNS).with_columns(pl.all().cast(pl.String))
    frame = frame.with_columns(race=pl.col("race").str.replace("Asian", "Müller"), day=pl.lit("2026-01-05"))
    return frame.with_columns(**changes)


def read(path: Path, *, reading: dict[str, Any] | None = None, **fields: dict[str, Any]) -> Observed:
    items = [{**item, **fields.get(str(item["name"]), {})} for item in FIELDS if item["name"] in COLUMNS]
    raw = {"name": "messy", "fields": items, "decisions": {key: NAMED[key] for key in NAMED if key in DECISIONS}}
    return read_decisions(path, mapping_from({**raw, "reading": reading or {}}, where="messy.toml"), where=path.name)


def written(path: Path, frame: pl.DataFrame, *, separator: str = ",", encoding: str = "utf-8", end: str = "\n") -> Path:
    path.write_bytes(frame.write_csv(separator=separator, line_terminator=end).encode(encoding))
    return path


def refusal(path: Path, **more: Any) -> str:
    with pytest.raises(DataError) as error:
        read(path, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


def notes(found: Observed, word: str) -> list[str]:
    return [note for note in found.notes if word in note]


def test_no_header_bars_and_a_quoted_line_break_lose_no_row(tmp_path: Path) -> None:
    frame = made(branch=pl.lit("north\nor | south"))
    path = tmp_path / "a.txt"
    path.write_text(frame.write_csv(separator="|", include_header=False))
    found = read(path, reading={"header": False, "delimiter": "|", "columns": list(COLUMNS)})
    assert found.n == ROWS
    assert found.cluster is not None
    assert found.cluster.names == ("north\nor | south",)


def test_windows_text_with_decimal_commas_is_read_under_either_name_of_its_encoding(tmp_path: Path) -> None:
    frame = made(limit=pl.lit("39.375,50"), income=pl.lit("80,5"))
    path = written(tmp_path / "b.csv", frame, separator=";", encoding="cp1252", end="\r\n")
    form = {"form": {"decimal": ",", "thousands": "."}, "missing": []}
    for name in ("windows-1252", "cp1252"):
        found = read(path, reading={"delimiter": ";", "encoding": name}, limit=form, income=form)
        assert (found.n, found.amounts[0].values[0]) == (ROWS, 39375.5)
        assert "Müller" in found.groups[0].names
    assert "reading.encoding: is 'windows-12521'; expected one of: utf-8," in refusal(
        path, reading={"delimiter": ";", "encoding": "windows-12521"}
    )
    said = refusal(path, reading={"delimiter": ";"})
    assert "cp1252 reads 'Müller' there" in said
    assert said.endswith('expected encoding = "cp1252" under [reading]')


def test_the_first_amount_that_is_no_number_is_named_with_what_would_read_it(tmp_path: Path) -> None:
    path = written(tmp_path / "c.csv", made(limit=pl.Series([f"${at},000.50" for at in range(ROWS, 0, -1)])))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert refusal(path) == (
        "c.csv: line 2 of column 'limit' (field 'limit') holds '$60,000.50'; expected a number, how numbers are "
        "written in the field's form, or a code in its missing"
    )
    assert read(path, limit={"form": {"before": "$", "thousands": ","}}).amounts[0].values[0] == 60000.5


def test_days_in_two_orders_are_counted_and_not_lost_in_silence(tmp_path: Path) -> None:
    days = pl.Series(["2026-01-05", "05/01/2026", ""] * (ROWS // 3))
    (line,) = notes(read(written(tmp_path / "d.csv", made(day=days))), "no day")
    assert line.startswith("20 of 60 rows have no day that can be read in 'day', first '05/01/2026' in line 3")
    assert notes(read(written(tmp_path / "e.csv", made())), "no day") == []


def test_codes_that_no_key_names_are_told_with_their_counts(tmp_path: Path) -> None:
    code = pl.Series([True, *[False] * 5] * (ROWS // 6))
    frame = made(
        sex=pl.when(code).then(pl.lit("9999")).otherwise(pl.col("sex")),
        income=pl.when(code).then(pl.lit("1111")).otherwise(pl.lit("80")),
        race=pl.when(code).then(pl.lit("NA")).otherwise(pl.col("race")),
    )
    path = written(tmp_path / "f.csv", frame)
    said = "holds what may mean that nothing is stated, and counts it as a value"
    assert notes(read(path), "nothing is stated") == [
        f"race {said}: NA 10",
        f"sex {said}: 9999 10",
        f"income {said}: 1111 10",
    ]
    missing = {"missing": ["9999", "1111", "NA"]}
    named = read(path, sex=missing, income=missing, race=missing)
    assert notes(named, "nothing is stated") == []
    assert int(named.controls[0].stated.sum()) == ROWS - 10  # type: ignore[union-attr]


def test_a_column_without_a_name_or_a_value_is_nothing_and_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    text = made().write_csv().splitlines()
    path = tmp_path / "g.csv"
    path.write_text("\n".join(f"{line},," for line in text))
    assert read(path).n == ROWS
    path.write_text("\n".join([text[0].replace("branch", "race"), *text[1:]]))
    assert refusal(path) == "g.csv: line 1: columns 3 and 8 are both called 'race'; expected one name a column"


def test_a_line_of_totals_is_told_as_decided_neither_way(tmp_path: Path) -> None:
    path = written(tmp_path / "h.csv", made().filter(pl.col("decision") != "withdrawn"))
    with path.open("a") as stream:
        stream.write("Total,60,,,,,,\n")
    assert "1 application was decided neither way: 60 1" in read(path).facts
