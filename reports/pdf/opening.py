"""Opening a report that a stranger may have made: what it packs is unpacked only so far.

A report as it is written holds its objects in streams of some 20 kB, so a stream of objects that unpacks to more than
``MOST_OBJECTS`` is none of them: 15 kB of a file could hold 15 MB of brackets, which take 1 GB once they are objects.
The attached result, the metadata and the pages are not opened by the PDF library but by
:func:`reports.archives.unpacked_stream`, each within a bound of its own.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pikepdf
from pikepdf.settings import get_qpdf_limits, set_qpdf_limits

MOST_OBJECTS = 1 << 20
MOST_ITEMS = 100_000
MOST_FILTERS = 2


@contextmanager
def opened(data: bytes) -> Iterator[pikepdf.Pdf]:
    """A PDF from its bytes, read within bounds.

    Raises
    ------
    pikepdf.PdfError
        If it is damaged or unpacks to more than a report does.
    """
    before = get_qpdf_limits()
    set_qpdf_limits(
        flate_max_memory=MOST_OBJECTS,
        run_length_max_memory=MOST_OBJECTS,
        png_max_memory=MOST_OBJECTS,
        tiff_max_memory=MOST_OBJECTS,
        dct_max_memory=MOST_OBJECTS,
        parser_max_container_size=MOST_ITEMS,
        max_stream_filters=MOST_FILTERS,
    )
    try:
        with pikepdf.open(io.BytesIO(data)) as pdf:
            yield pdf
    finally:
        set_qpdf_limits(**before)  # type: ignore[arg-type]  # the same names with the values they had
