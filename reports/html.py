"""The tree of a section as a page has it: escaped, with headings, with the cases behind every number.

Nothing here knows an address: `Links` says where cases, tables and sections stand. What is long is a line that somebody
opens; it then comes from its address by itself, and without scripts a link leads there. Classes are those of look.css.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape

from reports import numbers, tables, wording
from reports.blocks import (
    Block,
    Cell,
    Code,
    Figure,
    FindingBlock,
    Ladder,
    Level,
    Literal,
    Numbers,
    Pairs,
    Paper,
    Table,
    Target,
    Text,
    Verdict,
)
from reports.evidence_ladder import COLUMNS, EXPLAINED, ROWS, Corner, LadderRow, corners, outside_words
from reports.html_marks import chart_html, code_html, conclusion_class, files_html, severity_html
from reports.ladder_tables import steps_table

LONG = 12
"""Rows that are read at a glance; of more, a page would be mostly what nobody opened."""
ESTIMATES = ("Effect", "Estimate")


@dataclass(frozen=True)
class Links:
    """Where things stand: the cases that a query finds, and the table of `Numbers` by its name.

    An empty address leads nowhere: where there are no cases, a number is no link.
    ``files`` are the files in which a table can be taken away, each as its kind and its address; by default none.
    """

    cases: Callable[[str], str]
    numbers: Callable[[str], str]
    files: Callable[[Table | Ladder | Numbers], Sequence[tuple[str, str]]] = lambda _: ()


def blocks_html(
    blocks: Iterable[Block], links: Links, *, level: int = 3, folded: bool = True, label: str = "Section"
) -> str:
    """Blocks one under the other.

    Parameters
    ----------
    blocks
        As a section composes them.
    links
        Where their numbers and cases stand.
    level
        Of the first heading among them: 3 under an ``h2``.
    folded
        Whether tables with a title are lines to be opened; on a page of their own they are not.
    label
        What a table without a title is called to those who do not see it.
    """
    return "".join(_pieces(list(blocks), _Setting(links, level, folded, label)))


def verdict_html(verdict: Verdict, links: Links) -> str:
    """The card that leads a page."""
    parts = [f"<p>{escape(verdict.sentence)}</p>{chart_html(verdict.chart) if verdict.chart else ''}"]
    parts[0] = f'<div class="say">{parts[0]}</div>'
    if verdict.beside:
        parts.append(f"<p><strong>{escape(verdict.beside)}</strong></p>")
    code = f'<small class="quiet"><code>{verdict.conclusion.value}</code></small>'
    parts.append(f'<p class="small">{code_html(verdict.conclusion)} {code}</p>')
    if verdict.figures:
        parts.append(f'<p class="small">{escape(verdict.figures)}</p>')
    if verdict.facts:
        facts = "".join(
            f"<div><dt>{escape(name)}</dt><dd>{cell_html(value, links)}</dd></div>" for name, value in verdict.facts
        )
        parts.append(f'<dl class="facts">{facts}</dl>')
    kind = conclusion_class(verdict.conclusion)
    return f'<section class="verdict {kind}" id="verdict" aria-label="Verdict">{"".join(parts)}</section>'


def table_html(table: Table, links: Links, *, label: str = "") -> str:
    """A table in a box that scrolls; each row's estimate leads to the cases of its measurement."""
    at = next((place for place, head in enumerate(table.head) if head.startswith(ESTIMATES)), 0) if table.of else -1
    addresses = {query: links.cases(query) for query in {item.cases for item in table.of}}
    of = [addresses[item.cases] for item in table.of] or [""] * len(table.rows)
    body = "".join(_row(row, table.align, links, at, address) for row, address in zip(table.rows, of, strict=True))
    heads = "".join(
        f'<th scope="col"{_right(side)}>{escape(words) or _UNNAMED}</th>'
        for words, side in zip(table.head, table.align, strict=True)
    )
    note = f"<caption><span>{escape(table.note)}</span></caption>" if table.note else ""
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(label or table.title)}, table">'
        f'<table class="data">{note}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def whole_html(block: Numbers, links: Links) -> str:
    """The table of all measurements of a block, and how they were computed."""
    method = f'<p class="small">{escape(block.method)}</p>' if block.method else ""
    files = files_html(block.title, links.files(block))
    return f"<div>{table_html(tables.whole(block), links, label=block.title)}{files}{method}</div>"


