"""The blocks that report and pages are made of: frozen, plain, and silent about how they look.

A section is composed once, as a tree of these blocks. :mod:`reports.paper` reduces the tree to what is printed;
:mod:`reports.html` sets it on a page, where every number leads to its cases and what is long waits until it is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from auditor.records import Conclusion, Finding, Measurement, Severity
from reports.canvas import Chart
from reports.evidence_ladder import LadderRow
from reports.wording import Design


@dataclass(frozen=True)
class Text:
    """A paragraph; ``tone``: ``body``, ``lead``, ``note`` (ruled at the side), ``small``, ``heading`` (of the next).

    ``title`` is what it speaks of: its first words on paper, its heading on a page.
    """

    words: str
    tone: str = "body"
    title: str = ""


@dataclass(frozen=True)
class Code:
    """A conclusion code in a cell: drawn with its marker."""

    conclusion: Conclusion


@dataclass(frozen=True)
class Level:
    """A severity in a cell: drawn as bars and a word."""

    severity: Severity


@dataclass(frozen=True)
class Literal:
    """Hashes, paths and commands: set in the monospaced face, broken anywhere."""

    words: str


@dataclass(frozen=True)
class Target:
    """The page a bookmark stands on, as a link; the PDF fills the number in."""

    anchor: str


@dataclass(frozen=True)
class Cases:
    """Words that lead to cases on a page.

    Each part is what stands before the link, the words of the link, what stands behind it, and the query that finds the
    cases, as a measurement has it (``arm:race=Black|race=White;role:actual``, and ``;flipped:against`` of pairs).
    """

    parts: tuple[tuple[str, str, str, str], ...]

    @property
    def words(self) -> str:
        """What paper prints."""
        return "; ".join(f"{before}{linked}{behind}" for before, linked, behind, _ in self.parts)


Cell = str | Code | Level | Literal | Target | Cases


@dataclass(frozen=True)
class Pairs:
    """Label and value, one under the other."""

    rows: tuple[tuple[str, Cell], ...]
    title: str = ""


@dataclass(frozen=True)
class Table:
    """A table; ``align`` has one letter a column (``l`` or ``r``), ``weights`` the columns' shares of the width.

    ``of`` are the measurements of its rows, one a row, where it is one of measurements. A page folds a table that has a
    title; ``unfolded`` is one that nobody may miss.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    align: str
    weights: tuple[float, ...]
    note: str = ""
    of: tuple[Measurement, ...] = ()
    unfolded: bool = False


SHORT, CONTRASTS, EVERY = "short", "contrasts", "every"


@dataclass(frozen=True)
class Numbers:
    """Measurements as a table: a page has them all, paper the ``printed`` ones.

    Attributes
    ----------
    name
        Stands in the address of the table; no two of a report share one.
    title
        Stands over the table.
    columns
        ``SHORT``: what any metric has; ``CONTRASTS``: with pair counts, p-values and conclusions; ``EVERY``: as short,
        and on paper one table a test.
    printed
        Those on paper, in the order they are printed; none where paper leaves the table out.
    note
        What a reader must know of them wherever they stand.
    left_out
        What paper says of those that it leaves out.
    method
        How they were computed, where a table says it.
    """

    name: str
    title: str
    measurements: tuple[Measurement, ...]
    design: Design
    columns: str = SHORT
    printed: tuple[Measurement, ...] = ()
    note: str = ""
    left_out: str = ""
    method: str = ""


@dataclass(frozen=True)
class Figure:
    """A chart, how to read it where the chart brings no caption, and the numbers that it draws."""

    chart: Chart
    reading: str = ""
    below: tuple[Numbers, ...] = ()


@dataclass(frozen=True)
class Ladder:
    """How far up each contrast stands and where outputs cross internals; ``first`` is the contrast of the verdict."""

    contrasts: tuple[LadderRow, ...]
    first: LadderRow


@dataclass(frozen=True)
class FindingBlock:
    """One finding, in full; ``brief`` is what it rests on, in a line."""

    finding: Finding
    rows: tuple[tuple[str, Cell], ...]
    brief: str = ""


@dataclass(frozen=True)
class Paper:
    """What stands on paper alone, because a page says it elsewhere or in full.

    It is composed when it is printed: a page would compose it in vain.
    """

    compose: Callable[[], Sequence[Block]]


Printed = Text | Pairs | Table | Figure | FindingBlock
Block = Printed | Numbers | Ladder | Paper


@dataclass(frozen=True)
class Section:
    """A numbered section; one without data says so and why."""

    id: str
    number: int
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Verdict:
    """The conclusion in one box: the code, the sentence that carries it, what else was seen, and its chart.

    ``beside`` is what must be read together with the sentence, because it alone would read clean; else nothing.
    ``figures`` are those of the leading contrast: effect, interval with its level, how many, adjusted p; ``facts`` are
    the same one by one, as a page has them, each with its cases.
    """

    conclusion: Conclusion
    sentence: str
    others: tuple[str, ...]
    chart: Chart | None
    beside: str = ""
    figures: str = ""
    facts: tuple[tuple[str, Cell], ...] = ()


REPORT, ANNEX = "report", "annex"


@dataclass(frozen=True)
class ReportContent:
    """Everything that one of the two documents says: the ``part`` `REPORT`, for a person, or its technical `ANNEX`.

    The annex has no verdict of its own. ``audited`` is what ``model`` names: a decision file is none.
    """

    audit_id: str
    title: str
    model: str
    governed: bool
    mark: str
    verdict: Verdict | None
    cover: tuple[Block, ...]
    sections: tuple[Section, ...]
    run_line: str
    created: str
    subject: str
    hashes: Mapping[str, str] = field(default_factory=dict)
    part: str = REPORT
    audited: str = "Model"

    @property
    def heading(self) -> str:
        """What the document is, for its first line and the head of its pages."""
        what = "Model audit report" if self.part == REPORT else "Technical annex to model audit report"
        return f"{what} {self.audit_id}"
