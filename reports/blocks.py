"""The blocks a report is made of: frozen, plain, and silent about how they look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.records import Conclusion, Finding, Severity
from reports.canvas import Chart


@dataclass(frozen=True)
class Text:
    """A paragraph; ``tone``: ``body``, ``lead``, ``note`` (ruled at the side), ``small``, ``heading`` (of the next)."""

    words: str
    tone: str = "body"


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


Cell = str | Code | Level | Literal | Target


@dataclass(frozen=True)
class Pairs:
    """Label and value, one under the other."""

    rows: tuple[tuple[str, Cell], ...]
    title: str = ""


@dataclass(frozen=True)
class Table:
    """A table; ``align`` has one letter a column (``l`` or ``r``), ``weights`` the columns' shares of the width."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    align: str
    weights: tuple[float, ...]
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A chart with its caption."""

    chart: Chart


@dataclass(frozen=True)
class FindingBlock:
    """One finding, in full."""

    finding: Finding
    rows: tuple[tuple[str, Cell], ...]


Block = Text | Pairs | Table | Figure | FindingBlock


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
    ``figures`` are those of the leading contrast: effect, interval with its level, how many, adjusted p.
    """

    conclusion: Conclusion
    sentence: str
    others: tuple[str, ...]
    chart: Chart | None
    beside: str = ""
    figures: str = ""


REPORT, ANNEX = "report", "annex"


@dataclass(frozen=True)
class ReportContent:
    """Everything that one of the two documents says: the ``part`` `REPORT`, for a person, or its technical `ANNEX`.

    The annex has no verdict of its own.
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

    @property
    def heading(self) -> str:
        """What the document is, for its first line and the head of its pages."""
        what = "Model audit report" if self.part == REPORT else "Technical annex to model audit report"
        return f"{what} {self.audit_id}"
