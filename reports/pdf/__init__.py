"""The PDF: content set on pages with embedded fonts, the same bytes for the same content."""

from reports.pdf.document import render_pdf

__all__ = ["render_pdf"]
