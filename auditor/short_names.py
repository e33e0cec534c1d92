"""Names of columns in short forms and run together, as programs write them, spelled out.

``BRTH_DT`` is a birth date, ``custrace`` a customer's race, ``FAMST`` the *Familienstand*. A word is looked up as it
is, without its vowels (``rlgn``), as the beginning of a longer one (``relig``), and as known pieces that leave nothing
over (``cust`` ``race``): ``mortgage`` holds no age and ``trace`` no race.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache

#: Short forms and what they stand for; those of people alone, since nothing else is masked by its name.
SHORT: Mapping[str, str] = {
    "acct": "account", "addr": "address", "antr": "antrag", "anz": "anzahl", "apl": "application",
    "app": "application", "appl": "applicant", "apprv": "approved", "apprvd": "approved", "aprv": "approved",
    "aprvd": "approved", "assist": "assistance", "asst": "assistance", "borr": "borrower", "brth": "birth",
    "cntry": "country", "coapp": "applicant", "coappl": "applicant", "coborr": "borrower", "ctry": "country",
    "ctzn": "citizen", "cust": "customer", "dcsn": "decision", "decis": "decision", "dpndnts": "dependents",
    "dt": "date", "entsch": "entscheidung", "fam": "familien", "famst": "familienstand", "flg": "flag",
    "fname": "first_name", "frst": "first", "fst": "first", "geschl": "geschlecht", "hisp": "hispanic",
    "kd": "kunden", "konf": "konfession", "lang": "language", "lat": "latitude", "lname": "last_name",
    "lng": "language", "lon": "longitude", "lst": "last", "mar": "marital", "mname": "middle_name",
    "nat": "national", "natl": "national", "nm": "name", "orig": "origin", "phn": "phone", "preg": "pregnant",
    "pub": "public", "rel": "religion", "stat": "status", "sts": "status", "stts": "status", "tel": "telephone",
    "vet": "veteran", "yob": "birth_year", "zivst": "zivilstand",
}  # fmt: skip
#: Words that are shortened by leaving out vowels or the end.
LONG = (
    "gender", "ethnicity", "religion", "marital", "citizenship", "nationality", "national", "handicap", "disability",
    "disabled", "pregnant", "veteran", "birth", "surname", "language", "dependents", "children", "postal", "telephone",
    "geschlecht", "staatsangehoerigkeit", "familienstand", "konfession", "postleitzahl", "behinderung",
)  # fmt: skip
#: Further pieces of names that are run together.
PIECES = frozenset((
    "age", "alter", "antrag", "applicant", "birth", "borrower", "cd", "client", "code", "customer", "date",
    "day", "dob", "ethnicity", "first", "geb", "gender", "group", "grp", "id", "kind", "kinder", "kunden", "kz",
    "last", "marital", "name", "no", "nr", "number", "ort", "plz", "race", "religion", "sex", "spoken",
    "status", "year", "zip", "zug",
))  # fmt: skip
SHORTEST_BEGINNING = 5  # letters: of fewer, too many words begin alike
SHORTEST_SKELETON = 4
LONGEST = 30  # letters of a word that is taken apart


def spelled_out(name: str) -> str:
    """A name as rules know it, from one as :func:`auditor.column_words.plain` gives it.

    >>> spelled_out("brth_dt"), spelled_out("custrace"), spelled_out("mortgage"), spelled_out("relig_cd")
    ('birth_date', 'customer_race', 'mortgage', 'religion_cd')
    """
    return "_".join(_word(each) for each in name.split("_"))


@cache
def _skeletons() -> Mapping[str, str]:
    return {_skeleton(word): word for word in reversed(LONG)}


def _skeleton(word: str) -> str:
    return re.sub(r"(.)\1", r"\1", word[:1] + re.sub("[aeiou]", "", word[1:]))


@lru_cache(maxsize=4_096)
def _word(word: str) -> str:
    letters = word.rstrip("0123456789")
    if letters and letters != word:
        longer = _word(letters)
        return word if longer == letters else f"{longer}_{word[len(letters) :]}"
    if word in SHORT:
        return SHORT[word]
    if word in PIECES or word in LONG:
        return word
    if len(word) >= SHORTEST_SKELETON and word == _skeleton(word) and word in _skeletons():
        return _skeletons()[word]
    if len(word) >= SHORTEST_BEGINNING and (longer := next((each for each in LONG if each.startswith(word)), "")):
        return longer
    found = _pieces(word) if len(word) <= LONGEST else None
    return "_".join(SHORT.get(each, each) for each in found) if found else word


def _pieces(word: str) -> list[str] | None:
    """The known pieces that make up a word, fewest first; ``None`` if something is left over."""
    best: list[list[str] | None] = [[]]
    for end in range(1, len(word) + 1):
        ways = [
            [*before, word[start:end]]
            for start in range(end)
            if (before := best[start]) is not None and (word[start:end] in PIECES or word[start:end] in SHORT)
        ]
        best.append(min(ways, key=len) if ways else None)
    return best[-1]
