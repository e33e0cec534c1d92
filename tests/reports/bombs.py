"""Small reports and tables that unpack to much: made here, byte by byte where no library writes them."""

from __future__ import annotations

import io
import zlib

import polars as pl


def packed_objects(inside: bytes) -> bytes:
    """A PDF whose objects stand in one packed stream, with ``inside`` in the dictionary of its pages."""
    out, places = bytearray(b"%PDF-1.7\n"), {}
    first = b"<</Type/Catalog/Pages 2 0 R>>".ljust(40)
    head = b"1 0 2 40 "
    packed = zlib.compress(head + first + b"<</Type/Pages/Kids[]/Count 0/X " + inside + b">>", 9)
    places[3] = len(out)
    out += b"3 0 obj\n<</Type/ObjStm/N 2/First %d/Filter/FlateDecode/Length %d>>stream\n" % (len(head), len(packed))
    out += packed + b"\nendstream\nendobj\n"
    places[4] = len(out)
    rows = [(0, 0, 65_535), (2, 3, 0), (2, 3, 1), (1, places[3], 0), (1, places[4], 0)]
    index = b"".join(bytes([kind]) + at.to_bytes(4, "big") + more.to_bytes(2, "big") for kind, at, more in rows)
    out += b"4 0 obj\n<</Type/XRef/W[1 4 2]/Size 5/Root 1 0 R/Length %d>>stream\n" % len(index)
    out += index + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % places[4]
    return bytes(out)


def numbers_in_a_pdf() -> bytes:
    """40 kB that are 20,000,000 numbers, and took 2.7 GB once they were objects."""
    return packed_objects(b"[" + b"1 " * 20_000_000 + b"]")


def brackets_in_a_pdf() -> bytes:
    """15 kB that are 7,500,000 lists."""
    return packed_objects(b"[" + b"[]" * 7_500_000 + b"]")


def many_rows() -> bytes:
    """Decisions of 30,000,000 cases in some hundred kB."""
    rows = pl.select(case_id=pl.repeat("a", 30_000_000))
    return _written(
        rows.with_columns(margin=0.0, mass=1.0, log_favourable=0.0, log_adverse=0.0, outcome=pl.lit("adverse"))
    )


def many_columns() -> bytes:
    return _written(pl.DataFrame({f"c{number}": [0.0] for number in range(5_000)}))


def long_text() -> bytes:
    """A thousand million characters, all the same."""
    text = pl.select(case_id=pl.repeat("x" * 200_000, 5_000))
    return _written(
        text.with_columns(margin=0.0, mass=1.0, log_favourable=0.0, log_adverse=0.0, outcome=pl.lit("adverse"))
    )


def _written(frame: pl.DataFrame) -> bytes:
    target = io.BytesIO()
    frame.write_parquet(target, compression="zstd")
    return target.getvalue()
