"""Reading an amount: one number in the form its locale writes, with its unit, and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from auditor.readouts.reading import NotRead, ReadAnswer, read_strictly
from auditor.readouts.strict_json import one_object
from auditor.systems.asking import Response

#: What stands for a space between thousands: plain, no-break, narrow no-break, thin.
_SPACES = "[ \u00a0\u202f\u2009]"
_LARGEST = Decimal(10) ** 15


@dataclass(frozen=True, kw_only=True)
class AmountGrammar:
    """What a readable amount looks like.

    Attributes
    ----------
    unit
        As results show it: ``USD``, ``EUR``, ``%``.
    marks
        How an answer may write the unit, before or behind the number: ``$``, ``USD``.
    marked
        The unit must be written.
    decimal, thousands
        ``.`` and ``,`` as in the United States, ``,`` and ``.`` as in Germany; a space or ``'`` between thousands, or
        nothing. Without thousands marks a number is read as well; with them every group must be whole.
    least, most
        Bounds, both inclusive. A number beyond them is unreadable, not cut.
    key
        Where the amount stands in a JSON object: a JSON number, or text of the form above. Empty: the text is it.
    """

    unit: str
    marks: tuple[str, ...] = ()
    marked: bool = False
    decimal: str = "."
    thousands: str = ","
    least: Decimal = Decimal(0)
    most: Decimal = _LARGEST
    key: str = ""

    def __post_init__(self) -> None:
        if self.decimal not in (".", ",") or self.thousands not in ("", ".", ",", " ", "'"):
            raise ValueError("expected . or , for decimals and . , space, ' or nothing between thousands")
        if self.decimal == self.thousands:
            raise ValueError("expected different marks for decimals and thousands")
        if self.marked and not self.marks:
            raise ValueError("expected a way to write the unit, since it must be written")


def read_amount(response: Response, grammar: AmountGrammar, *, tool: bool = False) -> ReadAnswer[Decimal]:
    """The amount of an answer, in the grammar's unit, or that it is refused or unreadable.

    Parameters
    ----------
    response
        The answer.
    grammar
        What an amount looks like.
    tool
        The arguments of the forced tool are read; needs the grammar's ``key``.
    """
    return read_strictly(response, lambda text: _amount(text, grammar), tool=tool, answers=())


def _amount(text: str, grammar: AmountGrammar) -> Decimal:
    if not grammar.key:
        return _written(text, grammar)
    value = one_object(text).get(grammar.key)
    if isinstance(value, str):
        return _written(value, grammar)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotRead(f"{grammar.key!r} is missing or no number")
    if grammar.marked:
        raise NotRead("the unit is not written")
    return _bounded(Decimal(str(value)), grammar)


def _written(text: str, grammar: AmountGrammar) -> Decimal:
    found = _pattern(grammar).fullmatch(text.strip())
    if found is None:
        raise NotRead("the answer is not one number of the expected form")
    if found["before"] and found["behind"]:
        raise NotRead("the unit is written twice")
    if grammar.marked and not (found["before"] or found["behind"]):
        raise NotRead("the unit is not written")
    whole = re.sub(r"\D", "", found["whole"])
    number = Decimal(f"{whole}.{found['part'] or '0'}")
    return _bounded(-number if found["sign"] else number, grammar)


def _bounded(number: Decimal, grammar: AmountGrammar) -> Decimal:
    if not number.is_finite() or not grammar.least <= number <= grammar.most:
        raise NotRead(f"the amount lies outside {grammar.least} to {grammar.most}")
    return number


def _pattern(grammar: AmountGrammar) -> re.Pattern[str]:
    gap = _SPACES if grammar.thousands == " " else re.escape(grammar.thousands)
    # Every group has three digits and one kind of mark between them: 1,00,000 and 1.234,56 of elsewhere do not fit.
    groups = rf"|[1-9][0-9]{{0,2}}(?:{gap}[0-9]{{3}})+" if grammar.thousands else ""
    marks = "|".join(re.escape(mark) for mark in sorted(grammar.marks, key=len, reverse=True)) or r"(?!)"
    return re.compile(
        rf"(?P<sign>[-\u2212])?{_SPACES}?(?P<before>{marks})?{_SPACES}?"
        rf"(?P<whole>0|[1-9][0-9]*{groups})(?:{re.escape(grammar.decimal)}(?P<part>[0-9]+))?{_SPACES}?(?P<behind>{marks})?"
    )
