"""What a report never has: actions, scripts, forms, notes on its pages. Readers show them over what was set."""

from __future__ import annotations

from typing import Any

import pikepdf

ROOT = frozenset(
    [
        "/AF",
        "/Lang",
        "/MarkInfo",
        "/Metadata",
        "/Names",
        "/Outlines",
        "/PageLabels",
        "/PageLayout",
        "/PageMode",
        "/Pages",
        "/StructTreeRoot",
        "/Type",
        "/ViewerPreferences",
    ]
)
PAGE = frozenset(
    [
        "/Annots",
        "/Contents",
        "/MediaBox",
        "/Parent",
        "/Resources",
        "/Rotate",
        "/StructParents",
        "/Tabs",
        "/Trans",
        "/Type",
    ]
)
MOST_PAGES = 5_000


def beside_pages(pdf: pikepdf.Pdf) -> tuple[str, str] | None:
    """Where something stands that no report has, and what it is; ``None`` if there is nothing."""
    if odd := _keys(pdf.Root) - ROOT:
        return "the document's catalogue", ", ".join(sorted(odd))[:120]
    names = pdf.Root.get("/Names")
    if names is not None and (odd := _keys(names) - {"/EmbeddedFiles"}):
        return "the document's names", ", ".join(sorted(odd))[:120]
    for number, page in enumerate(pdf.pages, start=1):
        if number > MOST_PAGES:
            return "pages", f"more than {MOST_PAGES:,}"
        if odd := _keys(page.obj) - PAGE:
            return f"page {number}", ", ".join(sorted(odd))[:120]
        for note in page.obj.get("/Annots", ()):
            # Links lead to other pages of the report, and carry no action.
            if str(note.get("/Subtype")) != "/Link" or "/A" in note or "/AA" in note:
                return f"page {number}", f"a note of the kind {str(note.get('/Subtype'))[:40]}"
    return None


def _keys(item: Any) -> set[str]:
    return {str(key) for key in item.keys()}  # noqa: SIM118 - a PDF dictionary iterates otherwise
