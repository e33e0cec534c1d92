"""Rows of what each field did to the decision of one case, which the evidence keeps beside the measurements."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Attribution:
    """How much one field moved the decision of one case, in nats, by one method; ``reference`` says against what."""

    case_id: str
    test: str
    field: str
    value: float
    standard_error: float | None = None
    reference: str = ""

    def row(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)
