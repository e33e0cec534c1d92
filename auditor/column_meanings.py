"""What the values of a column say of its field: type, words, decimals, missing codes, and the sides of an outcome."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from auditor.column_words import (
    ADVERSE_NAMES,
    ADVERSE_VALUES,
    BORN,
    COUNTED,
    FAVOURABLE_VALUES,
    OPEN_VALUES,
    PAIRS,
    YES,
    YES_NO,
    apart,
    folded,
    outcome_names,
    plain,
)
from auditor.mappings import Field, written
from auditor.outcome_codes import outcome_sides, written_values

#: ``action_taken`` of the Home Mortgage Disclosure Act: 4 is withdrawn, 5 incomplete, 6 purchased.
HMDA_ACTIONS = {1, 2, 3, 4, 5, 6, 7, 8}
HMDA_SAID = "1 and 2 count as favourable, 3 as adverse, as the codes of the HMDA register mean"
# 1111 and 8888 stand for "exempt" and "not applicable" in data under the Home Mortgage Disclosure Act.
SENTINELS = (99, 666, 777, 888, 998, 999, 1111, 8888, 9998, 9999, 99999, 999999, 9999999, 99999999, 999999999)
NEGATIVE_SENTINELS = (-9, -99, -666, -999, -9999, -99999, -999999)
ENDLESS = (999_999, 1_000_000)  # "unknown" as old statistics files store it, rounded or not
SIDES = {"good": FAVOURABLE_VALUES, "bad": ADVERSE_VALUES}
#: What is added to a decision that stays one: under conditions, and which.
CONDITIONS = re.compile(
    r" (w/|with|subject to|under|on|mit|unter|sous|avec|con|com|conditionally|bedingt|pod) ?(conditions?|stipulations?"
    r"|covenants?|terms|auflagen?|bedingung(en)?|vorbehalt|reserves?|condicion(es)?|condizioni|condicoes|.{0,20}conditions?)"
)
PARTED = re.compile(r" *(?: [-\u2013\u2014] |[:;/|()]) *")  # between a code or a reason and what was decided
FAR = 2.0  # how many times the spread of the other values a code lies beyond them
MOST_CATEGORIES = 50
LEAST_DAY = 18_000_101  # a day written as one number, as 19800131


def sentinel_codes(values: Sequence[float]) -> tuple[int, ...]:
    """Codes such as 999 among distinct finite ``values`` that lie far outside the others and so may mean "missing"."""
    candidates = {*SENTINELS, *NEGATIVE_SENTINELS}
    others = [value for value in values if value not in candidates]
    if len(others) < 2:
        return ()
    low, high = min(others), max(others)
    reach = FAR * (high - low)
    found = []
    for code in sorted(candidates.intersection(values)):
        beyond = code > high + reach or code < low - reach
        if beyond or (low >= 0 and code in NEGATIVE_SENTINELS):
            found.append(int(code))
    return tuple(found)


def sentinel_bound(values: Sequence[float]) -> int | None:
    """The bound 999,999 if ``values`` end just above it, as rounded codes do, far outside the others."""
    low, high = ENDLESS
    codes = [value for value in values if low <= value <= high]
    others = [value for value in values if value < low]
    if not codes or len(others) < 2 or max(values) > high:
        return None
    return low if low > max(others) + FAR * (max(others) - min(others)) else None


def outcome_field(column: pl.Series) -> tuple[Field, list[str]]:
    """The outcome's field, and what is to be said of its sides."""
    name = plain(column.name)
    words = _flag_words(column)
    item = Field(name=name, label=label_of(column.name), role="outcome", type="category", column=column.name)
    if words is not None:
        against = any(re.fullmatch(ADVERSE_NAMES, each) for each in outcome_names(name))
        item = replace(item, type="flag", words=words, favourable="no" if against else "yes")
        taken = None if words else outcome_sides(item, written_values(item, column.unique().to_frame()))
        return item, [taken.said()] if taken is not None else []
    said: list[str] = []
    counted_values = column.drop_nulls().value_counts(sort=True, name="\0rows")
    rows = {written(value): count for value, count in counted_values.iter_rows()}
    if name == "action_taken" and set(rows) <= set(map(str, HMDA_ACTIONS)):
        good, bad = ([value for value in rows if value in codes] for codes in (("1", "2"), ("3",)))
        said = [HMDA_SAID] if good and bad else []
    else:
        good = [value for value in rows if _side(value) == "good"]
        bad = [value for value in rows if _side(value) == "bad"]
        rest = [value for value in rows if value not in good and value not in bad]
        if good and not bad and len(rest) == 1 and not re.fullmatch(OPEN_VALUES, folded(rest[0])):
            bad = rest
    sides = (good, bad)
    others = [f"{value} ({count:,} rows)" for value, count in rows.items() if value not in sides[0] + sides[1]]
    said += [f"neither favourable nor adverse, and so no outcome: {', '.join(others)}"] if others else []
    if not (sides[0] and sides[1]):
        said.append("which values are favourable and which adverse is for people to say")
    named = [value[0] if len(value) == 1 else tuple(value) or None for value in sides]
    return replace(item, favourable=named[0], adverse=named[1]), said


