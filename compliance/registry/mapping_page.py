"""The table of columns on a registration's page: its rows, their boxes, and what is wrong at each."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from auditor.mappings import EMPTY, REPEATS, code_of
from auditor.recognition import MASK, without_examples
from compliance.form_fields import one_way_lines
from compliance.registry.column_facts import SMALL, ColumnFacts
from compliance.registry.columns import MASKED_ROLES
from compliance.registry.mapping_rows import ADVERSE, FAVOURABLE, MARKS, TICKS, Place, Values, codes_in, places
from compliance.registry.mapping_rows import values_of as boxes_of
from compliance.registry.mapping_sides import OF_A_FIELD, plain_of, row_of
from compliance.registry.proxy_words import PROXY_WORDS
from compliance.tables.described import Column, Table

HIDDEN_ROLES = MASKED_ROLES | {""}
A_PAGE = 20  # columns; with their codes fewer boxes than a form may have
REFUSE = gettext_noop("Refuse the file")
ROLE_WORDS = {
    "predictor": gettext_noop("Predictor"),
    "protected": gettext_noop("Protected attribute"),
    **PROXY_WORDS,
    "recorded": gettext_noop("Known after the decision"),
    "outcome": gettext_noop("Outcome"),
    "id": gettext_noop("Id of the row"),
    "": gettext_noop("Left out"),
}
TYPE_WORDS = {
    "number": gettext_noop("Number"),
    "category": gettext_noop("Category"),
    "flag": gettext_noop("Yes or no"),
    "text": gettext_noop("Free text"),
}
PART_WORDS = {
    "": gettext_noop("None"),
    "score": gettext_noop("Score of the system"),
    "prices": gettext_noop("Price: lower is better"),
    "amounts": gettext_noop("Amount: higher is better"),
    "reasons": gettext_noop("Reason of a decision"),
    "decided_at": gettext_noop("Day of the decision"),
    "decided_by": gettext_noop("Who decided"),
    "cluster": gettext_noop("What decisions share, such as a branch"),
}
MINUS_WORDS = {"": gettext_noop("In front"), "brackets": gettext_noop("In brackets"), "behind": gettext_noop("Behind")}
MARK_WORDS = {"": "1234.5"} | {name: name for name in MARKS if name}
SIDE_WORDS = {"": gettext_noop("No outcome"), FAVOURABLE: gettext_noop("Favourable"), ADVERSE: gettext_noop("Adverse")}
REPEAT_WORDS = {"": REFUSE, **{name: name.capitalize() for name in REPEATS if name != "refuse"}}
EMPTY_WORDS = {"": REFUSE, **{name: name.capitalize() for name in EMPTY if name != "refuse"}}
#: What of these is made of the engine's keys.
_OF_KEYS = (gettext_noop("First"), gettext_noop("Last"), gettext_noop("Separate"), gettext_noop("Leave out"))
TICK_WORDS = {"controls": gettext_noop("Held equal (legitimate factor)"), "segments": gettext_noop("Compared within")}
BOX = re.compile(r"r\.([0-9]{1,4})\.(.+)", re.DOTALL)
NAMED = re.compile(r"(?:field|column|outcome) '([^']+)'")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One thing to choose from."""

    value: str
    words: str
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class ShownCode:
    """A code with how many rows hold it, what it is called, and its side where the column is the outcome."""

    code: str
    rows: str
    words: str
    side: tuple[Choice, ...]
    words_box: str
    side_box: str


