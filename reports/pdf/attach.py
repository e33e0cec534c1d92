"""The last hand on the PDF: the attached result, XMP metadata, and a document id that follows from the bytes."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pikepdf

from reports.blocks import ReportContent

RESULT = "result.json"
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


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
                f"{name} {digest}" for name, digest in sorted(content.hashes.items()) if digest
            )
        out = io.BytesIO()
        pdf.save(
            out, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.generate, compress_streams=True
        )
        return out.getvalue()


def attached_result(data: bytes) -> bytes | None:
    """The attached ``result.json`` of a report, or ``None``."""
    with pikepdf.open(io.BytesIO(data)) as pdf:
        if RESULT not in pdf.attachments:
            return None
        return pdf.attachments[RESULT].get_file().read_bytes()


def stated_hashes(data: bytes) -> dict[str, str]:
    """The hashes a report states in its XMP metadata: ``design``, ``run``, ``bundle``, ``result``, ``events_head``."""
    with pikepdf.open(io.BytesIO(data)) as pdf, pdf.open_metadata() as metadata:
        stated = str(metadata.get("pdf:Keywords") or "")
    return dict(part.split(" ", maxsplit=1) for part in stated.split("; ") if " " in part)
