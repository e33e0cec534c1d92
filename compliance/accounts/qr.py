"""A QR code as an SVG of the page: no picture is fetched, and the secret in it is in no address."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

QUIET = 4  # modules of margin, as the standard asks


def qr_svg(text: str, *, title: str) -> SafeString:
    """The code as black on white in any light: cameras read no other.

    The colours are named, because the style sheet gives the values of charts others in the dark.
    """
    from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel

    code = QRCode(None, QRErrorCorrectLevel.M)
    code.addData(text)
    code.make()
    size = code.getModuleCount()
    dark = [(row, column) for row in range(size) for column in range(size) if code.isDark(row, column)]
    path = mark_safe("".join(f"M{column + QUIET} {row + QUIET}h1v1h-1z" for row, column in dark))  # noqa: S308, numbers
    side = size + 2 * QUIET
    return format_html(
        '<svg class="qr" viewBox="0 0 {side} {side}" role="img" shape-rendering="crispEdges"><title>{title}</title>'
        '<rect width="{side}" height="{side}" fill="white"/><path fill="black" d="{path}"/></svg>',
        side=side,
        title=title,
        path=path,
    )
