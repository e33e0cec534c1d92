"""Faces, sizes and colours of the PDF: look.css in points."""

from __future__ import annotations

import threading
from pathlib import Path

from reportlab.graphics.shapes import STATE_DEFAULTS
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_LEFT, TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from svglib.fonts import register_font

FONTS = Path(__file__).resolve().parent.parent / "fonts"
BODY, BOLD, MONO = "Inter-Regular", "Inter-SemiBold", "DejaVuSansMono"
INK, QUIET, LINE, RULE = HexColor("#14181b"), HexColor("#47505a"), HexColor("#e1e5e6"), HexColor("#8a949b")

_lock = threading.Lock()


def register_fonts() -> None:
    """Make the shipped faces known to reportlab and to the SVG reader; harmless when repeated."""
    with _lock:
        for name in (BODY, BOLD, MONO):
            if name not in pdfmetrics.getRegisteredFontNames():
                pdfmetrics.registerFont(TTFont(name, str(FONTS / f"{name}.ttf")))
        pdfmetrics.registerFontFamily(BODY, normal=BODY, bold=BOLD, italic=BODY, boldItalic=BOLD)
        # A drawing opens with the default face even where every text in it names its own: Helvetica, not embedded.
        STATE_DEFAULTS["fontName"] = BODY
        for weight, name in (("normal", BODY), ("bold", BOLD)):
            register_font("Inter", str(FONTS / f"{name}.ttf"), weight=weight, rlgFontName=name)


def _style(name: str, size: float, leading: float, **options: object) -> ParagraphStyle:
    values: dict[str, object] = {"fontName": BODY, "textColor": INK, "alignment": TA_LEFT, "splitLongWords": 1}
    return ParagraphStyle(name, fontSize=size, leading=leading, **{**values, **options})


BODY_TEXT = _style("body", 9.2, 13.2, spaceAfter=5)
LEAD = _style("lead", 11.5, 16, spaceAfter=6)
NOTE = _style("note", 9.2, 13.2, leftIndent=8, spaceAfter=6, borderPadding=(0, 0, 0, 0))
SMALL = _style("small", 7.8, 10.8, textColor=QUIET, spaceBefore=2, spaceAfter=5)
TITLE = _style("title", 17, 22, fontName=BOLD)
MODEL = _style("model", 10.5, 14)
KIND = _style("kind", 9, 12, textColor=QUIET, spaceBefore=6, spaceAfter=4)
H1 = _style("h1", 13.5, 18, fontName=BOLD, spaceBefore=14, spaceAfter=6)
H2 = _style("h2", 9.8, 13, fontName=BOLD, spaceBefore=9, spaceAfter=3)
CONTENTS = _style("contents", 9.2, 15)
CELL = _style("cell", 7.6, 10)
CELL_RIGHT = _style("cell-right", 7.6, 10, alignment=TA_RIGHT)
CELL_HEAD = _style("cell-head", 7.2, 9.4, textColor=QUIET)
CELL_HEAD_RIGHT = _style("cell-head-right", 7.2, 9.4, textColor=QUIET, alignment=TA_RIGHT)
LABEL = _style("label", 7.8, 10.6, textColor=QUIET)
LITERAL = _style("literal", 6.4, 9, fontName=MONO, wordWrap="CJK")
VERDICT = _style("verdict", 11, 15)
VERDICT_BESIDE = _style("verdict-beside", 9.8, 13.6, fontName=BOLD, spaceBefore=4)
VERDICT_SMALL = _style("verdict-small", 8.4, 11.4, spaceBefore=2.5)
