"""A first proposal of what a table's columns mean, from their names and values.

A proposal is where a person starts, never what an audit runs on unread: every role, word and code in it is a guess by
the rules below, and ``check_mapping`` (auditor/mapping_checks.py) says what still looks wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from auditor.applications import DataMapping, Field

# Name rules, tried in this order; names are lower case with single underscores between words.
PATTERNS: tuple[tuple[str, str], ...] = (
    ("identifier", r"e_?mail.*|(tele)?phone.*|mobile.*|ssn|social_security.*|tax_id.*|iban|passport.*|ip_address"),
    ("id", r"(.*_)?(id|uuid|guid)|(application|loan|case|record|account|customer)_(no|nr|number|key)|row_number|index"),
    (
        "protected",
        r"(.*_)?(race|ethnicity|ethnic(_group|_origin)?|sex|gender|age(_(years|group|band))?|religion|colou?r)",
    ),
    ("protected", r"(.*_)?(dob|birth_?(date|year)|date_of_birth|year_of_birth|disab(ility|led)|pregnan(t|cy)|veteran)"),
    ("protected", r"(.*_)?(national_origin|nationality|citizen(ship)?|foreign_worker|sexual_orientation)"),
    ("protected", r"(.*_)?(marital(_status)?|civil_status|married|public_assistance)|male|female|is_(male|female)"),
    (
        "protected_proxy",
        r"((first|last|middle|full|applicant|customer|family|given)_?)?name|surname|forename|salutation",
    ),
    (
        "protected_proxy",
        r"(.*_)?(dependants?|dependents?|children|kids|dep|language|birth_?place|place_of_birth|maiden_name)",
    ),
    ("proxy", r"(.*_)?(zip(_?code)?|post_?code|postal(_code)?|census_tract|tract|neighbou?rhood|county|city|district)"),
    ("proxy", r"(.*_)?(street|address|borough|block_group|latitude|longitude|minority_population|tract_.*)"),
)
# What a lender decided, or how a loan went: the first that matches is the outcome, the others may give it away.
FAVOURABLE_NAMES = r"(is_)?(approved?|approval|granted?|accept(ed)?|originated)"
OUTCOME_NAMES = (
    FAVOURABLE_NAMES,
    r"(final_|credit_|loan_|lender_)?decision",
    r"(loan|application|approval|credit)_(status|outcome|result)|action_taken",
    r"(is_)?(denied|denial|reject(ed)?|declined?)",
    r"(.*_)?(default(ed)?|delinquent|charged_off|bad|bad_loan)",
    r"outcome|target|label|class|credit_risk",
)
ADVERSE_NAMES = OUTCOME_NAMES[3] + "|" + OUTCOME_NAMES[4]
FAVOURABLE_VALUES = (
    "approved", "approve", "accepted", "accept", "granted", "yes", "y", "true", "loan originated", "originated",
    "fully paid", "paid", "repaid", "current", "good", "no default",
)  # fmt: skip
GROUP_NAMES = {
    "white": "White", "black": "Black", "hispan": "Hispanic", "hispanic": "Hispanic", "latino": "Hispanic",
    "asian": "Asian", "native_american": "Native American",
}  # fmt: skip
# Values that give a column away whatever its name is; at least two must occur and no other.
TELLING_VALUES = (
    {"male", "female", "man", "woman", "m", "f", "nonbinary", "other", "unknown"},
    {
        "white", "black", "asian", "hispanic", "latino", "african american", "black or african american", "other",
        "native american", "american indian or alaska native", "native hawaiian or other pacific islander", "caucasian",
        "hispanic or latino", "unknown", "two or more races", "joint",
    },
    {"married", "single", "unmarried", "divorced", "widowed", "separated", "domestic partnership", "other", "unknown"},
)  # fmt: skip
UNSPECIFIC = {"other", "unknown", "joint"}
YES_NO = ({"yes", "no"}, {"y", "n"}, {"true", "false"}, {"t", "f"})
YES = ("yes", "y", "true", "t")

SENTINELS = (99, 666, 777, 888, 998, 999, 9998, 9999, 99999, 999999, 9999999, 99999999, 999999999)
NEGATIVE_SENTINELS = (-9, -99, -666, -999, -9999, -99999, -999999)
ENDLESS = (999_999, 1_000_000)  # "unknown" as old statistics files store it, rounded or not
FAR = 2.0  # how many times the spread of the other values a code lies beyond them
MOST_CATEGORIES = 50
MOST_OUTCOMES = 12


def infer_mapping(frame: pl.DataFrame, name: str) -> DataMapping:
    """Propose a mapping of a table as :func:`auditor.tables.read_table` gives it.

    Parameters
    ----------
    frame
        At least one row; columns of whole numbers, decimals, booleans or text.
    name
        What the data set is to be called.

    Returns
    -------
    DataMapping
        Every column is either a field or excluded with the reason. Outcome, id and race indicators occur at most once.
    """
    roles = {column: _role(frame[column]) for column in frame.columns}
    excluded = _without_use(frame, roles)
    left = [column for column in frame.columns if column not in excluded]
    outcome = _outcome(frame, left)
    for column in left:
        if column != outcome and roles[column] == "outcome":
            excluded[column] = (
                f"may repeat the outcome {outcome!r}" if outcome else "has too many values for an outcome"
            )
        elif roles[column] == "identifier":
            excluded[column] = "identifies a person"
    ids = [column for column in left if roles[column] == "id"]
    for column in ids[1:]:
        excluded[column] = f"identifies rows, as {ids[0]!r} does"
    races = [column for column in left if plain(column) in GROUP_NAMES and _is_flag(frame[column])]
    if len(races) < 2:
        races = []
    fields = []
    for column in left:
        if column in excluded or column in races[1:]:
            continue
        if column in races:
            groups = {item: GROUP_NAMES[plain(item)] for item in races}
            fields.append(Field(name="race", label="Race", role="protected", type="category", one_of=groups))
        elif column == outcome:
            fields.append(_outcome_field(frame[column]))
        else:
            role = roles[column] if roles[column] != "outcome" else "predictor"
            fields.append(_field(frame[column], role))
    return DataMapping(
        name=name,
        title=name,
        citation="",
        population="",
        fields=_distinct(fields),
        excluded=dict(sorted(excluded.items())),
    )


def plain(name: str) -> str:
    """A column name as the name rules see it: lower case, words joined by single underscores."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^0-9a-z]+", "_", spaced.lower()).strip("_")


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


