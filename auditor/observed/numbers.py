"""The numbers of a field of a decision file, a block at a time: NaN where nothing is stated, text refused."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from auditor.exceptions import DataError
from auditor.mappings import Field
from auditor.number_forms import PLAIN
from auditor.plain_numbers import plain_numbers
from auditor.statistics.results import FloatArray
from auditor.tables import Table

WANTED = "a number, how numbers are written in the field's form, or a code in its missing"


def numbers_of(item: Field, table: Table, *, where: str) -> FloatArray:
    """The numbers of a field, NaN where nothing is stated; DataError for text that is no number."""
    if item.ratio is not None:
        top, bottom = (_column_numbers(item, table, column, where, scale=1.0) for column in item.columns)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(bottom != 0, top / bottom * item.scale, np.nan)
        return ratio
    return _column_numbers(item, table, item.columns[0], where, scale=item.scale)


def _column_numbers(item: Field, table: Table, name: str, where: str, *, scale: float) -> FloatArray:
    column = table.frame[name]
    codes = [float(code) for code in item.missing_codes if PLAIN.fullmatch(code)]
    if column.dtype == pl.String:
        numbers = plain_numbers(column) if item.form is None else pl.Series([None], dtype=pl.Float64).new_from_index(
            0, len(column)
        )  # fmt: skip
    elif column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        numbers = column.cast(pl.Float64)
    else:  # a date would become days or microseconds since 1970
        what = f"column {name!r} (field {item.name!r}) holds values of the type {column.dtype}"
        raise DataError(where, what, "numbers, or text that is numbers")
    values = numbers.to_numpy().astype(np.float64, copy=True)
    gone = ~np.isfinite(values)
    if codes:
        gone |= np.isin(values, codes)
    if item.missing_from is not None:
        with np.errstate(invalid="ignore"):
            gone |= values >= item.missing_from
    values[gone] = np.nan
    values *= scale
    if column.dtype == pl.String:
        odd = (numbers.is_null() & column.is_not_null()).to_numpy()
        if odd.any():
            _written_otherwise(item, table, name, odd, values, where, scale)
    return values


def _written_otherwise(  # noqa: PLR0917 - the cell's field and table, and where its number goes
    item: Field, table: Table, name: str, odd: npt.NDArray[np.bool_], values: FloatArray, where: str, scale: float
) -> None:
    """Cells that are no plain number, each distinct one asked once: a code, a form of numbers, or a refusal."""
    cells = table.frame[name].filter(pl.Series(odd))
    texts = cells.unique(maintain_order=True)  # of several that are no numbers the first is named
    said = np.empty(len(texts))
    for at, text in enumerate(texts):
        number = None if item.is_missing(text) else item.number(text)
        if number is None and not item.is_missing(text):
            row = int(np.flatnonzero(odd)[int((cells == text).arg_max() or 0)])
            what = f"{table.place(row, name)} of column {name!r} (field {item.name!r}) holds {text[:30]!r}"
            raise DataError(
                where, what, "a number, how numbers are written in the field's form, or a code in its missing"
            )
        said[at] = np.nan if number is None else number * scale
    found = cells.replace_strict(texts, pl.Series(said), return_dtype=pl.Float64)
    values[odd] = found.to_numpy()