def tables_of(blocks: Iterable[Block]) -> Iterator[Table | Ladder]:
    """Every other table among blocks that a page has, in their order."""
    for block in blocks:
        if isinstance(block, (Table, Ladder)):
            yield block


def later_html(words: str, *, address: str, link: str) -> str:
    """A line that is filled from its address when somebody opens it."""
    at = escape(address)
    return (
        f'<details hx-get="{at}" hx-trigger="toggle once" hx-target="find .later" hx-swap="outerHTML">'
        f'<summary>{escape(words)}</summary><p class="later"><a href="{at}">{escape(link)}</a></p></details>'
    )


def numbers_of(blocks: Iterable[Block]) -> Iterator[Numbers]:
    """Every table of measurements among blocks that a page has."""
    for block in blocks:
        if isinstance(block, Numbers):
            yield block
        elif isinstance(block, Figure):
            yield from numbers_of(block.below)


def cell_html(value: Cell, links: Links) -> str:
    """The content of a cell."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Code):
        return code_html(value.conclusion)
    if isinstance(value, Level):
        return severity_html(value.severity)
    if isinstance(value, Literal):
        return f"<code>{escape(value.words)}</code>"
    if isinstance(value, Target):
        return f'<a href="#{escape(value.anchor)}">{escape(value.anchor)}</a>'
    return "; ".join(
        f"{escape(before)}{_led(escape(linked), links.cases(query))}{escape(behind)}"
        for before, linked, behind, query in value.parts
    )


def _led(words: str, address: str) -> str:
    """Words that lead somewhere, where there is an address."""
    return f'<a href="{escape(address)}">{words}</a>' if address else words


_UNNAMED = '<span class="sr">Row</span>'


@dataclass(frozen=True)
class _Setting:
    links: Links
    level: int
    folded: bool
    label: str

    def heading(self, words: str, *, below: int = 0, kind: str = "") -> str:
        level = min(6, self.level + below)
        return f"<h{level}{_named('class', kind)}>{escape(words)}</h{level}>"


def _pieces(blocks: Sequence[Block], setting: _Setting) -> Iterator[str]:
    """The blocks as HTML. Figures stand beside each other, and the lines between them, which are opened, below."""
    figures: list[str] = []
    lines: list[str] = []
    first = True
    for block in blocks:
        if isinstance(block, Figure):
            figures.append(_figure(block, setting))
        elif isinstance(block, Numbers) or (isinstance(block, Table) and block.title and setting.folded):
            lines.append(_piece(block, setting))
        elif not isinstance(block, Paper):
            yield _row_of(figures, lines)
            figures, lines = [], []
            yield _finding(block, setting, opened=first) if isinstance(block, FindingBlock) else _piece(block, setting)
            first = first and not isinstance(block, FindingBlock)
    yield _row_of(figures, lines)


def _piece(block: Block, setting: _Setting) -> str:
    if isinstance(block, Text):
        return _text(block, setting)
    if isinstance(block, Pairs):
        head = setting.heading(block.title, below=1) if block.title else ""
        return head + _pairs(block.rows, setting.links)
    if isinstance(block, Table):
        return _table(block, setting)
    if isinstance(block, Numbers):
        return _numbers(block, setting.links, words=block.title)
    if isinstance(block, Ladder):
        return _ladder(block, setting)
    return ""


def _row_of(figures: Sequence[str], lines: Sequence[str]) -> str:
    grid = f'<div class="grid">{"".join(figures)}</div>' if figures else ""
    return grid + "".join(lines)


def _text(block: Text, setting: _Setting) -> str:
    words = escape(block.words)
    if block.tone == "heading":
        return setting.heading(block.words, kind="part")
    if block.title:
        return setting.heading(block.title, below=1) + (f'<p class="small">{words}</p>' if words else "")
    if block.tone == "lead":
        return f"<p><strong>{words}</strong></p>"
    return f'<p class="{block.tone}">{words}</p>' if block.tone in ("note", "small") else f"<p>{words}</p>"


def _pairs(rows: Iterable[tuple[str, Cell]], links: Links, name: str = "") -> str:
    lines = "".join(f"<dt>{escape(label)}</dt><dd>{cell_html(value, links)}</dd>" for label, value in rows)
    return f'<dl class="pairs"{_named("id", name)}>{lines}</dl>'


def _table(block: Table, setting: _Setting) -> str:
    label = block.title or setting.label
    table = table_html(block, setting.links, label=label) + files_html(label, setting.links.files(block))
    if not block.title:
        return table
    if not setting.folded:
        return setting.heading(block.title, below=1) + table
    return f"<details{' open' if block.unfolded else ''}><summary>{escape(block.title)}</summary>{table}</details>"


def _numbers(block: Numbers, links: Links, *, words: str) -> str:
    if len(block.measurements) > LONG:
        many = numbers.count(len(block.measurements))
        link = f"{block.title}: the {many} numbers on a page of their own"
        return later_html(words, address=links.numbers(block.name), link=link)
    return f"<details><summary>{escape(words)}</summary>{whole_html(block, links)}</details>"


def _figure(block: Figure, setting: _Setting) -> str:
    title = escape(block.chart.title)
    reading = block.reading or block.chart.caption
    below = "".join(_numbers(item, setting.links, words="Numbers as a table") for item in block.below)
    return (
        f'<figure class="fig w6">{setting.heading(block.chart.title, below=1)}'
        f'<div class="plot" tabindex="0" role="group" aria-label="{title}, chart">{chart_html(block.chart)}</div>'
        f"{f'<figcaption>{escape(reading)}</figcaption>' if reading else ''}{below}</figure>"
    )


def _finding(block: FindingBlock, setting: _Setting, *, opened: bool) -> str:
    item = block.finding
    return (
        f'<details class="finding"{" open" if opened else ""}><summary>{severity_html(item.severity)}'
        f"{setting.heading(f'{item.id} · {item.title}')}<small>{escape(block.brief)}</small></summary>"
        f"{_pairs(block.rows, setting.links, item.id)}</details>"
    )


def _ladder(block: Ladder, setting: _Setting) -> str:
    """Outputs × internals beside the ladder of the verdict's contrast; those of the others are opened."""
    found = corners(block.contrasts)
    heads = "".join(f'<th scope="col">{escape(words)}</th>' for words in COLUMNS.values())
    rows = "".join(
        f'<tr><th scope="row">{escape(said)}</th>'
        + "".join(_corner(cell, block.first) for cell in found if cell.outputs is outputs)
        + "</tr>"
        for outputs, said in ROWS.items()
    )
    outside = "".join(f'<p class="small quiet">{escape(words)}</p>' for words in outside_words(block.contrasts))
    steps = "".join(
        f"<li{_named('class', _STEP[step.held])}><strong>{number} {escape(wording.sentence_case(step.name))} "
        f"<span>{escape(step.says)}</span></strong> <small>{escape(wording.sentence_case(step.reason))}</small></li>"
        for number, step in enumerate(block.first.steps, start=1)
    )
    others = [item for item in block.contrasts if item is not block.first]
    table = steps_table(others, title="Ladder of the other contrasts")
    # Its files are those of the ladder as a whole.
    whole = replace(setting, folded=True, links=replace(setting.links, files=lambda _: setting.links.files(block)))
    return (
        f'<div class="grid"><div class="w6">{setting.heading("Outputs × internals")}<table class="two"><thead><tr>'
        f'<th class="corner" scope="col"><span class="sr">Outputs</span></th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table>{outside}{files_html('Ladder', setting.links.files(block))}</div>"
        f'<div class="w6">{setting.heading(f"Ladder for {block.first.contrast}, evidence {block.first.grade}")}'
        f'<ol class="ladder">{steps}</ol><p class="note">{escape(EXPLAINED)}</p></div></div>'
        f"{_table(table, whole) if others else ''}"
    )


_STEP = {True: "yes", False: "no", None: ""}


def _corner(cell: Corner, first: LadderRow) -> str:
    members = "".join(
        f"<li>{escape(item.contrast)}{f' ({escape(item.by)})' if item.by else ''}</li>" for item in cell.members
    )
    return (
        f"<td{' data-here' if first in cell.members else ''}><strong>{escape(cell.name)}</strong> "
        f"{escape(cell.advice)}<ul>{members or '<li>No contrast of this audit.</li>'}</ul></td>"
    )


def _row(row: Sequence[Cell], align: str, links: Links, at: int, address: str) -> str:
    parts = []
    for place, (value, side) in enumerate(zip(row, align, strict=True)):
        words = cell_html(value, links)
        if place == at:
            words = _led(words, address)
        parts.append(f'<th scope="row">{words}</th>' if place == 0 else f"<td{_right(side)}>{words}</td>")
    return f"<tr>{''.join(parts)}</tr>"


def _right(side: str) -> str:
    return _named("class", "num" if side == "r" else "")


def _named(attribute: str, value: str) -> str:
    return f' {attribute}="{escape(value)}"' if value else ""
