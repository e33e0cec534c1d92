"""What a forger does to a report."""

from __future__ import annotations

import re

from reports.pdf.attach import UNSEALED, seal


def resealed(data: bytes) -> bytes:
    """A report sealed again by whoever changed it."""
    return seal(re.sub(rb"(?<=; )file [0-9a-f]{64}", UNSEALED.encode(), data))
