"""A report against itself, its result and its bundle: the attachment, the hashes it states, every page set again."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from typing import Any

import pikepdf

from auditor.canonical import sha256_bytes
from auditor.exceptions import InputError
from reports.archives import unpacked_stream
from reports.blocks import ANNEX, REPORT
from reports.bundle import Bundle, parse, result_bytes, result_record
from reports.canvas import Chart
from reports.differences import Mismatch, first_difference, short
from reports.extents import MOST_GOVERNANCE, too_long
from reports.governance import Governance
from reports.pdf.active import beside_pages
from reports.pdf.attach import attached_result, broken_seal, stated_hashes
from reports.pdf.opening import opened
from reports.pdf.shape import beside_a_report, beside_the_revision
from reports.record_types import unread_key
from reports.renderer import Renderer, installed

MOST_OF_A_PAGE = 64 << 20
SIGNATURE = (b"/ByteRange", b"/Sig")
NAMELESS = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>:?\s*")


def check_result(name: str, data: bytes, bundle: Bundle | None) -> list[Mismatch]:
    """A result against its bundle, value by value."""
    try:
        result = parse(data, where=name)
        if (odd := _no_result(name, result) or _long(name, "", result)) is not None:
            return [odd]
        governance = Governance.read(result.get("audit", {}), where="audit")
    except InputError as error:
        return [Mismatch(name, error.where.removeprefix(name), error.what, error.expected)]
    if bundle is None:
        return []
    expected = json.loads(json.dumps(result_record(bundle, governance)))
    difference = first_difference(result, expected)
    if difference is not None:
        return [Mismatch(name, difference[0], short(difference[1]), f"{short(difference[2])}, as in the bundle")]
    return _written_otherwise(name, data, bundle, governance)


def _written_otherwise(name: str, data: bytes, bundle: Bundle, governance: Governance) -> list[Mismatch]:
    """A result with the values of its bundle, in other bytes or with more than an audit writes."""
    if bundle.renderer == installed() and (key := unread_key(governance)):
        return [Mismatch(name, f"audit.{short(key)}", "a key that no audit writes", "none")]
    if data != result_bytes(bundle, governance):
        return [Mismatch(name, "", "the values of the bundle in other bytes", "the bytes that were written")]
    return []


def check_report(
    name: str,
    data: bytes,
    bundle: Bundle | None,
    result: bytes | None,
    *,
    part: str = REPORT,
    annex: bytes | None = None,
    charts: Mapping[str, Chart] | None = None,
) -> list[Mismatch]:
    """A report or its annex against what it carries and states, and beside its bundle against the same set again.

    ``part`` is which of the two it is held to be; ``annex`` is what lies beside a report, which states the hash of the
    annex that it was set with.
    """
    # Beside its evidence a report is set again and compared whole, which names the page that differs.
    if bundle is None and (broken := broken_seal(data)):
        return [Mismatch(name, "the hash of its own bytes", broken, "a report as it was written")]
    try:
        attached, stated = attached_result(data), stated_hashes(data)
        with opened(data) as pdf:
            # Beside its evidence it is compared to the last byte, and the page that differs is named.
            active = (
                None if bundle is not None else beside_pages(pdf) or beside_the_revision(data) or beside_a_report(pdf)
            )
    except (pikepdf.PdfError, ValueError) as error:
        # The reader names the stream that it was handed, which is nothing to a person.
        words = short(NAMELESS.sub("", next(iter(str(error).splitlines()), "")) or "damaged")
        return [Mismatch(name, "", f"no readable PDF ({words})", "a report as it was written")]
    if active is not None:
        return [Mismatch(name, active[0], active[1], "pages, links between them and the attached result alone")]
    if attached is None:
        return [Mismatch(name, "attachments", "no result.json", "the attached result")]
    record = parse(attached, where=f"{name}: attached result.json")
    found: list[Mismatch] = []
    if (said := stated.get("part", REPORT)) != part:
        kind = f"the {said} of an audit" if said in (REPORT, ANNEX) else "no part of a report"
        return [Mismatch(name, "", kind, f"its {part}")]
    if result is not None and attached != result:
        found.append(_other_result(name, attached, result))
    else:
        found += check_result(f"{name}: attached result.json", attached, bundle)
    expected = {"result": sha256_bytes(attached), "design": record["design_sha256"], "run": record["run_sha256"]}
    if bundle is not None:
        expected |= {"design": bundle.design_sha256, "run": bundle.run_sha256, "bundle": bundle.manifest_sha256}
    for key, value in expected.items():
        if stated.get(key) != value:
            found.append(Mismatch(name, f"stated {key} hash", short(stated.get(key, "nothing")), short(value)))
    if annex is not None and stated.get("annex") != (digest := sha256_bytes(annex)):
        found.append(Mismatch(name, "stated annex hash", short(stated.get("annex", "nothing")), short(digest)))
    if bundle is not None and not found:
        audit = Governance.read(record["audit"], where=f"{name}: attached result.json: audit")
        again = _set_again(part, bundle, audit, attached, charts)
        found += _check_pages(name, data, bundle, again)
    return found


def _set_again(
    part: str, bundle: Bundle, audit: Governance, result: bytes, charts: Mapping[str, Chart] | None
) -> bytes:
    """The annex as this version sets it, or the report, which states the hash of that annex."""
    from reports.content import build_annex, build_content
    from reports.pdf import render_pdf

    annex = render_pdf(build_annex(bundle, audit, charts=charts), result=result)
    if part == ANNEX:
        return annex
    whole = build_content(bundle, audit, charts=charts, annex_sha256=sha256_bytes(annex))
    return render_pdf(whole, result=result)


def _other_result(name: str, attached: bytes, result: bytes) -> Mismatch:
    difference = first_difference(parse(attached, where=name), parse(result, where=name))
    where, found, expected = difference or ("", "other bytes", "the file's bytes")
    return Mismatch(name, f"attached result.json: {where}", short(found), f"{short(expected)}, as in the file")


def _no_result(name: str, result: Any) -> Mismatch | None:
    """JSON that is not a result at all, also where there is no bundle to hold it against."""
    if isinstance(result, Mapping) and "measurements" in result:
        return None
    return Mismatch(name, "", "no result of an audit", "result.json as it was written")


def _long(name: str, where: str, result: Any) -> Mismatch | None:
    """A result, or the record of its audit, that is longer than a report can be set with."""
    found = too_long(name, where or "result.json", result)
    if found is not None:
        return found
    governance = result.get("audit", {}) if isinstance(result, Mapping) else {}
    size = len(json.dumps(governance))
    if size > MOST_GOVERNANCE:
        return Mismatch(name, "audit", f"{size:,} characters", f"at most {MOST_GOVERNANCE:,}")
    return None


def _check_pages(name: str, data: bytes, bundle: Bundle, rebuilt: bytes) -> list[Mismatch]:
    """Compare with the report set again, to the last byte: what is appended to a PDF can replace its pages."""
    if data == rebuilt:
        return []
    if data.startswith(rebuilt):
        return [_appended(name, data, len(rebuilt))]
    if bundle.renderer != installed():
        return [_not_comparable(name, bundle.renderer)]
    return [_first_other_page(name, data, rebuilt)]


def _first_other_page(name: str, data: bytes, rebuilt: bytes) -> Mismatch:
    """The page, or the byte, at which a report differs from the one set again."""
    expected = "the same as set from the evidence by the same renderer"
    with opened(data) as given, pikepdf.open(io.BytesIO(rebuilt)) as again:
        if len(given.pages) != len(again.pages):
            return Mismatch(name, "pages", str(len(given.pages)), f"{len(again.pages)}: {expected}")
        for number, (left, right) in enumerate(zip(given.pages, again.pages, strict=True), start=1):
            if _stream(left) != _stream(right):
                return Mismatch(name, f"page {number}", "other text or drawing", expected)
            if beside := _beside(left, right):
                return Mismatch(name, f"page {number}", f"{beside} beside its text", expected)
        if beside := _beside(given.Root, again.Root):
            return Mismatch(name, "the document's catalogue", f"another {beside}", expected)
    at = next(
        (at for at, (left, right) in enumerate(zip(data, rebuilt, strict=False)) if left != right),
        min(len(data), len(rebuilt)),
    )
    return Mismatch(name, f"byte {at:,}", "other bytes", expected)


def _appended(name: str, data: bytes, end: int) -> Mismatch:
    """What follows the end of a report. A signature is not validated here, and one that is not may hide an update."""
    more = f"{len(data) - end:,} bytes after the end of the report"
    if all(mark in data[end:] for mark in SIGNATURE):
        expected = "the report as issued, and its signature in a file of its own: one inside the PDF is not validated"
        return Mismatch(name, f"byte {end:,}", f"{more}, with a signature", expected)
    return Mismatch(name, f"byte {end:,}", more, "nothing; what is appended can replace pages")


def _not_comparable(name: str, made: Renderer) -> Mismatch:
    """The line that a report set by another renderer gets: neither changed nor unchanged."""
    here = installed()
    return Mismatch(
        name,
        "pages",
        f"a report made by {made}, while this verify has {here}: the pages cannot be compared byte for byte; what was "
        "compared is the attached result, value by value with the bundle, and the stated hashes, which agree",
        f"the version that made it, {made}, to check the pages",
    )


def _beside(left: Any, right: Any) -> str:
    """What one page or catalogue has and the other has not: annotations, actions, scripts."""
    ours = {str(key) for key in right.keys()}  # noqa: SIM118 - a PDF dictionary iterates otherwise
    theirs = {str(key) for key in left.keys()}  # noqa: SIM118
    return ", ".join(sorted(theirs ^ ours))[:120]


def _stream(page: Any) -> bytes:
    try:
        page.contents_coalesce()
        return unpacked_stream(page.Contents, most=MOST_OF_A_PAGE)
    except (pikepdf.PdfError, ValueError):
        return b""
