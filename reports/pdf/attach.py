"""The last hand on the PDF: the attached result, XMP metadata, and a document id that follows from the bytes."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import pikepdf

from auditor.canonical import sha256_bytes
from reports.archives import MOST_JSON, unpacked_stream
from reports.blocks import ReportContent
from reports.pdf.opening import opened

RESULT = "result.json"
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
SEAL = "file "
UNSEALED = SEAL + "0" * 64
SEALED = re.compile(rb"(?<=; )file ([0-9a-f]{64})(?=[<;\"])")
KEYWORDS = re.compile(r"<pdf:Keywords[^>]*>([^<]*)<")
MOST_METADATA = 1 << 20


def finish_pdf(data: bytes, *, content: ReportContent, result: bytes) -> bytes:
    """Attach ``result.json`` as the data behind the document, write XMP, and save deterministically.

    Parameters
    ----------
    data
        The PDF as set.
    content
        Where title, date and hashes come from.
    result
        The bytes of ``result.json``.
    """
    moment = datetime.fromisoformat(content.created) if content.created else EPOCH
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    day = moment.astimezone(UTC).strftime("D:%Y%m%d%H%M%SZ")
    with pikepdf.open(io.BytesIO(data)) as pdf:
        attachment = pikepdf.AttachedFileSpec(
            pdf,
            result,
            filename=RESULT,
            mime_type="application/json",
            description="Every measurement and finding of this report",
            creation_date=day,
            mod_date=day,
            relationship=pikepdf.Name.Data,  # type: ignore[call-arg]  # missing from the stub, not from pikepdf
        )
        pdf.attachments[RESULT] = attachment
        pdf.Root.AF = pikepdf.Array([attachment.obj])
        pdf.Root.PageMode = pikepdf.Name.UseOutlines
        pdf.Root.ViewerPreferences = pikepdf.Dictionary(DisplayDocTitle=True)
        stamp = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as metadata:
            metadata["dc:title"] = f"{content.title}: {content.model}"
            metadata["dc:description"] = content.subject
            metadata["dc:creator"] = ["Plumbline"]
            metadata["dc:language"] = ["en-GB"]
            metadata["xmp:CreatorTool"] = "Plumbline"
            metadata["xmp:CreateDate"] = stamp
            metadata["xmp:ModifyDate"] = stamp
            metadata["dc:identifier"] = content.audit_id
            metadata["pdf:Keywords"] = "; ".join(
                [
                    *(f"{name} {digest}" for name, digest in sorted(content.hashes.items()) if digest),
                    f"part {content.part}",
                    UNSEALED,
                ]
            )
        out = io.BytesIO()
        pdf.save(
            out, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.generate, compress_streams=True
        )
        return seal(out.getvalue())


def seal(data: bytes) -> bytes:
    """Write into a report the SHA-256 of its own bytes, taken while its place held zeros.

    It shows bytes that changed by accident, in a file that stands alone. It cannot show who made the file: whoever
    changes one on purpose seals it again.
    """
    if data.count(UNSEALED.encode()) != 1:
        raise ValueError("the place for the report's own hash does not appear exactly once")
    return data.replace(UNSEALED.encode(), f"{SEAL}{sha256_bytes(data)}".encode())


def broken_seal(data: bytes) -> str | None:
    """Why the bytes of a report are not those it was sealed with; ``None`` if they are."""
    found = SEALED.findall(data)
    if len(found) != 1:
        return f"{len(found)} hashes of its own bytes; expected one"
    zeroed = SEALED.sub(UNSEALED.encode(), data)
    digest = sha256_bytes(zeroed)
    return None if found[0].decode() == digest else f"bytes whose SHA-256 is {digest}; it states {found[0].decode()}"


def attached_result(data: bytes) -> bytes | None:
    """The attached ``result.json`` of a report, or ``None``.

    Raises
    ------
    ValueError
        If there are several attachments or the attached file unpacks to too much.
    """
    with opened(data) as pdf:
        names = list(pdf.attachments)
        if not names:
            return None
        if names != [RESULT]:
            raise ValueError(f"attachments {', '.join(sorted(names))[:200]}; expected {RESULT} alone")
        return unpacked_stream(pdf.attachments[RESULT].get_file().obj, most=MOST_JSON)


def stated_hashes(data: bytes) -> dict[str, str]:
    """What a document states in its XMP metadata: its ``part``, and the hashes ``design``, ``run``, ``bundle``,
    ``result``, ``renderer``, ``events_head`` and, in a report, ``annex``.
    """
    with opened(data) as pdf:
        metadata = pdf.Root.get("/Metadata")
        text = unpacked_stream(metadata, most=MOST_METADATA).decode("utf-8", "replace") if metadata is not None else ""
    stated = KEYWORDS.search(text)
    parts = stated.group(1).split("; ") if stated else []
    return dict(part.split(" ", maxsplit=1) for part in parts if " " in part)
