"""What a column seems to be, from its name and its values, and why: what is masked before anybody is shown anything.

A name is looked at first, in every spelling that programs give it (``Race Cd``, ``raceCode``, ``race_of_applicant``);
values decide where the name says nothing. Every answer carries its reason, which people read beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from auditor.column_words import (
    ADVERSE_VALUES,
    FAVOURABLE_VALUES,
    OPEN_VALUES,
    OUTCOME_NAMES,
    TELLING_VALUES,
    TITLES,
    UNSPECIFIC,
    folded,
    outcome_names,
    plain,
    role_in_other_scripts,
    role_of,
)
from auditor.indicator_columns import says_one_group
from auditor.people_in_columns import COMPANY, LONGEST, MOST, PERSON, RELATED, SAMPLE, are_people, speaks_of_people

#: Roles of which no value is shown: what they hold says, or nearly says, who somebody is.
MASKED = frozenset({"identifier", "protected", "protected_proxy", "proxy", "id", "shared id"})
MASK = "•••"
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
BY_NAME = {
    "identifier": "its name is that of something that identifies a person",
    "protected": "its name is that of a protected attribute",
    "protected_proxy": "its name is that of something that says who somebody is, or nearly",
    "proxy": "its name is that of a place, which may stand for a group",
    "outcome": "its name is that of an outcome",
}
ONE_GROUP = "its name is that of one group of a protected attribute, and its values are yes or no"
NOTHING = "nothing in its name or its values says otherwise"
DIFFERENT = 0.5  # share of different values from which on names are people's and not products'
FORM_CHARACTERS = 60  # of a value whose form is shown
MANY_DIGITS = 7  # from which on a number may be somebody's own
MANY = 20  # different names from which on a column of customers holds people, however often each comes back
FEWEST = 3  # distinct values without which a form says nothing
LATEST_BIRTH = 2010  # nobody born later borrows
GENERATION = 20  # years between the first and the last of many birth dates

EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]{1,64}(\.[^@\s.]{1,64}){1,4}")
SOCIAL = re.compile(r"[0-9]{3}-[0-9]{2}-[0-9]{4}")
IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
DNI = re.compile(r"([0-9]{8})-?([A-Z])")
PHONE = re.compile(
    r"(\+[0-9]{1,3}|\(?0[0-9]{1,5}\)?|\(?[2-9][0-9]{2}\)?)[ /.-]?\(?[0-9]{2,5}\)?([ /.-]?[0-9]{2,7}){1,4}"
)
#: Letters and digits of an account number by country, whether or not its check digits are right.
IBAN_LENGTHS = {
    "AT": 20, "BE": 16, "CH": 21, "CZ": 24, "DE": 22, "DK": 18, "ES": 24, "FI": 18, "FR": 27, "GB": 22, "HU": 28,
    "IE": 22, "IT": 27, "LU": 20, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SE": 24,
}  # fmt: skip
MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")
IP = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
TAX = re.compile(r"[0-9]{3} [0-9]{2} [0-9]{4}|[0-9]{2} [0-9]{3} [0-9]{3} [0-9]{3}")
CARD = re.compile(r"[0-9]{13,19}")
DATE = re.compile(r"([0-9]{4})-[0-9]{2}-[0-9]{2}([ T].{0,20})?|[0-9]{1,2}([/.\-])[0-9]{1,2}\3([0-9]{4})")
CUT_ZIP = re.compile(r"[0-9]{3}(xx|\*\*)")
ZERO_ZIP = re.compile(r"[0-9]{5}(-[0-9]{4})?")
ZIP_PLACE = re.compile(r"[0-9]{4,5} [^\W\d_a-z][^\d,;]{1,40}")
HOUSE = re.compile(
    r"[0-9]{1,5}[a-z]?,? [^\W\d_a-z].{1,40}\b(?i:street|st|road|rd|ave(nue)?|lane|ln|drive|dr|court|ct|blvd)\b.*"
    r"|[^\W\d_a-z][^\d,]{1,40}(?i:stra(ß|ss)e|str\.|weg|platz|allee|gasse|ring|damm|ufer) [0-9]{1,4} ?[a-z]?(,.*)?"
    r"|[0-9]{1,4},? (?i:rue|avenue|boulevard|place|chemin) .{2,40}"
    r"|(?i:calle|avenida|via|viale|piazza) .{2,40} [0-9]{1,4}"
)
POSTCODE = re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2}")
#: Names that say nothing: those of columns without one, and those that programs and people in a hurry give.
SILENT = re.compile(
    r"((column|col|spalte|field|feld|columna|campo|var|variable|unnamed|x|v|f|c)_?)?[0-9]*|dat(e|um)|fecha"
)
PEOPLE = re.compile(
    r"(.*_)?(name|nm|person|applicant|borrower|customer|client|kunde|antragsteller|cliente|titular)(_.*)?"
)
THINGS = re.compile(
    r"(.*_)?(product|produkt|producto|employer|arbeitgeber|company|firm|firma|branch|bank|dealer|brand)(_.*)?"
)
#: Words that are no decision by themselves, whatever is said with them.
NO_DECISION = re.compile(
    r"yes|no|y|n|true|false|ja|nein|j|oui|non|si|sim|nao|good|bad|gut|schlecht|wahr|falsch|positiv|negativ"
)
#: Names of columns that hold a person and nothing about one.
WHO = re.compile(
    r"(person|applicant|borrower|customer|client|kunden?|antragsteller|kreditnehmer|cliente|solicitante|titular)(_?(name|nm))?"
)
LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


@dataclass(frozen=True)
class Recognised:
    """What a column seems to be, and why."""

    role: str
    why: str
    hidden: bool = False  # of no group and no id, and yet of people: free text that names them, who decided

    @property
    def masked(self) -> bool:
        """Whether its values are shown to nobody before a person has said what it is."""
        return self.hidden or self.role in MASKED


def without_examples(line: str) -> str:
    """A reason without the values that it quotes, for a column that is masked.

    >>> without_examples("dates such as '01/02/1980', of which nothing says whether day or month stands first")
    "dates such as '•••', of which nothing says whether day or month stands first"
    """
    return QUOTED.sub(f"'{MASK}'", line)


def with_forms(line: str) -> str:
    """A reason in which what is quoted shows its form, where it has so many digits that it may be somebody's number.

    >>> with_forms("numbers whose marks disagree, such as '100 10 1000' in line 2"), with_forms("'2E1' in line 3")
    ("numbers whose marks disagree, such as '999 99 9999' in line 2", "'2E1' in line 3")
    """

    def shown(found: re.Match[str]) -> str:
        text = found[0]
        return form_of(text) if sum(each.isdecimal() for each in text) >= MANY_DIGITS else text

    return QUOTED.sub(shown, line)


def form_of(value: Any) -> str:
    """The form of a value and nothing of what it says: letters as ``x`` and ``X``, digits as ``9``."""
    if value is None:
        return "–"
    letters = (
        "X" if each.isupper() else "x" if each.isalpha() else "9" if each.isalnum() else each
        for each in str(value)[:FORM_CHARACTERS]
    )
    return "".join(letters)


def recognise(name: str, values: pl.Series) -> Recognised:
    """What a column seems to be.

    Parameters
    ----------
    name
        As the file has it; of a column without one, the name that a reader gave it.
    values
        ``(rows,)``: text, numbers or truth values, what means missing left out where that is known.

    Returns
    -------
    Recognised
        One of the roles of a mapping, or ``identifier`` for what identifies a person. Ids of rows need the whole table
        and are found elsewhere (auditor/column_roles.py).
    """
    spelled = plain(name)
    if role := role_of(spelled) or role_in_other_scripts(name):
        return Recognised(role, BY_NAME[role])
    if any(re.fullmatch(pattern, each) for pattern in OUTCOME_NAMES for each in outcome_names(spelled)):
        return Recognised("outcome", BY_NAME["outcome"])
    if says_one_group(spelled, values):
        return Recognised(
            "protected", "its name is that of one group of a protected attribute, and its values are yes or no"
        )
    if found := _by_values(spelled, values):
        return Recognised(*found)
    why = speaks_of_people(spelled, values)
    return Recognised("predictor", why, hidden=True) if why else Recognised("predictor", NOTHING)


def _by_values(name: str, values: pl.Series) -> tuple[str, str] | None:
    known = values.drop_nulls()
    if known.dtype.is_integer():
        texts = known.unique(maintain_order=True).head(SAMPLE).cast(pl.String).to_list()
        return ("identifier", "its numbers are those of cards") if _mostly(texts, _is_card) else None
    if known.dtype != pl.String:
        return None
    distinct = known.unique(maintain_order=True)
    texts = [text.strip() for text in distinct.head(SAMPLE).to_list()]
    silent = SILENT.fullmatch(name) is not None
    found = (
        _telling(texts)
        or _deciding(texts)
        or _identifying(texts)
        or _placing(texts, silent=silent)
        or (_birth_dates(texts) if silent else None)
        or _related(name, texts)
    )
    if found:
        return found
    different = len(distinct) / len(known) if len(known) else 0.0
    returning = WHO.fullmatch(name) is not None and len(distinct) > MANY
    people = (silent or PEOPLE.fullmatch(name) or returning) and not THINGS.fullmatch(name)
    if not people or not (different >= DIFFERENT or returning):
        return None
    if _mostly(texts, PERSON.fullmatch) and not any(COMPANY.search(text[:LONGEST]) for text in texts):
        said = "most values differ and read" if different >= DIFFERENT else "its values read"
        return "protected_proxy", f"{said} as names of people"
    return None


def _telling(texts: Sequence[str]) -> tuple[str, str] | None:
    """Values that give a column away whatever its name is."""
    if any(len(text) > LONGEST for text in texts):
        return None
    said = {folded(text) for text in texts}
    if any(said <= telling and len(said - UNSPECIFIC) > 1 for telling in TELLING_VALUES):
        return "protected", "its values are those of a protected attribute, whatever its name"
    return ("protected_proxy", "its values are forms of address") if len(said) > 1 and said <= TITLES else None


def _deciding(texts: Sequence[str]) -> tuple[str, str] | None:
    """Both sides of a decision in so many words, and nothing else but that there is none yet."""
    said = {folded(text) for text in texts if len(text) <= LONGEST}
    sides = [
        {text for text in said if re.fullmatch(words, text) and not NO_DECISION.fullmatch(text)}
        for words in (FAVOURABLE_VALUES, ADVERSE_VALUES)
    ]
    rest = {text for text in said if not re.fullmatch(OPEN_VALUES, text)} - sides[0] - sides[1]
    return ("outcome", "its values are decisions") if sides[0] and sides[1] and not rest else None


def _identifying(texts: Sequence[str]) -> tuple[str, str] | None:
    return next((("identifier", f"its values are {what}") for fits, what in FORMS if _mostly(texts, fits)), None)


def _placing(texts: Sequence[str], *, silent: bool) -> tuple[str, str] | None:
    if _mostly(texts, CUT_ZIP.fullmatch) or _mostly(texts, POSTCODE.fullmatch):
        return "proxy", "its values are postcodes"
    if _mostly(texts, ZIP_PLACE.fullmatch):
        return "proxy", "its values are postcodes with places"
    if _mostly(texts, HOUSE.fullmatch):
        return "proxy", "its values are addresses"
    if silent and any(text.startswith("0") for text in texts) and _mostly(texts, ZERO_ZIP.fullmatch):
        return "proxy", "five digits each, some with a zero in front: postcodes"
    return None


def _related(name: str, texts: Sequence[str]) -> tuple[str, str] | None:
    """People who borrow or stand for somebody beside the applicant."""
    named = RELATED.fullmatch(name) is not None and are_people(texts)
    return ("protected_proxy", "its values read as names of people") if named else None


def _birth_dates(texts: Sequence[str]) -> tuple[str, str] | None:
    years = _years(texts)
    if not years or years[-1] > LATEST_BIRTH or years[-1] - years[0] < GENERATION:
        return None
    return "protected", f"dates over {years[-1] - years[0]} years, none after {years[-1]}: birth dates"


def _mostly(texts: Sequence[str], fits: Callable[[str], object]) -> bool:
    """Whether most of some distinct texts, of which there are enough, fit."""
    if len(texts) < FEWEST:
        return False
    return sum(len(text) <= LONGEST and bool(fits(text)) for text in texts) >= MOST * len(texts)


def _is_card(text: str) -> bool:
    digits = text.replace(" ", "").replace("-", "")
    if not CARD.fullmatch(digits):
        return False
    doubled = (int(each) * (1 + at % 2) for at, each in enumerate(reversed(digits)))
    return sum(each - 9 if each > 9 else each for each in doubled) % 10 == 0


def _is_iban(text: str) -> bool:
    bare = text.replace(" ", "").upper()
    if not IBAN.fullmatch(bare):
        return False
    if IBAN_LENGTHS.get(bare[:2]) == len(bare):
        return True  # made up for a test, or with a digit struck out: an account number all the same
    return int("".join(str(int(each, 36)) for each in bare[4:] + bare[:4])) % 97 == 1


def _is_dni(text: str) -> bool:
    match = DNI.fullmatch(text.upper())
    return match is not None and LETTERS[int(match[1]) % 23] == match[2]


def _is_phone(text: str) -> bool:
    if not PHONE.fullmatch(text) or DATE.fullmatch(text):
        return False
    digits = sum(each.isdecimal() for each in text)
    return 9 <= digits <= 15 and (text.startswith("+") or any(each in " /()-." for each in text))


def _years(texts: Sequence[str]) -> list[int]:
    """The years of full dates, sorted; empty unless every text is one."""
    found = [DATE.fullmatch(text) for text in texts]
    years = [int(match[1] or match[4]) for match in found if match is not None]
    return sorted(years) if texts and len(years) == len(texts) else []


FORMS = (
    (EMAIL.fullmatch, "e-mail addresses"),
    (SOCIAL.fullmatch, "social security numbers"),
    (_is_iban, "account numbers (IBAN)"),
    (_is_dni, "identity numbers"),
    (_is_card, "numbers of cards"),
    (_is_phone, "telephone numbers"),
    (TAX.fullmatch, "tax numbers"),
    (MAC.fullmatch, "addresses of devices"),
    (IP.fullmatch, "addresses of devices"),
)
