"""How numbers are written in text: ``18.5%``, ``$39,375``, ``1.234,50``, ``39k``, ``(1,200)``; and in which form.

A form is strict: a column in which one cell has a percent sign and the next has none is no column of one form, since
the two differ by a factor that nobody wrote down.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

MAX_CHARACTERS = 40  # of a number as text
MINUS = "-\u2212"
SPACES = " \u00a0\u2007\u2009\u202f"
THOUSANDS = (",", ".", "'", "\u2019", " ")
#: What stands beside numbers, and by how much it multiplies them.
TIMES: Mapping[str, float] = {
    "k": 1e3, "K": 1e3, "T": 1e3, "M": 1e6, "mn": 1e6, "mm": 1e6, "MM": 1e6, "Mio": 1e6, "Mio.": 1e6, "million": 1e6,
    "bn": 1e9, "B": 1e9, "Mrd": 1e9, "Mrd.": 1e9, "billion": 1e9,
}  # fmt: skip
SHARES = ("%", "‰", "bps", "bp")
CURRENCIES = (
    "USD", "EUR", "GBP", "JPY", "CNY", "INR", "AUD", "CAD", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "BRL",
    "MXN", "ZAR", "KRW", "SGD", "HKD", "NZD", "TRY", "kr", "kr.", "zł", "Kč", "Ft", "lei", "R$", "Fr.", "Rs", "Rs.",
    "Rp", "RM", "US$", "C$", "A$",
)  # fmt: skip
#: Currencies by the three letters of their codes.
CODES = frozenset(each for each in CURRENCIES if len(each) == 3 and each.isalpha() and each.isupper())
WRITTEN = re.compile(
    r"(?P<open>\()? ?+(?P<sign>[-+−])? ?+(?P<before>[^\W\d_]{1,4}[.$]?|[^\w\s.,'()+−-]{1,2})? ?+(?P<inner>[-+−])? ?+"
    r"(?P<within>\()? ?+(?P<body>[0-9][0-9.,'’ ]*+|[.,][0-9]++) ?+"
    r"(?P<after>[^\W\d_]{1,7}\.?|[^\w\s.,'()+−-]{1,2})? ?+(?P<trail>[-−])?(?P<close>\))?"
)
#: A number and one word; a number with a word behind it and perhaps a sign before or after it.
WORDED = re.compile(r"(?P<body>[0-9][0-9.,']*+) ?(?P<word>[^\W\d_]{2,10})")
MEASURED = re.compile(r"(?:[<>≤≥~≈]=?|[^\W\d_]{2,10} )? ?[0-9][0-9.,']*+[+-]? ?[^\W\d_]{2,12}")
NO_SIGNS: Mapping[str, None] = {"open": None, "within": None, "close": None, "trail": None}
PLAIN = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?")
AMBIGUOUS = re.compile(r"-?[1-9][0-9]{0,2}\.[0-9]{3}")
LOOSE = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True, kw_only=True)
class NumberForm:
    """How the numbers of a column are written.

    ``decimal`` and ``thousands`` are the marks between digits, ``before`` and ``after`` what stands beside every number
    (a missing one is another form), ``times`` what the number is multiplied by, ``minus`` how a negative number is
    marked beside a sign in front: ``"brackets"`` or ``"behind"``.
    """

    decimal: str = "."
    thousands: str = ""
    before: str = ""
    after: str = ""
    times: float = 1
    minus: str = ""

    @cached_property
    def _digits(self) -> re.Pattern[str]:
        mark = re.escape(self.decimal)
        whole = "[0-9]+"
        if self.thousands:
            mark3 = re.escape(self.thousands)
            # Groups of three, or of two above the last, as in India.
            whole = (
                rf"(?:[0-9]{{1,3}}(?:{mark3}[0-9]{{3}})+|[0-9]{{1,2}}(?:{mark3}[0-9]{{2}})+{mark3}[0-9]{{3}}|[0-9]+)"
            )
        power = "(?:[eE][-+]?[0-9]{1,3})?" if self == NumberForm() else ""
        return re.compile(rf"(?:{whole}(?:{mark}[0-9]*)?|{mark}[0-9]+){power}")

    def number(self, text: str) -> float | None:
        """The number a text says in this form; ``None`` if it says none."""
        text = _evenly(text)
        negative = False
        if self.minus == "brackets" and text.startswith("(") and text.endswith(")"):
            negative, text = True, text[1:-1].strip()
        elif self.minus == "behind" and text[-1:] in ("-", "−"):
            negative, text = True, text[:-1].strip()
        sign, text = _signed(text)
        fits = len(text) <= 2 * MAX_CHARACTERS and text.startswith(self.before) and text.endswith(self.after)
        text = text[len(self.before) : len(text) - len(self.after)].strip()
        inner, text = _signed(text) if self.before else ("", text)
        if self.minus == "brackets" and self.before and text.startswith("(") and text.endswith(")"):
            inner, text = inner + "-", text[1:-1].strip()
        signs = [each for each in (negative, sign, inner) if each]
        if not fits or len(signs) > 1 or len(inner) > 1 or self._digits.fullmatch(text) is None:
            return None
        plain = text.replace(self.thousands, "") if self.thousands else text
        number = float(Decimal(plain.replace(self.decimal, ".")) * Decimal(repr(self.times)))
        if not math.isfinite(number):
            return None
        return -number if negative or (sign or inner) in ("-", "−") else number


PLAIN_FORM = NumberForm()


@dataclass(frozen=True, kw_only=True)
class FormGuess:
    """What a column of text seems to be: its form, if it has one; why; and the texts that do not fit, if most do."""

    form: NumberForm | None = None
    why: str = ""
    odd: tuple[str, ...] = ()


def guess_form(texts: Sequence[str], *, decimal: str = ".") -> FormGuess:
    """Which form all of some distinct texts have.

    Parameters
    ----------
    texts
        Distinct texts without missing ones.
    decimal
        The decimal mark the rest of the file suggests, for ``1,234`` and ``1.234``, which say nothing themselves.
    """
    if spelled_plainly(text.replace("−", "-") for text in texts):
        supposed = _supposed_point(texts)
        if not supposed or decimal != ",":
            return FormGuess(form=PLAIN_FORM, why=supposed)
        # Elsewhere in the file commas part decimals, so these points hardly do.
        why = "'.' before three digits is taken for a mark between thousands, as the rest of the file is written"
        form = NumberForm(decimal=",", thousands=".")
        return FormGuess(form=form, why=f"{_told(form)}; {why}")
    if (worded := _worded(texts, decimal)) is not None:
        return worded
    found = {text: WRITTEN.fullmatch(_evenly(text)) for text in texts if len(text) <= MAX_CHARACTERS}
    parts = {text: match.groupdict() for text, match in found.items() if match is not None}
    beside = Counter((part["before"] or "", part["after"] or "") for part in parts.values() if _known(part))
    if not beside:
        return FormGuess()
    (before, after), _ = beside.most_common(1)[0]
    fits = {
        text: part
        for text, part in parts.items()
        if _known(part) and (part["before"] or "", part["after"] or "") == (before, after)
    }
    odd = tuple(text for text in texts if text not in fits)
    if odd:
        # Plain numbers beside words are codes or a mixture; beside a unit they are the question which one is meant.
        share = len(fits) / len(texts)
        return FormGuess(odd=odd if share >= 0.5 and (before or after or len(texts) > 4) else ())
    return _form_of(fits, before, after, decimal)


def _worded(texts: Sequence[str], hint: str) -> FormGuess | None:
    """The form of numbers that all have one word behind them, as ``60 months``; ``None`` if they have not."""
    found = {text: WORDED.fullmatch(_evenly(text)) for text in texts if len(text) <= MAX_CHARACTERS}
    parts = {text: match.groupdict() for text, match in found.items() if match is not None}
    words = {part["word"] for part in parts.values()}
    if len(parts) < len(texts) or len(words) != 1 or len(texts) < 2:
        return None
    word = words.pop()
    if word in TIMES or word in SHARES or word in CURRENCIES:
        return None
    guess = _form_of({text: {**part, **NO_SIGNS} for text, part in parts.items()}, "", word, hint)
    codes = guess.form is None or _codelike([part["body"].strip() for part in parts.values()], guess.form)
    return None if codes else guess


def numbers_with_words(texts: Sequence[str]) -> tuple[str, ...]:
    """The texts that are a number with words or signs around it, as ``10+ years`` or ``< 1 year``."""
    return tuple(text for text in texts if len(text) <= MAX_CHARACTERS and MEASURED.fullmatch(_evenly(text)))


def unread_amounts(texts: Sequence[str]) -> tuple[str, ...]:
    """The texts with a digit and either the sign of a currency or digits of another script, as ``CHF 12.–``."""
    return tuple(text for text in texts if len(text) <= MAX_CHARACTERS and _is_amount(text))


def _is_amount(text: str) -> bool:
    if not any(each.isdecimal() for each in text):
        return False
    foreign = any(each.isdecimal() and not each.isascii() for each in text)
    said = any(unicodedata.category(each) == "Sc" for each in text)
    return foreign or said or not {"".join(filter(str.isalpha, word)) for word in text.split()}.isdisjoint(CODES)


def _supposed_point(texts: Sequence[str]) -> str:
    """What is supposed of plain numbers whose every point stands before three digits: ``1.234`` may be 1234."""
    pointed = [text for text in texts if "." in text]
    if not pointed or not all(AMBIGUOUS.fullmatch(text.strip().replace("−", "-")) for text in pointed):
        return ""
    return (
        f"'.' before three digits, as in {pointed[0].strip()!r}, is taken for the decimal mark: "
        'form = { thousands = ".", decimal = "," } if it stands between thousands'
    )


def _form_of(fits: Mapping[str, Mapping[str, str | None]], before: str, after: str, hint: str) -> FormGuess:
    """The form of texts that have the same signs beside their numbers."""
    bodies = [(part["body"] or "").strip() for part in fits.values()]
    marks = _marks(bodies, hint)
    if marks is None:
        return FormGuess(odd=tuple(fits))
    point, thousands, why = marks
    minus = ""
    if any(part["open"] or part["within"] or part["close"] for part in fits.values()):
        minus = "brackets"
    elif any(part["trail"] for part in fits.values()):
        minus = "behind"
    form = NumberForm(
        decimal=point, thousands=thousands, before=before, after=after, times=TIMES.get(after, 1), minus=minus
    )
    unread = tuple(text for text in fits if form.number(text) is None)
    if unread or form == PLAIN_FORM or (not (before or after or minus) and _codelike(bodies, form)):
        return FormGuess(odd=unread)
    return FormGuess(form=form, why="; ".join(filter(None, (_told(form), why))))


def spelled_plainly(texts: Iterable[str]) -> bool:
    """Whether numbers would give every one of these distinct texts back.

    A zero in front, a plus sign, ``2E1`` or more than 15 digits say that a text is a code. A zero at the end does not
    if all texts have as many decimals, or if it is the ``.0`` with which programs write whole numbers among decimals.
    """
    places: set[int] = set()
    even = True
    count = 0
    values: set[float] = set()
    for text in map(str.strip, texts):
        count += 1
        if PLAIN.fullmatch(text) is None:
            if (
                "e" not in text
                or len(text) > MAX_CHARACTERS
                or LOOSE.fullmatch(text) is None
                or repr(float(text)) != text
            ):
                return False
            places.add(-1)
        else:
            decimals = text.partition(".")[2]
            places.add(len(decimals))
            even = even and not (decimals.endswith("0") and decimals != "0")
        values.add(float(text))
    # Two texts of one number would become one value.
    return bool(count) and len(values) == count and (even or len(places) == 1)


def number_in(text: str, form: NumberForm | None) -> float | None:
    """The number a text says: in the form that is named, else as programs write numbers; ``None`` if it says none."""
    if form is not None and form != PLAIN_FORM:
        return form.number(text)
    text = text.strip().replace("−", "-")
    if len(text) > 400 or LOOSE.fullmatch(text) is None:
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def unit_of(form: NumberForm) -> tuple[str, str, str]:
    """Unit, prefix and suffix for a field whose column has this form."""
    after = "" if form.after in TIMES else form.after
    space = " " if after and after not in SHARES else ""
    return form.before or after, form.before, f"{space}{after}"


def _known(part: Mapping[str, str | None]) -> bool:
    """Whether what stands beside a number is a unit, and its signs and brackets go together."""
    before, after = part["before"] or "", part["after"] or ""
    signs = sum(bool(part[key]) for key in ("sign", "inner", "trail", "open", "within"))
    if (
        signs > 1
        or bool(part["open"] or part["within"]) != bool(part["close"])
        or "+" in (part["sign"] or "", part["inner"] or "")
    ):
        return False
    fits = not before or before in CURRENCIES or all(unicodedata.category(each) == "Sc" for each in before)
    behind = not after or after in TIMES or after in SHARES or after in CURRENCIES
    return fits and (behind or all(unicodedata.category(each) == "Sc" for each in after))


def _marks(bodies: Sequence[str], hint: str) -> tuple[str, str, str] | None:
    """Decimal mark, mark between thousands and, where that had to be supposed, why; ``None`` if the texts disagree."""
    decimal: set[str] = set()
    thousands: set[str] = set()
    open_marks: set[str] = set()
    for body in bodies:
        used = [mark for mark in THOUSANDS if mark in body]
        thousands.update(mark for mark in used if mark not in ",.")
        points = [mark for mark in used if mark in ",."]
        if len(points) == 2:
            last = max(points, key=body.rfind)
            decimal.add(last)
            thousands.update(mark for mark in points if mark != last)
        elif points:
            mark = points[0]
            whole, _, rest = body.rpartition(mark)
            if body.count(mark) > 1:
                thousands.add(mark)
            elif len(rest) != 3 or whole in ("", "0") or len(whole) > 3 or any(other in body for other in "'’ "):
                decimal.add(mark)
            else:
                open_marks.add(mark)
    thousands = {"'" if mark == "’" else mark for mark in thousands}
    if len(decimal) > 1 or len(thousands) > 1 or decimal & thousands:
        return None
    why = ""
    for mark in sorted(open_marks - decimal - thousands):
        if decimal or (mark != hint and not thousands):
            thousands.add(mark)
            why = "" if decimal else f"{mark!r} before three digits is taken for a mark between thousands"
        elif thousands:
            decimal.add(mark)
        else:
            decimal.add(mark)
            why = f"{mark!r} before three digits is taken for the decimal mark"
    if len(decimal) > 1 or len(thousands) > 1:
        return None
    point = next(iter(decimal), "," if thousands == {"."} else ".")
    return point, next(iter(thousands), ""), why


def _codelike(bodies: Sequence[str], form: NumberForm) -> bool:
    """Whether numbers would not give the digits back: zeros in front, more than a float keeps, uneven ends."""
    plain = [body.replace(form.thousands, "") if form.thousands else body for body in bodies]
    plain = [body.replace(form.decimal, ".") for body in plain]
    return not spelled_plainly(plain)


def _told(form: NumberForm) -> str:
    beside = form.before or form.after
    said = [f"{beside!r} beside every number"] if beside else []
    if form.thousands:
        said.append(f"{form.thousands!r} between thousands")
    if form.decimal != ".":
        said.append(f"{form.decimal!r} as the decimal mark")
    if form.minus:
        said.append("negative numbers in brackets" if form.minus == "brackets" else "the minus sign behind")
    if form.times != 1:
        said.append(f"times {form.times:,.0f}")
    return "numbers with " + ", ".join(said)


def _evenly(text: str) -> str:
    """In NFC, every kind of space as one, a curly apostrophe as a straight one, none around it."""
    text = unicodedata.normalize("NFC", text)
    for space in SPACES[1:]:
        text = text.replace(space, " ")
    return text.replace("’", "'").strip()


def _signed(text: str) -> tuple[str, str]:
    if text[:1] and text[0] in "-+−":
        return text[0], text[1:].strip()
    return "", text