@dataclass(frozen=True, kw_only=True)
class ShownRow:
    """A column with everything that its row shows. ``lines`` are what looks wrong, ``error`` what cannot be read."""

    at: int
    facts: ColumnFacts
    place: Place
    values: Values
    field: str
    error: str = ""
    lines: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    codes: tuple[ShownCode, ...] = ()

    @property
    def box(self) -> str:
        """What the names of its boxes begin with."""
        return f"r.{self.at}."

    @property
    def masked(self) -> bool:
        """Whether its values are hidden: by what it seems to be, or by what somebody says it is."""
        return self.facts.masked or self.values["role"] in HIDDEN_ROLES or self.values["type"] == "text"

    @property
    def samples(self) -> tuple[str, ...]:
        """Values as they may be shown. Of what is left out nobody said what it holds."""
        by_hand = self.values["role"] in HIDDEN_ROLES and not self.facts.masked
        return (MASK,) if by_hand and self.facts.samples else self.facts.samples

    @property
    def open(self) -> bool:
        """Whether what is behind the row is shown at once."""
        sided = {code.side[at].value for code in self.codes for at in range(len(code.side)) if code.side[at].chosen}
        return bool(self.error) or (self.values["role"] == "outcome" and not {FAVOURABLE, ADVERSE} <= sided)

    @property
    def roles(self) -> tuple[Choice, ...]:
        """Roles to choose from; what is no role is there too, for nothing typed is lost."""
        return choices(ROLE_WORDS, self.values["role"])

    @property
    def types(self) -> tuple[Choice, ...]:
        """Types to choose from."""
        return choices(TYPE_WORDS, self.values["type"])

    @property
    def picks(self) -> tuple[tuple[str, str, tuple[Choice, ...]], ...]:
        """The further lists of the row: the name of the box, its label, what there is to choose."""
        found = [("part", _("Part in the decision"), PART_WORDS)]
        if self.values["type"] == "number":
            found += [("marks", _("Numbers are written as"), MARK_WORDS), ("minus", _("A minus stands"), MINUS_WORDS)]
        if self.values["role"] == "id":
            found += [
                ("repeats", _("An id that repeats"), REPEAT_WORDS),
                ("empty", _("A row without an id"), EMPTY_WORDS),
            ]
        return tuple((name, label, choices(words, self.values[name])) for name, label, words in found)

    @property
    def texts(self) -> tuple[tuple[str, str, str], ...]:
        """The further boxes of text: the name of the box, its label, its value."""
        found = [
            ("label", _("Words in a prompt")),
            ("name", _("Name of the field")),
            ("missing_words", _("Said where missing")),
        ]
        if self.values["type"] == "number":
            found += [
                ("unit", _("Unit")),
                ("decimals", _("Decimals shown")),
                ("before", _("Sign in front, such as $")),
                ("after", _("Sign behind, such as %")),
                ("times", _("Times, such as 1000")),
            ]
        return tuple((name, label, self.values[name]) for name, label in found)

    @property
    def ticks(self) -> tuple[tuple[str, str, bool], ...]:
        """The ticks: the name of the box, its label, whether it is set."""
        return tuple((name, _(TICK_WORDS[name]), bool(self.values[name])) for name in TICKS)


@dataclass(frozen=True, kw_only=True)
class ColumnsPage:
    """The rows of one page of columns, and which of how many it is. ``found`` is what was searched for."""

    rows: tuple[ShownRow, ...]
    listed: Page[Any]
    find: str
    every: tuple[ShownRow, ...]


def choices(words: Mapping[str, str], chosen: str) -> tuple[Choice, ...]:
    """The choices of a box, with what was typed elsewhere and is none of them."""
    known = {value: _(said) for value, said in words.items()}
    if chosen not in known:
        known[chosen] = chosen
    return tuple(Choice(value=value, words=said, chosen=value == chosen) for value, said in known.items())