def _side(value: str) -> str:
    """Whether a value says ``good``, ``bad`` or neither: as a whole, or one of its parts (``05 - Declined``) alone."""
    whole = CONDITIONS.sub("", folded(value)).strip()
    for text in (whole, *PARTED.split(whole)):
        if re.fullmatch(OPEN_VALUES, text):
            return ""
    said = {side for side, words in SIDES.items() if re.fullmatch(words, whole)} or {
        side for side, words in SIDES.items() for text in PARTED.split(whole) if re.fullmatch(words, text)
    }
    return said.pop() if len(said) == 1 else ""


def field_of(column: pl.Series, role: str) -> Field:
    """The field of a column in a role."""
    name = plain(column.name) or "field"
    label = label_of(column.name)
    if role == "id":
        return Field(name=name, label=label, role="id", type="text", column=column.name)
    meaning = _meaning(column, role)
    if meaning["type"] == "flag" and role == "protected":
        meaning |= {"type": "category", "words": _protected_words(name, meaning.get("words", {}))}
    return Field(name=name, label=label, role=role, column=column.name, **meaning)


def _meaning(column: pl.Series, role: str) -> dict[str, Any]:
    """What the values say of a field: its type, words, missing codes and decimals."""
    words = _flag_words(column)
    if words is not None:
        return {"type": "flag", "words": words}
    if not column.dtype.is_numeric():
        few = column.drop_nulls().n_unique() <= min(MOST_CATEGORIES, max(2, len(column) // 2))
        return {"type": "category" if few else "text"}
    values = [float(value) for value in column.drop_nulls().unique()]
    codes = sentinel_codes(values)
    bound = None if codes else sentinel_bound(values)
    # Compared as decimals: polars compares numbers of one type only.
    coded_missing = pl.Series([float(code) for code in codes], dtype=pl.Float64)
    rest = column.filter(~column.cast(pl.Float64).is_in(coded_missing.implode()))
    missing = {"missing": codes, "missing_from": bound}
    if codes and is_flag(rest):
        return {"type": "flag", **missing}
    if column.dtype.is_integer() and (kind := _kind_of_codes(plain(column.name), role, rest)):
        return {"type": kind, **missing}
    if bound is not None:
        rest = column.filter(column < bound)
    return {"type": "number", "decimals": _decimals(rest), **missing}


def _kind_of_codes(name: str, role: str, numbers: pl.Series) -> str:
    """The type of whole numbers that count nothing: codes, postcodes, written days; empty for those that do."""
    least = numbers.min()
    if role == "protected" and re.fullmatch(BORN, name) and isinstance(least, int) and least > LEAST_DAY:
        return "text"
    if role not in ("protected", "proxy", "protected_proxy") or re.search(COUNTED, name):
        return ""
    if numbers.n_unique() <= MOST_CATEGORIES:
        return "category"
    return "text" if role == "proxy" else ""


def is_flag(column: pl.Series) -> bool:
    """Whether a column holds truth values, or 0 and 1 alone."""
    if column.dtype == pl.Boolean:
        return True
    return column.dtype.is_numeric() and set(column.drop_nulls().unique()) == {0, 1}


def _flag_words(column: pl.Series) -> dict[str, str] | None:
    """The words of a yes-or-no column, none where 0 and 1 need none, ``None`` where it is no such column."""
    if is_flag(column):
        return {}
    if column.dtype != pl.String:
        return None
    values = [str(value).strip() for value in column.drop_nulls().unique().sort()]
    lowered = {value.lower() for value in values}
    if len(values) == 2 and lowered in YES_NO and "m" not in lowered:
        return {value: "yes" if value.lower() in YES else "no" for value in values}
    return None


def _protected_words(name: str, words: Mapping[str, str]) -> dict[str, str]:
    """Words for the two groups of a yes-or-no attribute: what it is called, and what it is not."""
    told = next((pair for pattern, *pair in PAIRS if re.fullmatch(pattern, name)), ["yes", "no"])
    codes = words or {"1": "yes", "0": "no"}
    return {code: told[0] if word == "yes" else told[1] for code, word in codes.items()}


def _decimals(column: pl.Series) -> int:
    """Decimals that show what distinguishes the values: 0 for whole numbers and large ones, up to 2 otherwise."""
    values = column.drop_nulls()
    if column.dtype.is_integer() or (values == values.round(0)).all():
        return 0
    largest = float(values.abs().max())  # type: ignore[arg-type]
    return 0 if largest >= 1000 else 1 if largest >= 10 else 2


def label_of(name: str) -> str:
    """A column's name as people read it: its own letters, words apart."""
    text = " ".join(re.findall(r"[^\W_]+", apart(name).lower())) or "field"
    return text[:1].upper() + text[1:]