def _role(column: pl.Series) -> str:
    name = plain(column.name)
    for role, pattern in PATTERNS:
        if re.fullmatch(pattern, name):
            if role == "id" and (column.null_count() or column.n_unique() < len(column) or column.dtype.is_float()):
                continue  # called a number or an id, but it does not tell rows apart
            return role
    if any(re.fullmatch(pattern, name) for pattern in OUTCOME_NAMES):
        return "outcome"
    if column.dtype == pl.String:
        found = {str(value).strip().lower() for value in column.drop_nulls().unique()}
        if any(found <= telling and len(found - UNSPECIFIC) > 1 for telling in TELLING_VALUES):
            return "protected"
    return "predictor"


def _without_use(frame: pl.DataFrame, roles: Mapping[str, str]) -> dict[str, str]:
    """Columns that say nothing: empty, constant, or the same as another one, of which the more telling stays."""
    excluded: dict[str, str] = {}
    seen: dict[int, list[str]] = {}
    for column in sorted(frame.columns, key=lambda item: roles[item] == "predictor"):
        series = frame[column]
        if series.null_count() == len(series):
            excluded[column] = "no value in any row"
        elif len(series) > 1 and series.n_unique() == 1:
            excluded[column] = f"constant: {series[0]}"
        elif len(series) > 1:
            alike = seen.setdefault(hash(tuple(series.hash(seed=0))), [])
            twin = next((other for other in alike if frame[other].equals(series)), None)
            if twin is not None:
                excluded[column] = f"the same as {twin!r} in every row"
            else:
                alike.append(column)
    return excluded


def _outcome(frame: pl.DataFrame, columns: Sequence[str]) -> str | None:
    for pattern in OUTCOME_NAMES:
        for column in columns:
            if re.fullmatch(pattern, plain(column)) and 1 < frame[column].drop_nulls().n_unique() <= MOST_OUTCOMES:
                return column
    return None


def _outcome_field(column: pl.Series) -> Field:
    name = plain(column.name)
    words = _flag_words(column)
    if words is not None:
        favourable = "no" if re.fullmatch(ADVERSE_NAMES, name) else "yes"
        return Field(
            name=name,
            label=_label(name),
            role="outcome",
            type="flag",
            column=column.name,
            words=words,
            favourable=favourable,
        )
    values = [str(value).strip() for value in column.drop_nulls().unique(maintain_order=True)]
    favourable_value = next((word for wish in FAVOURABLE_VALUES for word in values if word.lower() == wish), None)
    return Field(
        name=name, label=_label(name), role="outcome", type="category", column=column.name, favourable=favourable_value
    )


def _field(column: pl.Series, role: str) -> Field:
    name = plain(column.name) or "field"
    label = _label(name)
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
    if codes and _is_flag(rest):
        return {"type": "flag", **missing}
    coded = column.dtype.is_integer() and rest.n_unique() <= MOST_CATEGORIES
    if role in ("protected", "proxy") and coded and not re.search(r"age|birth|year", plain(column.name)):
        return {"type": "category", **missing}
    if bound is not None:
        rest = column.filter(column < bound)
    return {"type": "number", "decimals": _decimals(rest), **missing}


def _is_flag(column: pl.Series) -> bool:
    if column.dtype == pl.Boolean:
        return True
    return column.dtype.is_numeric() and set(column.drop_nulls().unique()) == {0, 1}


def _flag_words(column: pl.Series) -> dict[str, str] | None:
    """The words of a yes-or-no column, none where 0 and 1 need none, ``None`` where it is no such column."""
    if _is_flag(column):
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
    pairs = {"male": ("male", "female"), "female": ("female", "male"), "married": ("married", "unmarried")}
    told = next((pair for key, pair in pairs.items() if name in (key, f"is_{key}")), ("yes", "no"))
    codes = words or {"1": "yes", "0": "no"}
    return {code: told[0] if word == "yes" else told[1] for code, word in codes.items()}


def _decimals(column: pl.Series) -> int:
    """Decimals that show what distinguishes the values: 0 for whole numbers and large ones, up to 2 otherwise."""
    values = column.drop_nulls()
    if column.dtype.is_integer() or (values == values.round(0)).all():
        return 0
    largest = float(values.abs().max())  # type: ignore[arg-type]
    return 0 if largest >= 1000 else 1 if largest >= 10 else 2


def _label(name: str) -> str:
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def _distinct(fields: Sequence[Field]) -> tuple[Field, ...]:
    """The same fields with a number after a name that another column gave too."""
    taken: set[str] = set()
    result = []
    for item in fields:
        name, number = item.name, 2
        while name in taken:
            name, number = f"{item.name}_{number}", number + 1
        taken.add(name)
        result.append(replace(item, name=name))
    return tuple(result)
