"""What a column seems to be, from its name and its values, and why: what is masked before anybody is shown anything.

A name is looked at first, in every spelling that programs give it (``Race Cd``, ``raceCode``, ``race_of_applicant``);
values decide where the name says nothing. Every answer carries its reason, which people read beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    plain,
    role_of,
)

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
NOTHING = "nothing in its name or its values says otherwise"
MOST = 0.9  # share of the values that have to look alike
DIFFERENT = 0.5  # share of different values from which on names are people's and not products'
MANY = 20  # different names from which on a column of customers holds people, however often each comes back
SAMPLE = 2_000  # distinct values that are looked at
LONGEST = 64  # characters of anything that is looked for
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
CARD = re.compile(r"[0-9]{13,19}")
DATE = re.compile(r"([0-9]{4})-[0-9]{2}-[0-9]{2}([ T].{0,20})?|[0-9]{1,2}([/.\-])[0-9]{1,2}\3([0-9]{4})")
PERSON = re.compile(r"[^\W\d_a-z][^\W\d_]+([-'’][^\W\d_]+)?,?( [^\W\d_a-z]\.?| [^\W\d_]+([-'’][^\W\d_]+)?){1,3}")
COMPANY = re.compile(
    r"\b(gmbh|inc|ltd|llc|plc|ag|kg|corp|co|bank|group|sa|sl|srl|bv|plan|loan|account|card)\b", re.IGNORECASE
)
CUT_ZIP = re.compile(r"[0-9]{3}(xx|\*\*)")
ZERO_ZIP = re.compile(r"[0-9]{5}(-[0-9]{4})?")
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

    @property
    def masked(self) -> bool:
        """Whether its values are shown to nobody before a person has said what it is."""
        return self.role in MASKED


def without_examples(line: str) -> str:
    """A reason without the values that it quotes, for a column that is masked.

    >>> without_examples("dates such as '01/02/1980', of which nothing says whether day or month stands first")
    "dates such as '•••', of which nothing says whether day or month stands first"
    """
    return QUOTED.sub(f"'{MASK}'", line)


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
    if role := role_of(spelled):
        return Recognised(role, BY_NAME[role])
    if any(re.fullmatch(pattern, spelled) for pattern in OUTCOME_NAMES):
        return Recognised("outcome", BY_NAME["outcome"])
    found = _by_values(spelled, values)
    return Recognised(*found) if found else Recognised("predictor", NOTHING)


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
    if silent and any(text.startswith("0") for text in texts) and _mostly(texts, ZERO_ZIP.fullmatch):
        return "proxy", "five digits each, some with a zero in front: postcodes"
    return None


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
)
