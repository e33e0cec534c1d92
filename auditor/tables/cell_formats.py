"""What the number format of a cell adds to its number: zeros in front, a percent sign, a currency, a date.

A number is kept as it is stored unless its format carries meaning that the number alone has lost; then the cell becomes
the text a reader of the sheet sees, without rounding. Formats that only round or group digits add nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache

#: Formats that files name by number only.
BUILT_IN: Mapping[int, str] = {
    9: "0%", 10: "0.00%", 14: "m/d/yyyy", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "m/d/yyyy h:mm", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0",
    **dict.fromkeys((*range(27, 32), 36, *range(50, 55), 57, 58), "yyyy/m/d"),
    **dict.fromkeys((32, 33, 34, 35, 55, 56), "h:mm"),
}  # fmt: skip
MAX_CODE = 1_000
# One token: a quoted text, an escaped or spacing character, a bracket, a letter run, or any other character.
TOKEN = re.compile(r'"([^"]*+)"?|\\(.)|([_*].)|\[([^\]]*+)\]?|(AM/PM|A/P|General)|(E[+-])|([ymdhsYMDHS])|(.)', re.S)
CONDITION = re.compile(r"[<>=]{1,2}\s*-?[0-9.]+")
MAX_SAID = 40
CURRENCY_WORDS = re.compile(r"[A-Z]{3}|kr\.?|zł|Kč|Ft|lei|R\$|Fr\.?|Rs\.?|Rp|RM|S/")
SPACES = re.compile(r"\s+")
FIRST_1904 = datetime(1904, 1, 1)
#: Day 0 as it counts from March 1900 on: spreadsheets count a 29 February 1900, which was none.
FIRST_1900 = datetime(1899, 12, 30)
FALSE_DAY = 60
PLACES = 15  # significant digits a spreadsheet keeps


class NoDateError(ValueError):
    """A number that is formatted as a date and is none."""


@dataclass(frozen=True)
class Format:
    """What a format adds. ``kind`` is plain, date, time, moment, duration, percent, unit or digits.

    ``before`` and ``after`` are the signs of a unit; ``digits`` are the places (true) and signs of fixed digits, as in
    ``000-00-0000``. ``said`` is what the format shows beside the number that reading leaves out, in words.
    """

    kind: str = "plain"
    before: str = ""
    after: str = ""
    digits: tuple[tuple[bool, str], ...] = ()
    said: str = ""


PLAIN = Format()


def format_of(number: int, codes: Mapping[int, str]) -> Format:
    """What the format a style names adds; ``codes`` are the workbook's own formats by number."""
    code = codes.get(number, BUILT_IN.get(number, ""))[:MAX_CODE]
    found = _parsed(code)
    said = _left_out(code, found)
    return replace(found, said=said) if said else found


@cache
def _parsed(code: str) -> Format:
    if any(CONDITION.fullmatch(found[4] or "") for found in TOKEN.finditer(code)):
        return PLAIN  # which section shows a number is a question of its size: what is stored is the same for all
    pieces, letters, elapsed = _pieces(code)
    mask = "".join(text for is_mask, text in pieces if is_mask)
    kind = _kind_of_moment(letters, elapsed) or ("percent" if "%" in mask else "")
    if kind:
        return Format(kind)
    places = [at for at, (is_mask, text) in enumerate(pieces) if is_mask and text in "0#?"]
    if not places:
        return PLAIN
    before = _sign(text for is_mask, text in pieces[: places[0]] if not is_mask)
    after = _sign(text for is_mask, text in pieces[places[-1] :] if not is_mask)
    if _is_currency(before) or _is_currency(after):
        return Format("unit", before=before if _is_currency(before) else "", after=after if _is_currency(after) else "")
    if mask[0] == "0" and mask.count("0") > 1 and not mask.strip("0#"):
        return Format("digits", digits=tuple(pieces))
    return PLAIN


@cache
def _left_out(code: str, read: Format) -> str:
    """What a format shows that its cells are read without: conditions, and words beside the number."""
    brackets = [found[4] for found in TOKEN.finditer(code) if found[4] is not None]
    if any(CONDITION.fullmatch(each) for each in brackets):
        return f"the format {code[:MAX_SAID]!r} shows numbers differently by their size"
    if read.kind in ("date", "time", "moment", "duration", "digits"):
        return ""
    texts = [found[1] or found[2] or "" for found in TOKEN.finditer(code)]
    words = [SPACES.sub(" ", text).strip() for text in texts]
    words = [word for word in words if any(map(str.isalnum, word)) and not _is_currency(word.strip(" ()-+"))]
    return f"the format {code[:MAX_SAID]!r} shows {words[0][:MAX_SAID]!r} beside numbers" if words else ""


