"""Numbers in a column of text are read all at once, and every cell says what it says alone."""

from __future__ import annotations

import math

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from auditor.applications import misfits, repeats_in
from auditor.mapping_checks import check_mapping
from auditor.mappings import DataMapping, Field, code_of, written
from auditor.number_forms import PLAIN, NumberForm
from auditor.plain_numbers import are_plain, plain_numbers
from auditor.tables import Table

BLANKS = st.text(" \t\n\x1c\x1f\u00a0\u2009\u200b", max_size=2)
WRITTEN = st.one_of(
    st.integers(-(10**16), 10**16).map(str),
    st.integers(-3, 3).map(str),
    st.floats(allow_nan=True).map(str),
    st.decimals(-1000, 1000, places=3).map(str),
    st.from_regex(r"-?[0-9]{1,17}(\.[0-9]{0,20})?", fullmatch=True),
    st.sampled_from(["", "NA", "n/a", "-0", "-0.0", "0.000", "+4", "04", "4.", ".5", "1e3", "−7", "٤", "²", "1_0"]),
    st.text(max_size=4),
)
FEW = settings(max_examples=40)
CELLS = st.lists(
    st.none() | st.tuples(BLANKS, WRITTEN, BLANKS).map("".join).filter(lambda text: text.strip() != ""), max_size=12
)
CODES = st.lists(st.sampled_from([0, 7, -9, 999, 0.5, "NA", "04", "-0"]), max_size=3).map(tuple)
LONG = "1." + "0" * 500


def number_field(**keys: object) -> Field:
    return Field(name="x", label="X", role="predictor", type="number", column="x", **keys)  # type: ignore[arg-type]


def same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return one is None and other is None


@FEW
@given(CELLS, CODES, st.none() | st.sampled_from([0.0, 5.0, 900.0]), st.sampled_from([1.0, 1000.0, 0.01]))
@example(["-0", "0", "7.0", LONG, None], (0, 7), None, 1.0)
@example(["9007199254740993", "0.1000000000000000055511151231257827", "5", "900"], (), 5.0, 0.01)
def test_a_column_gives_what_its_cells_give(
    cells: list[str | None], missing: tuple[object, ...], bound: float | None, scale: float
) -> None:
    item = number_field(missing=missing, missing_from=bound, scale=scale)
    table = pl.DataFrame({"x": pl.Series(cells, dtype=pl.String)})
    alone = [item.value({"x": cell}) for cell in cells]
    together = item.values_in(table)
    assert len(together) == len(alone)
    assert all(map(same, together, alone)), (cells, together, alone)


@FEW
@given(CELLS, st.sampled_from([None, NumberForm(), NumberForm(decimal=",", thousands=".")]))
def test_the_numbers_of_a_column_are_those_of_its_cells(cells: list[str | None], form: NumberForm | None) -> None:
    item = number_field(form=form)
    column = pl.Series("x", cells, dtype=pl.String)
    assert all(map(same, item.numbers_in(column), [item.number(cell) for cell in cells]))


@FEW
@given(CELLS)
def test_a_cell_is_plain_only_if_the_pattern_says_so_and_its_number_is_pythons(cells: list[str | None]) -> None:
    column = pl.Series("x", cells, dtype=pl.String)
    for cell, plain, number in zip(cells, are_plain(column), plain_numbers(column), strict=True):
        # Blanks that only Python strips are left to the rules of single cells.
        assert not plain or (cell is not None and PLAIN.fullmatch(cell.strip()))
        assert (number is not None) == plain
        assert number is None or same(number, float(str(cell)))


@FEW
@given(st.lists(st.none() | st.tuples(BLANKS, st.sampled_from("abé12"), BLANKS).map("".join), max_size=8))
def test_ids_repeat_as_they_are_written_wherever_blanks_stand(cells: list[str | None]) -> None:
    rows: dict[str, list[int]] = {}
    for row, cell in enumerate(cells):
        if cell is not None:
            rows.setdefault(written(cell), []).append(row)
    table = Table(frame=pl.DataFrame({"id": pl.Series(cells, dtype=pl.String)}))
    assert repeats_in(table, "id") == {value: found for value, found in rows.items() if len(found) > 1}


@FEW
@given(CELLS.filter(lambda cells: any(cell is not None for cell in cells)), CODES)
def test_checks_name_the_first_cell_that_is_no_number_and_codes_that_no_row_holds(
    cells: list[str | None], missing: tuple[object, ...]
) -> None:
    item = number_field(missing=missing)
    mapping = DataMapping(name="m", title="m", citation="", population="", fields=(item,), excluded={})
    table = Table(frame=pl.DataFrame({"x": pl.Series(cells, dtype=pl.String)}))
    odd = [cell for cell in cells if cell is not None and not item.is_missing(cell) and item.number(cell) is None]
    named = [what for what, _ in misfits(table, mapping) if " holds " in what]
    assert len(named) == bool(odd)
    assert not odd or repr(odd[0][:30]) in named[0]
    gone = [code for code in missing if not any(cell is not None and code_of(cell) == code_of(code) for cell in cells)]
    lines = [line for line in check_mapping(table, mapping) if "in missing, which no row holds" in line]
    assert len(lines) == bool(gone)
