"""Small files that cost much: made here, byte by byte where no library writes them."""

from __future__ import annotations

import io
from datetime import date

import polars as pl

from tests.data.books import MAIN, START, workbook

SHEET = "xl/worksheets/sheet1.xml"


def open_cells(count: int) -> bytes:
    """A workbook whose sheet opens so many cells and closes none: quadratic for a pattern that looks for the end."""
    return _book_with(f'{START}<worksheet xmlns="{MAIN}"><sheetData>{"<c t=" * count}')


def shared_text(cells: int, characters: int) -> bytes:
    """A workbook in which so many cells show the same long text."""
    text = f'{START}<sst xmlns="{MAIN}"><si><t>name</t></si><si><t>{"x" * characters}</t></si></sst>'
    rows = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>{min(n - 1, 1)}</v></c></row>' for n in range(1, cells + 2))
    sheet = f'{START}<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'
    return _book_with(sheet, {"xl/sharedStrings.xml": text.encode()})


def laughs() -> bytes:
    """Entities that expand into each other."""
    entities = '<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    return _book_with(f'<!DOCTYPE x [{entities}]><worksheet xmlns="{MAIN}"><sheetData>&j;</sheetData></worksheet>')


def hidden_cell(reference: str) -> bytes:
    """A cell whose attributes try to hide from a pattern where it stands."""
    return _book_with(
        f'{START}<x:worksheet xmlns:x="{MAIN}"><x:sheetData><!-- <c a=" --><x:row><x:c\n a=">" t=\'n\'\n'
        f"r = '{reference}'><x:v>1</x:v></x:c></x:row></x:sheetData></x:worksheet>"
    )


def cells_without_places(count: int) -> bytes:
    """A row of cells that do not say where they stand."""
    return _book_with(
        f'{START}<worksheet xmlns="{MAIN}"><sheetData><row>{"<c/>" * count}</row></sheetData></worksheet>'
    )


def merged(count: int) -> bytes:
    """A sheet with so many merged ranges."""
    ranges = "".join(f'<mergeCell ref="A{n}:A{n + 1}"/>' for n in range(1, count + 1))
    sheet = '<row r="1"><c r="A1"><v>1</v></c></row>'
    return _book_with(
        f'{START}<worksheet xmlns="{MAIN}"><sheetData>{sheet}</sheetData><mergeCells>{ranges}</mergeCells></worksheet>'
    )


def elsewhere(reference: str) -> bytes:
    """A sheet that is kept under another name than spreadsheet programs give it."""
    sheet = f'<worksheet xmlns="{MAIN}"><sheetData><row><c r="{reference}"><v>1</v></c></row></sheetData></worksheet>'
    return workbook({"a": [["a"], [1]]}, extra={"xl/somewhere/else.bin": sheet.encode()})


def one_text(rows: int, characters: int) -> bytes:
    """Parquet whose only column holds one long text, in a dictionary, so many times."""
    target = io.BytesIO()
    pl.DataFrame({"a": pl.Series(["x" * characters] * rows)}).write_parquet(target, compression="zstd")
    return target.getvalue()


def one_category(rows: int, characters: int) -> bytes:
    """The same as a category."""
    target = io.BytesIO()
    column = pl.Series(["x" * characters], dtype=pl.Categorical).new_from_index(0, rows)
    pl.DataFrame({"a": column}).write_parquet(target)
    return target.getvalue()


def far_dates(kind: str) -> bytes:
    """Parquet with a day, or a moment, that no calendar holds."""
    column = {
        "date": pl.Series("a", [date(2020, 1, 1), None]).to_physical().fill_null(2**31 - 1).cast(pl.Date),
        "ms": pl.Series("a", [2**62], dtype=pl.Int64).cast(pl.Datetime("ms")),
        "us": pl.Series("a", [-(2**62)], dtype=pl.Int64).cast(pl.Datetime("us")),
    }[kind]
    target = io.BytesIO()
    pl.DataFrame({"a": column}).write_parquet(target)
    return target.getvalue()


def _book_with(sheet: str, extra: dict[str, bytes] | None = None) -> bytes:
    return workbook({"a": [["a"], [1]]}, replace={SHEET: sheet.encode()}, extra=extra)
