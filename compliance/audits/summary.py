"""The conclusion of an audit in five lines, for a terminal. Every figure is one of its measurements, in words."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.outcome_codes import sides_in
from auditor.records import Finding, Measurement
from compliance.models import Audit
from reports import numbers, wording
from reports.closing import checked_line, found_line, judged_line, seen_line
from reports.printable import printable


def summarise(
    audit: Audit, *, title: str, measurements: Sequence[Measurement], findings: Sequence[Finding], runs: int
) -> tuple[str, ...]:
    """Five lines: which audit, on what, what was found, the judgement, and how the audit checked itself."""
    run = audit.run
    kind = "governed" if audit.governed else "ungoverned"
    design = wording.Design.of(run.plan)
    shown = printable(measurements, small_cell=design.small_cell, total=run.data.applications)
    what = (
        f"Asked    {run.model.source} ({run.model.sha256[:12]}) about "
        f"{numbers.count(run.data.applications)} applications of {run.data.name}, "
        f"{numbers.count(audit.prompts)} prompts, repeats included"
    )
    if not run.asks:
        what = (
            f"Read     {run.model.source} ({run.data.file_sha256[:12]}): {numbers.count(run.data.applications)} of "
            f"{numbers.count(run.data.rows)} applications of {run.data.name}; nobody was asked"
        )
        if run.data.counts and (sides := sides_in(run.data.counts.notes)):
            what += f". {sides}"
    return (
        f"{audit}  {title}: complete, {kind}, run {runs} on this {'model' if run.asks else 'file'}",
        what,
        f"Found    {found_line(shown, findings, design)}",
        f"Judged   {judged_line(findings)}",
        f"Checked  {checked_line(shown) if run.asks else seen_line(shown)}",
    )
