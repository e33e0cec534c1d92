"""What a report is made of: one revision, no object that nothing refers to, and only what a report is written with.

A PDF can hold layers, alternates, other files, text for the ear and contents kept elsewhere in some two hundred places,
and readers differ in what they make of them. The keys of a report are some seventy, whatever it says; a key that is
none of them is refused wherever it stands. Names that a page gives its fonts are no keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pikepdf

KEYS = frozenset(
    [
        "/AF",
        "/AFRelationship",
        "/Annots",
        "/Ascent",
        "/Author",
        "/BaseFont",
        "/Border",
        "/CA",
        "/CapHeight",
        "/CheckSum",
        "/Columns",
        "/Contents",
        "/Count",
        "/CreationDate",
        "/Creator",
        "/DecodeParms",
        "/Desc",
        "/Descent",
        "/Dest",
        "/DisplayDocTitle",
        "/EF",
        "/EmbeddedFiles",
        "/ExtGState",
        "/F",
        "/Filter",
        "/First",
        "/FirstChar",
        "/Flags",
        "/Font",
        "/FontBBox",
        "/FontDescriptor",
        "/FontFile2",
        "/FontName",
        "/ID",
        "/Info",
        "/ItalicAngle",
        "/Keywords",
        "/Kids",
        "/Lang",
        "/Last",
        "/LastChar",
        "/Length",
        "/Length1",
        "/MediaBox",
        "/Metadata",
        "/MissingWidth",
        "/ModDate",
        "/Name",
        "/Names",
        "/Next",
        "/Outlines",
        "/PageMode",
        "/Pages",
        "/Params",
        "/Parent",
        "/Predictor",
        "/Prev",
        "/ProcSet",
        "/Producer",
        "/Rect",
        "/Resources",
        "/Root",
        "/Rotate",
        "/Size",
        "/StemV",
        "/Subject",
        "/Subtype",
        "/Title",
        "/ToUnicode",
        "/Trans",
        "/Trapped",
        "/Type",
        "/UF",
        "/ViewerPreferences",
        "/W",
        "/Widths",
        "/ca",
    ]
)
TRAILER = frozenset(["/DecodeParms", "/Filter", "/ID", "/Index", "/Info", "/Length", "/Root", "/Size", "/Type", "/W"])
PACKED = frozenset(["/ObjStm", "/XRef"])
"""Objects that hold others, to which nothing refers."""
OF_A_PAGE = frozenset(["/Font", "/ExtGState"])
"""Where a page gives names of its own."""
ELSEWHERE = frozenset(["/F", "/FFilter", "/FDecodeParms"])
"""Keys of a stream whose content is in another file."""
MOST_OBJECTS = 200_000
START, ENDS = re.compile(rb"%PDF-1\.[0-9]\n%[^\n]{4}\n[0-9]+ 0 obj"), b"%%EOF\n"


def beside_the_revision(data: bytes) -> tuple[str, str] | None:
    """Where bytes stand before or after the one revision that a report is; ``None`` if there are none."""
    if START.match(data) is None:
        return "byte 0", "another beginning than a report has"
    if not data.endswith(ENDS):
        return f"byte {len(data):,}", "another end than a report has"
    if (count := data.count(b"startxref")) != 1:
        return "revisions", f"{count:,}; what is appended can replace pages"
    return None


def beside_a_report(pdf: pikepdf.Pdf) -> tuple[str, str] | None:
    """Where something stands that no report is written with, and what it is; ``None`` if there is nothing."""
    if odd := {str(key) for key in pdf.trailer.keys()} - TRAILER:  # noqa: SIM118 - a PDF dictionary iterates otherwise
        return "the trailer", _listed(odd)
    if (found := _attached(pdf)) is not None:
        return found
    seen: set[tuple[int, int]] = set()
    for number, (item, via) in enumerate(_everything(pdf, seen)):
        if number > MOST_OBJECTS:
            return "objects", f"more than {MOST_OBJECTS:,}"
        if odd_there := _odd(item, via):
            return _place(item, via), odd_there
    alone = (item for item in pdf.objects if item.objgen not in seen and _kind(item) not in PACKED)
    return next(((_place(item, ""), "an object that nothing refers to") for item in alone), None)


def _odd(item: Any, via: str) -> str:
    """What a dictionary or stream has that no report has; ``via`` is the key it stands under."""
    keys = {str(key) for key in item.keys()}  # noqa: SIM118
    if via not in OF_A_PAGE and (odd := keys - KEYS):
        return _listed(odd)
    if isinstance(item, pikepdf.Stream) and (odd := keys & ELSEWHERE):
        return f"content that is in another file ({_listed(odd)})"
    return "a change of pages that moves" if via == "/Trans" and keys else ""


def _place(item: Any, via: str) -> str:
    return f"object {item.objgen[0]}" if item.is_indirect else f"what stands under {via or 'a list'}"


def _everything(pdf: pikepdf.Pdf, seen: set[tuple[int, int]]) -> Iterator[tuple[Any, str]]:
    """Every dictionary and stream that can be reached, once, with the key it stands under; notes them in ``seen``."""
    waiting: list[tuple[Any, str]] = [
        (pdf.trailer[key], key) for key in ("/Root", "/Info", "/ID") if key in pdf.trailer
    ]
    while waiting:
        item, via = waiting.pop()
        if not isinstance(item, pikepdf.Object):
            continue
        if item.is_indirect:
            if item.objgen in seen:
                continue
            seen.add(item.objgen)
        if isinstance(item, (pikepdf.Dictionary, pikepdf.Stream)):
            yield item, via
            waiting += [(item[key], str(key)) for key in item.keys()]  # noqa: SIM118
        elif isinstance(item, pikepdf.Array):
            waiting += [(part, "") for part in item]


def _attached(pdf: pikepdf.Pdf) -> tuple[str, str] | None:
    """The tree of attached files has one leaf, and says one name of it."""
    names = pdf.Root.get("/Names")
    tree = names.get("/EmbeddedFiles") if names is not None else None
    if tree is None:
        return None
    if {str(key) for key in tree.keys()} != {"/Names"} or len(tree["/Names"]) != 2:  # noqa: SIM118
        return "attachments", "a tree of more than one file"
    name, spec = tree["/Names"]
    said = {str(name), *(str(spec[key]) for key in ("/F", "/UF") if key in spec)}
    return None if len(said) == 1 else ("attachments", f"one file by the names {_listed(said)}")


def _kind(item: Any) -> str:
    return str(item.get("/Type", "")) if isinstance(item, (pikepdf.Dictionary, pikepdf.Stream)) else ""


def _listed(odd: set[str]) -> str:
    return ", ".join(sorted(odd))[:120]
