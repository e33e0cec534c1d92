"""Rows of what each field did to the decision of one case, which the evidence keeps beside the measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from auditor.testing.rows import Row, read_row


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


class _Kept(Row):
    """What a result holds of them."""

    attributions: tuple[Attribution, ...] = ()


def attributions_of(result: Mapping[str, Any], *, test: str) -> tuple[Attribution, ...]:
    """What the row of a result of ``test`` holds under ``attributions``; empty where it has no such key.

    Raises
    ------
    RunError
        If what stands there is something else: the evidence takes it as it is.
    """
    held = {"attributions": result.get("attributions", ())}
    found: _Kept = read_row(_Kept, held, what=f"result of {test}")
    return found.attributions
