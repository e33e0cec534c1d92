"""Where the names and the records of a table seem to begin and end, by what stands in its lines: guesses with reasons.

A guess is proposed or asked, never acted on: which lines are names and which are records is said by ``[reading]``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

Record = tuple[int, Sequence[Any]]  # where it stands, and its cells

MOST_BELOW = 20  # lines that stand below a table at most
#: A word for a total in some languages, and what may stand behind it: a colon, a number, something in brackets.
TOTAL = re.compile(
    r"((grand |sub[- ]?)?(totals?|sum)|(zwischen|end|gesamt)?summe|gesamt(ergebnis)?|suma|somme|average|mean|count"
    r"|durchschnitt|mittelwert|(sous-)?total(e|es|is)?( g[eé]n[eé]ral(e|es)?| geral| complessivo)?|suma total|subtotaal"
    r"|te?rl|tlr|ftr|trailer|footer|eof|end[ -]of[ -](file|report|data)|record[ _-]?count|ende|fin de (fichier|archivo)"
    r"|totaal|razem|celkem|yhteens[aä]|itogo|итого|всего|toplam|合計|総計|小計|平均|合计|总计|總計)"
    r" ?:?( ?\([^()]{1,20}\)| [0-9][0-9.,]*)?",
    re.I,
)
RULES = frozenset("-=_+| ─━═")
NUMBER_LIKE = re.compile(r"[-+(]?[$€£]?\s?[0-9][0-9.,' ]*%?\)?")
MARKS = ",;\t|"
MANY_NUMBERS = 4  # among names, from which on they are seldom names
MOSTLY = 0.9  # of the filled cells below, for a column to be one of numbers
#: Letters and digits of a cell by kind: what two ids of one table have in common.
SHAPES = (re.compile(r"[0-9]+"), re.compile(r"[^\W\d_]+"))


def holds(cell: Any) -> bool:
    """Whether a cell holds a value."""
    return cell is not None and not (isinstance(cell, str) and not cell.strip())


def is_rule(cells: Sequence[Any]) -> bool:
    """Whether a record holds nothing but lines drawn with signs, as ``-----`` or ``+----+----+``."""
    first = next((cell for cell in cells if holds(cell)), None)
    if not isinstance(first, str) or first.strip()[0] not in RULES:
        return False
    said = [str(cell).strip() for cell in cells if holds(cell)]
    drawn = "".join(said)
    # One cell of two dashes may be a code; a whole line of them is none.
    return (
        len(drawn) > 3
        and all(len(each) > 1 and RULES.issuperset(each) for each in said)
        and any(2 * mark in drawn for mark in "-=_─━═")
    )


def is_filled(cells: Sequence[Any]) -> bool:
    """Whether a line holds a value: it is neither empty nor a rule."""
    return any(map(holds, cells)) and not is_rule(cells)


def likely_header(records: Sequence[Record]) -> int:
    """Where the names seem to stand: the first record as wide as most, each of its cells other text; 0 if none does."""
    widths = Counter(len([cell for cell in cells if holds(cell)]) for _, cells in records if is_filled(cells))
    if not widths:
        return 0
    usual = max(widths, key=lambda width: (widths[width], width))
    for line, cells in records:
        said = [str(cell).strip() for cell in cells if holds(cell)]
        names = [cell for cell in said if not NUMBER_LIKE.fullmatch(cell)]
        # A column of the index has no name, and some columns are mostly empty.
        if len(said) >= usual - 1 and len(said) > 1 and len(set(said)) == len(said) == len(names):
            return line
    return 0


def record_in_header(records: Sequence[Record]) -> str:
    """Why the first of these filled records seems to be one like the others and no line of names; empty if not.

    It is as wide as the others, no column of numbers has text there, and there is either a number above numbers or a
    text that its column holds again. Numbers that count on from cell to cell (0, 1, 2 or years) are names.
    """
    first = ["" if cell is None else _unmarked(cell) for cell in (records[0][1] if records else ())]
    rows = [[_unmarked(cell) if holds(cell) else "" for cell in cells] for _, cells in records[1:] if len(cells) > 1]
    # The names written once more, as files put together have them, are no sign of a record.
    rows = [row for row in rows if row != first]
    widths = Counter(map(len, rows))
    if not rows or len(first) < 2 or len(first) != max(widths, key=lambda width: (widths[width], width)):
        return ""
    reason = ""
    for at, cell in enumerate(first):
        below = [row[at] for row in rows if at < len(row) and row[at]]
        numeric = sum(NUMBER_LIKE.fullmatch(each) is not None for each in below)
        if below and numeric >= MOSTLY * len(below):
            if cell and not NUMBER_LIKE.fullmatch(cell):
                return ""
            if cell:
                reason = reason or f"{_cut(cell)} stands above numbers in column {at + 1}"
        elif cell and cell in below:
            reason = reason or f"{_cut(cell)} stands again in column {at + 1}"
    return "" if _counts_on([cell for cell in first if NUMBER_LIKE.fullmatch(cell)], len(first)) else reason


def _unmarked(cell: Any) -> str:
    """The text of a cell without the mark of order that files put together have in their middle."""
    return str(cell).strip().strip("\ufeff").strip()


def numbers_as_names(cells: Sequence[Any]) -> str:
    """Why a line seems to hold no names: a third of its cells, several, are numbers that do not rise; else empty."""
    said = ["" if cell is None else str(cell).strip() for cell in cells]
    numbers = [cell for cell in said if NUMBER_LIKE.fullmatch(cell)]
    if len(numbers) < MANY_NUMBERS or 3 * len(numbers) < len(said):
        return ""
    whole = [int(each) for each in numbers if each.isdecimal() and len(each) < 10]
    if len(whole) == len(numbers) and all(after > before for before, after in pairwise(whole)):
        return ""
    return f"{len(numbers)} of its {len(said)} cells are numbers, such as {_cut(numbers[0])}"


def _cut(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")


def _counts_on(numbers: Sequence[str], width: int) -> bool:
    """Whether the numbers of a line go up by one: three of them, or all cells, since two often do in a record."""
    if len(numbers) < min(3, width) or not all(each.isdecimal() and len(each) < 10 for each in numbers):
        return False
    whole = [int(each) for each in numbers]
    return all(after - before == 1 for before, after in pairwise(whole))


def likely_last(records: Sequence[Record], width: int) -> int:
    """Where the records seem to end, if lines of another width or a total stand below them; else 0."""
    filled = [(line, cells) for line, cells in records if is_filled(cells)]
    last = len(filled)
    found = Counter(_shape(cells[0]) for _, cells in filled if len(cells) == width)
    # All but the names above and a line below.
    numbered = found.total() - found[""] >= MOSTLY * (found.total() - 2) > 0
    shapes = set(found) - {""}
    while last > 1 and len(filled) - last < MOST_BELOW and _below(filled[last - 1][1], width, shapes, numbered):
        last -= 1
    return filled[last - 1][0] if 1 < last < len(filled) else 0


def other_mark(cells: Sequence[Any], width: int) -> str:
    """The mark by which a single filled cell would be a record of ``width`` fields; empty if none is."""
    said = [str(cell) for cell in cells if holds(cell)]
    if len(said) != 1 or width < 2:
        return ""
    return next((mark for mark in MARKS if said[0].count(mark) == width - 1), "")


def _below(cells: Sequence[Any], width: int, shapes: set[str], numbered: bool) -> bool:
    """Whether a line seems to stand below a table: a total, or one cell that is neither a record nor a piece of one.

    ``numbered`` says that the first cells of the table have digits: among them, a word for a total is no other thing.
    """
    said = [cell for cell in cells if holds(cell)]
    first = str(said[0]).strip() if said else ""
    if TOTAL.fullmatch(first) and (len(said) < width or (numbered and holds(cells[0]))):
        return True
    # A record written with another delimiter, or cut after its id, is a record that does not fit.
    return width > 2 and len(said) == 1 and not other_mark(cells, width) and _shape(said[0]) not in shapes


def _shape(cell: Any) -> str:
    text = str(cell).strip()
    for kind, mark in zip(SHAPES, "0a", strict=True):
        text = kind.sub(mark, text)
    # Words alone are the shape of any footnote of one word.
    return text if "0" in text else ""
