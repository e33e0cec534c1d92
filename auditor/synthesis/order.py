"""Every synthesis, in the order in which they read one another's rows."""

from __future__ import annotations

from collections.abc import Callable

from auditor.records import Measurement
from auditor.synthesis.described_elsewhere import described_elsewhere
from auditor.synthesis.ladder import emit_ladder

SYNTHESES: tuple[Callable[..., tuple[Measurement, ...]], ...] = (emit_ladder, described_elsewhere)
"""Each takes the measurements and ``context``."""
