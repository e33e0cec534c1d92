"""Some bytes of a UTF-8 file that are none: the file stays UTF-8, and line and column are named."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from auditor.applications import apply_mapping
from auditor.exceptions import DataError
from auditor.proposals import proposed
from auditor.tables import Reading, read_table
from auditor.tables.encodings import NO_CHARACTERS, bad_bytes

NAMES = ["Zoë", "Łukasz", "Māra", "José", "Söre", "Chloé"]
TEXT = "town,score,sex,decision\n" + "".join(f"{name},6{at}0,{'FM'[at % 2]},yes\n" for at, name in enumerate(NAMES))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two cells of a UTF-8 file are written in cp1252."""
    path = tmp_path / "loans.csv"
    path.write_bytes(TEXT.encode() + "René,700,F,no\nAntônia,710,M,no\n".encode("cp1252"))
    return path


def test_utf_8_is_proposed_and_only_the_column_with_the_bytes_is_lost(path: Path) -> None:
    found = proposed(path, "x")
    mapping = found.proposal.mapping
    assert mapping.reading == Reading(encoding="utf-8")
    assert found.proposal.lines()[0] == (
        "encoding: bytes in 2 places, first in line 8, are not UTF-8, 6 other characters beyond ASCII are: the columns "
        "that hold such bytes cannot be used until they are mended; cp1252 reads 'René' there"
    )
    assert "column 'town' holds bytes that are not UTF-8 in line 8 and cannot be used" in found.proposal.lines()
    assert mapping.excluded["town"] == "holds bytes that are not UTF-8 in line 8: cannot be used"
    assert apply_mapping(found.table, mapping, source="x", file_sha256="").count == 8


def test_without_the_key_every_cell_is_named(path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert str(caught.value) == (
        f"{path}: 2 cells hold bytes that are not UTF-8, as the rest is: line 8 in column 'town', line 9 in column "
        "'town'; expected these cells mended, or encoding = \"utf-8\" under [reading], by which such columns cannot be "
        "used"
    )


def test_a_file_in_another_encoding_still_is_one(tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(TEXT.replace("Łukasz", "Luc").replace("Māra", "Mara").encode("cp1252"))
    assert proposed(path, "x").proposal.mapping.reading == Reading(encoding="cp1252")


def test_bytes_in_a_name_of_a_column_are_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(b"score,pr\xe9nom\n" + "600,Zoë\n610,Chloé\n".encode())
    with pytest.raises(DataError, match="the name of column 2: holds bytes that are not UTF-8; expected names in UTF"):
        read_table(path)


def test_a_file_with_its_mark_is_utf_8_whatever_else_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(b"\xef\xbb\xbfscore,town\n600,Ren\xe9\n")
    with pytest.raises(DataError, match="1 cell holds bytes that are not UTF-8, as the rest is: line 2 in column 'to"):
        read_table(path)


def test_what_stands_for_such_bytes_is_never_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(f"a,b,c\n{NO_CHARACTERS[0]},Zoë,1\n\ufffd,é,2\n".encode() + b"x,\xe9,3\n")
    table = read_table(path, reading=Reading(encoding="utf-8"))
    assert table.frame.to_dict(as_series=False) == {"a": [NO_CHARACTERS[0], "\ufffd", "x"], "c": ["1", "2", "3"]}
    assert table.frame.schema == {"a": pl.String, "c": pl.String}


def test_runs_of_bytes_and_characters_are_counted() -> None:
    found = bad_bytes("é".encode() + b"\xff\xfe x \xff" + "ü".encode())
    assert found is not None
    assert (found.first, found.runs, found.others, found.few) == (2, 2, 2, False)
    assert bad_bytes("é".encode()) is None