def columns_page(
    *,
    text: str,
    facts: Sequence[ColumnFacts],
    asked: Mapping[str, Any],
    error: str = "",
    lines: Sequence[str] = (),
    told: Sequence[str] = (),
    posted: Mapping[int, Values] | None = None,
) -> ColumnsPage | None:
    """The rows of the page that is asked for; ``None`` while the TOML cannot be read or the file was not looked at.

    Parameters
    ----------
    text
        The mapping.
    facts
        What is known of the columns.
    asked
        ``columns`` is the page, ``find`` a part of a name.
    error, lines, told
        What is wrong with the mapping, what looks wrong, and what there is to know: each goes to its row.
    posted
        What somebody typed and what could not be written yet.
    """
    raw = plain_of(text)
    if raw is None or not facts:
        return None
    wrong = row_of(error, raw, facts)
    rows = places(raw, [each.name for each in facts])
    fields = [item for item in raw.get("fields", ()) if isinstance(item, Mapping)] if _is_list(raw) else []
    by_name: dict[str, tuple[list[str], list[str]]] = {}
    counted = [line for line in lines if line.startswith("outcome ")]
    looks_wrong = [line for line in lines if line not in counted]
    for at, line in [*((0, line) for line in looks_wrong), *((1, line) for line in (*told, *counted))]:
        for name in NAMED.findall(line)[:1]:
            by_name.setdefault(name, ([], []))[at].append(line)
    every = []
    for at, (place, each) in enumerate(zip(rows, facts, strict=True)):
        item = fields[place.at] if place.at is not None and place.at < len(fields) else {}
        field = str(item.get("name", ""))
        values = boxes_of(raw, place, each) | ((posted or {}).get(at) or {})
        said = [by_name[name] for name in dict.fromkeys((field, each.name)) if name in by_name]
        every.append(
            ShownRow(
                at=at,
                facts=each,
                place=place,
                values=values,
                field=field,
                error=OF_A_FIELD.split(error)[-1].removeprefix(": ") if at == wrong else "",
                lines=tuple(line for ours, _ in said for line in ours),
                told=tuple(line.partition(": ")[2] or line for _, ours in said for line in ours),
                codes=tuple(_code(at, code, each, values) for code in _codes_told(item, each, values)),
            )
        )
    find = str(asked.get("find", "")).strip()[:100]
    kept = [row for row in every if find.casefold() in f"{row.facts.name} {row.values['label']}".casefold()]
    # Where a line of an error is, is the page that opens.
    number = asked.get("columns") or (wrong // A_PAGE + 1 if wrong is not None and not find else 1)
    listed = Paginator(kept, A_PAGE).get_page(number)
    return ColumnsPage(rows=tuple(listed.object_list), listed=listed, find=find, every=tuple(every))


def lines_shown(lines: Sequence[str], facts: Sequence[ColumnFacts], text: str, *, with_ids: bool = True) -> list[str]:
    """Lines about columns as a page may say them: of one that is masked without the values they quote.

    Of a protected attribute the codes stay: somebody has to say what they mean. ``with_ids`` keeps the ids that a line
    of the id column is about.
    """
    masked = {each.name for each in facts if each.masked and not (each.codes and not each.more)}
    raw = plain_of(text) or {}
    items = [item for item in raw.get("fields", ()) if isinstance(item, Mapping)] if _is_list(raw) else []
    masked |= {str(item.get("column")) for item in items if item.get("role") == "protected_proxy"}
    ids = {str(item.get("column")) for item in items if item.get("role") == "id"}
    masked = masked - ids if with_ids else masked | ids
    hidden = masked | {str(item.get("name")) for item in items if item.get("column") in masked}
    shown = []
    for line in lines:
        found = NAMED.search(line)
        said = found is not None and found[1] in hidden
        shown.append(line[: found.end()] + without_examples(line[found.end() :]) if found and said else line)
    return shown


def posted_boxes(post: QueryDict, facts: Sequence[ColumnFacts]) -> dict[int, Values]:
    """The boxes of a sent table by the place of their column; ticks that are not sent are not set."""
    found: dict[int, Values] = {}
    for name, value in post.items():
        match = BOX.fullmatch(name)
        if match and int(match[1]) < len(facts):
            found.setdefault(int(match[1]), {})[match[2]] = one_way_lines(str(value))
    for values in found.values():
        if "label" in values:  # the whole row was sent
            values |= {tick: values.get(tick, "") for tick in TICKS}
    return found


def columns_table(page: ColumnsPage, *, address: str) -> Table:
    """The same for files: every column, whatever page is shown."""
    return Table(
        name="columns",
        title=_("Columns"),
        rows=page.rows,
        every=lambda: page.every,
        address=address,
        columns=(
            Column("column", _("Column"), lambda row: row.facts.name),
            Column("field", _("Field"), lambda row: row.field),
            Column("label", _("Words"), lambda row: row.values["label"]),
            Column("samples", _("Values"), lambda row: ", ".join(row.samples)),
            Column("distinct", _("Different"), lambda row: row.facts.distinct),
            Column("missing", _("Missing"), lambda row: row.facts.missing),
            Column("role", _("Role"), lambda row: row.values["role"] or "left out"),
            Column("type", _("Type"), lambda row: row.values["type"] if row.values["role"] else ""),
            Column("why", _("Why"), lambda row: row.facts.unreadable or row.facts.why),
        ),
    )


def _codes_told(item: Mapping[str, Any], facts: ColumnFacts, values: Values) -> list[str]:
    """The codes that are shown: of a column that somebody masks by its role no more than of one recognised as such.

    What the mapping itself names stays: somebody typed it there.
    """
    listed, role = codes_in(item, facts), values["role"]
    if facts.masked or (role not in HIDDEN_ROLES and values["type"] != "text"):
        return listed
    counted = {code_of(code): count for code, count in facts.codes}
    named = {code_of(code) for code in item.get("words") or {}}
    few = {"protected": 0, "proxy": 0, "protected_proxy": SMALL}.get(role, math.inf)
    return [code for code in listed if code in named or (counted.get(code) or 0) >= few]


def _code(at: int, code: str, facts: ColumnFacts, values: Values) -> ShownCode:
    counted = {code_of(each): count for each, count in facts.codes}
    rows = _("no row") if code not in counted else _("< 11 rows")
    count = counted.get(code)
    if count is not None and (count >= SMALL or values["role"] not in HIDDEN_ROLES):
        rows = ngettext("{n} row", "{n} rows", count).format(n=f"{count:,}")
    side = choices(SIDE_WORDS, values.get(f"side:{code}", "")) if values["role"] == "outcome" else ()
    return ShownCode(
        code=code,
        rows=rows,
        words=values.get(f"words:{code}", ""),
        side=side,
        words_box=f"r.{at}.words:{code}",
        side_box=f"r.{at}.side:{code}",
    )


def _is_list(raw: Mapping[str, Any]) -> bool:
    return isinstance(raw.get("fields"), (list, tuple))
