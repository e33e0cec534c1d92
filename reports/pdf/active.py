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
LINK = frozenset(
    [
        "/Border",
        "/C",
        "/Contents",
        "/Dest",
        "/F",
        "/H",
        "/P",
        "/QuadPoints",
        "/Rect",
        "/StructParent",
        "/Subtype",
        "/Type",
    ]
)
BOOKMARK = frozenset(
    ["/C", "/Count", "/Dest", "/F", "/First", "/Last", "/Next", "/Parent", "/Prev", "/SE", "/Title", "/Type"]
)
MOST_PAGES = 5_000
MOST_BOOKMARKS = 50_000


def beside_pages(pdf: pikepdf.Pdf) -> tuple[str, str] | None:
    """Where something stands that no report has, and what it is; ``None`` if there is nothing."""
    return _in_the_catalogue(pdf) or _on_pages(pdf)


def _in_the_catalogue(pdf: pikepdf.Pdf) -> tuple[str, str] | None:
    if odd := _keys(pdf.Root) - ROOT:
        return "the document's catalogue", ", ".join(sorted(odd))[:120]
    names = pdf.Root.get("/Names")
    if names is not None and (odd := _keys(names) - {"/EmbeddedFiles"}):
        return "the document's names", ", ".join(sorted(odd))[:120]
    if odd_file := _files(pdf):
        return "attachments", odd_file
    if odd := _bookmarks(pdf):
        return "the document's bookmarks", ", ".join(sorted(odd))[:120]
    return None


def _on_pages(pdf: pikepdf.Pdf) -> tuple[str, str] | None:
    for number, page in enumerate(pdf.pages, start=1):
        if number > MOST_PAGES:
            return "pages", f"more than {MOST_PAGES:,}"
        if odd := _keys(page.obj) - PAGE:
            return f"page {number}", ", ".join(sorted(odd))[:120]
        for note in page.obj.get("/Annots", ()):
            # Links lead to other pages of the report, and carry no action.
            if str(note.get("/Subtype")) != "/Link" or "/A" in note or "/AA" in note:
                return f"page {number}", f"a note of the kind {str(note.get('/Subtype'))[:40]}"
            if str(note.get("/Contents", "")):
                return f"page {number}", "a link with words of its own"
            if odd := _keys(note) - LINK:
                return f"page {number}", f"a link with {', '.join(sorted(odd))[:120]}"
    return None


def _files(pdf: pikepdf.Pdf) -> str:
    """A second file beside the attached result, under another name or for other readers; empty if there is none."""
    beside = pdf.Root.get("/AF", ())
    kept = [spec.obj for spec in pdf.attachments.values()]
    if any(item.objgen not in {spec.objgen for spec in kept} for item in beside):
        return "an associated file that is not the attached one"
    streams = [{stream.objgen for _, stream in spec.get("/EF", {}).items()} for spec in kept]
    return "a file that is another one for other readers" if any(len(found) > 1 for found in streams) else ""


def _bookmarks(pdf: pikepdf.Pdf) -> set[str]:
    """What a bookmark has beside its title and the page it leads to: an action would be done by whoever clicks it."""
    root = pdf.Root.get("/Outlines")
    waiting, seen = [root] if root is not None else [], 0
    while waiting:
        item = waiting.pop()
        seen += 1
        if seen > MOST_BOOKMARKS:
            return {f"more than {MOST_BOOKMARKS:,}"}
        if odd := _keys(item) - BOOKMARK:
            return odd
        waiting += [item[key] for key in ("/First", "/Next") if key in item]
    return set()


def _keys(item: Any) -> set[str]:
    return {str(key) for key in item.keys()}  # noqa: SIM118 - a PDF dictionary iterates otherwise
