"""A first proposal of what a table's columns mean, from their names and values.

A proposal is where a person starts, never what an audit runs on unread: every role, word and code in it is a guess by
the rules below, and ``check_mapping`` (auditor/mapping_checks.py) says what still looks wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from auditor.applications import repeats_in
from auditor.column_guesses import ColumnGuess, guess_columns
from auditor.mapping_files import write_mapping
from auditor.mappings import DataMapping, Field, written
from auditor.number_forms import unit_of
from auditor.parquet_tables import INDEX
from auditor.table_rows import counted, numbers_rows
from auditor.tables import Reading, Table, as_table

# Name rules, tried in this order; names are lower case with single underscores between words.
PATTERNS: tuple[tuple[str, str], ...] = (
    ("identifier", r"e_?mail.*|(tele)?phone.*|mobile.*|ssn|social_security.*|tax_id.*|iban|passport.*|ip_address"),
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
ID_NAMES = (
    r"(.*_)?(id|uuid|guid)|(application|applicant|loan|case|record|account|customer|antrag|antrags)_?(no|nr|number|key)"
    r"|row_number|index|nr|no"
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
#: What an outcome says: one side, the other, or that there is none yet. Some data sets put "Status:" before it.
FAVOURABLE_VALUES = (
    r"(.*status: ?)?(approved?|accept(ed)?|granted|yes|y|true|loan originated|originated|fully paid|paid( off)?|repaid"
    r"|good|no default)"
)
ADVERSE_VALUES = (
    r"(.*status: ?)?(denied|deny|application denied|reject(ed)?|declined?|refused?|no|n|false|charged[ -]off"
    r"|default(ed)?|bad)"
)
OPEN_VALUES = (
    r"(.*status: ?)?(current|in grace period|late.*|issued|pending|open|withdrawn.*|application withdrawn.*|in progress"
    r"|under review|incomplete.*|file closed.*"
    r"|approved but not accepted|approved not accepted|unknown|other|cancelled)"
)
#: ``action_taken`` of the Home Mortgage Disclosure Act: 4 is withdrawn, 5 incomplete, 6 purchased.
HMDA_ACTIONS = {1, 2, 3, 4, 5, 6, 7, 8}
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

# 1111 and 8888 stand for "exempt" and "not applicable" in data under the Home Mortgage Disclosure Act.
SENTINELS = (99, 666, 777, 888, 998, 999, 1111, 8888, 9998, 9999, 99999, 999999, 9999999, 99999999, 999999999)
NEGATIVE_SENTINELS = (-9, -99, -666, -999, -9999, -99999, -999999)
ENDLESS = (999_999, 1_000_000)  # "unknown" as old statistics files store it, rounded or not
FAR = 2.0  # how many times the spread of the other values a code lies beyond them
MOST_CATEGORIES = 50
MOST_OUTCOMES = 12


MOSTLY = 0.9  # share of different ids from which on a column names rows, some of them twice
HALF = 0.5  # below it, it names something that many rows share


@dataclass(frozen=True)
class Proposal:
    """A proposed mapping, and why: reasons by field, those of the file under ``""``."""

    mapping: DataMapping
    reasons: Mapping[str, Sequence[str]]

    def text(self) -> str:
        """As TOML, the reasons as comments."""
        return write_mapping(self.mapping, self.reasons)

    def lines(self) -> list[str]:
        """The reasons, a line each."""
        return [f"field {name!r}: {line}" if name else line for name, lines in self.reasons.items() for line in lines]


def infer_mapping(table: Table | pl.DataFrame, name: str) -> DataMapping:
    """The mapping of :func:`propose`."""
    return propose(table, name).mapping


def propose(
    table: Table | pl.DataFrame, name: str, *, reading: Reading | None = None, reasons: Sequence[str] = ()
) -> Proposal:
    """Propose a mapping of a table as :func:`auditor.tables.read_table` gives it.

    Parameters
    ----------
    table
        At least one row; columns of whole numbers, decimals, truth values or text.
    name
        What the data set is to be called.
    reading, reasons
        How its file was read, and why.

    Returns
    -------
    Proposal
        Every column is either a field or excluded with the reason. Outcome, id and race indicators occur at most once.
    """
    table = as_table(table)
    guesses = guess_columns(table)
    frame = pl.DataFrame([guess.values for guess in guesses.values()])
    roles = {column: _id_role(table, column) or _role(frame[column]) for column in frame.columns}
    excluded = _without_use(frame, roles)
    excluded |= {column: "numbers the rows" for column in frame.columns if _is_index(table, column)}
    excluded |= {column: "the index of a pandas table" for column in frame.columns if column == INDEX}
    left = [column for column in frame.columns if column not in excluded]
    outcome = _outcome(frame, left)
    for column in left:
        if column != outcome and roles[column] == "outcome":
            excluded[column] = (
                f"may repeat the outcome {outcome!r}" if outcome else "has too many values for an outcome"
            )
        elif roles[column] == "identifier":
            excluded[column] = "identifies a person"
        elif roles[column] == "shared id":
            excluded[column] = 'looks like an id and repeats often: role = "id" with the key repeats would make it one'
    ids = sorted((column for column in left if roles[column] == "id"), key=lambda each: bool(repeats_in(table, each)))
    for column in ids[1:]:
        excluded[column] = f"identifies rows, as {ids[0]!r} does"
    races = [column for column in left if plain(column) in GROUP_NAMES and _is_flag(frame[column])]
    if len(races) < 2:
        races = []
    fields: list[Field] = []
    why: list[list[str]] = []
    for column in left:
        if column in excluded or column in races[1:]:
            continue
        told = list(guesses[column].reasons)
        if column in races:
            groups = {item: GROUP_NAMES[plain(item)] for item in races}
            fields.append(Field(name="race", label="Race", role="protected", type="category", one_of=groups))
        elif column == outcome:
            item, said = _outcome_field(frame[column])
            told += said
            fields.append(_with_guess(item, guesses[column]))
        elif roles[column] == "id":
            fields.append(_field(frame[column], "id"))
            told = _id_reasons(table, column)
        else:
            role = roles[column] if roles[column] not in ("outcome", "id") else "predictor"
            fields.append(_with_guess(_field(frame[column], role), guesses[column]))
        why.append(told)
    named = _distinct(fields)
    excluded |= {column: f"{what}: cannot be used" for column, (what, _) in table.unreadable.items()}
    mapping = DataMapping(
        name=name,
        title=name,
        citation="",
        population="",
        fields=named,
        excluded=dict(sorted(excluded.items())),
        reading=reading or Reading(),
    )
    told_of = {"": [*reasons, *table.notes], **{item.name: lines for item, lines in zip(named, why, strict=True)}}
    return Proposal(mapping, {key: lines for key, lines in told_of.items() if lines})


def _with_guess(item: Field, guess: ColumnGuess) -> Field:
    """The field with the form and the missing words of its column."""
    missing = (*guess.missing, *(code for code in item.missing if code not in guess.missing))
    if guess.form is None or item.type != "number":
        return replace(item, missing=missing, form=guess.form if item.type == "number" else None)
    unit, prefix, suffix = unit_of(guess.form)
    return replace(item, missing=missing, form=guess.form, unit=unit, prefix=prefix, suffix=suffix)


def _id_role(table: Table, column: str) -> str:
    """``id`` if a column is called one and names rows, ``shared id`` if it names many of them twice, else nothing."""
    if not re.fullmatch(ID_NAMES, plain(column)):
        return ""
    raw = table.frame[column]
    known = len(raw) - raw.null_count()
    if raw.dtype.is_float() and (raw.drop_nulls() != raw.drop_nulls().round(0)).any():
        return ""
    share = raw.drop_nulls().n_unique() / known if known else 0.0
    if share >= MOSTLY and known >= MOSTLY * len(raw):
        return "id"
    return "shared id" if share >= HALF and raw.dtype == pl.String else ""


def _id_reasons(table: Table, column: str) -> list[str]:
    repeated = repeats_in(table, column)
    lines = [
        f"{value[:40]!r} stands in {' and '.join(table.place(row, column) for row in rows[:3])}: "
        'an audit stops here until repeats says what to do ("first", "last" or "separate")'
        for value, rows in list(repeated.items())[:3]
    ]
    if len(repeated) > 3:
        lines.append(f"{len(repeated):,} ids repeat in all")
    missing = table.frame[column].is_null()
    if missing.any():
        place = table.place(int(missing.arg_max() or 0), column)
        lines.append(
            f'empty in {counted(int(missing.sum()), "row")}, first in {place}: empty = "leave out" leaves them out'
        )
    return lines


def _is_index(table: Table, column: str) -> bool:
    return bool(re.fullmatch(r"column [0-9]+'*|unnamed: [0-9]+", column.lower())) and numbers_rows(table.frame[column])


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


def _outcome_field(column: pl.Series) -> tuple[Field, list[str]]:
    """The outcome's field, and what is to be said of its sides."""
    name = plain(column.name)
    words = _flag_words(column)
    item = Field(name=name, label=_label(name), role="outcome", type="category", column=column.name)
    if words is not None:
        favourable = "no" if re.fullmatch(ADVERSE_NAMES, name) else "yes"
        return replace(item, type="flag", words=words, favourable=favourable), []
    counted_values = column.drop_nulls().value_counts(sort=True, name="\0rows")
    rows = {written(value): count for value, count in counted_values.iter_rows()}
    if name == "action_taken" and set(rows) <= set(map(str, HMDA_ACTIONS)):
        good, bad = ([value for value in rows if value in codes] for codes in (("1", "2"), ("3",)))
    else:
        good = [value for value in rows if re.fullmatch(FAVOURABLE_VALUES, value.lower())]
        bad = [value for value in rows if re.fullmatch(ADVERSE_VALUES, value.lower()) and value not in good]
        rest = [value for value in rows if value not in good and value not in bad]
        if good and not bad and len(rest) == 1 and not re.fullmatch(OPEN_VALUES, rest[0].lower()):
            bad = rest
    sides = (good, bad)
    others = [f"{value} ({count:,} rows)" for value, count in rows.items() if value not in sides[0] + sides[1]]
    said = [f"neither favourable nor adverse, and so no outcome: {', '.join(others)}"] if others else []
    if not (sides[0] and sides[1]):
        said.append("which values are favourable and which adverse is for people to say")
    named = [value[0] if len(value) == 1 else tuple(value) or None for value in sides]
    return replace(item, favourable=named[0], adverse=named[1]), said


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
