"""Decision files of every form give the columns their table gives, read block by block and refused in one line."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
from dataclasses import replace

import polars as pl
import pytest

from auditor.exceptions import DataError
from auditor.observed.building import observe
from auditor.observed.reading import read_decisions
from auditor.tables import NO_HEADER, Reading, streams
from tests.observed.made_up import mapping, table


def same(one, other):
    assert one.ids.to_list() == other.ids.to_list()
    assert (one.outcome == other.outcome).all()
    levels = [(*each.groups, *each.reasons, each.cluster) for each in (one, other)]
    for mine, theirs in zip(*levels, strict=True):
        assert mine.names == theirs.names
        assert (mine.codes == theirs.codes).all()
    numbers = [(*each.prices, *each.amounts, each.score) for each in (one, other)]
    for mine, theirs in zip(*numbers, strict=True):
        assert mine.values == pytest.approx(theirs.values, nan_ok=True)


@pytest.fixture
def whole():
    return observe(table(500), mapping(), source="x")


def read(path, **reading):
    return read_decisions(path, replace(mapping(), reading=Reading(**reading)))


@pytest.mark.parametrize("mark", [",", ";", "|", "\t"])
@pytest.mark.parametrize("packed", ["", ".gz", ".zip"])
def test_text_of_any_mark_packed_or_not(tmp_path, whole, mark, packed, monkeypatch):
    monkeypatch.setattr(streams, "BLOCK_ROWS", 64)  # several blocks, the last one short
    text = table(500).write_csv(separator=mark).encode()
    path = tmp_path / f"made.csv{packed}"
    if packed == ".gz":
        path.write_bytes(gzip.compress(text))
    elif packed == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("made.csv", text)
    else:
        path.write_bytes(text)
    found = read(path, delimiter=mark)
    same(found, whole)
    assert len(found.fingerprint) == 64


def test_without_a_header_by_a_schema(tmp_path, whole):
    path = tmp_path / "made.csv"
    path.write_text(table(500).write_csv(include_header=False))
    same(read(path, header=NO_HEADER, columns=tuple(table(1).columns)), whole)


def test_parquet_and_workbooks(tmp_path, whole):
    table(500).write_parquet(tmp_path / "made.parquet")
    same(read(tmp_path / "made.parquet"), whole)
    table(500).write_excel(tmp_path / "made.xlsx")
    same(read(tmp_path / "made.xlsx"), whole)


def test_a_mark_of_order_another_encoding_and_blank_lines(tmp_path, whole):
    text = table(500).write_csv()
    marked = tmp_path / "marked.csv"
    marked.write_bytes(b"\xef\xbb\xbf" + text.encode())
    same(read(marked), whole)
    lines = text.splitlines()
    wide = tmp_path / "wide.csv"
    wide.write_bytes("\r\n".join([*lines[:100], "", lines[0], *lines[100:], "", ""]).encode("utf-16"))
    same(read(wide, encoding="utf-16"), whole)


@pytest.mark.parametrize(
    ("text", "reading", "line"),
    [
        ("loan,decision\n1,approved\n", {}, "column 'branch' is not there; expected one of: loan, decision"),
        (table(20).write_csv() + "L9,approved\n", {}, "line 22: has 2 fields; expected 17, as in the header, line 1"),
        (table(20).write_csv(separator=";"), {}, "its fields are separated by a semicolon"),
        (table(20).write_csv().replace("L000003", '"L000003'), {}, "a quote is opened and not closed"),
        ("", {}, "is empty"),
        (table(20).write_csv().split("\n")[0] + "\n", {}, "has a header and no rows"),
        (table(20).write_csv(), {"encoding": "klingon"}, "reading.encoding: is 'klingon'"),
        ("a\0b\n", {}, "holds bytes of zero"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, text, reading, line):
    path = tmp_path / "made.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=line) as refused:
        read(path, **reading)
    assert "\n" not in str(refused.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "made.csv"
    path.write_bytes(table(20).write_csv().encode().replace(b"refinance", b"refin\xe4nce"))
    said = r"not UTF-8 \(byte 0xe4 in line 2; cp1252 reads 'refinänce' there\); expected encoding = "
    with pytest.raises(DataError, match=said):
        read(path)


def test_columns_that_no_field_names_are_never_kept(tmp_path, whole):
    path = tmp_path / "made.csv"
    wide = table(500).with_columns(pl.lit("x" * 50).alias(f"other {at}") for at in range(80))
    path.write_text(wide.write_csv())
    kept = []
    blocks = streams.text_blocks(path, where="x", reading=Reading(), columns=frozenset(["race", "decision"]))
    for block in blocks:
        kept += block.frame.columns
    assert set(kept) == {"race", "decision"}
    same(read(path), whole)


@pytest.mark.parametrize("name", ["made.csv", "made.csv.gz", "made.zip"])
@pytest.mark.parametrize("last", [0, 40])
def test_the_hash_is_that_of_every_byte_of_the_file_though_reading_ends_early(tmp_path, name, last):
    path, text = tmp_path / name, table(500).write_csv().encode()
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("made.csv", text)
    else:
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    assert read(path, last=last).file_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_hashed_is_what_was_read_though_the_file_is_written_to_meanwhile(tmp_path):
    path = tmp_path / "made.csv"
    text = table(500).write_csv().encode()
    path.write_bytes(text)
    digest = hashlib.sha256()
    columns = {item.column for item in mapping().fields}
    blocks = streams.text_blocks(path, where="made.csv", reading=Reading(), columns=columns, digest=digest)
    next(blocks)
    path.write_bytes(text.replace(b"approved", b"APPROVED"))
    list(blocks)
    assert digest.hexdigest() == hashlib.sha256(text).hexdigest()
