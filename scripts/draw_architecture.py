"""Draw docs/pictures/architecture.svg: how data flow, which package does what, and who may import whom.

python scripts/draw_architecture.py
"""

from __future__ import annotations

from html import escape
from pathlib import Path

TARGET = Path(__file__).parents[1] / "docs" / "pictures" / "architecture.svg"
WIDTH, HEIGHT = 1000, 660
INK, QUIET, LINE, PAPER = "#1d2a2f", "#52646b", "#7d9199", "#ffffff"
FLOW, SITE, SAY, ENGINE = "#e3f0ee", "#f3ece0", "#e8eaf5", "#e3f0ee"

NOUNS = (
    ("Plan", "design, frozen", "TOML"),
    ("Cases", "prompts", "who, what changed"),
    ("Decisions", "log-odds, outcome", "one per case"),
    ("Measurements", "every number", "checks, reasons"),
    ("Findings", "judgement", "rule, clause"),
    ("Report", "PDF, result", "evidence"),
)
STEPS = ("prepare", "score", "conclude", "", "publish")
ROOMS = (
    (
        "compliance",
        "the site and the commands (Django, Celery)",
        SITE,
        ("access", "registry", "plans", "execution", "governance", "dashboard"),
    ),
    (
        "reports",
        "what is said: reads evidence and a governance record, measures nothing",
        SAY,
        ("content", "blocks", "wording", "charts", "pdf", "verification"),
    ),
    (
        "auditor",
        "the engine: no Django, usable from a notebook (import auditor)",
        ENGINE,
        ("plan", "testing", "behaviour", "mechanisms", "synthesis", "statistics", "language_models"),
    ),
)


def text(
    x: float, y: float, words: str, *, size: int = 14, weight: int = 400, fill: str = INK, at: str = "middle"
) -> str:
    """One line of words."""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{at}">{escape(words)}</text>'
    )


def box(x: float, y: float, width: float, height: float, fill: str) -> str:
    """A rectangle with round corners."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="{fill}" stroke="{LINE}"/>'


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """A line with a head."""
    ends = f'x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"'
    return f'<line {ends} stroke="{INK}" stroke-width="1.5" marker-end="url(#to)"/>'


def flow() -> list[str]:
    """The nouns in a row, with the step that leads from each to the next."""
    wide, gap = 130, 36
    parts = [text(20, 34, "One direction, one noun a step", size=16, weight=600, at="start")]
    for number, (noun, first, second) in enumerate(NOUNS):
        x = 20 + number * (wide + gap)
        middle = x + wide / 2
        parts += [box(x, 70, wide, 74, FLOW), text(middle, 94, noun, size=14, weight=600)]
        parts += [text(middle, 114, first, size=12, fill=QUIET), text(middle, 131, second, size=12, fill=QUIET)]
        if number:
            parts.append(arrow(x - gap + 4, 107, x - 4, 107))
            parts.append(text(x - gap / 2, 62, STEPS[number - 1], size=12, weight=600))
    return parts


def chunks() -> list[str]:
    """What happens between cases and decisions."""
    parts = [box(20, 172, 960, 100, PAPER)]
    parts.append(text(36, 196, "score: the only step that touches the model", size=14, weight=600, at="start"))
    lines = (
        "A ledger holds the run's chunks: in a folder (notebook) or in rows of the database (site, commands). Any",
        "worker takes any chunk, any number of times, after any crash, with the same bytes. A message only wakes a",
        "worker: the ledger says what is left to do.",
    )
    parts += [text(36, 220 + 19 * row, words, size=13, fill=QUIET, at="start") for row, words in enumerate(lines)]
    return parts


def rooms() -> list[str]:
    """The packages, the one that may import the others on top."""
    parts = [text(20, 306, "Imports go one way, held by contracts", size=16, weight=600, at="start")]
    for number, (name, words, fill, inner) in enumerate(ROOMS):
        y = 326 + number * 108
        parts += [box(20, y, 960, 86, fill), text(36, y + 25, name, size=15, weight=600, at="start")]
        parts.append(text(36 + 11 * len(name), y + 25, words, size=13, fill=QUIET, at="start"))
        for place, room in enumerate(inner):
            x = 36 + place * 156
            parts += [box(x, y + 40, 146, 32, PAPER), text(x + 73, y + 61, room, size=13)]
        if number:
            parts.append(arrow(500, y - 21, 500, y - 2))
    return parts


def drawing() -> str:
    """The whole picture."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        "font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\">"
        "<title>Plan, cases, decisions, measurements, findings, report; "
        "compliance imports reports, reports imports auditor</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>'
        '<defs><marker id="to" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L10 5L0 10z" fill="{INK}"/></marker></defs>'
    )
    return "\n".join([head, *flow(), *chunks(), *rooms(), "</svg>"]) + "\n"


if __name__ == "__main__":
    TARGET.write_text(drawing(), encoding="utf-8")