def _kind_of_moment(letters: str, elapsed: bool) -> str:
    """Which kind of date or time the letters of a format stand for; empty if there are none."""
    if elapsed or not letters:
        return "duration" if elapsed else ""
    day, clock = any(each in letters for each in "yd"), any(each in letters for each in "hs")
    return "moment" if day and clock else "time" if clock else "date"


def _pieces(code: str) -> tuple[list[tuple[bool, str]], str, bool]:
    """A format up to its first semicolon: places of digits (true) and signs; letters of a date; if time elapses."""
    pieces: list[tuple[bool, str]] = []
    letters, elapsed = "", False
    for found in TOKEN.finditer(code):
        quoted, escaped, spacing, bracket, word, power, letter, other = found.groups()
        if other == ";":
            break  # what follows is for negative numbers, zero and text
        if bracket is not None:
            elapsed = elapsed or re.fullmatch("[hms]+", bracket, re.IGNORECASE) is not None
            pieces.append((False, _bracket_sign(bracket)))
        elif word or letter:
            letters += "" if word == "General" else "h" if word else found.group().lower()
        elif not (spacing or power):
            pieces.append((other is not None and other in "0#?.,%/@", other or quoted or escaped or ""))
    return pieces, letters, elapsed


def _sign(texts: Iterable[str]) -> str:
    return SPACES.sub(" ", "".join(texts)).strip(" ()-+")


def _bracket_sign(bracket: str) -> str:
    """The currency of ``[$€-407]``."""
    return bracket[1:].split("-", maxsplit=1)[0] if bracket.startswith("$") else ""


def _is_currency(sign: str) -> bool:
    return bool(sign) and (
        any(unicodedata.category(each) == "Sc" for each in sign) or CURRENCY_WORDS.fullmatch(sign) is not None
    )


def shown(value: float, style: Format, *, from_1904: bool) -> float | str:
    """A number as its cell shows what it means, unrounded.

    Raises
    ------
    NoDateError
        If it is formatted as a date or time and is none.
    """
    if style.kind == "plain":
        return value
    if style.kind in ("date", "time", "moment", "duration"):
        return _moment(value, style.kind, from_1904)
    if style.kind == "digits":
        return _masked(value, style.digits)
    number = Decimal(repr(value))
    if style.kind == "percent":
        return f"{_plainly(number.scaleb(2))}%"
    sign = "-" if number < 0 else ""
    space = " " if style.after else ""
    return f"{sign}{style.before}{_plainly(abs(number))}{space}{style.after}"


def _plainly(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _masked(value: float, pieces: Sequence[tuple[bool, str]]) -> float | str:
    """The digits of a whole number in their places; zeros fill it from the front."""
    if value < 0 or value != int(value) or value >= 10**PLACES:
        return value
    places = sum(is_place for is_place, _ in pieces)
    digits = str(int(value)).zfill(places)
    # What has more digits than places shows them at the first place.
    source = iter([digits[: len(digits) - places + 1], *digits[len(digits) - places + 1 :]])
    return "".join(next(source) if is_place else text for is_place, text in pieces)


def _moment(value: float, kind: str, from_1904: bool) -> str:
    if kind == "duration" or (kind == "time" and value >= 1):
        if value < 0 or value > 1e7:
            raise NoDateError("no time")
        seconds = round(value * 86_400)
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    whole = int(value // 1)
    if value < 0 or (kind != "time" and not from_1904 and whole in (FALSE_DAY, 0)):
        raise NoDateError("no day of the calendar")
    first = FIRST_1904 if from_1904 else FIRST_1900 if whole > FALSE_DAY else FIRST_1900 + timedelta(days=1)
    try:
        moment = first + timedelta(days=whole, milliseconds=round((value - whole) * 86_400_000))
    except OverflowError as error:
        raise NoDateError("beyond the year 9999") from error
    if kind == "time":
        return _clock(moment)
    # A date without its time of day would be another moment; one that has none is a day, whatever the format shows.
    if moment.time() == datetime.min.time() and kind == "date":
        return f"{moment:%Y}".zfill(4) + f"-{moment:%m-%d}"
    return f"{moment:%Y}".zfill(4) + f"-{moment:%m-%d} {_clock(moment)}"


def _clock(moment: datetime) -> str:
    text = f"{moment:%H:%M:%S}"
    return f"{text}.{moment.microsecond // 1000:03d}" if moment.microsecond else text
