"""One table in a ZIP archive or in gzip data is that table; what unpacks to too much or holds several is refused."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import polars as pl
import pytest

from auditor.data_sources import data_path
from auditor.exceptions import DataError
from auditor.tables import Reading, packed, propose_reading, read_table

TEXT = b"id|race|approved\n1|Black|1\n2|White|0\n"


def zipped(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/", 1) if name.startswith("in__") else name, content)
    return path


@pytest.mark.parametrize("kind", ["zip", "gz"])
def test_text_in_a_packed_file_is_the_text_itself(tmp_path, kind):
    plain = tmp_path / "loans.txt"
    plain.write_bytes(TEXT)
    packed_file = tmp_path / f"loans.txt.{kind}"
    if kind == "gz":
        packed_file.write_bytes(gzip.compress(TEXT))
    else:
        zipped(packed_file, **{"2025/loans.txt": TEXT})
    reading = Reading(delimiter="|")
    one, other = read_table(plain, reading=reading), read_table(packed_file, reading=reading)
    assert other.frame.equals(one.frame)
    assert other.notes == one.notes
    # What people hold and what is hashed is the packed file.
    assert other.sha256 != one.sha256
    assert propose_reading(packed_file)[0].delimiter == "|"
    assert data_path(str(packed_file)) == packed_file


def test_parquet_in_an_archive_is_read_and_what_archivers_put_beside_it_is_not(tmp_path):
    frame = pl.DataFrame({"a": [1, 2]})
    content = io.BytesIO()
    frame.write_parquet(content)
    path = tmp_path / "loans.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/", b"")
        archive.writestr("data/loans.parquet", content.getvalue())
        archive.writestr("__MACOSX/data/._loans.parquet", b"x")
    assert read_table(path).frame.equals(frame)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("two.zip", {"a.csv": TEXT, "b.csv": TEXT}, "holds 2 files: a.csv, b.csv; expected one table in it"),
        ("none.zip", {}, "holds 0 files; expected one table in it"),
        ("other.zip", {"a.exe": b"MZ"}, "is not a kind of file that can be read; expected a .csv"),
        (
            "nested.zip",
            {"a.zip": b"PK"},
            "holds 'a.zip', which is packed itself; expected one table in it, packed once",
        ),
        (
            "twice.zip",
            {"a.csv.gz": gzip.compress(TEXT)},
            "holds 'a.csv.gz', which is packed itself; expected one table",
        ),
    ],
)
def test_an_archive_of_anything_but_one_table_is_refused_in_one_line(tmp_path, name, content, line):
    with pytest.raises(DataError, match=line) as refused:
        read_table(zipped(tmp_path / name, **content))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv.gz", b"a,b\n1,2\n", "is damaged: Not a gzipped file"),
        ("a.csv.gz", gzip.compress(TEXT * 500, mtime=0)[:-20], "is damaged: .*end-of-stream"),
        ("a.zip", b"PK\x03\x04 nothing", "is not a ZIP archive"),
        ("a.gz", gzip.compress(TEXT, mtime=0), "is not a kind of file that can be read"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, name, content, line):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=line):
        read_table(path)


@pytest.mark.parametrize("kind", ["zip", "gz"])
def test_a_bomb_is_refused_long_before_it_is_unpacked(tmp_path, kind):
    bomb = b"a,b\n" + b"0" * (200 << 20)
    path = tmp_path / f"bomb.csv.{kind}"
    if kind == "gz":
        path.write_bytes(gzip.compress(bomb))
    else:
        zipped(path, **{"bomb.csv": bomb})
    assert path.stat().st_size < 1 << 20
    taken = 0
    with pytest.raises(DataError, match="unpacks to more than 200 times its size"):  # noqa: PT012, SIM117
        with packed.opened(path, where="bomb") as stream:
            while block := stream.read(1 << 20):
                taken += len(block)
    assert taken <= packed.MAX_RATIO * path.stat().st_size + (1 << 20)
    with pytest.raises(DataError, match="unpacks to more than 200 times its size"):
        read_table(path)


def test_the_size_an_archive_states_of_itself_decides_nothing(tmp_path):
    path = zipped(tmp_path / "bomb.zip", **{"bomb.csv": b"a,b\n" + b"0" * (64 << 20)})
    raw = bytearray(path.read_bytes())
    # The size in the local header and in the directory is lowered to a hundred bytes.
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        where = raw.find(mark) + at
        raw[where : where + 4] = (100).to_bytes(4, "little")
    path.write_bytes(bytes(raw))
    with pytest.raises(DataError):
        read_table(path)


def test_repeated_words_of_a_small_table_are_no_attack(tmp_path):
    path = tmp_path / "dull.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"yes,no\n" * 200_000))
    assert read_table(path).frame.height == 200_000


def test_a_locked_archive_is_named(tmp_path):
    path = zipped(tmp_path / "locked.zip", **{"a.csv": TEXT})
    raw = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.find(mark) + at] |= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(DataError, match="is locked with a password"):
        read_table(path)


def test_an_archive_in_gzip_data_is_told_whatever_it_is_called(tmp_path):
    inner = zipped(tmp_path / "loans.zip", **{"loans.csv": TEXT}).read_bytes()
    for name in ("loans.gz", "loans.zip.gz"):
        (tmp_path / name).write_bytes(gzip.compress(inner))
        with pytest.raises(DataError, match="which is packed itself; expected one table in it, packed once"):
            read_table(tmp_path / name)
