"""What the text of a column seems to be: numbers in some form, words for "no value", codes that are no numbers.

A guess is for a proposal (auditor/mapping_inference.py). It changes nothing in the table, and each says why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from auditor.date_guesses import about_dates, about_days, about_mixed_dates, are_dates
from auditor.missing_words import is_missing_word
from auditor.number_forms import (
    LOOSE,
    PLAIN_FORM,
    NumberForm,
    guess_form,
    numbers_with_words,
    spelled_plainly,
    unread_amounts,
)
from auditor.plain_numbers import are_plain
from auditor.tables import Table
from auditor.tables.rows import counted as counted_in_words
from auditor.tables.text import decimal_mark

#: A long number as spreadsheets write it where its column is narrow or its cell has no format.
LOST_DIGITS = re.compile(r"[1-9][.,][0-9]{1,6}E\+(0[89]|[12][0-9])")
SAMPLE = 50_000  # distinct texts of which a form is guessed
SHOWN_CHARACTERS = 40


@dataclass(frozen=True)
class ColumnGuess:
    """What a column seems to be: ``values`` without what may mean missing, as numbers where they are ones."""

    values: pl.Series
    form: NumberForm | None = None
    missing: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    about_missing: tuple[str, ...] = ()  # those of the reasons that name words for "no value"


def guess_columns(table: Table) -> Mapping[str, ColumnGuess]:
    """A guess for every column that can be read."""
    mark = decimal_mark(table)
    return {
        column.name: _guess(table, column, mark) if column.dtype == pl.String else _typed(column)
        for column in table.frame.get_columns()
    }


def _typed(column: pl.Series) -> ColumnGuess:
    """A column that the file itself gives a type."""
    said = about_days(column.name, column)
    return ColumnGuess(column, reasons=(said,) if said else ())


def _guess(table: Table, column: pl.Series, mark: str) -> ColumnGuess:
    # In file order: what is said of a column names the first cell.
    counted = column.drop_nulls().to_frame().group_by(column.name, maintain_order=True).len("\0rows")
    rows = dict(counted.iter_rows())
    # A number is no word.
    others = counted[column.name].filter(~are_plain(counted[column.name]))
    said_missing = {text for text in others if is_missing_word(text, number=True)}
    texts = [text for text in rows if text not in said_missing]
    if not texts:
        return _as_text(column, rows, ())
    guess = guess_form(texts[:SAMPLE], decimal=mark)
    form, untyped = guess.form, column.name in table.untyped
    if form is not None and (form != PLAIN_FORM or untyped):
        numbers = _numbers(column, form)
        words = tuple(sorted(said_missing))
        odd = numbers.is_null() & column.is_not_null() & ~column.is_in(list(words))
        if not odd.any():
            said = about_days(column.name, numbers)
            about = _missing_reasons(words, rows)
            reasons = (*filter(None, (guess.why, said)), *about)
            return ColumnGuess(numbers, None if form == PLAIN_FORM else form, words, reasons, about)
    why = []
    if form == PLAIN_FORM and not untyped:
        why.append('is text in the file and stays text; type = "number" reads its numbers')
    elif are_dates(texts[:SAMPLE]):
        why.extend(filter(None, [about_dates(texts[:SAMPLE])]))
    elif mixed := about_mixed_dates(texts[:SAMPLE]):
        why.append(mixed)
    elif all(LOOSE.fullmatch(text.strip()) for text in texts):
        told = next((text for text in texts if not spelled_plainly([text])), texts[0])
        place, text = _first(table, column, (told,))
        lost = LOST_DIGITS.fullmatch(text.strip())
        digits = "; a spreadsheet shortened it, and its last digits are lost" if lost else ""
        why.append(f"{text!r} in {place} would not come back from a number: left as text{digits}")
    elif guess.odd:
        place, text = _first(table, column, guess.odd)
        fit = len(texts) - len(guess.odd)
        said = f"{fit:,} of {len(texts):,} values are numbers of one form, and {place} holds {text!r}: left as text"
        why.append(said if fit else f"numbers whose marks disagree, such as {text!r} in {place}: left as text")
    elif 2 * len(worded := numbers_with_words(texts[:SAMPLE])) >= len(texts) > 1:
        place, text = _first(table, column, worded)
        why.append(
            f"numbers with words or signs, such as {text!r} in {place}: left as categories without an order; "
            "numbers in the file would have one"
        )
    elif 2 * len(amounts := unread_amounts(texts[:SAMPLE])) >= len(texts):
        place, text = _first(table, column, amounts)
        why.append(f"amounts in no form that is read, such as {text!r} in {place}: left as text")
    elif shortened := [text for text in texts if len(text) <= SHOWN_CHARACTERS and LOST_DIGITS.fullmatch(text.strip())]:
        place, text = _first(table, column, tuple(shortened))
        why.append(
            f"a spreadsheet shortened {text!r} in {place}, and its last digits are lost: export the column as text"
        )
    elif all(LOOSE.fullmatch(text.replace(" ", "")) for text in texts):
        place, text = _first(table, column, tuple(text for text in texts if " " in text.strip()))
        why.append(f"numbers with blanks in them, such as {text!r} in {place}: left as text")
    return _as_text(column, rows, tuple(why))


def _as_text(column: pl.Series, rows: Mapping[str, int], why: tuple[str, ...]) -> ColumnGuess:
    words = tuple(sorted(text for text in rows if is_missing_word(text)))
    left = column.set(column.is_in(list(words)), None) if words else column
    about = _missing_reasons(words, rows)
    return ColumnGuess(left, None, words, (*why, *about), about)


def _numbers(column: pl.Series, form: NumberForm) -> pl.Series:
    """The column as numbers, whole ones where all are; what says none becomes null."""
    if form == PLAIN_FORM:
        numbers = column.str.strip_chars().str.replace_all("−", "-", literal=True).cast(pl.Float64, strict=False)
    else:
        known = {text: form.number(text) for text in column.drop_nulls().unique()}
        numbers = pl.Series(column.name, [known.get(text) for text in column], dtype=pl.Float64)
    whole = not column.str.contains("[.,eE]").any() or form.times > 1
    whole = (
        whole
        and (numbers.drop_nulls() == numbers.drop_nulls().round(0)).all()
        and numbers.is_finite().all() is not False
    )
    return numbers.cast(pl.Int64, strict=False) if whole else numbers


def _missing_reasons(words: tuple[str, ...], rows: Mapping[str, int]) -> tuple[str, ...]:
    if not words:
        return ()
    said = ", ".join(f"{word!r} in {counted_in_words(rows[word], 'row')}" for word in words)
    return (f"{said} may mean that nothing is stated: take it out of missing if it is a value",)


def _first(table: Table, column: pl.Series, texts: tuple[str, ...]) -> tuple[str, str]:
    """Where the first of some texts stands, and that text."""
    row = int(column.is_in(list(texts[:1_000])).fill_null(False).arg_max() or 0)
    return table.place(row, column.name), str(column[row])[:SHOWN_CHARACTERS]
