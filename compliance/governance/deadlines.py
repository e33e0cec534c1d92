"""By when a finding is to be remedied, as the severity scheme of the policy packs sets it."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

from auditor.policies.packs import catalogue


@cache
def remediation_days() -> dict[str, int]:
    """Days in which a finding is to be remedied, by severity; a severity that sets none is left out."""
    levels = catalogue()["severity_scheme"]
    return {level["level"]: level["sla_days"]["remediate"] for level in levels if "remediate" in level["sla_days"]}


def allowed_until(severity: str, *, seen: date) -> date | None:
    """The last day on which a finding that was seen on a day may still be remedied; ``None`` where none is set."""
    days = remediation_days().get(severity)
    return None if days is None else seen + timedelta(days=days)
